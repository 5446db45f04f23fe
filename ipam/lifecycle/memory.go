package lifecycle

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

// This file is what the controller remembers of blocks, and how it keeps up with
// changes.

// allocation is one address that a handle holds, as the controller knows it.
//
//	            scan: not held            scan: for the grace period,
//	                                      or the node is gone
//	valid -----------------------> suspect ---------------------> confirmed
//	   ^                              |                               |
//	   '---- scan: held ; given out anew ---- last look: held --------'
type allocation struct {
	ip      netip.Addr
	block   *knownBlock
	ordinal int
	handle  *handle
	seq     uint64
	holder  holder
	node    *node // of the attribute; nil without one
	at      int   // in node.allocations

	nodeExisted bool // in Kubernetes, when the node was last scanned
	suspect     bool
	since       time.Time // when it became suspect
	confirmed   bool      // to have leaked
	leak        int       // its place in memory.leaks, from 1; 0 if it is not there
}

// handle counts the allocations of one handle id.
type handle struct {
	id              string
	held, confirmed int
}

// node is what is known under one node's name, whether Kubernetes has it or not.
type node struct {
	name        string
	allocations []*allocation // in no order
	blocks      []*knownBlock // that it owns, in no order
	dirty       bool
	review      bool // its empty blocks are to be looked at
	skippable   bool // full scans skip it, see [Controller.judge]
}

// owned is one block as seen last.
type knownBlock struct {
	cidr        netip.Prefix
	text        string
	node        *node         // the owner; nil for none and for virtual ones
	free        int           // addresses in its queue
	allocations []*allocation // those with a handle, by ordinal

	empty  bool // owned, with nothing allocated
	marked bool // seen empty on a node that has others
	since  time.Time
	queued bool // in memory.empty, perhaps since an earlier mark

	deleted bool

	oldest time.Time // of the releases that are cooling; zero for none
	cools  bool      // in memory.cooling, perhaps since an earlier release
}

// orphanKey names an allocation whose block was deleted.
type orphanKey struct {
	handle string
	ip     netip.Addr
}

// memory is everything that a controller loses when it restarts.
type memory struct {
	rules   calico.Rules
	matters func(rule func(*calico.Rules) *bool) // nil if nobody wants to know
	blocks  map[netip.Prefix]*knownBlock
	nodes   map[string]*node
	handles map[string]*handle
	orphans map[orphanKey]*allocation // empty from v3.31.5 on (DeletedBlockForgets)
	leaks   []*allocation             // confirmed and not yet released, in no order
	dirty   []*node
	review  []*node // whose empty blocks the next sync must look at
	empty   waits   // marked blocks, by the time when they were marked
	cooling waits   // blocks, by their oldest release

	changed []netip.Prefix
	state   ipam.BlockState
	merged  []*allocation
	spare   spare
}

// spare is memory of what was forgotten, to be used again: a cluster whose nodes vanish
// would otherwise make garbage of more memory than all else that is done for a pod.
type spare struct {
	allocations []*allocation
	handles     []*handle
	lists       [][]*allocation // of nodes, empty
}

// take removes the last of the list and returns it, or the zero value if it is empty.
func take[T any](list *[]T) (last T) {
	if n := len(*list); n > 0 {
		last = (*list)[n-1]
		*list = (*list)[:n-1]
	}
	return last
}

func newMemory(r calico.Rules) memory {
	return memory{
		rules:   r,
		blocks:  make(map[netip.Prefix]*knownBlock),
		nodes:   make(map[string]*node),
		handles: make(map[string]*handle),
		orphans: make(map[orphanKey]*allocation),
	}
}

// node returns the entry of a node, and makes one if there is none.
func (m *memory) node(name string) *node {
	n := m.nodes[name]
	if n == nil {
		n = &node{name: name, allocations: take(&m.spare.lists)}
		m.nodes[name] = n
	}
	return n
}

// forgetIdle drops a node that has no allocations and blocks and no pending work.
func (m *memory) forgetIdle(n *node) {
	if len(n.allocations) == 0 && len(n.blocks) == 0 && !n.dirty && !n.review {
		delete(m.nodes, n.name)
		if cap(n.allocations) > 0 {
			m.spare.lists = append(m.spare.lists, n.allocations)
			n.allocations = nil
		}
	}
}

// markDirty makes a node dirty: the next scan looks at it.
func (m *memory) markDirty(n *node) {
	if n == nil {
		return
	}
	n.skippable = false
	if !n.dirty {
		n.dirty = true
		m.dirty = append(m.dirty, n)
	}
}

// queueReview makes the next sync look at the node's empty blocks.
func (m *memory) queueReview(n *node) {
	if n != nil && !n.review {
		n.review = true
		m.review = append(m.review, n)
	}
}

// learn reads the blocks that changed, in their order (§12, "What it keeps"). It
// adds addresses and blocks that were released to gone, unless gone is nil.
func (m *memory) learn(w *ipam.Watch, a *ipam.Allocator, gone *Result) {
	m.changed = w.AppendChanged(m.changed[:0])
	for _, cidr := range m.changed {
		b := m.blocks[cidr]
		if !a.ReadBlock(cidr, &m.state) {
			if b != nil {
				m.state = ipam.BlockState{Free: m.state.Free[:0], Allocations: m.state.Allocations[:0]}
				b.deleted = true
				m.update(b, gone)
				delete(m.blocks, cidr)
			}
			continue
		}
		if b == nil {
			b = &knownBlock{cidr: cidr, text: cidr.String()}
			m.blocks[cidr] = b
		}
		m.update(b, gone)
	}
}

// update brings b up to date with m.state.
func (m *memory) update(b *knownBlock, gone *Result) {
	var owner *node
	if o := m.state.Owner; o.Type == affinity.Host {
		owner = m.node(o.Name)
	}
	if owner != b.node {
		if old := b.node; old != nil {
			old.blocks = slices.DeleteFunc(old.blocks, func(x *knownBlock) bool { return x == b })
			if gone != nil {
				gone.ReleasedBlocks = append(gone.ReleasedBlocks, b.cidr)
			}
			b.node = nil
			if !m.rules.ReleasesAnyEmpty {
				m.queueReview(old) // fewer addresses are free in its other blocks
			}
			m.forgetIdle(old)
		}
		if owner != nil {
			owner.blocks = append(owner.blocks, b)
			m.queueReview(owner)
		}
		b.node = owner
	}
	if free := len(m.state.Free); free != b.free {
		b.free = free
		if !m.rules.ReleasesAnyEmpty {
			m.queueReview(owner) // decides whether its other blocks may go
		}
	}
	if empty := owner != nil && len(m.state.Allocations) == 0; !empty {
		b.empty, b.marked = false, b.marked && !m.rules.UseForgetsEmpty && !b.deleted
	} else if !b.empty {
		b.empty = true
		m.queueReview(owner)
	}
	m.mergeAllocations(b, gone)
	b.oldest = time.Time{}
	for i := range m.state.Allocations {
		if at := m.state.Allocations[i].ReleasedAt; !at.IsZero() && (b.oldest.IsZero() || at.Before(b.oldest)) {
			b.oldest = at
		}
	}
	if !b.oldest.IsZero() && !b.cools {
		b.cools = true
		m.cooling.add(b, b.oldest)
	}
}

// mergeAllocations compares the known and the present allocations of a block; both
// are sorted by ordinal.
func (m *memory) mergeAllocations(b *knownBlock, gone *Result) {
	known := b.allocations
	m.merged = m.merged[:0]
	for i := range m.state.Allocations {
		now := &m.state.Allocations[i]
		if now.Handle == "" {
			continue // without a handle, or cooling
		}
		for len(known) > 0 && known[0].ordinal < now.Ordinal {
			m.drop(known[0], gone)
			known = known[1:]
		}
		if len(known) > 0 && known[0].ordinal == now.Ordinal {
			al := known[0]
			known = known[1:]
			if al.handle.id == now.Handle {
				if al.seq != now.Seq {
					m.tell(renews)
					if m.rules.RenewsGivenOut {
						m.renew(al, now)
					}
				}
				m.merged = append(m.merged, al)
				continue
			}
			m.drop(al, gone)
		}
		m.merged = append(m.merged, m.newAllocation(b, now))
	}
	for _, al := range known {
		m.drop(al, gone)
	}
	b.allocations = append(b.allocations[:0], m.merged...)
}

// newAllocation remembers an allocation that is new.
func (m *memory) newAllocation(b *knownBlock, now *block.Allocation) *allocation {
	ip := m.state.Addr(now.Ordinal)
	if old := m.orphans[orphanKey{now.Handle, ip}]; old != nil {
		m.forgetOrphan(old)
	}
	h := m.handles[now.Handle]
	if h == nil {
		if h = take(&m.spare.handles); h == nil {
			h = new(handle)
		}
		*h = handle{id: now.Handle}
		m.handles[now.Handle] = h
	}
	h.held++
	al := take(&m.spare.allocations)
	if al == nil {
		al = new(allocation)
	}
	*al = allocation{ip: ip, block: b, ordinal: now.Ordinal, handle: h, seq: now.Seq, holder: m.holderOf(now)}
	m.place(al, m.nodeOf(al))
	return al
}

// holderOf returns who holds what was just read.
func (m *memory) holderOf(now *block.Allocation) holder {
	if m.matters != nil {
		if _, machine := now.Active.Get(ipam.AttrVMI); machine {
			m.tell(judgesMachines)
		}
	}
	return holderOf(now.Handle, now.Active, m.rules.JudgesMachines)
}

// renew updates a known allocation whose address was given out anew to the same
// handle. It makes nodes dirty only if the allocation moved to another one.
func (m *memory) renew(al *allocation, now *block.Allocation) {
	m.clearSuspicion(al)
	al.seq, al.holder = now.Seq, m.holderOf(now)
	if n := m.nodeOf(al); n != al.node {
		m.place(al, nil)
		m.place(al, n)
	}
}

// nodeOf returns the node that the allocation's attributes name, if any.
func (m *memory) nodeOf(al *allocation) *node {
	switch owner := al.block.node; {
	case al.holder.node == "":
		return nil
	case owner != nil && owner.name == al.holder.node: // as a rule
		return owner
	}
	return m.node(al.holder.node)
}

// place moves the allocation to a node's list, or with nil to none. Both the old
// and the new node become dirty.
func (m *memory) place(al *allocation, n *node) {
	if old := al.node; old != nil {
		last := old.allocations[len(old.allocations)-1]
		old.allocations[al.at], last.at = last, al.at
		old.allocations[len(old.allocations)-1] = nil
		old.allocations = old.allocations[:len(old.allocations)-1]
		m.markDirty(old)
	}
	if n != nil {
		al.at = len(n.allocations)
		n.allocations = append(n.allocations, al)
		m.markDirty(n)
	}
	al.node = n
}

// drop forgets an allocation that was released. Before v3.31.5
// (DeletedBlockForgets), one of a deleted block stays in its handle and among the
// leaks: an orphan. One that was released as a leak counts on both sides of
// [handle.leaked] and is no leak to be tried again, so nothing can tell whether it is
// remembered; in a cluster whose nodes vanish there would be one for every pod ever.
func (m *memory) drop(al *allocation, gone *Result) {
	if gone != nil {
		gone.ReleasedIPs = append(gone.ReleasedIPs, al.ip)
	}
	m.place(al, nil)
	if released := al.confirmed && al.leak == 0; al.block.deleted && !released {
		m.tell(forgets)
		if !m.rules.DeletedBlockForgets {
			m.orphans[orphanKey{al.handle.id, al.ip}] = al
			return
		}
	}
	m.leaveHandle(al)
	m.spare.allocations = append(m.spare.allocations, al)
}

// forgetOrphan forgets an allocation of a deleted block: its handle holds the same
// address again.
func (m *memory) forgetOrphan(al *allocation) {
	delete(m.orphans, orphanKey{al.handle.id, al.ip})
	m.leaveHandle(al)
}

// leaveHandle removes the allocation from its handle.
func (m *memory) leaveHandle(al *allocation) {
	m.clearSuspicion(al)
	if h := al.handle; h.held > 1 {
		h.held--
	} else {
		delete(m.handles, h.id)
		m.spare.handles = append(m.spare.handles, h)
	}
	al.handle = nil
}

// clearSuspicion makes the allocation valid: neither suspect nor confirmed.
func (m *memory) clearSuspicion(al *allocation) {
	al.suspect = false
	m.dropLeak(al)
	if al.confirmed {
		al.confirmed = false
		al.handle.confirmed--
	}
}

// dropLeak removes the allocation from the leaks. A released one stays confirmed in
// its handle until its block shows the release.
func (m *memory) dropLeak(al *allocation) {
	if al.leak == 0 {
		return
	}
	last := m.leaks[len(m.leaks)-1]
	m.leaks[al.leak-1], last.leak = last, al.leak
	m.leaks = m.leaks[:len(m.leaks)-1]
	al.leak = 0
}

// confirm makes the allocation a leak to be released.
func (m *memory) confirm(al *allocation) {
	if !al.confirmed {
		al.confirmed = true
		al.handle.confirmed++
	}
	if al.leak == 0 {
		m.leaks = append(m.leaks, al)
		al.leak = len(m.leaks)
	}
}

// byText is the order in which leaks are released.
func byText(x, y *allocation) int {
	if c := strings.Compare(x.handle.id, y.handle.id); c != 0 {
		return c
	}
	return strings.Compare(x.ip.String(), y.ip.String())
}
