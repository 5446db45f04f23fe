package protocol

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// GetAssignmentAttributes returns handle and attributes of an allocated address,
// as [ipam.Allocator.GetAssignmentAttributes] does: get config, get the block.
func (c *Client) GetAssignmentAttributes(ip netip.Addr) (ipam.Attributes, error) {
	if err := checkAddr(ip); err != nil {
		return ipam.Attributes{}, err
	}
	cidr, err := c.enabledBlock(ip)
	if err != nil {
		return ipam.Attributes{}, &ipam.Error{Code: codes.DoesNotExist, Address: ip, Detail: err.Error()}
	}
	s, err := c.settingsToRelease()
	if err != nil {
		return ipam.Attributes{}, err
	}
	b, err := c.assignment(ip, cidr, s)
	if err != nil {
		return ipam.Attributes{}, outcome(err)
	}
	ord := b.ordinal(ip)
	r := b.record(ord)
	return ipam.Attributes{Handle: r.Handle, Active: r.Active, Alternate: r.Alternate, Sequence: b.Sequences[ord]}, nil
}

// enabledBlock returns the CIDR of an address's block, if an enabled pool has the
// address.
func (c *Client) enabledBlock(ip netip.Addr) (netip.Prefix, error) {
	p := c.pools.ByAddr(ip)
	if p == nil || p.Disabled() {
		return netip.Prefix{}, &ipam.Error{Code: codes.NotInPool, Address: ip}
	}
	cidr, _ := p.BlockOf(ip)
	return cidr, nil
}

// assignment reads the block of an address that is allocated.
func (c *Client) assignment(ip netip.Addr, cidr netip.Prefix, s settings) (*Block, error) {
	b, err := c.getBlock(cidr, s)
	if err != nil {
		return nil, err
	}
	switch r := b.record(b.ordinal(ip)); {
	case r == nil:
		return nil, &ipam.Error{Code: codes.DoesNotExist, Address: ip, Detail: ip.String() + " is not assigned"}
	case !r.ReleasedAt.IsZero():
		return nil, &ipam.Error{Code: codes.IPInCooldown, Address: ip, Block: cidr}
	}
	return b, nil
}

// SetOwnerAttributes changes the active and the alternate owner attributes of an
// address in one step, as [ipam.Allocator.SetOwnerAttributes] does: get config
// once, get and update the block, and after a conflict these two again.
func (c *Client) SetOwnerAttributes(ip netip.Addr, handle string, update ipam.OwnerUpdate, pre ipam.OwnerPreconditions) error {
	if err := errors.Join(checkAddr(ip), update.Validate(pre)); err != nil {
		return err
	}
	if !c.rules.AlternateOwners {
		return invalid("operation", "SetOwnerAttributes", c.version.Without(func(r *calico.Rules) *bool { return &r.AlternateOwners }))
	}
	cidr, err := c.enabledBlock(ip)
	if err != nil {
		return err
	}
	s, err := c.settings()
	if err != nil {
		return err
	}
	return outcome(retry(func() error {
		b, err := c.assignment(ip, cidr, s)
		if errors.Is(err, codes.IPInCooldown) {
			return &ipam.Error{Code: codes.WrongHandle, Address: ip, Want: handle, Detail: ip.String() + " is cooling down, and nobody holds it"}
		}
		if err != nil {
			return err
		}
		r := b.record(b.ordinal(ip))
		if r.Handle == "" || r.Handle != handleID(handle) {
			return &ipam.Error{
				Code: codes.WrongHandle, Address: ip, Block: cidr, Want: handle, Got: r.Handle,
				Detail: fmt.Sprintf("%s is not held by %q", ip, handle),
			}
		}
		err = setSide(&r.Active, update.Active, update.ClearActive, pre.Active, pre.ActiveEmpty)
		if err != nil {
			return err
		}
		err = setSide(&r.Alternate, update.Alternate, update.ClearAlternate, pre.Alternate, pre.AlternateEmpty)
		if err != nil {
			return err
		}
		return c.updateBlock(b)
	}))
}

// setSide checks the precondition of one side of a record and changes the side, if
// the update says so.
func setSide(now *block.Attrs, set block.Attrs, clear bool, expect *ipam.OwnerRef, empty bool) error {
	if !clear && set.Len() == 0 {
		return nil
	}
	if empty && now.Len() > 0 {
		return &ipam.Error{Code: codes.UpdateConflict, Got: now.String(), Detail: "expected no owner, found " + now.String()}
	}
	if expect != nil {
		namespace, hasNamespace := now.Get(ipam.AttrNamespace)
		name, hasName := now.Get(ipam.AttrPod)
		found := hasNamespace && hasName && namespace == expect.Namespace && name == expect.Name
		if *expect == (ipam.OwnerRef{}) { // no attributes at all
			found = now.Len() == 0
		}
		if !found {
			want := expect.Namespace + "/" + expect.Name
			return &ipam.Error{Code: codes.UpdateConflict, Want: want, Got: now.String(), Detail: "expected " + want + ", found " + now.String()}
		}
	}
	*now = set
	return nil
}
