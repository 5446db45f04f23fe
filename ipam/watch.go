package ipam

import (
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
)

// A Watch collects which blocks were made, written or deleted, like a controller's
// watch of the datastore: its user need not read all blocks again. Make one with
// [Allocator.Watch] and end it with [Watch.Stop]. It is safe for concurrent use,
// as the allocator is, and must not be copied.
type Watch struct {
	allocator *Allocator
	changed   map[netip.Prefix]struct{}
	last      netip.Prefix // noted last: writes come in runs
}

// Watch returns a watch for which every existing block counts as changed.
func (a *Allocator) Watch() *Watch {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := &Watch{allocator: a, changed: make(map[netip.Prefix]struct{})}
	for _, b := range a.allBlocks() {
		w.changed[b.CIDR()] = struct{}{}
	}
	a.watches = append(a.watches, w)
	return w
}

// AppendChanged appends the blocks that changed since its last call to dst, by
// name, each once, and returns it. A block may be gone by now, or made again:
// [Allocator.ReadBlock] shows that. The cost depends on the number of changed
// blocks, not of all blocks.
func (w *Watch) AppendChanged(dst []netip.Prefix) []netip.Prefix {
	w.allocator.mu.Lock()
	defer w.allocator.mu.Unlock()
	from := len(dst)
	for cidr := range w.changed {
		dst = append(dst, cidr)
	}
	clear(w.changed)
	w.last = netip.Prefix{}
	slices.SortFunc(dst[from:], affinity.CompareCIDRNames)
	return dst
}

// Pending returns how many blocks changed since the last call of AppendChanged.
func (w *Watch) Pending() int {
	w.allocator.mu.Lock()
	defer w.allocator.mu.Unlock()
	return len(w.changed)
}

// Stop ends the watch, which then notes no more changes. A second Stop does
// nothing.
func (w *Watch) Stop() {
	a := w.allocator
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watches = slices.DeleteFunc(a.watches, func(x *Watch) bool { return x == w })
	clear(w.changed)
}

// note notes in the watches that the block was made, written or deleted.
func (a *Allocator) note(b *ipamBlock) {
	for _, w := range a.watches {
		if cidr := b.CIDR(); cidr != w.last {
			w.last = cidr
			w.changed[cidr] = struct{}{}
		}
	}
}

// ReadBlock makes into the state of the block, as last written, and reports
// whether it exists; if not, into is unchanged. ReadBlock overwrites the slices of
// into.
func (a *Allocator) ReadBlock(cidr netip.Prefix, into *BlockState) bool {
	if !cidr.IsValid() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.block(cidr)
	if b == nil {
		return false
	}
	b.stateInto(into)
	return true
}

// BlockCount counts the addresses of a block, as last written.
type BlockCount struct {
	Owner   affinity.Owner // zero for nobody
	InUse   int            // allocated addresses, without cooling ones
	Cooling int
	// HostReserved are those of InUse that the host keeps (§10).
	HostReserved int
	Free         int // addresses that are free and not reserved
	// Borrowed are those of InUse whose attribute [AttrNode] does not name the
	// block's owner: all of them in a block without an owner.
	Borrowed int
}

// CountBlock counts the addresses of a block, and reports whether it exists. It
// visits each attribute record, [Allocator.ReadBlock] each address.
func (a *Allocator) CountBlock(cidr netip.Prefix) (c BlockCount, exists bool) {
	if !cidr.IsValid() {
		return c, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.block(cidr)
	if b == nil {
		return c, false
	}
	c.Owner, c.Cooling, c.Free = b.ownerID(), b.Cooling(), b.FreeUnreserved(b.reserved)
	c.InUse, c.HostReserved = b.InUse()-c.Cooling, b.HostReserved()
	c.Borrowed = c.InUse
	if b.owner != nil {
		c.Borrowed -= b.Held(func(active block.Attrs) bool {
			node, _ := active.Get(AttrNode)
			return node == c.Owner.Name
		})
	}
	return c, true
}

// stateInto writes the state of the block into s, and uses the memory of its
// slices.
func (b *ipamBlock) stateInto(s *BlockState) {
	s.CIDR, s.Owner, s.Sequence = b.CIDR(), b.ownerID(), b.Seq()
	s.Claimed = b.claimTime()
	s.Free = slices.AppendSeq(s.Free[:0], b.Queue())
	s.Allocations = slices.AppendSeq(s.Allocations[:0], b.Allocations())
}
