package protocol

import (
	"errors"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// handleID cuts an id at the first carriage return (§9).
func handleID(id string) string {
	id, _, _ = strings.Cut(id, "\r")
	return id
}

// blocks returns the blocks that the handle counts addresses in, by name.
func (h *Handle) blocks() []netip.Prefix {
	return slices.SortedFunc(maps.Keys(h.Counts), affinity.CompareCIDRNames)
}

// total adds up the counts in blocks of one family.
func (h *Handle) total(is4 bool) int {
	sum := 0
	for cidr, n := range h.Counts {
		if cidr.Addr().Is4() == is4 {
			sum += n
		}
	}
	return sum
}

// errLimit is a raise that the limit per handle does not allow.
var errLimit = errors.New("protocol: handle would pass its limit")

// raise counts n more addresses of the block for the handle, before the block is
// written, and creates the handle if necessary (§7). It returns errLimit if that
// exceeds a positive limit per family.
func (c *Client) raise(id string, cidr netip.Prefix, n, limit int) error {
	var err error
	for range maxTries {
		var h *Handle
		h, err = get[*Handle](c, handleKey(id))
		isNew := errors.Is(err, errMissing)
		if isNew {
			h = &Handle{ID: id, Counts: make(map[netip.Prefix]int)}
		} else if err != nil {
			return err
		}
		if limit > 0 && h.total(cidr.Addr().Is4())+n > limit {
			return about(errLimit, id)
		}
		h.Counts[cidr] = min(h.Counts[cidr]+n, math.MaxInt32)
		if isNew {
			err = c.create(h)
		} else {
			err = c.update(h)
		}
		if !errors.Is(err, errExists) && !errors.Is(err, errConflict) && !errors.Is(err, errMissing) {
			return err
		}
	}
	return &ipam.Error{Code: codes.MaxRetries, Handle: id, Detail: err.Error()}
}

// lower subtracts n addresses of the block from the handle's count, and deletes
// the handle when nothing is left. It begins with the listed handle, and lowers
// its counts too; if listed is nil it reads the handle. If the handle does not
// exist, as for host-reserved addresses, or counts less, lower does nothing:
// Calico fails with the same result.
func (c *Client) lower(listed *Handle, id string, cidr netip.Prefix, n int) error {
	return retry(func() error {
		var h *Handle
		if listed != nil {
			same := *listed // except the revision, which stays as listed
			h, listed = &same, nil
		} else {
			var err error
			if h, err = get[*Handle](c, handleKey(id)); err != nil {
				return err
			}
		}
		if h.Counts[cidr] < n {
			return nil
		}
		if h.Counts[cidr] -= n; h.Counts[cidr] == 0 {
			delete(h.Counts, cidr)
		}
		if len(h.Counts) == 0 {
			return c.delete(h)
		}
		return c.update(h)
	})
}

// held returns the addresses that the handle holds according to its blocks,
// without cooling ones, blocks by name and addresses ascending. It ignores blocks
// that are gone. Among ids that differ only in case, the given one counts, or with
// stored the one in the handle's object.
func (c *Client) held(id string, stored bool) ([]netip.Addr, error) {
	h, err := get[*Handle](c, handleKey(id))
	if err != nil {
		return nil, err
	}
	if stored {
		id = h.ID
	}
	s, err := c.settingsToRelease()
	if err != nil {
		return nil, err
	}
	var ips []netip.Addr
	for _, cidr := range h.blocks() {
		b, err := c.getBlock(cidr, s)
		if errors.Is(err, errMissing) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, ord := range b.heldBy(id) {
			ips = append(ips, b.addr(ord))
		}
	}
	return ips, nil
}

// heldIn is held for the addresses of one family. A missing handle holds nothing.
// It reads all blocks, of both families.
func (c *Client) heldIn(id string, stored, is4 bool) ([]netip.Addr, error) {
	ips, err := c.held(id, stored)
	if errors.Is(err, errMissing) {
		return nil, nil
	}
	return slices.DeleteFunc(ips, func(ip netip.Addr) bool { return ip.Is4() != is4 }), err
}

// IPsByHandle returns the addresses that the handle holds, as
// [ipam.Allocator.IPsByHandle] does.
func (c *Client) IPsByHandle(id string) ([]netip.Addr, error) {
	ips, err := c.held(handleID(id), false)
	if errors.Is(err, errMissing) {
		return nil, &ipam.Error{Code: codes.DoesNotExist, Handle: id, Detail: "handle " + id}
	}
	return ips, err
}
