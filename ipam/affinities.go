package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/claimlist"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// maxClaimBits is the binary logarithm of the greatest number of blocks in one
// ClaimAffinity: four times a /8 of /26 blocks, which take 1.5 GB.
const maxClaimBits = 20

// ClaimAffinity claims every block of the CIDR for the owner, in address order,
// and returns the blocks claimed and those that exist with another owner or none.
// The block limit does not apply (§9). The CIDR's first address must lie in an
// enabled pool ([codes.NotInPool]), and the CIDR must be no smaller than the
// pool's blocks ([codes.InvalidSize]). If it is larger than the pool, its blocks
// beyond the pool have the same size. More than 2^20 blocks at once match
// [codes.InvalidArgument].
func (a *Allocator) ClaimAffinity(cidr netip.Prefix, owner affinity.Owner) (claimed, failed []netip.Prefix, err error) {
	if err := errors.Join(checkCIDR(cidr), checkOwner(owner)); err != nil {
		return nil, nil, err
	}
	a.begin()
	defer a.mu.Unlock()
	size, err := a.blockSizeAt(cidr)
	if err != nil {
		return nil, nil, err
	}
	if size-cidr.Bits() > maxClaimBits {
		return nil, nil, invalid("cidr", cidr.String(), fmt.Sprintf("has more than %d blocks", 1<<maxClaimBits))
	}
	o := a.openOwner(owner)
	defer a.forget(o)
	for b := range pool.Blocks(cidr, size) {
		if _, err := a.claimBlock(o, b, nil); err != nil {
			failed = append(failed, b)
		} else {
			claimed = append(claimed, b)
		}
	}
	return claimed, failed, nil
}

// blockSizeAt returns the prefix length of the blocks of the enabled pool that the
// CIDR's first address lies in. The CIDR must be no smaller than such a block.
func (a *Allocator) blockSizeAt(cidr netip.Prefix) (int, error) {
	pb := a.poolOf(cidr.Addr())
	if pb == nil || pb.pool.Disabled() {
		return 0, &Error{Code: codes.NotInPool, Block: cidr}
	}
	size := pb.pool.BlockSize()
	if cidr.Bits() > size {
		return 0, &Error{
			Code: codes.InvalidSize, Block: cidr, Pool: pb.pool.CIDR(), Want: "/" + strconv.Itoa(size), Got: "/" + strconv.Itoa(cidr.Bits()),
			Detail: fmt.Sprintf("%s, blocks are /%d", cidr, size),
		}
	}
	return size, nil
}

// checkOwner refuses an invalid owner.
func checkOwner(o affinity.Owner) error {
	if err := o.Validate(); err != nil {
		return invalid("owner", o.String(), err.Error())
	}
	return checkName("host", o.Name)
}

// errForeign says that a claim was stale: somebody else owns the block. The claim
// is gone then.
var errForeign = errors.New("ipam: block has another owner")

// releaseClaim gives up the host's claim on the block, and the block with it if it
// is empty (§9, "Releasing affinity"). If the claim or the block is missing it
// does nothing. If somebody else owns the block it drops the stale claim and
// returns errForeign. If the block must be empty and is not it returns
// [codes.BlockNotEmpty].
func (a *Allocator) releaseClaim(o *owner, cidr netip.Prefix, mustBeEmpty bool) error {
	c, b := a.claimOn(o, cidr), a.block(cidr)
	if c == nil || b == nil {
		return nil
	}
	if b.owner != nil && b.owner != o {
		a.dropClaim(o, cidr)
		return errForeign
	}
	empty := b.Empty(a.cold)
	if mustBeEmpty && !empty {
		return &Error{Code: codes.BlockNotEmpty, Block: cidr, Host: o.id.Name}
	}
	if err := c.Release(); err != nil {
		return err
	}
	if empty {
		a.remove(b)
	} else {
		b.setOwner(nil, 0)
		b.Collect(a.cold)
		a.write(b)
	}
	a.dropClaim(o, cidr)
	return nil
}

// ReleaseAffinity gives up the host's claims on the blocks of the CIDR, in address
// order, and stops at the first error: [codes.BlockNotEmpty] if they must be
// empty. Addresses in use stay allocated, in a block without an owner.
// [codes.NotInPool] and [codes.InvalidSize] as for [Allocator.ClaimAffinity].
func (a *Allocator) ReleaseAffinity(cidr netip.Prefix, owner affinity.Owner, mustBeEmpty bool) error {
	if err := errors.Join(checkCIDR(cidr), checkOwner(owner)); err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	size, err := a.blockSizeAt(cidr)
	if err != nil {
		return err
	}
	o := a.openOwner(owner)
	defer a.forget(o)
	claims := o.claims.All()
	if n := a.namesake(o); n != nil {
		claims = slices.Concat(claims, n.claims.All())
	}
	for _, c := range claimsIn(claims, cidr, size) {
		if err := a.releaseClaim(o, c, mustBeEmpty); err != nil && !errors.Is(err, errForeign) {
			return err
		}
	}
	return nil
}

// claimsIn returns the blocks of that size in the CIDR that the claims are on, in
// address order.
func claimsIn(claims []*claimlist.Claim, cidr netip.Prefix, size int) []netip.Prefix {
	var in []netip.Prefix
	for _, c := range claims {
		if c.CIDR.Bits() == size && cidr.Contains(c.CIDR.Addr()) {
			in = append(in, c.CIDR)
		}
	}
	slices.SortFunc(in, netipx.ComparePrefix)
	return slices.Compact(in)
}

// ReleaseHostAffinities gives up all claims of the owner, IPv4 first, each
// family by name. It goes on after an error and returns the last:
// [codes.BlockNotEmpty] if blocks must be empty.
func (a *Allocator) ReleaseHostAffinities(owner affinity.Owner, mustBeEmpty bool) error {
	if err := checkOwner(owner); err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	o := a.known(owner)
	if o == nil {
		return nil
	}
	defer a.forget(o)
	var last error
	for _, is4 := range []bool{true, false} {
		for _, c := range slices.Clone(o.claims.All()) {
			if c.CIDR.Addr().Is4() != is4 {
				continue
			}
			if err := a.releaseClaim(o, c.CIDR, mustBeEmpty); err != nil && !errors.Is(err, errForeign) {
				last = err
			}
		}
	}
	return last
}

// RemoveIPAMHost gives up all claims of the owner, in use or not.
func (a *Allocator) RemoveIPAMHost(owner affinity.Owner) error {
	return a.ReleaseHostAffinities(owner, false)
}

// ReleasePoolAffinities gives up every claim on a block whose first address is in
// the CIDR, in use or not. If several owners have claims on one block it releases
// the last by name, and starts over if any was stale (§9).
func (a *Allocator) ReleasePoolAffinities(cidr netip.Prefix) error {
	if err := checkCIDR(cidr); err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	for again := true; again; {
		again = false
		for _, c := range a.lastClaims(cidr) {
			o := a.known(c.Owner)
			if err := a.releaseClaim(o, c.CIDR, false); errors.Is(err, errForeign) {
				again = true
			} else if err != nil {
				return err
			}
			a.forget(o)
		}
	}
	return nil
}

// lastClaims returns, for each block in the CIDR with claims, the last of them
// by name, in that order.
func (a *Allocator) lastClaims(cidr netip.Prefix) []*claimlist.Claim {
	claims := a.claims.All()
	name := make(map[*claimlist.Claim]string, len(claims))
	for _, c := range claims {
		name[c] = c.Name()
	}
	slices.SortStableFunc(claims, func(x, y *claimlist.Claim) int { return strings.Compare(name[x], name[y]) })
	at := make(map[netip.Prefix]int)
	var last []*claimlist.Claim
	for _, c := range claims {
		if !cidr.Contains(c.CIDR.Addr()) {
			continue
		}
		if i, seen := at[c.CIDR]; seen {
			last[i] = c
		} else {
			at[c.CIDR] = len(last)
			last = append(last, c)
		}
	}
	return last
}

// ReleaseBlockAffinity gives up the claim of the block's owner, if it has one.
// [codes.NoSuchBlock] without a block, [codes.BlockNotEmpty] if it must be empty and
// is not.
func (a *Allocator) ReleaseBlockAffinity(cidr netip.Prefix, mustBeEmpty bool) error {
	if err := checkCIDR(cidr); err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	b := a.block(cidr)
	if b == nil {
		return &Error{Code: codes.NoSuchBlock, Block: cidr}
	}
	o := b.owner
	if o == nil {
		return nil
	}
	defer a.forget(o)
	return a.releaseClaim(o, cidr, mustBeEmpty)
}

// ReleaseBlockAffinityOf is [Allocator.ReleaseBlockAffinity] as Calico's callers use
// it: it gives up the claim of the owner that the caller has read in the block, perhaps
// a while ago. Only CIDR and owner of the state count. If the block is gone, or has
// another owner by now, it is no error: a claim that is left is dropped in the latter
// case.
func (a *Allocator) ReleaseBlockAffinityOf(read BlockState, mustBeEmpty bool) error {
	if err := checkCIDR(read.CIDR); err != nil || read.Owner.IsZero() {
		return err
	}
	if err := checkOwner(read.Owner); err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	o := a.openOwner(read.Owner)
	defer a.forget(o)
	if err := a.releaseClaim(o, read.CIDR, mustBeEmpty); err != nil && !errors.Is(err, errForeign) {
		return err
	}
	return nil
}
