package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// AssignIPArgs asks for one given address.
type AssignIPArgs struct {
	IP     netip.Addr
	Host   string // that asks; the node need not exist
	Handle string // empty for none
	Attrs  block.Attrs
	// Use, if given, must be allowed by the pool, since Calico v3.33.
	// LoadBalancer makes the host a virtual owner.
	Use     pool.Use
	Windows bool // as in [AutoAssignArgs]
	// HostReserved reserves addresses at both ends of the block, in either family,
	// if AssignIP must create it; nil reserves nothing.
	HostReserved *HostReservation
	// MaxAllocPerHandle limits what the handle may hold of the address's
	// family; 0 or less means no limit.
	MaxAllocPerHandle int
}

// Validate refuses a request that no allocator could serve: for an address that
// is not a plain IPv4 or IPv6 address, with a host name that no Kubernetes object
// could have, or a limit of 2^31 or more. The error matches [codes.InvalidArgument].
func (r *AssignIPArgs) Validate() error {
	return errors.Join(checkAddr(r.IP), checkName("host", r.Host), checkCount("maxAllocPerHandle", max(0, r.MaxAllocPerHandle)))
}

// AssignIP gives the host one given address. If its block does not exist the host
// claims it. Node selectors, reservations and block limits are ignored (§9).
//
// Errors: [codes.NotInPool], [codes.UseNotAllowed], [codes.StrictAffinityRequired],
// [codes.AffinityMismatch] with strict affinity, [codes.AlreadyExists] for a taken or
// cooling address, [codes.MaxAlloc];
// [codes.BlockClaimConflict] and [codes.BadHostReservation] when claiming the block;
// [codes.InvalidArgument] also for what the release of Calico does not have.
// A block that was claimed stays so when the address is refused after that.
func (a *Allocator) AssignIP(args AssignIPArgs) error {
	err := args.Validate()
	if err != nil {
		return err
	}
	args.Handle = handleID(args.Handle)
	a.begin()
	defer a.mu.Unlock()
	if err := a.supports(args.Use, args.MaxAllocPerHandle); err != nil {
		return err
	}
	pb := a.poolOf(args.IP)
	if pb == nil || pb.pool.Disabled() {
		return &Error{Code: codes.NotInPool, Address: args.IP}
	}
	if args.Use != "" && !pb.pool.Allows(args.Use) {
		a.tell(checksUse)
		if a.rules.AssignIPChecksUse {
			return &Error{
				Code: codes.UseNotAllowed, Address: args.IP, Pool: pb.pool.CIDR(), Got: string(args.Use),
				Detail: fmt.Sprintf("%s of %s in pool %s", args.Use, args.IP, pb.pool.Name()),
			}
		}
	}
	if err := a.routable(args.Windows); err != nil {
		return err
	}
	owner := affinity.HostOwner(args.Host)
	if args.Use == pool.LoadBalancer {
		owner = affinity.VirtualOwner(args.Host)
	}
	o := a.openOwner(owner)
	defer a.forget(o)
	b := a.blockAt(args.IP)
	if b == nil {
		if b, err = a.claimBlock(o, pb.pool.BlockAt(pb.pool.IndexOf(args.IP)), args.HostReserved); err != nil {
			return err
		}
	}
	if a.config.StrictAffinity && b.owner != o {
		return &Error{
			Code: codes.AffinityMismatch, Address: args.IP, Block: b.CIDR(), Host: args.Host,
			Want: owner.String(), Got: b.ownerID().String(),
			Detail: args.IP.String() + " in " + b.CIDR().String(),
		}
	}
	return a.assignOrdinal(b, &args)
}

// assignOrdinal allocates the address in its block.
func (a *Allocator) assignOrdinal(b *ipamBlock, args *AssignIPArgs) error {
	ord, _ := b.Ordinal(args.IP)
	if cooling, expired := b.Cools(ord, a.cold); cooling && !expired {
		return &Error{Code: codes.AlreadyExists, Address: args.IP, Block: b.CIDR(), Detail: args.IP.String() + " is cooling down"}
	}
	if handle, _, held := b.Holder(ord, a.cold); held {
		if args.MaxAllocPerHandle > 0 && args.Handle != "" && handle == args.Handle {
			return nil // the handle holds the address already
		}
		return &Error{Code: codes.AlreadyExists, Address: args.IP, Block: b.CIDR(), Want: args.Handle, Got: handle}
	}
	to := block.Owner{Active: args.Attrs}
	if args.Handle != "" {
		id := block.MakeHandle(args.Handle)
		h, raised := a.raise(id, b, 1, args.MaxAllocPerHandle)
		if !raised {
			return a.refuseMore(h, args)
		}
		to.Handle = id.Sharing(h.id)
	}
	b.Collect(a.cold)
	if err := b.TakeOrdinal(ord, &to); err != nil {
		return err // impossible: it was checked above
	}
	a.writeTaken(b)
	return nil
}

// refuseMore answers a request whose handle may hold no more. Calico tries again
// if a handle counts addresses of the family without holding any, in vain as long
// as nobody else changes it (§15).
func (a *Allocator) refuseMore(h *handle, args *AssignIPArgs) error {
	var held []netip.Addr
	if h != nil {
		held = a.addresses(h, block.MakeHandle(h.id), func(ip netip.Addr) bool { return ip.Is4() == args.IP.Is4() })
	}
	switch {
	case len(held) == 0:
		return &Error{Code: codes.MaxRetries, Handle: args.Handle, Host: args.Host}
	case held[0] == args.IP:
		return nil // in another block that overlaps this one
	}
	return &Error{Code: codes.MaxAlloc, Handle: args.Handle, Host: args.Host, Want: strconv.Itoa(args.MaxAllocPerHandle), Got: strconv.Itoa(len(held))}
}
