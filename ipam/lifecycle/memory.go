package lifecycle

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// This file is what the controller remembers of blocks, and how it learns of
// changes.

// allocation is one address that a handle holds, as the controller knows it.
//
//	            scan: not held            scan: for the grace period,
//	                                      or the node is gone
//	trusted ---------------------> suspect ---------------------> confirmed
//	   ^                              |                               |
//	   '---- scan: held ; given out anew ---- last look: held --------'
type allocation struct {
	ip      netip.Addr
	block   *owned
	ordinal int
	handle  *handle
	seq     uint64
	holder  holder
	node    *node // of the attribute; nil without one
	at      int   // in node.allocations

	nodeExisted bool // in Kubernetes, when the node was scanned last
	suspect     bool
	since       time.Time // when it became suspect
	confirmed   bool      // to have leaked
	leak        int       // its place in memory.leaks, from 1; 0 while not there
}

// handle counts what the allocations of one handle id are.
type handle struct {
	id              string
	held, confirmed int
}

// node is what is known under one node's name, whether Kubernetes has it or not.
type node struct {
	name        string
	allocations []*allocation // in no order
	blocks      []*owned      // that it owns, in no order
	dirty       bool
	review      bool // its empty blocks are to be looked at
	settled     bool // see [Controller.judge]
}

// owned is one block as seen last.
type owned struct {
	cidr        netip.Prefix
	text        string
	node        *node         // the owner; nil for none and for virtual ones
	free        int           // addresses in its queue
	allocations []*allocation // those with a handle, by ordinal

	empty  bool // owned, and nothing in it
	marked bool // seen empty on a node that has others
	since  time.Time
	queued bool // in memory.empty, perhaps since an earlier mark

	deleted bool

	oldest time.Time // of the releases that are cooling; zero for none
	cools  bool      // in memory.cooling, perhaps since an earlier release
}

// ghost names an allocation whose block was deleted.
type ghost struct {
	handle string
	ip     netip.Addr
}

// memory is everything that a controller loses when it restarts.
type memory struct {
	rules   ipam.Rules
	blocks  map[netip.Prefix]*owned
	nodes   map[string]*node
	handles map[string]*handle
	ghosts  map[ghost]*allocation // which older releases do not forget
	leaks   []*allocation         // confirmed and not yet released, in no order
	dirty   []*node
	review  []*node // whose empty blocks may have become another's turn
	empty   waits   // marked blocks, since they are empty
	cooling waits   // blocks, since their oldest release

	changed []netip.Prefix
	state   ipam.BlockState
	merged  []*allocation
	spare   []*allocation
}

func newMemory(r ipam.Rules) memory {
	return memory{
		rules:   r,
		blocks:  make(map[netip.Prefix]*owned),
		nodes:   make(map[string]*node),
		handles: make(map[string]*handle),
		ghosts:  make(map[ghost]*allocation),
	}
}

// node returns what is known of a node, a new entry if need be.
func (m *memory) node(name string) *node {
	n := m.nodes[name]
	if n == nil {
		n = &node{name: name}
		m.nodes[name] = n
	}
	return n
}

// forgetIdle drops a node about which nothing is left to know.
func (m *memory) forgetIdle(n *node) {
	if len(n.allocations) == 0 && len(n.blocks) == 0 && !n.dirty && !n.review {
		delete(m.nodes, n.name)
	}
}

// soil makes a node dirty: the next scan looks at it.
func (m *memory) soil(n *node) {
	if n == nil {
		return
	}
	n.settled = false
	if !n.dirty {
		n.dirty = true
		m.dirty = append(m.dirty, n)
	}
}

// reconsider has the node's empty blocks looked at in the next sync.
func (m *memory) reconsider(n *node) {
	if n != nil && !n.review {
		n.review = true
		m.review = append(m.review, n)
	}
}

// learn brings what is known in line with the blocks that changed, in their order
// (§12, "What it keeps"). What went is told to gone, unless that is nil.
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
			b = &owned{cidr: cidr, text: cidr.String()}
			m.blocks[cidr] = b
		}
		m.update(b, gone)
	}
}

// update makes b what m.state says.
func (m *memory) update(b *owned, gone *Result) {
	var owner *node
	if o := m.state.Owner; o.Type == affinity.Host {
		owner = m.node(o.Name)
	}
	if owner != b.node {
		if old := b.node; old != nil {
			old.blocks = slices.DeleteFunc(old.blocks, func(x *owned) bool { return x == b })
			if gone != nil {
				gone.ReleasedBlocks = append(gone.ReleasedBlocks, b.cidr)
			}
			b.node = nil
			if !m.rules.ReleasesAnyEmpty {
				m.reconsider(old) // less is free beside its other blocks
			}
			m.forgetIdle(old)
		}
		if owner != nil {
			owner.blocks = append(owner.blocks, b)
			m.reconsider(owner)
		}
		b.node = owner
	}
	if free := len(m.state.Free); free != b.free {
		b.free = free
		if !m.rules.ReleasesAnyEmpty {
			m.reconsider(owner) // its other blocks may go now, or may not any more
		}
	}
	if empty := owner != nil && len(m.state.Allocations) == 0; !empty {
		b.empty, b.marked = false, b.marked && !m.rules.UseForgetsEmpty && !b.deleted
	} else if !b.empty {
		b.empty = true
		m.reconsider(owner)
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

// mergeAllocations goes through the known and the present allocations of a block
// side by side, both being in the order of ordinals.
func (m *memory) mergeAllocations(b *owned, gone *Result) {
	known := b.allocations
	m.merged = m.merged[:0]
	for i := range m.state.Allocations {
		now := &m.state.Allocations[i]
		if now.Handle == "" {
			continue // nothing to release it by, or cooling
		}
		for len(known) > 0 && known[0].ordinal < now.Ordinal {
			m.drop(known[0], gone)
			known = known[1:]
		}
		if len(known) > 0 && known[0].ordinal == now.Ordinal {
			al := known[0]
			known = known[1:]
			if al.handle.id == now.Handle {
				if al.seq != now.Seq && m.rules.RenewsGivenOut {
					m.renew(al, now)
				}
				m.merged = append(m.merged, al)
				continue
			}
			m.drop(al, gone)
		}
		m.merged = append(m.merged, m.take(b, now))
	}
	for _, al := range known {
		m.drop(al, gone)
	}
	b.allocations = append(b.allocations[:0], m.merged...)
}

// take makes an allocation that is new.
func (m *memory) take(b *owned, now *block.Allocation) *allocation {
	ip := m.state.Addr(now.Ordinal)
	if old := m.ghosts[ghost{now.Handle, ip}]; old != nil {
		m.bury(old)
	}
	h := m.handles[now.Handle]
	if h == nil {
		h = &handle{id: now.Handle}
		m.handles[now.Handle] = h
	}
	h.held++
	var al *allocation
	if last := len(m.spare) - 1; last >= 0 {
		al, m.spare = m.spare[last], m.spare[:last]
	} else {
		al = new(allocation)
	}
	*al = allocation{
		ip: ip, block: b, ordinal: now.Ordinal,
		handle: h, seq: now.Seq, holder: holderOf(now.Handle, now.Active, m.rules.JudgesMachines),
	}
	m.place(al, m.nodeOf(al))
	return al
}

// renew makes a known allocation, whose address was given out anew to the same
// handle, what it is now. It neither came nor went, unless to another node.
func (m *memory) renew(al *allocation, now *block.Allocation) {
	m.trust(al)
	al.seq, al.holder = now.Seq, holderOf(now.Handle, now.Active, m.rules.JudgesMachines)
	if n := m.nodeOf(al); n != al.node {
		m.place(al, nil)
		m.place(al, n)
	}
}

// nodeOf returns the node that the allocation's attributes name, if any.
func (m *memory) nodeOf(al *allocation) *node {
	if al.holder.node == "" {
		return nil
	}
	return m.node(al.holder.node)
}

// place files the allocation under a node, or takes it away with nil; either way
// the node becomes dirty.
func (m *memory) place(al *allocation, n *node) {
	if old := al.node; old != nil {
		last := old.allocations[len(old.allocations)-1]
		old.allocations[al.at], last.at = last, al.at
		old.allocations[len(old.allocations)-1] = nil
		old.allocations = old.allocations[:len(old.allocations)-1]
		m.soil(old)
	}
	if n != nil {
		al.at = len(n.allocations)
		n.allocations = append(n.allocations, al)
		m.soil(n)
	}
	al.node = n
}

// drop forgets an allocation that is no more. Before they forgot the allocations of
// a deleted block, releases kept them in their handles and among the leaks.
func (m *memory) drop(al *allocation, gone *Result) {
	if gone != nil {
		gone.ReleasedIPs = append(gone.ReleasedIPs, al.ip)
	}
	m.place(al, nil)
	if al.block.deleted && !m.rules.DeletedBlockForgets {
		m.ghosts[ghost{al.handle.id, al.ip}] = al
		return
	}
	m.unhold(al)
	m.spare = append(m.spare, al)
}

// bury forgets an allocation of a deleted block, whose address its handle has again.
func (m *memory) bury(al *allocation) {
	delete(m.ghosts, ghost{al.handle.id, al.ip})
	m.unhold(al)
}

// unhold takes the allocation from its handle.
func (m *memory) unhold(al *allocation) {
	m.trust(al)
	if al.handle.held--; al.handle.held == 0 {
		delete(m.handles, al.handle.id)
	}
	al.handle = nil
}

// trust ends all suspicion.
func (m *memory) trust(al *allocation) {
	al.suspect = false
	m.settle(al)
	if al.confirmed {
		al.confirmed = false
		al.handle.confirmed--
	}
}

// settle takes the allocation from the leaks, for it has been released. Until its
// block says so, its handle counts it as confirmed.
func (m *memory) settle(al *allocation) {
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
