package ipam

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// A handle is one IPAMHandle: how many addresses it counts in which block. The
// counts are the requested numbers, which may be more than was given, and outlive
// the block (§7). Ids that differ only in case share a handle, under the first id;
// the blocks store which id holds which address (§1). Handles belong to a
// handleTable.
type handle struct {
	id    string
	block *ipamBlock // see count; nil with several
	n     int32      // positive, or several
	hash  uint32     // of the id, for the table: in 32 bytes with the rest
}

// several marks a handle that counts in more than one block; the table has its
// counts.
const several = -1

// count is how many addresses a handle counts in a block. The block may be
// deleted, or made again: the count is for its CIDR.
type count struct {
	block *ipamBlock
	n     int32
}

// only returns the count of a handle that has one.
func (h *handle) only() count { return count{h.block, h.n} }

// set gives a handle its only count, or several without a block.
func (h *handle) set(c count) { h.block, h.n = c.block, c.n }

// readHandle reads an id, which ends at the first carriage return (§9).
func readHandle(id string) block.Handle {
	h := block.MakeHandle(id)
	if !h.Simple() {
		return block.MakeHandle(handleID(id))
	}
	return h
}

// handleID cuts an id at the first carriage return (§9).
func handleID(id string) string {
	id, _, _ = strings.Cut(id, "\r")
	return id
}

// handleKey returns the key of the ids that share one handle: the id in lower
// case, as Kubernetes allows no other names (§1).
func handleKey(id string) string { return strings.ToLower(id) }

// counts appends what the handle counts, by block name, to dst.
func (t *handleTable) counts(dst []count, h *handle) []count {
	if h.n == several {
		return append(dst, t.several[h]...)
	}
	return append(dst, h.only())
}

// total adds up what the handle counts in blocks of one family.
func (t *handleTable) total(h *handle, is4 bool) int {
	var small [4]count
	sum := 0
	for _, c := range t.counts(small[:0], h) {
		if c.block.CIDR().Addr().Is4() == is4 {
			sum += int(c.n)
		}
	}
	return sum
}

// same reports whether a count is for the block e.
func (c count) same(b *ipamBlock) bool { return c.block == b || c.block.CIDR() == b.CIDR() }

// find returns the index of the count for the block in a list by block name, or
// where it belongs.
func findCount(counts []count, b *ipamBlock) (int, bool) {
	return slices.BinarySearchFunc(counts, b, func(c count, b *ipamBlock) int {
		return affinity.CompareCIDRNames(c.block.CIDR(), b.CIDR())
	})
}

// raise counts n more addresses in the block for the handle, which it returns.
// If the counts of the block's family would exceed a positive limit, it raises
// nothing and raised is false; the handle may then be nil.
func (a *Allocator) raise(id block.Handle, b *ipamBlock, n, limit int) (h *handle, raised bool) {
	t := &a.handles
	h, hash := t.search(id)
	if limit > 0 {
		held := 0
		if h != nil {
			held = t.total(h, b.CIDR().Addr().Is4())
		}
		if held+n > limit {
			return h, false
		}
	}
	a.noteHandle(id.String())
	switch {
	case h == nil:
		h = t.add(id.String(), hash)
		h.set(count{b, addCount(0, n)})
	case h.n != several && h.only().same(b):
		c := h.only()
		c.raise(b, n)
		h.set(c)
	default:
		counts := t.several[h]
		if h.n != several {
			counts = []count{h.only()}
			h.set(count{n: several})
		}
		if i, found := findCount(counts, b); found {
			counts[i].raise(b, n)
		} else {
			counts = slices.Insert(counts, i, count{b, addCount(0, n)})
		}
		t.several[h] = counts
	}
	return h, true
}

// raise counts n more addresses in the block, which may have been made again.
func (c *count) raise(b *ipamBlock, n int) { *c = count{b, addCount(c.n, n)} }

// addCount adds, up to the largest possible count. Requests for more addresses
// than exist can raise a count that far.
func addCount(n int32, more int) int32 { return int32(min(int64(n)+int64(more), 1<<31-1)) }

// lower counts n fewer addresses in the block, and deletes the handle when nothing
// is left. If the handle does not exist, as for host-reserved addresses, or counts
// less, lower does nothing: Calico fails with the same result.
func (a *Allocator) lower(h *handle, b *ipamBlock, n int) {
	if h == nil {
		return
	}
	t := &a.handles
	if h.n != several {
		if !h.only().same(b) || int(h.n) < n {
			return
		}
		a.noteHandle(h.id)
		if h.n -= int32(n); h.n == 0 {
			t.remove(h)
		}
		return
	}
	counts := t.several[h]
	i, found := findCount(counts, b)
	if !found || int(counts[i].n) < n {
		return
	}
	a.noteHandle(h.id)
	if counts[i].n -= int32(n); counts[i].n == 0 {
		counts = slices.Delete(counts, i, i+1)
	}
	if len(counts) > 1 {
		t.several[h] = counts
		return
	}
	delete(t.several, h)
	h.set(counts[0])
}

// live returns the block of a count, or nil if there is none now.
func (a *Allocator) live(c count) *ipamBlock {
	if !c.block.gone {
		return c.block
	}
	return a.block(c.block.CIDR())
}

// addresses returns what the handle holds under this id of one family, or of both, blocks by
// name and ordinals ascending.
func (a *Allocator) addresses(h *handle, id block.Handle, family func(netip.Addr) bool) []netip.Addr {
	var ips []netip.Addr
	var small [4]count
	for _, c := range a.handles.counts(small[:0], h) {
		b := a.live(c)
		if b == nil || !family(b.CIDR().Addr()) {
			continue
		}
		a.ordinals = b.AppendHandle(a.ordinals[:0], id)
		for _, ord := range a.ordinals {
			ips = append(ips, b.Addr(ord))
		}
	}
	return ips
}

// IPsByHandle returns the addresses that the handle holds, without cooling ones,
// blocks by name and addresses ascending. It may be empty: counts outlive blocks.
// An unknown handle is [codes.DoesNotExist] (§9).
func (a *Allocator) IPsByHandle(id string) ([]netip.Addr, error) {
	a.begin()
	defer a.mu.Unlock()
	held := readHandle(id)
	h, _ := a.handles.search(held)
	if h == nil {
		return nil, unknownHandle(held)
	}
	return a.addresses(h, held, func(netip.Addr) bool { return true }), nil
}

// unknownHandle is the answer to operations on a handle that does not exist.
func unknownHandle(id block.Handle) error {
	return &Error{Code: codes.DoesNotExist, Handle: id.String(), Detail: "handle " + id.String()}
}
