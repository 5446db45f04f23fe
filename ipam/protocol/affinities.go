package protocol

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// maxClaimBits is the binary logarithm of how many blocks one ClaimAffinity may
// name, as in [ipam.Allocator.ClaimAffinity].
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
		return nil, nil, &ipam.ArgumentError{Argument: "cidr", Value: cidr.String(), Reason: fmt.Sprintf("has more than %d blocks", 1<<maxClaimBits)}
	}
	s, err := c.settings()
	if err != nil {
		return nil, nil, err
	}
	last := p.IndexOf(netipx.PrefixLastIP(cidr))
	for at := p.IndexOf(cidr.Addr()); ; at = at.Next() {
		b := p.BlockAt(at)
		err := retry(func() error {
			a, err := c.pend(owner, b)
			if err == nil {
				_, err = c.claim(a, s, nil)
			}
			return err
		})
		switch {
		case err == nil:
			claimed = append(claimed, b)
		case errors.Is(err, ipam.ErrBlockClaimConflict):
			failed = append(failed, b)
		default:
			return claimed, failed, outcome(err)
		}
		if at == last {
			return claimed, failed, nil
		}
	}
}

// enabledPool returns the enabled pool that the CIDR, which must be no smaller
// than a block, lies in.
func (c *Client) enabledPool(cidr netip.Prefix) (*pool.Pool, error) {
	p := c.pools.Covering(cidr)
	if p == nil || p.Disabled() {
		return nil, about(ipam.ErrNotInPool, cidr)
	}
	if cidr.Bits() > p.BlockSize() {
		return nil, about(ipam.ErrInvalidSize, fmt.Sprintf("%s, blocks are /%d", cidr, p.BlockSize()))
	}
	return p, nil
}

// within reports whether all of the block lies in the CIDR.
func within(block, cidr netip.Prefix) bool {
	return block.Bits() >= cidr.Bits() && cidr.Contains(block.Addr())
}

// ReleaseAffinity gives up the host's claims on the blocks of the CIDR, as
// [ipam.Allocator.ReleaseAffinity] does. Recordings do not show its requests. It
// lists the owner's affinities and goes through those in the CIDR by address:
// a CIDR can have more blocks than anybody could ask for one by one.
func (c *Client) ReleaseAffinity(cidr netip.Prefix, owner affinity.Owner, mustBeEmpty bool) error {
	if err := errors.Join(checkCIDR(cidr), checkOwner(owner)); err != nil {
		return err
	}
	if _, err := c.enabledPool(cidr); err != nil {
		return err
	}
	s, err := c.settings()
	if err != nil {
		return err
	}
	affinities, err := list[*Affinity](c, OwnerKey(owner, cidr.Addr().Is4()))
	if err != nil {
		return err
	}
	slices.SortFunc(affinities, func(x, y *Affinity) int { return netipx.ComparePrefix(x.CIDR, y.CIDR) })
	for _, a := range affinities {
		if !within(a.CIDR, cidr) {
			continue
		}
		if err := c.release(owner, a.CIDR, mustBeEmpty, s); err != nil && !errors.Is(err, errStale) {
			return outcome(err)
		}
	}
	return nil
}

// ReleaseHostAffinities gives up all claims of the owner, as
// [ipam.Allocator.ReleaseHostAffinities] does.
func (c *Client) ReleaseHostAffinities(owner affinity.Owner, mustBeEmpty bool) error {
	if err := checkOwner(owner); err != nil {
		return err
	}
	s, err := c.settings()
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
// [ipam.Allocator.ReleasePoolAffinities] does. Recordings do not show its
// requests: get config, list all affinities, release the last of each block.
func (c *Client) ReleasePoolAffinities(cidr netip.Prefix) error {
	if err := checkCIDR(cidr); err != nil {
		return err
	}
	s, err := c.settings()
	if err != nil {
		return err
	}
	for range maxTries {
		affinities, err := list[*Affinity](c, AffinitiesKey)
		if err != nil {
			return err
		}
		stale := false
		for i, a := range affinities {
			another := func(later *Affinity) bool { return later.CIDR == a.CIDR }
			if !within(a.CIDR, cidr) || slices.ContainsFunc(affinities[i+1:], another) {
				continue
			}
			err := c.release(a.Owner, a.CIDR, false, s)
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
	return about(ipam.ErrMaxRetries, cidr)
}

// ReleaseBlockAffinity gives up the claim of the block's owner, if it has one,
// as [ipam.Allocator.ReleaseBlockAffinity] does. The block that the caller
// would pass is read first.
func (c *Client) ReleaseBlockAffinity(cidr netip.Prefix, mustBeEmpty bool) error {
	if err := checkCIDR(cidr); err != nil {
		return err
	}
	b, err := get[*Block](c, BlockKey(cidr))
	if errors.Is(err, errMissing) {
		return about(ipam.ErrNoSuchBlock, cidr)
	}
	if err != nil || b.Owner.IsZero() {
		return err
	}
	s, err := c.settings()
	if err != nil {
		return err
	}
	if err := c.release(b.Owner, cidr, mustBeEmpty, s); !errors.Is(err, errStale) {
		return outcome(err)
	}
	return nil
}

// compareOwners orders owners by type and name.
func compareOwners(x, y affinity.Owner) int {
	return cmp.Or(cmp.Compare(x.Type, y.Type), strings.Compare(x.Name, y.Name))
}
