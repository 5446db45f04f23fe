package ipam

import (
	"errors"
	"net/netip"

	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// EnsureBlockArgs asks for a block for a host, in each family with a reservation.
type EnsureBlockArgs struct {
	Host                         string
	Pools4, Pools6               []netip.Prefix   // as in [AutoAssignArgs]
	HostReserved4, HostReserved6 *HostReservation // nil leaves the family alone
	Windows                      bool             // as in [AutoAssignArgs]
}

// Validate refuses a request that no allocator could serve: with a host name that
// no Kubernetes object could have, or a requested pool that is no plain prefix.
// The error matches [codes.InvalidArgument].
func (r *EnsureBlockArgs) Validate() error {
	return errors.Join(checkName("host", r.Host), checkRequestable(r.Pools4), checkRequestable(r.Pools6))
}

// EnsureBlock returns, for each family with a host reservation, the first of the
// host's usable blocks, even a full one, or one that it claims, without taking an
// address. It uses pools for Workload and has no limit of blocks (§9, §10). If no
// block is left to claim it returns [codes.NoFreeBlocks]; with automatic
// allocation off, [codes.NoBlock]; otherwise errors are those of
// [Allocator.AutoAssign]. On an error no block is named, though an IPv4 block may
// have been claimed. Before Calico v3.31.7, and in v3.32, Pools4 counts for IPv6
// too, instead of Pools6.
func (a *Allocator) EnsureBlock(args EnsureBlockArgs) (block4, block6 netip.Prefix, err error) {
	if err := args.Validate(); err != nil {
		return block4, block6, err
	}
	a.begin()
	defer a.mu.Unlock()
	request := AutoAssignArgs{
		Host: args.Host, Use: pool.Workload, Pools4: args.Pools4, Pools6: args.Pools6,
		HostReserved4: args.HostReserved4, HostReserved6: args.HostReserved6, Windows: args.Windows,
	}
	if args.HostReserved4 != nil {
		if err := checkRequested(args.Pools4, true); err != nil {
			return netip.Prefix{}, netip.Prefix{}, err
		}
		block4, err = a.ensureBlock(&request, true)
		if err != nil {
			return netip.Prefix{}, netip.Prefix{}, err
		}
	}
	if args.HostReserved6 != nil {
		if err := checkRequested(args.Pools6, false); err != nil {
			return netip.Prefix{}, netip.Prefix{}, err
		}
		a.tell(ensuresBy6)
		if !a.rules.EnsureByPools6 {
			request.Pools6 = args.Pools4
		}
		block6, err = a.ensureBlock(&request, false)
		if err != nil {
			return netip.Prefix{}, netip.Prefix{}, err
		}
	}
	return block4, block6, nil
}

// ensureBlock is EnsureBlock for one family.
func (a *Allocator) ensureBlock(args *AutoAssignArgs, is4 bool) (netip.Prefix, error) {
	r := request{args: args, is4: is4}
	if err := a.prepare(&r); err != nil {
		return netip.Prefix{}, err
	}
	defer a.forget(r.owner)
	b := a.nextAffine(&r, 0)
	if b == nil {
		// Older releases read the configuration only here.
		err := a.routable(args.Windows)
		if err != nil {
			return netip.Prefix{}, err
		}
		if b, err = a.claimNew(r.owner, r.pools(), r.reserve()); errors.Is(err, codes.NoFreeBlocks) {
			err = &Error{Code: codes.NoFreeBlocks, Host: args.Host, Detail: "for " + args.Host}
		}
		if err != nil {
			return netip.Prefix{}, err
		}
	}
	return b.CIDR(), nil
}
