package protocol

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// maxClaimBits is the binary logarithm of the greatest number of blocks in one
// ClaimAffinity, as in [ipam.Allocator.ClaimAffinity].
const maxClaimBits = 20

// ClaimAffinity claims every block of the CIDR for the owner, as
// [ipam.Allocator.ClaimAffinity] does. An error in the middle ends it.
func (c *Client) ClaimAffinity(cidr netip.Prefix, owner affinity.Owner) (claimed, failed []netip.Prefix, err error) {
	if err := errors.Join(checkCIDR(cidr), checkOwner(owner)); err != nil {
		return nil, nil, err
	}
	p, err := c.enabledPool(cidr)
	if err != nil {
		return nil, nil, err
	}
	if spread := p.BlockSize() - cidr.Bits(); spread > maxClaimBits {
		return nil, nil, invalid("cidr", cidr.String(), fmt.Sprintf("has more than %d blocks", 1<<maxClaimBits))
	}
	s, err := c.settings()
	if err != nil {
		return nil, nil, err
	}
	for b := range pool.Blocks(cidr, p.BlockSize()) {
		err := retry(func() error {
			a, err := c.pend(owner, b)
			if err == nil {
				_, err = c.claim(a, owner, s, nil)
			}
			return err
		})
		switch {
		case err == nil:
			claimed = append(claimed, b)
		case errors.Is(err, codes.BlockClaimConflict):
			failed = append(failed, b)
		default:
			return claimed, failed, outcome(err)
		}
	}
	return claimed, failed, nil
}

// enabledPool returns the enabled pool that the first address of the CIDR lies in.
// The CIDR must be no smaller than a block. It may be larger than the pool: beyond
// the pool, its blocks have the same size (§9).
func (c *Client) enabledPool(cidr netip.Prefix) (*pool.Pool, error) {
	p := c.pools.ByAddr(cidr.Addr())
	if p == nil || p.Disabled() {
		return nil, &ipam.Error{Code: codes.NotInPool, Block: cidr}
	}
	if cidr.Bits() > p.BlockSize() {
		return nil, &ipam.Error{
			Code: codes.InvalidSize, Block: cidr, Pool: p.CIDR(), Want: "/" + strconv.Itoa(p.BlockSize()), Got: "/" + strconv.Itoa(cidr.Bits()),
			Detail: fmt.Sprintf("%s, blocks are /%d", cidr, p.BlockSize()),
		}
	}
	return p, nil
}

// ReleaseAffinity gives up the host's claims on the blocks of the CIDR, as
// [ipam.Allocator.ReleaseAffinity] does: each block in turn, in the order of
// addresses, without a list. It stops at the first error.
func (c *Client) ReleaseAffinity(cidr netip.Prefix, owner affinity.Owner, mustBeEmpty bool) error {
	if err := errors.Join(checkCIDR(cidr), checkOwner(owner)); err != nil {
		return err
	}
	p, err := c.enabledPool(cidr)
	if err != nil {
		return err
	}
	s, err := c.settingsToRelease()
	if err != nil {
		return err
	}
	blocks := pool.Blocks(cidr, p.BlockSize())
	if p.BlockSize()-cidr.Bits() > maxClaimBits {
		// Too many to request one by one. The outcome is the same.
		if blocks, err = c.claimsOf(owner, cidr, p.BlockSize()); err != nil {
			return err
		}
	}
	for b := range blocks {
		if err := c.release(owner, b, mustBeEmpty, s); err != nil && !errors.Is(err, errStale) {
			return outcome(err)
		}
	}
	return nil
}

// claimsOf yields those blocks that the owner has affinities to.
func (c *Client) claimsOf(owner affinity.Owner, cidr netip.Prefix, size int) (iter.Seq[netip.Prefix], error) {
	affinities, err := list[*Affinity](c, OwnerKey(owner, cidr.Addr().Is4()))
	if err != nil {
		return nil, err
	}
	var blocks []netip.Prefix
	for _, a := range affinities {
		if a.CIDR.Bits() == size && cidr.Contains(a.CIDR.Addr()) {
			blocks = append(blocks, a.CIDR)
		}
	}
	slices.SortFunc(blocks, netipx.ComparePrefix)
	return slices.Values(blocks), nil
}

// ReleaseHostAffinities gives up all claims of the owner, as
// [ipam.Allocator.ReleaseHostAffinities] does.
func (c *Client) ReleaseHostAffinities(owner affinity.Owner, mustBeEmpty bool) error {
	if err := checkOwner(owner); err != nil {
		return err
	}
	s, err := c.settingsToRelease()
	if err != nil {
		return err
	}
	var last error
	for _, is4 := range []bool{true, false} {
		affinities, err := list[*Affinity](c, OwnerKey(owner, is4))
		if err != nil {
			return err
		}
		for _, a := range affinities {
			if err := c.release(owner, a.CIDR, mustBeEmpty, s); err != nil && !errors.Is(err, errStale) {
				last = err
			}
		}
	}
	return outcome(last)
}

// RemoveIPAMHost gives up all claims of the owner, in use or not.
func (c *Client) RemoveIPAMHost(owner affinity.Owner) error {
	return c.ReleaseHostAffinities(owner, false)
}

// ReleasePoolAffinities gives up every claim on a block in the CIDR, as
// [ipam.Allocator.ReleasePoolAffinities] does: get config, list all affinities,
// release by block name. If a block has several affinities it releases the last by
// name. If any was stale it begins again with a new list.
func (c *Client) ReleasePoolAffinities(cidr netip.Prefix) error {
	if err := checkCIDR(cidr); err != nil {
		return err
	}
	s, err := c.settingsToRelease()
	if err != nil {
		return err
	}
	for range maxTries {
		affinities, err := list[*Affinity](c, AffinitiesKey)
		if err != nil {
			return err
		}
		owners := make(map[netip.Prefix]affinity.Owner)
		for _, a := range affinities {
			if cidr.Contains(a.CIDR.Addr()) { // a larger block may begin there
				owners[a.CIDR] = a.Owner
			}
		}
		stale := false
		for _, b := range slices.SortedFunc(maps.Keys(owners), affinity.CompareCIDRNames) {
			err := c.release(owners[b], b, false, s)
			if errors.Is(err, errStale) {
				stale = true
			} else if err != nil {
				return outcome(err)
			}
		}
		if !stale {
			return nil
		}
	}
	return &ipam.Error{Code: codes.MaxRetries, Pool: cidr}
}

// ReleaseBlockAffinity gives up the claim of the block's owner, if it has one, as
// [ipam.Allocator.ReleaseBlockAffinity] does. It first reads the block, which
// Calico's caller would pass. Errors are those of [Client.ReleaseBlockAffinityOf].
func (c *Client) ReleaseBlockAffinity(cidr netip.Prefix, mustBeEmpty bool) error {
	if err := checkCIDR(cidr); err != nil {
		return err
	}
	b, err := get[*Block](c, blockKey(cidr))
	if errors.Is(err, errMissing) {
		return &ipam.Error{Code: codes.NoSuchBlock, Block: cidr}
	}
	if err != nil {
		return err
	}
	return c.ReleaseBlockAffinityOf(ipam.BlockState{CIDR: cidr, Owner: b.Owner}, mustBeEmpty)
}

// ReleaseBlockAffinityOf gives up the claim of the owner that the caller has read in the
// block, as [ipam.Allocator.ReleaseBlockAffinityOf] does. It tries once:
// [codes.Conflict] if somebody else writes meanwhile (§15).
func (c *Client) ReleaseBlockAffinityOf(read ipam.BlockState, mustBeEmpty bool) error {
	if err := checkCIDR(read.CIDR); err != nil || read.Owner.IsZero() {
		return err
	}
	if err := checkOwner(read.Owner); err != nil {
		return err
	}
	s, err := c.settings()
	if err != nil {
		return err
	}
	switch err := c.releaseOnce(read.Owner, read.CIDR, mustBeEmpty, s); {
	case errors.Is(err, errStale):
		return nil
	case errors.Is(err, errConflict):
		return &ipam.Error{Code: codes.Conflict, Block: read.CIDR}
	default:
		return err
	}
}
