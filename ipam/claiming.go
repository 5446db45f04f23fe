package ipam

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/blocktree"
	"github.com/ipamsim/ipamsim/internal/claimlist"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// minClaimAge is the age from which an empty claimed block may be reclaimed:
// without it two hosts could reclaim one from each other again and again (§5).
const minClaimAge = time.Minute

// errStale is the result of recovery for a claim whose block has another owner.
var errStale = errors.New("ipam: stale affinity")

// claimNew finds a block for the owner and claims it (§5). Errors: [codes.NoBlock]
// with automatic allocation off, [codes.NoFreeBlocks] if none is left,
// [codes.BadHostReservation] if the block is too small for the host reservation.
func (a *Allocator) claimNew(o *owner, pools []*poolBlocks, reserve *HostReservation) (*ipamBlock, error) {
	if !a.config.AutoAllocateBlocks {
		return nil, &Error{Code: codes.NoBlock, Host: o.id.Name, Detail: o.id.String()}
	}
	cidr, err := a.findBlock(o, pools, reserve)
	if err != nil {
		return nil, err
	}
	return a.recover(o, a.pend(o, cidr), reserve)
}

// findBlock returns the block that the owner should claim next: the first on its
// walk that does not exist, or that it owns and that has a free address; else an
// empty block of another owner, which it reclaims. It reclaims no block that is
// too small for the host reservation.
func (a *Allocator) findBlock(o *owner, pools []*poolBlocks, reserve *HostReservation) (netip.Prefix, error) {
	for _, pb := range pools {
		from := a.startOf(o, pb)
		at, found := a.nextMissing(pb, from)
		missing := found
		for _, b := range o.blocks {
			if b.pool == pb && !b.whole && (!found || sooner(b.leaf.At, at, from)) && b.Available(a.cold, b.reserved) > 0 {
				at, found, missing = b.leaf.At, true, false
			}
		}
		if found {
			cidr := pb.pool.BlockAt(at)
			if missing {
				return cidr, reserve.fits(cidr)
			}
			return cidr, nil
		}
	}
	if !a.rules.ReclaimEmptyBlocks {
		a.tell(reclaims)
		return netip.Prefix{}, codes.NoFreeBlocks
	}
	for _, pb := range pools {
		walk := pb.tree.Walk(blocktree.Empty, a.startOf(o, pb))
		for l := walk.Next(); l != nil; l = walk.Next() {
			b := l.Value
			if b.whole || !b.Empty(a.cold) || b.Available(a.cold, b.reserved) == 0 || !a.reclaimable(b) {
				b.refresh()
				continue
			}
			a.tell(reclaims)
			cidr := b.CIDR()
			if err := reserve.fits(cidr); err != nil {
				return cidr, err
			}
			old := b.owner
			err := a.releaseClaim(old, cidr, true)
			a.forget(old)
			if err == nil {
				return cidr, nil
			}
		}
	}
	// Not wrapped, for speed: every borrowing begins with it.
	return netip.Prefix{}, codes.NoFreeBlocks
}

// sooner reports whether the walk from start meets x before y.
func sooner(x, y, start pool.Index) bool {
	if xWraps, yWraps := x.Less(start), y.Less(start); xWraps != yWraps {
		return yWraps
	}
	return x.Less(y)
}

// reclaimable reports whether an empty block can be reclaimed: its owner has had
// it for long enough, and the claim exists.
func (a *Allocator) reclaimable(b *ipamBlock) bool {
	return b.owner != nil && a.claimOn(b.owner, b.CIDR()) != nil &&
		(b.claimed == noClaimTime || a.now.UnixNano()-b.claimed >= int64(minClaimAge))
}

// pend writes the owner's claim on the block as pending, unless it is confirmed,
// and returns it. An owner of the other type with the same name shares the claim,
// which is the same object (§1).
func (a *Allocator) pend(o *owner, cidr netip.Prefix) *claimlist.Claim {
	if n := a.namesake(o); n != nil && n.claims.Get(cidr) != nil {
		o = n
	}
	return o.claims.Pend(cidr, a.now)
}

// claimOn returns the affinity object of the owner, or of its namesake, for the
// block, or nil.
func (a *Allocator) claimOn(o *owner, cidr netip.Prefix) *claimlist.Claim {
	if c := o.claims.Get(cidr); c != nil {
		return c
	}
	if n := a.namesake(o); n != nil {
		return n.claims.Get(cidr)
	}
	return nil
}

// dropClaim deletes the affinity object of the owner, or of its namesake, for the
// block, and reports whether there was one. It does not forget the owner.
func (a *Allocator) dropClaim(o *owner, cidr netip.Prefix) bool {
	if o.claims.Drop(cidr) {
		return true
	}
	n := a.namesake(o)
	if n == nil || !n.claims.Drop(cidr) {
		return false
	}
	a.forget(n)
	return true
}

// namesake returns the owner of the same name and the other type, or nil. The two
// share affinity objects, whose names have no type (§1).
func (a *Allocator) namesake(o *owner) *owner {
	if o.id.Type == affinity.Host {
		return a.virtual[o.id.Name]
	}
	return a.hosts[o.id.Name]
}

// create makes the block cidr for the owner: the second phase of claiming. The
// reservation must fit.
func (a *Allocator) create(o *owner, cidr netip.Prefix, reserve *HostReservation) (*ipamBlock, error) {
	// A block that is deleted and made again never repeats a number, even if the
	// clock stands still (§6).
	seq := max(uint64(max(0, a.now.UnixNano())), a.lastSeq+1)
	b := new(ipamBlock)
	if err := b.Reset(cidr, seq); err != nil {
		return nil, err
	}
	if reserve != nil {
		if err := b.ReserveForHost(reserve.StartOfBlock, reserve.EndOfBlock, reserve.owner()); err != nil {
			return nil, err
		}
	}
	a.lastSeq = seq
	claimed := int64(noClaimTime) // releases that do not reclaim have no claim times
	if a.rules.ReclaimEmptyBlocks {
		claimed = a.now.UnixNano()
	}
	b.setOwner(o, claimed)
	a.add(b)
	return b, nil
}

// recover makes the owner's claim and the block consistent after a client died,
// and returns the block. If the block has another owner or none it drops the claim
// and returns errStale (§5). A block that it creates has the claim's size, even if
// the pool has another.
func (a *Allocator) recover(o *owner, c *claimlist.Claim, reserve *HostReservation) (*ipamBlock, error) {
	b := a.block(c.CIDR)
	switch {
	case b == nil:
		err := reserve.fits(c.CIDR)
		if err != nil {
			return nil, err
		}
		if b, err = a.create(o, c.CIDR, reserve); err != nil {
			return nil, err
		}
		// All steps are written out, so that tests check that the state machine
		// allows them.
		return b, errors.Join(c.Renew(), c.Confirm())
	case b.owner != o:
		a.dropClaim(o, c.CIDR)
		return nil, errStale
	case c.State != affinity.Confirmed:
		err := c.Renew()
		// The write raises the block's number, so that writes with an older copy
		// fail.
		b.Collect(a.cold)
		a.write(b)
		return b, errors.Join(err, c.Confirm())
	}
	return b, nil
}

// claimBlock claims one given block without recovery, as AssignIP and
// ClaimAffinity do. If the block has another owner or none it drops the owner's
// claim, an older one too, and returns [codes.BlockClaimConflict].
func (a *Allocator) claimBlock(o *owner, cidr netip.Prefix, reserve *HostReservation) (*ipamBlock, error) {
	b := a.block(cidr)
	if b == nil {
		if err := reserve.fits(cidr); err != nil {
			return nil, err
		}
	} else if b.owner != o {
		a.dropClaim(o, cidr)
		return nil, &Error{Code: codes.BlockClaimConflict, Block: cidr, Host: o.id.Name, Want: o.id.String(), Got: b.ownerID().String()}
	}
	c := a.pend(o, cidr)
	if b == nil {
		var err error
		if b, err = a.create(o, cidr, reserve); err != nil {
			return nil, err
		}
	}
	return b, c.Confirm()
}
