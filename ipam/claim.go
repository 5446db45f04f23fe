package ipam

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/pool"
)

// minClaimAge is how long a claimed block is safe from being reclaimed while
// it is empty: without it two hosts could pass one back and forth (§5).
const minClaimAge = time.Minute

// errNoBlock is what recovery finds of a claim left over from a pool whose blocks
// had another size. Calico would make the block, across those of the pool as it
// is now; here the claim counts for the limit, and waits to be released.
var errNoBlock = errors.New("ipam: affinity is on no block of its pool")

// errStale is what recovery finds of a claim whose block is another's.
var errStale = errors.New("ipam: stale affinity")

// claimNew finds a block for the host and claims it (§5). Errors:
// [ErrNoBlock] with automatic allocation off, [ErrNoFreeBlocks] where nothing
// is left, [ErrBadHostReservation] for a block too small for it.
func (a *Allocator) claimNew(h *host, spaces []*space, reserve *HostReservation) (*entry, error) {
	if !a.config.AutoAllocateBlocks {
		return nil, fail(ErrNoBlock, h.owner)
	}
	cidr, err := a.find(h, spaces, reserve)
	if err != nil {
		return nil, err
	}
	return a.recover(h, h.claims.Pend(cidr, a.now), reserve)
}

// find returns the block that the host should claim next: the first on its
// walk that does not exist or is its own with a free address, else an empty
// one that another gives up for it. Nothing is given up for a reservation that
// would not fit.
func (a *Allocator) find(h *host, spaces []*space, reserve *HostReservation) (netip.Prefix, error) {
	for _, sp := range spaces {
		from := a.startOf(h, sp)
		at, found := a.nextMissing(sp, from)
		missing := found
		for _, e := range h.blocks {
			if e.space == sp && !e.whole && (!found || sooner(e.at, at, from)) && e.Available(a.cold, e.reserved) > 0 {
				at, found, missing = e.at, true, false
			}
		}
		if found {
			cidr := sp.pool.BlockAt(at)
			if missing {
				return cidr, reserve.fits(cidr)
			}
			return cidr, nil
		}
	}
	if a.noReclaim {
		return netip.Prefix{}, ErrNoFreeBlocks
	}
	for _, sp := range spaces {
		c := sp.tree.cycle(thatIsEmpty, a.startOf(h, sp))
		for e := c.next(); e != nil; e = c.next() {
			if e.whole || !e.Empty(a.cold) || e.Available(a.cold, e.reserved) == 0 || !a.reclaimable(e) {
				e.refresh()
				continue
			}
			cidr := e.CIDR()
			if err := reserve.fits(cidr); err != nil {
				return cidr, err
			}
			owner := e.host
			err := a.releaseClaim(owner, cidr, true)
			a.forget(owner)
			if err == nil {
				return cidr, nil
			}
		}
	}
	// Not wrapped: it is how every borrowing begins.
	return netip.Prefix{}, ErrNoFreeBlocks
}

// sooner reports whether the walk from start meets x before y.
func sooner(x, y, start pool.Index) bool {
	if xWraps, yWraps := x.Less(start), y.Less(start); xWraps != yWraps {
		return yWraps
	}
	return x.Less(y)
}

// reclaimable reports whether an empty block can be taken from its owner: it has
// had it for long enough, and its claim is there to be released.
func (a *Allocator) reclaimable(e *entry) bool {
	return e.host != nil && e.host.claims.Get(e.CIDR()) != nil &&
		(e.claimed == noClaimTime || a.now.UnixNano()-e.claimed >= int64(minClaimAge))
}

// create makes the block cidr of a pool for the host, which has a claim on it:
// the second phase of claiming. The reservation must fit.
func (a *Allocator) create(h *host, cidr netip.Prefix, reserve *HostReservation) (*entry, error) {
	// A block that is deleted and made again never repeats a number, even
	// when the clock stands still (§6).
	seq := max(uint64(max(0, a.now.UnixNano())), a.lastSeq+1)
	sp := a.spaceOf(cidr.Addr())
	e := sp.unused()
	if err := e.Reset(cidr, seq); err != nil {
		return nil, err
	}
	if reserve != nil {
		if err := e.ReserveForHost(reserve.StartOfBlock, reserve.EndOfBlock, reserve.owner()); err != nil {
			return nil, err
		}
	}
	a.lastSeq = seq
	e.gone = false
	e.setOwner(h, a.now.UnixNano())
	a.add(e, sp)
	return e, nil
}

// recover makes the host's claim and the block agree, whatever a client that
// died left behind, and returns the block; errStale where the block is
// another's or nobody's, with the claim dropped (§5).
func (a *Allocator) recover(h *host, c *affinity.Claim, reserve *HostReservation) (*entry, error) {
	e := a.block(c.CIDR)
	switch {
	case e == nil:
		if sp := a.spaceOf(c.CIDR.Addr()); sp == nil || sp.pool.BlockSize() != c.CIDR.Bits() {
			return nil, errNoBlock
		}
		h.changed()
		err := reserve.fits(c.CIDR)
		if err != nil {
			return nil, err
		}
		if e, err = a.create(h, c.CIDR, reserve); err != nil {
			return nil, err
		}
		// The steps in full: tests pin that the machine allows them.
		return e, errors.Join(c.Step(affinity.Renew), c.Step(affinity.Confirm))
	case e.host != h:
		h.changed()
		h.claims.Drop(c.CIDR)
		return nil, errStale
	case c.State != affinity.Confirmed:
		h.changed()
		err := c.Step(affinity.Renew)
		// The write raises the block's number, so that others who hold an
		// older copy fail.
		e.Collect(a.cold)
		a.write(e)
		return e, errors.Join(err, c.Step(affinity.Confirm))
	}
	return e, nil
}

// claimBlock claims one given block without recovery, as AssignIP and
// ClaimAffinity do. [ErrBlockClaimConflict] where it is another's or nobody's;
// the host's own claim on it, an older one too, is then gone.
func (a *Allocator) claimBlock(h *host, cidr netip.Prefix, reserve *HostReservation) (*entry, error) {
	h.changed()
	e := a.block(cidr)
	if e == nil {
		if err := reserve.fits(cidr); err != nil {
			return nil, err
		}
	} else if e.host != h {
		h.claims.Drop(cidr)
		return nil, fail(ErrBlockClaimConflict, cidr)
	}
	c := h.claims.Pend(cidr, a.now)
	if e == nil {
		var err error
		if e, err = a.create(h, cidr, reserve); err != nil {
			return nil, err
		}
	}
	return e, c.Step(affinity.Confirm)
}
