package ipam

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// A handle is one IPAMHandle: how many addresses it counts in which block. The
// counts are what was asked for, which may be more than was given, and outlive
// the block (§7). Ids that differ in letters only share a handle, under the id of
// whoever made it; what each holds is told apart in the blocks (§1). Handles belong to a handleTable.
type handle struct {
	id    string
	block *ipamBlock // see count; nil with several
	n     int32      // positive, or several
	hash  uint32     // of the id, for the table: in 32 bytes with the rest
}

// several stands for the count of a handle that counts in more than one block;
// the table has its counts.
const several = -1

// count is how many addresses a handle counts in a block. The block may be gone,
// and another may have been made in its place: it stands for its CIDR.
type count struct {
	block *ipamBlock
	n     int32
}

// only returns the count of a handle that has one.
func (h *handle) only() count { return count{h.block, h.n} }

// shared returns the id: the handle's own text where it is the same, so that memory
// keeps it once.
func (h *handle) shared(id string) string {
	if h.id == id {
		return h.id
	}
	return id
}

// set gives a handle its only count, or several without a block.
func (h *handle) set(c count) { h.block, h.n = c.block, c.n }

// handleID cuts an id at the first carriage return (§9).
func handleID(id string) string {
	if id == "" {
		return ""
	}
	if i := strings.IndexByte(id, '\r'); i >= 0 {
		return id[:i]
	}
	return id
}

// handleKey returns what stands for the ids that share one handle: the id in lower
// case, for Kubernetes knows no other names (§1).
func handleKey(id string) string {
	if isLower(id) {
		return id
	}
	return strings.ToLower(id)
}

// isLower reports whether lowering the text would leave it as it is. It may err
// for texts that are not ASCII. Ids are long, and every request and release looks
// for one: eight bytes at a time are looked at.
func isLower(s string) bool {
	const (
		each   = 0x0101010101010101
		high   = 0x80 * each
		fromA  = (0x80 - 'A') * each // lifts 'A' and what is above it to the high bit
		aboveZ = (0x80 - 'Z' - 1) * each
	)
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if w&high != 0 || (w+fromA)&^(w+aboveZ)&high != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i] >= 0x80 || 'A' <= s[i] && s[i] <= 'Z' {
			return false
		}
	}
	return true
}

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

// find returns where the count for the block is in a list by block name, or
// belongs.
func findCount(counts []count, b *ipamBlock) (int, bool) {
	return slices.BinarySearchFunc(counts, b, func(c count, b *ipamBlock) int {
		return affinity.CompareCIDRNames(c.block.CIDR(), b.CIDR())
	})
}

// raise counts n more addresses in the block for the handle id, which it
// returns. Where limit is positive and the counts of the block's family would
// pass it, nothing is raised and raised is false; the handle may then be nil.
func (a *Allocator) raise(id string, b *ipamBlock, n, limit int) (h *handle, raised bool) {
	t := &a.handles
	key := handleKey(id)
	hash := t.hash(key)
	h = t.lookup(key, hash)
	if limit > 0 {
		held := 0
		if h != nil {
			held = t.total(h, b.CIDR().Addr().Is4())
		}
		if held+n > limit {
			return h, false
		}
	}
	switch {
	case h == nil:
		h = t.add(id, hash)
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

// addCount adds without passing what a count can hold. Requests for more
// addresses than there are can raise a count that far.
func addCount(n int32, more int) int32 { return int32(min(int64(n)+int64(more), 1<<31-1)) }

// lower counts n fewer addresses in the block, and deletes the handle when
// nothing is left. No handle, as for host-reserved addresses, or one that counts
// less is left alone: that is what Calico's failure amounts to.
func (a *Allocator) lower(h *handle, b *ipamBlock, n int) {
	if h == nil {
		return
	}
	t := &a.handles
	if h.n != several {
		if !h.only().same(b) || int(h.n) < n {
			return
		}
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

// live returns the block that a count stands for, or nil if there is none now.
func (a *Allocator) live(c count) *ipamBlock {
	if !c.block.gone {
		return c.block
	}
	return a.block(c.block.CIDR())
}

// addresses returns what the handle holds under this id of one family, or of both, blocks by
// name and ordinals ascending.
func (a *Allocator) addresses(h *handle, id string, family func(netip.Addr) bool) []netip.Addr {
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

// IPsByHandle returns the addresses that the handle holds, blocks by name and
// addresses ascending; cooling ones are nobody's. It may be empty: counts
// outlive blocks. An unknown handle is [codes.DoesNotExist] (§9).
func (a *Allocator) IPsByHandle(id string) ([]netip.Addr, error) {
	a.begin()
	defer a.mu.Unlock()
	id = handleID(id)
	h := a.handles.find(id)
	if h == nil {
		return nil, &Error{Code: codes.DoesNotExist, Handle: id, Detail: "handle " + id}
	}
	return a.addresses(h, id, func(netip.Addr) bool { return true }), nil
}
