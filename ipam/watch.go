package ipam

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/claimlist"
)

// A Watch collects which objects were made, written or deleted, like a controller's
// watch of the datastore: its user need not read all of them again. Make one with
// [Allocator.Watch] and end it with [Watch.Stop]. It is safe for concurrent use, as
// the allocator is, and must not be copied.
type Watch struct {
	allocator *Allocator
	// What changed, by kind; nil for a kind that is not watched.
	blocks     map[*ipamBlock]struct{} // that exist
	affinities map[claimKey]struct{}
	handles    map[string]struct{} // by key

	gone map[netip.Prefix]struct{} // blocks that do not exist
	all  bool                      // of those that exist every one has changed, and none is in blocks
	last *ipamBlock                // noted last: writes come in runs
}

// claimKey identifies an affinity.
type claimKey struct {
	owner affinity.Owner
	cidr  netip.Prefix
}

// Watch returns a watch of these kinds of objects, for which every existing one counts
// as changed. The kinds are [BlockObject], [AffinityObject] and [HandleObject]; others
// have no effect, and no kind means blocks. A watch of blocks alone costs the least.
func (a *Allocator) Watch(kinds ...ObjectKind) *Watch {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := &Watch{allocator: a}
	if len(kinds) == 0 || slices.Contains(kinds, BlockObject) {
		w.blocks, w.gone, w.all = make(map[*ipamBlock]struct{}), make(map[netip.Prefix]struct{}), true
	}
	if slices.Contains(kinds, AffinityObject) {
		w.affinities = make(map[claimKey]struct{})
		for _, c := range a.claims.All() {
			w.affinities[claimKey{c.Owner, c.CIDR}] = struct{}{}
		}
	}
	if slices.Contains(kinds, HandleObject) {
		w.handles = make(map[string]struct{})
		for _, h := range a.handles.all() {
			w.handles[handleKey(h.id)] = struct{}{}
		}
	}
	a.setWatches(append(a.watches, w))
	return w
}

// setWatches sets the watches. Those of affinities and handles are on lists of their
// own, so that nobody pays for what nobody watches.
func (a *Allocator) setWatches(watches []*Watch) {
	a.watches = watches
	a.handleWatches = nil
	a.claims.OnChange = nil
	var ofClaims []*Watch
	for _, w := range watches {
		if w.handles != nil {
			a.handleWatches = append(a.handleWatches, w)
		}
		if w.affinities != nil {
			ofClaims = append(ofClaims, w)
		}
	}
	if ofClaims != nil {
		a.claims.OnChange = func(c *claimlist.Claim) {
			for _, w := range ofClaims {
				w.affinities[claimKey{c.Owner, c.CIDR}] = struct{}{}
			}
		}
	}
}

// AppendChanged appends the blocks that changed since its last call to dst, by
// name, each once, and returns it. A block may be gone by now, or made again:
// [Allocator.ReadBlock] shows that. The cost depends on the number of changed
// blocks, not of all blocks.
func (w *Watch) AppendChanged(dst []netip.Prefix) []netip.Prefix {
	from := len(dst)
	dst = w.AppendUnsorted(dst)
	slices.SortFunc(dst[from:], affinity.CompareCIDRNames)
	return dst
}

// AppendUnsorted is [Watch.AppendChanged] in no order, for who sorts them otherwise.
func (w *Watch) AppendUnsorted(dst []netip.Prefix) []netip.Prefix {
	w.allocator.mu.Lock()
	defer w.allocator.mu.Unlock()
	w.take(func(cidr netip.Prefix, _ *ipamBlock) { dst = append(dst, cidr) })
	return dst
}

// Count is [Watch.AppendUnsorted] with what [Allocator.CountBlock] says of each block,
// and costs less than the two. It calls visit, which must not call the allocator.
func (w *Watch) Count(visit func(cidr netip.Prefix, c BlockCount, exists bool)) {
	w.allocator.mu.Lock()
	defer w.allocator.mu.Unlock()
	w.take(func(cidr netip.Prefix, b *ipamBlock) {
		if b == nil {
			visit(cidr, BlockCount{}, false)
			return
		}
		visit(cidr, b.count(), true)
	})
}

// take calls do for each block that changed, which is nil if it does not exist, and
// forgets that they did.
func (w *Watch) take(do func(cidr netip.Prefix, b *ipamBlock)) {
	if w.all {
		w.all = false
		for b := range w.allocator.eachBlock {
			do(b.CIDR(), b)
		}
	}
	for b := range w.blocks {
		do(b.CIDR(), b)
	}
	for cidr := range w.gone {
		do(cidr, nil)
	}
	clear(w.blocks)
	clear(w.gone)
	w.last = nil
}

// Pending returns how many blocks changed since they were appended or counted last.
func (w *Watch) Pending() int {
	w.allocator.mu.Lock()
	defer w.allocator.mu.Unlock()
	n := len(w.blocks) + len(w.gone)
	if w.all {
		n += w.allocator.countBlocks()
	}
	return n
}

// AppendAffinities appends the affinities that changed since its last call to dst, as
// they are now, by type, host and name, each once, and returns it. The state of one
// that is gone is [affinity.None].
func (w *Watch) AppendAffinities(dst []AffinityState) []AffinityState {
	w.allocator.mu.Lock()
	defer w.allocator.mu.Unlock()
	from := len(dst)
	for k := range w.affinities {
		now := AffinityState{Owner: k.owner, CIDR: k.cidr}
		if c := w.allocator.claims.Of(k.owner).Get(k.cidr); c != nil {
			now.State, now.Created = c.State, c.Created
		}
		dst = append(dst, now)
	}
	clear(w.affinities)
	slices.SortFunc(dst[from:], func(x, y AffinityState) int {
		return claimlist.Compare(x.Owner, x.CIDR, y.Owner, y.CIDR)
	})
	return dst
}

// AppendHandles appends the handles that changed since its last call to dst, as they
// are now, by id in lower case, each once, and returns it. One that is gone has no
// counts, and its id is in lower case.
func (w *Watch) AppendHandles(dst []HandleState) []HandleState {
	a := w.allocator
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(w.handles)) {
		now := HandleState{ID: key}
		if h := a.handles.find(key); h != nil {
			now = a.handles.state(h)
		}
		dst = append(dst, now)
	}
	clear(w.handles)
	return dst
}

// Stop ends the watch, which then notes no more changes. A second Stop does
// nothing.
func (w *Watch) Stop() {
	a := w.allocator
	a.mu.Lock()
	defer a.mu.Unlock()
	a.setWatches(slices.DeleteFunc(a.watches, func(x *Watch) bool { return x == w }))
	clear(w.blocks)
	clear(w.gone)
	clear(w.affinities)
	clear(w.handles)
	w.all = false
}

// note notes in the watches that the block was made, written or deleted.
func (a *Allocator) note(b *ipamBlock) {
	if len(a.watches) > 0 {
		a.noteInWatches(b)
	}
}

// noteInWatches is apart from note, so that a write that nobody watches stays short:
// within note it made taking an address and giving it back a tenth slower.
//
//go:noinline
func (a *Allocator) noteInWatches(b *ipamBlock) {
	for _, w := range a.watches {
		if w.blocks != nil && (b != w.last || b.gone) {
			w.note(b)
		}
	}
}

func (w *Watch) note(b *ipamBlock) {
	if w.last = b; b.gone {
		delete(w.blocks, b)
		w.gone[b.CIDR()] = struct{}{}
		return
	}
	delete(w.gone, b.CIDR()) // if there was another of the same name
	if !w.all {
		w.blocks[b] = struct{}{}
	}
}

// noteHandle notes in the watches that the handle was made, written or deleted.
func (a *Allocator) noteHandle(id string) {
	for _, w := range a.handleWatches {
		w.handles[handleKey(id)] = struct{}{}
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
	return b.count(), true
}

func (b *ipamBlock) count() BlockCount {
	c := BlockCount{Owner: b.ownerID(), Cooling: b.Cooling(), HostReserved: b.HostReserved(), Free: b.FreeUnreserved(b.reserved)}
	c.InUse = b.InUse() - c.Cooling
	c.Borrowed = c.InUse
	if b.owner != nil {
		c.Borrowed -= b.Held(func(active block.Attrs) bool {
			node, _ := active.Get(AttrNode)
			return node == c.Owner.Name
		})
	}
	return c
}

// stateInto writes the state of the block into s, and uses the memory of its
// slices.
func (b *ipamBlock) stateInto(s *BlockState) {
	s.CIDR, s.Owner, s.Sequence = b.CIDR(), b.ownerID(), b.Seq()
	s.Claimed = b.claimTime()
	if n := b.InUse(); n > cap(s.Allocations) {
		s.Allocations = make([]block.Allocation, 0, n)
	}
	s.Free = slices.AppendSeq(s.Free[:0], b.Queue())
	s.Allocations = slices.AppendSeq(s.Allocations[:0], b.Allocations())
}
