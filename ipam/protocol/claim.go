package protocol

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// This file is the claiming of blocks: the two phases, and recovery after a client
// died between them (§5, §15).

// errStale is the result of recovery for an affinity whose block has another owner
// or none. The affinity is gone then.
var errStale = errors.New("protocol: stale affinity")

// pend announces a claim. A confirmed affinity that exists already stays as it is,
// any other is written back as pending.
func (c *Client) pend(owner affinity.Owner, cidr netip.Prefix) (*Affinity, error) {
	a := &Affinity{Owner: owner, CIDR: cidr, State: affinity.Pending, Created: c.now().UTC()}
	err := c.create(a)
	if !errors.Is(err, errExists) {
		return a, err
	}
	if a, err = c.getAffinity(owner, cidr); err != nil || a.State == affinity.Confirmed {
		return a, err
	}
	return a, c.updateState(a, affinity.Pending)
}

// confirm ends a claim. Somebody else may have confirmed it first.
func (c *Client) confirm(a *Affinity) error {
	failed := c.updateState(a, affinity.Confirmed)
	if failed == nil {
		return nil
	}
	if now, err := c.getAffinity(a.Owner, a.CIDR); err == nil && now.State == affinity.Confirmed {
		return nil
	}
	return failed
}

// claim creates the block of a pending affinity and confirms the affinity. If the
// block has another owner or none it deletes the affinity and returns
// [codes.BlockClaimConflict].
func (c *Client) claim(a *Affinity, owner affinity.Owner, s settings, reserve *ipam.HostReservation) (*Block, error) {
	now := c.now()
	b := newBlock(a.CIDR, owner, now, uint64(max(0, now.UnixNano())), reserve)
	if !c.rules.ReclaimEmptyBlocks {
		b.Claimed = time.Time{} // nobody asked
	}
	err := c.create(b)
	if errors.Is(err, errExists) {
		if b, err = c.getBlock(a.CIDR, s); err != nil {
			return nil, err
		}
		if b.Owner != owner {
			_ = c.delete(a) // whatever comes of it
			return nil, &ipam.Error{Code: codes.BlockClaimConflict, Block: a.CIDR, Host: owner.Name, Want: owner.String(), Got: b.Owner.String()}
		}
	}
	if err != nil {
		return nil, err
	}
	return b, c.confirm(a)
}

// recover makes an affinity and its block consistent after a client died, and
// returns the block. It deletes a stale affinity.
func (c *Client) recover(a *Affinity, owner affinity.Owner, s settings, reserve *ipam.HostReservation) (*Block, error) {
	b, err := c.getBlock(a.CIDR, s)
	switch {
	case errors.Is(err, errMissing):
		if err := fits(reserve, a.CIDR); err != nil {
			return nil, err
		}
		if err := c.updateState(a, affinity.Pending); err != nil {
			return nil, err
		}
		if s, err = c.settings(); err != nil {
			return nil, err
		}
		return c.claim(a, owner, s, reserve)
	case err != nil:
		return nil, err
	case b.Owner != owner:
		if err := c.delete(a); err != nil {
			return nil, err
		}
		return nil, about(errStale, a.CIDR)
	case a.State == affinity.Confirmed:
		return b, nil
	}
	if err := c.updateState(a, affinity.Pending); err != nil {
		return nil, err
	}
	// From now on, writes by clients with an older copy of the block fail.
	if err := c.updateBlock(b); err != nil {
		return nil, err
	}
	return b, c.updateState(a, affinity.Confirmed)
}

// errNothing ends a release that finds nothing to release, at its start or
// half-way.
var errNothing = errors.New("protocol: there is nothing to give up")

// release gives up the owner's claim on a block, and the block with it if it is
// empty (§9, "Releasing affinity"). A missing object, at any request, means that
// there is nothing more to do. The error is errStale if somebody else owns the
// block, [codes.BlockNotEmpty] if it must be empty and is not. After a conflict
// release begins again.
func (c *Client) release(owner affinity.Owner, cidr netip.Prefix, mustBeEmpty bool, s settings) error {
	return retry(func() error { return c.releaseOnce(owner, cidr, mustBeEmpty, s) })
}

// releaseOnce is release without a second try.
func (c *Client) releaseOnce(owner affinity.Owner, cidr netip.Prefix, mustBeEmpty bool, s settings) error {
	err := c.giveUp(owner, cidr, mustBeEmpty, s, nil)
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

// reclaim releases an empty block that was listed, so that another may claim it.
// It tries once, and only if the block was not written since.
func (c *Client) reclaim(listed *Block, s settings) error {
	return c.giveUp(listed.Owner, listed.CIDR, true, s, listed)
}

// giveUp is releaseOnce that returns [errNothing] if there is nothing to do, also
// if a listed block was written since.
func (c *Client) giveUp(owner affinity.Owner, cidr netip.Prefix, mustBeEmpty bool, s settings, listed *Block) error {
	a, err := c.getAffinity(owner, cidr)
	if err != nil {
		return unlessMissing(err)
	}
	b, err := c.getBlock(cidr, s)
	if err != nil {
		return unlessMissing(err)
	}
	if listed != nil && b.Sequence != listed.Sequence {
		return errNothing
	}
	if !b.Owner.IsZero() && b.Owner != owner {
		_ = c.delete(a) // whatever comes of it
		return about(errStale, cidr)
	}
	empty := b.empty()
	if mustBeEmpty && !empty {
		return &ipam.Error{Code: codes.BlockNotEmpty, Block: cidr, Host: owner.Name}
	}
	if err := c.updateState(a, affinity.PendingDeletion); err != nil {
		return unlessMissing(err)
	}
	if empty {
		err = c.delete(b)
		if errors.Is(err, errMissing) {
			err = nil // as it should be
		}
	} else {
		b.disown()
		err = c.updateBlock(b)
	}
	if err != nil {
		return unlessMissing(err)
	}
	if err := c.delete(a); !errors.Is(err, errMissing) {
		return err
	}
	return nil
}

// unlessMissing returns [errNothing] in place of an error that something is
// missing.
func unlessMissing(err error) error {
	if errors.Is(err, errMissing) {
		return errNothing
	}
	return err
}
