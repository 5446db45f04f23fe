package ipam

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
)

// A handle is one IPAMHandle: how many addresses it counts in which block. The
// counts are what was asked for, which may be more than was given, and outlive
// the block (CALICO.md §7).
type handle struct {
	id     string
	counts []count // by block name; every n is positive
}

type count struct {
	cidr netip.Prefix
	n    int
}

// handleID cuts an id at the first carriage return (CALICO.md §9).
func handleID(id string) string {
	id, _, _ = strings.Cut(id, "\r")
	return id
}

// total adds up what the handle counts in blocks of one family.
func (h *handle) total(is4 bool) int {
	sum := 0
	for _, c := range h.counts {
		if c.cidr.Addr().Is4() == is4 {
			sum += c.n
		}
	}
	return sum
}

// raise counts n more addresses in the block for the handle id, which it
// returns. Where limit is positive and the counts of the block's family would
// pass it, nothing is raised and raised is false; the handle may then be nil.
func (a *Allocator) raise(id string, cidr netip.Prefix, n, limit int) (h *handle, raised bool) {
	h = a.handles[id]
	if limit > 0 {
		held := 0
		if h != nil {
			held = h.total(cidr.Addr().Is4())
		}
		if held+n > limit {
			return h, false
		}
	}
	if h == nil {
		// The id may be a part of something larger that the caller holds.
		id = strings.Clone(id)
		h = &handle{id: id}
		a.handles[id] = h
	}
	i, found := h.find(cidr)
	if !found {
		h.counts = slices.Insert(h.counts, i, count{cidr: cidr})
	}
	h.counts[i].n += n
	return h, true
}

// find returns where the count for the block is, or belongs.
func (h *handle) find(cidr netip.Prefix) (int, bool) {
	// Almost every handle counts in one block, whose name need not be made.
	if len(h.counts) == 1 && h.counts[0].cidr == cidr {
		return 0, true
	}
	return slices.BinarySearchFunc(h.counts, cidr, func(c count, cidr netip.Prefix) int {
		return affinity.CompareCIDRNames(c.cidr, cidr)
	})
}

// lower counts n fewer addresses in the block, and deletes the handle when
// nothing is left. A handle that is not there, as for host-reserved addresses,
// or counts less is left alone: that is what Calico's failure amounts to.
func (a *Allocator) lower(id string, cidr netip.Prefix, n int) {
	h := a.handles[id]
	if h == nil {
		return
	}
	i, found := h.find(cidr)
	if !found || h.counts[i].n < n {
		return
	}
	if h.counts[i].n -= n; h.counts[i].n == 0 {
		h.counts = slices.Delete(h.counts, i, i+1)
	}
	if len(h.counts) == 0 {
		delete(a.handles, id)
	}
}

// addresses returns what the handle holds of one family, or of both, blocks by
// name and ordinals ascending.
func (a *Allocator) addresses(h *handle, family func(netip.Addr) bool) []netip.Addr {
	var ips []netip.Addr
	for _, c := range h.counts {
		e := a.block(c.cidr)
		if e == nil || !family(c.cidr.Addr()) {
			continue
		}
		a.ordinals = e.AppendHandle(a.ordinals[:0], h.id)
		for _, ord := range a.ordinals {
			ips = append(ips, e.Addr(ord))
		}
	}
	return ips
}

// IPsByHandle returns the addresses that the handle holds, blocks by name and
// addresses ascending; cooling ones are nobody's. It may be empty: counts
// outlive blocks. An unknown handle is [ErrDoesNotExist] (CALICO.md §9).
func (a *Allocator) IPsByHandle(id string) ([]netip.Addr, error) {
	a.begin()
	defer a.mu.Unlock()
	id = handleID(id)
	h := a.handles[id]
	if h == nil {
		return nil, fail(ErrDoesNotExist, "handle "+id)
	}
	return a.addresses(h, func(netip.Addr) bool { return true }), nil
}
