package ipam

import (
	"math"
	"net/netip"
	"time"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/pool"
)

// An entry is one IPAMBlock: the addresses, and who owns them.
type entry struct {
	block.Block

	host    *host // the owner, nil for nobody; the entry is in its blocks
	claimed int64 // when the owner claimed it, in Unix nanoseconds

	space *space     // where it lies, nil when no pool covers it
	at    pool.Index // its number there

	// What the reservations in force mean for this block.
	reserved *block.Ordinals // nil for none
	whole    bool            // reserved whole: skipped when a block is sought

	// What the tree's summaries say of it. A block with cooling addresses may
	// become free or empty without being written, and one that is used for a
	// single address after the other is empty every other time, so these err on
	// the side of yes; whoever follows them looks at the block itself.
	mayBeFree, mayBeEmpty bool

	gone   bool // deleted; handles may still count in it
	counts int  // handles that count in it
}

// owner returns who owns the block, the zero Owner for nobody.
func (e *entry) owner() affinity.Owner {
	if e.host == nil {
		return affinity.Owner{}
	}
	return e.host.owner
}

// A space is a pool with its blocks. It outlives updates of the pool, whose
// CIDR and block size never change, and ends with its deletion.
type space struct {
	pool *pool.Pool
	tree tree

	// Where walks began at that moment, if the pool's blocks are single addresses.
	seeded time.Time
	start  pool.Index

	spare []*entry // blocks that were deleted, to be made again
	fresh []entry  // never used yet
}

// unused returns the memory for a block: that of one that was deleted, or new.
func (sp *space) unused() *entry {
	if last := len(sp.spare) - 1; last >= 0 {
		e := sp.spare[last]
		sp.spare = sp.spare[:last]
		return e
	}
	if len(sp.fresh) == 0 { // more at a time as the pool fills
		sp.fresh = make([]entry, min(1+sp.tree.count/4, 32))
	}
	e := &sp.fresh[0]
	sp.fresh = sp.fresh[1:]
	return e
}

// recycle keeps the memory of a block that was deleted for the next, once no
// handle counts in it any more.
func (e *entry) recycle() {
	if e.gone && e.counts == 0 && e.space != nil {
		e.space.spare = append(e.space.spare, e)
	}
}

// rejects reports whether the pool, being enabled, does not select the host: what
// the host has there goes back when it is empty. Blocks of disabled pools are left
// alone (§3, §9).
func (sp *space) rejects(h *host) bool {
	return !sp.pool.Disabled() && !sp.pool.SelectsNode(h.labels)
}

// A host is an owner with what it claims and owns. It is known while there is
// any of that, or a node of its name.
type host struct {
	owner  affinity.Owner
	node   bool              // there is a node of its name
	labels map[string]string // of the node
	claims *affinity.Claims
	// blocks are those whose affinity names this owner, in no order. Usually
	// each has its claim, but claims can be lost.
	blocks []*entry
	starts []start
	plans  [2]plan // for IPv4 and IPv6

	// Room for what most hosts have: one block, in one pool.
	oneBlock [1]*entry
	oneStart [1]start
}

// start remembers where the host's walk over a pool's blocks begins, which is
// a pure function of their names that takes microseconds to compute.
type start struct {
	space *space
	at    pool.Index
}

// hostsOf returns the hosts of one type by name; there are none of a type that
// does not exist.
func (a *Allocator) hostsOf(t affinity.Type) map[string]*host {
	switch t {
	case affinity.Host:
		return a.hosts
	case affinity.Virtual:
		return a.virtual
	}
	return nil
}

// hostsFor returns the hosts, by name, that requests for that use come from.
func (a *Allocator) hostsFor(use pool.Use) map[string]*host {
	if use == pool.LoadBalancer {
		return a.virtual
	}
	return a.hosts
}

// known returns the host of that owner, or nil.
func (a *Allocator) known(owner affinity.Owner) *host { return a.hostsOf(owner.Type)[owner.Name] }

// host returns the host of that owner, a new one if need be.
func (a *Allocator) host(owner affinity.Owner) *host {
	h := a.known(owner)
	if h == nil {
		h = &host{owner: owner, claims: a.claims.Open(owner)}
		h.blocks, h.starts = h.oneBlock[:0], h.oneStart[:0]
		a.hostsOf(owner.Type)[owner.Name] = h
	}
	return h
}

// forget drops a host about which there is nothing left to know.
func (a *Allocator) forget(h *host) {
	if h == nil || h.node || h.claims.Len() > 0 || len(h.blocks) > 0 {
		return
	}
	delete(a.hostsOf(h.owner.Type), h.owner.Name)
	a.claims.Forget(h.owner)
}

// nodeLabels returns the labels of the node called name.
func (a *Allocator) nodeLabels(name string) (labels map[string]string, exists bool) {
	h := a.known(affinity.HostOwner(name))
	if h == nil || !h.node {
		return nil, false
	}
	return h.labels, true
}

// startOf returns where the host's walk over the space begins (§2).
func (a *Allocator) startOf(h *host, sp *space) pool.Index {
	if sp.pool.BlockSize() == sp.pool.CIDR().Addr().BitLen() {
		// Seeded from the clock: it is the same for all hosts until that moves.
		if sp.seeded.IsZero() || !sp.seeded.Equal(a.now) {
			sp.seeded, sp.start = a.now, sp.pool.Start(h.owner.Name, a.now)
		}
		return sp.start
	}
	for _, s := range h.starts {
		if s.space == sp {
			return s.at
		}
	}
	at := sp.pool.Start(h.owner.Name, a.now)
	h.starts = append(h.starts, start{sp, at})
	return at
}

// spaceOf returns the space of the pool that contains addr, or nil. Requests
// stay with one pool for long, so the last one found is looked at first.
func (a *Allocator) spaceOf(addr netip.Addr) *space {
	if sp := a.recent; sp != nil && sp.pool.Contains(addr) {
		return sp
	}
	p := a.pools.ByAddr(addr)
	if p == nil {
		return nil
	}
	a.recent = a.spaces[p.Name()]
	return a.recent
}

// blockAt returns the block that holds addr, or nil.
func (a *Allocator) blockAt(addr netip.Addr) *entry {
	if sp := a.spaceOf(addr); sp != nil {
		return sp.tree.get(sp.pool.IndexOf(addr))
	}
	if len(a.orphans) == 0 || addr.Zone() != "" {
		return nil
	}
	lowest := addr.BitLen() - 12 // no block is larger than block.MaxSize
	for bits := addr.BitLen(); bits >= lowest; bits-- {
		if e := a.orphans[netip.PrefixFrom(addr, bits).Masked()]; e != nil {
			return e
		}
	}
	return nil
}

// block returns the block cidr, or nil.
func (a *Allocator) block(cidr netip.Prefix) *entry {
	if e := a.blockAt(cidr.Addr()); e != nil && e.CIDR() == cidr {
		return e
	}
	return nil
}

// add files a block that exists from now on, in the space of its pool, nil if no
// pool covers it.
func (a *Allocator) add(e *entry, sp *space) {
	a.note(e)
	a.reserve(e)
	e.mayBeFree, e.mayBeEmpty = maybe(e)
	if e.space = sp; sp == nil {
		a.orphans[e.CIDR()] = e
		return
	}
	e.at = sp.pool.IndexOf(e.CIDR().Addr())
	sp.tree.insert(e)
}

// remove takes a block out, whoever owned it.
func (a *Allocator) remove(e *entry) {
	e.setOwner(nil, 0)
	e.gone = true
	if e.space != nil {
		e.space.tree.remove(e)
	} else {
		delete(a.orphans, e.CIDR())
	}
	a.note(e)
	e.recycle()
}

// setOwner makes h, or nobody, the owner of the block, claimed at that moment.
func (e *entry) setOwner(h *host, claimed int64) {
	if old := e.host; old != nil {
		old.changed()
		for i, b := range old.blocks {
			if b == e {
				last := len(old.blocks) - 1
				old.blocks[i], old.blocks[last] = old.blocks[last], nil
				old.blocks = old.blocks[:last]
				break
			}
		}
	}
	if h != nil {
		h.changed()
		h.blocks = append(h.blocks, e)
	}
	e.host, e.claimed = h, claimed
}

// write ends a write of the block (§6).
func (a *Allocator) write(e *entry) {
	e.Commit()
	a.lastSeq = max(a.lastSeq, e.Seq())
	a.note(e)
}

// writeTaken writes the block after something was taken from it. It is told in
// the summaries when nothing is left. They go on calling a block empty that has
// one address in use, until a search comes upon it: where single pods come and
// go, every other write would change them.
func (a *Allocator) writeTaken(e *entry) {
	a.write(e)
	if e.mayBeEmpty && e.InUse() > 1 || e.mayBeFree && e.FreeUnreserved(e.reserved) == 0 {
		e.refresh()
	}
}

// writeReleased writes the block after something was released or collected from
// it, or deletes it when it is empty and nobody's (§6).
func (a *Allocator) writeReleased(e *entry) {
	if e.host == nil && e.Empty(a.cold) {
		a.remove(e)
		return
	}
	a.write(e)
	if !e.mayBeFree || !e.mayBeEmpty {
		e.refresh()
	}
}

// refresh brings the tree in line with the block.
func (e *entry) refresh() {
	free, empty := maybe(e)
	if e.mayBeFree == free && e.mayBeEmpty == empty {
		return
	}
	e.mayBeFree, e.mayBeEmpty = free, empty
	if e.space != nil {
		e.space.tree.update(e)
	}
}

// allCold is a moment by which everything has cooled down.
const allCold = block.Cold(math.MaxInt64)

// maybe tells whether the block has, or may have later without being written,
// a free address, and whether it is or may be empty.
func maybe(e *entry) (free, empty bool) {
	return e.Available(allCold, e.reserved) > 0, e.Empty(allCold)
}

// reserve works out what the reservations mean for the block.
func (a *Allocator) reserve(e *entry) {
	e.reserved, e.whole = nil, false
	if !a.reservations.OverlapsPrefix(e.CIDR()) {
		return
	}
	e.whole = a.reservations.CoversPrefix(e.CIDR())
	e.reserved = new(block.Ordinals)
	for _, r := range a.reservations.RangesIn(e.CIDR()) {
		from, _ := e.Ordinal(r.From())
		to, _ := e.Ordinal(r.To())
		e.reserved.AddRange(from, to+1)
	}
}

// nextMissing returns the first number on the walk from start that has no
// block and is not reserved whole.
func (a *Allocator) nextMissing(sp *space, start pool.Index) (pool.Index, bool) {
	at, ok := a.missingFrom(sp, start)
	if ok || start == (pool.Index{}) {
		return at, ok
	}
	if at, ok = a.missingFrom(sp, pool.Index{}); ok && at.Less(start) {
		return at, true
	}
	return pool.Index{}, false
}

// missingFrom is nextMissing without the wrap. Reservations are jumped over a
// whole range at a time, for one may cover more blocks than can be walked.
func (a *Allocator) missingFrom(sp *space, from pool.Index) (pool.Index, bool) {
	for {
		at, ok := sp.tree.nextMissing(from)
		if !ok {
			return at, false
		}
		cidr := sp.pool.BlockAt(at)
		if !a.reservations.CoversPrefix(cidr) {
			return at, true
		}
		r, _ := a.reservations.RangeOf(cidr.Addr())
		end := r.To()
		if poolEnd := netipx.PrefixLastIP(sp.pool.CIDR()); poolEnd.Less(end) {
			return at, false
		}
		from = sp.pool.IndexOf(end)
		// The range may end inside this block, which is then not reserved
		// whole and is looked at next.
		if netipx.PrefixLastIP(sp.pool.BlockAt(from)) == end {
			if from == sp.tree.last {
				return at, false
			}
			from = from.Next()
		}
	}
}
