package protocol

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// AssignIP gives the host one given address, as [ipam.Allocator.AssignIP] does.
// After a conflict it begins again without lowering the handle, so the count may
// stay too high (§15).
func (c *Client) AssignIP(args ipam.AssignIPArgs) error {
	err := args.Validate()
	if err != nil {
		return err
	}
	if err := c.supports(args.Use, args.MaxAllocPerHandle); err != nil {
		return err
	}
	args.Handle = handleID(args.Handle)
	p := c.pools.ByAddr(args.IP)
	if p == nil || p.Disabled() {
		return &ipam.Error{Code: codes.NotInPool, Address: args.IP}
	}
	if args.Use != "" && c.rules.AssignIPChecksUse && !p.Allows(args.Use) {
		return &ipam.Error{
			Code: codes.UseNotAllowed, Address: args.IP, Pool: p.CIDR(), Got: string(args.Use),
			Detail: fmt.Sprintf("%s of %s in pool %s", args.Use, args.IP, p.Name()),
		}
	}
	s, err := c.settingsOn(args.Windows)
	if err != nil {
		return err
	}
	cidr, _ := p.BlockOf(args.IP)
	return outcome(retry(func() error { return c.assignIPOnce(&args, cidr, s) }))
}

func (c *Client) assignIPOnce(args *ipam.AssignIPArgs, cidr netip.Prefix, s settings) error {
	owner := affinity.HostOwner(args.Host)
	if args.Use == pool.LoadBalancer {
		owner = affinity.VirtualOwner(args.Host)
	}
	b, err := c.getBlock(cidr, s)
	if errors.Is(err, errMissing) {
		b, err = c.claimFor(owner, cidr, args.HostReserved)
	}
	if err != nil {
		return err
	}
	if s.StrictAffinity && b.Owner != owner {
		return &ipam.Error{
			Code: codes.AffinityMismatch, Address: args.IP, Block: cidr, Host: args.Host,
			Want: owner.String(), Got: b.Owner.String(),
			Detail: args.IP.String() + " in " + cidr.String(),
		}
	}
	ord := b.ordinal(args.IP)
	if r := b.record(ord); r != nil {
		if args.MaxAllocPerHandle > 0 && args.Handle != "" && r.Handle == args.Handle {
			return nil // the handle holds the address already
		}
		return &ipam.Error{Code: codes.AlreadyExists, Address: args.IP, Block: cidr, Want: args.Handle, Got: r.Handle}
	}
	if args.Handle != "" {
		err := c.raise(args.Handle, cidr, 1, args.MaxAllocPerHandle)
		if errors.Is(err, errLimit) {
			return c.alreadyHeld(args)
		}
		if err != nil {
			return err
		}
	}
	b.take(ord, Record{Handle: args.Handle, Active: args.Attrs})
	err = c.updateBlock(b)
	if errors.Is(err, errMissing) && args.Handle != "" {
		_ = c.lower(nil, args.Handle, cidr, 1) // the missing block is the error
	}
	return err
}

// claimFor claims a block that does not exist, without recovery.
func (c *Client) claimFor(owner affinity.Owner, cidr netip.Prefix, reserve *ipam.HostReservation) (*Block, error) {
	if err := fits(reserve, cidr); err != nil {
		return nil, err
	}
	s, err := c.settings()
	if err != nil {
		return nil, err
	}
	a, err := c.pend(owner, cidr)
	if err != nil {
		return nil, err
	}
	return c.claim(a, owner, s, reserve)
}

// alreadyHeld decides what a refused raise means: success if the first address of
// the family that the handle holds is the requested one. If the handle holds none
// it is tried again, as others may change it meanwhile (§15).
func (c *Client) alreadyHeld(args *ipam.AssignIPArgs) error {
	held, err := c.heldIn(args.Handle, true, args.IP.Is4())
	switch {
	case err != nil:
		return err
	case len(held) == 0:
		return about(errConflict, args.Handle)
	case held[0] == args.IP:
		return nil
	}
	return &ipam.Error{Code: codes.MaxAlloc, Handle: args.Handle, Host: args.Host, Want: strconv.Itoa(args.MaxAllocPerHandle), Got: strconv.Itoa(len(held))}
}
