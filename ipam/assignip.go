package ipam

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/pool"
)

// AssignIPArgs asks for one given address.
type AssignIPArgs struct {
	IP     netip.Addr
	Host   string // who asks; the node need not exist
	Handle string // empty for none
	Attrs  block.Attrs
	// Use, if given, must be allowed by the pool. LoadBalancer makes the
	// host a virtual owner.
	Use pool.Use
	// HostReserved reserves the ends of the block, of either family, if it
	// must be created; nil reserves nothing.
	HostReserved *HostReservation
	// MaxAllocPerHandle limits what the handle may hold of the address's
	// family; 0 means no limit.
	MaxAllocPerHandle int
}

// AssignIP gives the host one given address. If its block does not exist the
// host claims it; node selectors, reservations and block limits are not looked
// at (§9).
//
// Errors: [ErrNotInPool], [ErrUseNotAllowed], [ErrAffinityMismatch] with strict
// affinity, [ErrAlreadyExists] for a taken or cooling address, [ErrMaxAlloc];
// [ErrBlockClaimConflict] and [ErrBadHostReservation] when claiming the block.
// A block that was claimed stays so when the address is refused after that.
func (a *Allocator) AssignIP(args AssignIPArgs) error {
	err := errors.Join(checkAddr(args.IP), checkName("host", args.Host), checkCount("maxAllocPerHandle", args.MaxAllocPerHandle))
	if err != nil {
		return err
	}
	args.Handle = handleID(args.Handle)
	a.begin()
	defer a.mu.Unlock()
	sp := a.spaceOf(args.IP)
	if sp == nil || sp.pool.Disabled() {
		return fail(ErrNotInPool, args.IP)
	}
	if args.Use != "" && !sp.pool.Allows(args.Use) {
		return fail(ErrUseNotAllowed, fmt.Sprintf("%s of %s in pool %s", args.Use, args.IP, sp.pool.Name()))
	}
	owner := affinity.HostOwner(args.Host)
	if args.Use == pool.LoadBalancer {
		owner = affinity.VirtualOwner(args.Host)
	}
	h := a.host(owner)
	defer a.forget(h)
	e := a.blockAt(args.IP)
	if e == nil {
		if e, err = a.claimBlock(h, sp.pool.BlockAt(sp.pool.IndexOf(args.IP)), args.HostReserved); err != nil {
			return err
		}
	}
	if a.config.StrictAffinity && e.host != h {
		return fail(ErrAffinityMismatch, args.IP.String()+" in "+e.CIDR().String())
	}
	return a.assignOrdinal(e, &args)
}

// assignOrdinal allocates the address in its block.
func (a *Allocator) assignOrdinal(e *entry, args *AssignIPArgs) error {
	ord, _ := e.Ordinal(args.IP)
	if cooling, expired := e.Cools(ord, a.cold); cooling && !expired {
		return fail(ErrAlreadyExists, args.IP.String()+" is cooling down")
	}
	if handle, _, held := e.Holder(ord, a.cold); held {
		if args.MaxAllocPerHandle > 0 && args.Handle != "" && handle == args.Handle {
			return nil // what was asked for is so already
		}
		return fail(ErrAlreadyExists, args.IP)
	}
	to := block.Owner{Active: args.Attrs}
	if args.Handle != "" {
		h, raised := a.raise(args.Handle, e, 1, args.MaxAllocPerHandle)
		if !raised {
			return fail(ErrMaxAlloc, args.Handle)
		}
		to.Handle = h.id
	}
	e.Collect(a.cold)
	if err := e.TakeOrdinal(ord, to); err != nil {
		return err // cannot be: it was looked at
	}
	a.writeTaken(e)
	return nil
}
