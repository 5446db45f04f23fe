// Package example is a small controller that hands out addresses: one for each
// service, released when the service is deleted. Its test shows how the fake of
// package fake is used.
package example

import (
	"context"
	"errors"
	"fmt"

	v3 "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	cerrors "github.com/projectcalico/calico/libcalico-go/lib/errors"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"
)

// Service is what somebody wants an address for.
type Service struct {
	Name    string
	Wants   string // the address that is asked for; empty for any
	Has     string // the address that it has, set by the controller
	Deleted bool
}

// Controller gives services addresses. In production its IPAM is Calico's client, in
// a test the fake.
type Controller struct {
	IPAM ipam.Interface
	Node string // whose blocks the addresses come from
}

// Reconcile gives the service an address, or takes it back. An error means that it
// must be tried again.
func (c *Controller) Reconcile(ctx context.Context, s *Service) error {
	handle := "service." + s.Name
	switch {
	case s.Deleted:
		err := c.IPAM.ReleaseByHandle(ctx, handle)
		if errors.As(err, new(cerrors.ErrorResourceDoesNotExist)) {
			err = nil // it had none, or this is the second try
		}
		if err == nil {
			s.Has = ""
		}
		return err
	case s.Has != "":
		return nil
	case s.Wants != "":
		args := ipam.AssignIPArgs{IP: cnet.MustParseIP(s.Wants), Hostname: c.Node, HandleID: &handle}
		if err := c.IPAM.AssignIP(ctx, args); err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
		s.Has = s.Wants
		return nil
	}
	v4, _, err := c.IPAM.AutoAssign(ctx, ipam.AutoAssignArgs{
		Num4: 1, Hostname: c.Node, HandleID: &handle, IntendedUse: v3.IPPoolAllowedUseWorkload,
	})
	if err == nil {
		err = v4.PartialFulfillmentError() // too few are no error of AutoAssign
	}
	if err != nil {
		return fmt.Errorf("service %s: %w", s.Name, err)
	}
	s.Has = v4.IPs[0].IP.String()
	return nil
}
