package ipam

import (
	"math"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/blocktree"
	"github.com/ipamsim/ipamsim/internal/claimlist"
	"github.com/ipamsim/ipamsim/pool"
)

// An ipamBlock is one IPAMBlock: the addresses and their owner.
type ipamBlock struct {
	block.Block

	owner *owner // nil for none; otherwise the block is among its blocks

	// The rest fits a cache line, which a pod that comes or goes reads; see
	// [block.Block].

	pool *poolBlocks // the pool of the block; nil for a stray

	// Its leaf in the pool's tree, with its summaries. A block with cooling
	// addresses may become free or empty without being written, and a block used
	// for one address after the other is empty every other time. So the summaries
	// may wrongly say yes, and searches check the block itself.
	leaf blocktree.Leaf[*ipamBlock]

	// The effect of the reservations in force on this block.
	reserved *block.Ordinals // nil for none
	whole    bool            // reserved whole: skipped when a block is sought

	gone bool // deleted; handles may still count in it
	// unordered says that addresses were released in an order that depends on the
	// release of Calico, or one by one in an order of the caller's.
	unordered bool

	claimed int64 // when the owner claimed it, in Unix nanoseconds
}

// ownerID returns the owner of the block, the zero Owner for none.
func (b *ipamBlock) ownerID() affinity.Owner {
	if b.owner == nil {
		return affinity.Owner{}
	}
	return b.owner.id
}

// A poolBlocks is a pool with its blocks. It outlives updates of the pool, whose
// CIDR and block size never change, and ends with its deletion.
type poolBlocks struct {
	pool *pool.Pool
	tree blocktree.Tree[*ipamBlock]
}

// rejects reports whether the pool is enabled and does not select the owner, so
// that the owner's empty blocks there are released. Blocks of disabled pools stay
// (§3, §9).
func (pb *poolBlocks) rejects(o *owner) bool {
	return !pb.pool.Disabled() && !pb.pool.SelectsNode(o.labels)
}

// An owner is a host or virtual owner with its claims and blocks. It is kept while
// it has any of these, or a node of its name exists.
type owner struct {
	// The fields that a pod needs when it comes or goes are first, in two cache
	// lines; see [block.Block].

	version uint64            // counts changes of the node, the claims, and of which blocks there are
	node    bool              // there is a node of its name
	labels  map[string]string // of the node
	id      affinity.Owner
	plan4   plan // of IPv4

	plan6  plan // of IPv6
	claims *claimlist.List
	// blocks are those whose affinity names this owner, in no order. Usually
	// each has its claim, but claims can be lost.
	blocks []*ipamBlock
	walk   start // the last one that startOf returned

	oneBlock [1]*ipamBlock // storage for the blocks of most owners
}

// ownersOf returns the owners of one type by name; there are none of a type that
// does not exist.
func (a *Allocator) ownersOf(t affinity.Type) map[string]*owner {
	switch t {
	case affinity.Host:
		return a.hosts
	case affinity.Virtual:
		return a.virtual
	}
	return nil
}

// ownersFor returns the owners, by name, that requests for that use come from.
func (a *Allocator) ownersFor(use pool.Use) map[string]*owner {
	if use == pool.LoadBalancer {
		return a.virtual
	}
	return a.hosts
}

// known returns the owner called id, or nil.
func (a *Allocator) known(id affinity.Owner) *owner { return a.ownersOf(id.Type)[id.Name] }

// openOwner returns the owner called id, and makes one if there is none.
func (a *Allocator) openOwner(id affinity.Owner) *owner {
	o := a.known(id)
	if o == nil {
		o = &owner{id: id, claims: a.claims.Open(id)}
		o.claims.CountChanges(&o.version)
		o.blocks = o.oneBlock[:0]
		a.ownersOf(id.Type)[id.Name] = o
	}
	return o
}

// forget drops an owner without a node, claims and blocks.
func (a *Allocator) forget(o *owner) {
	if o == nil || o.node || o.claims.Len() > 0 || len(o.blocks) > 0 {
		return
	}
	delete(a.ownersOf(o.id.Type), o.id.Name)
	a.claims.Forget(o.id)
}

// setNode sets whether there is a node of the owner's name, and its labels.
func (o *owner) setNode(exists bool, labels map[string]string) {
	o.node, o.labels = exists, labels
	o.version++
}

func (o *owner) addBlock(b *ipamBlock) {
	o.blocks = append(o.blocks, b)
	o.version++
}

func (o *owner) dropBlock(b *ipamBlock) {
	if i := slices.Index(o.blocks, b); i >= 0 {
		last := len(o.blocks) - 1
		o.blocks[i], o.blocks[last] = o.blocks[last], nil
		o.blocks = o.blocks[:last]
	}
	o.version++
}

// nodeLabels returns the labels of the node called name.
func (a *Allocator) nodeLabels(name string) (labels map[string]string, exists bool) {
	o := a.known(affinity.HostOwner(name))
	if o == nil || !o.node {
		return nil, false
	}
	return o.labels, true
}

// start is where an owner's walk over a pool begins.
type start struct {
	pool *poolBlocks // nil for none
	at   pool.Index
}

// startOf returns where the owner's walk over the pool begins (§2). A node that
// borrows needs it again and again, so the owner keeps it, unless it depends on
// the time.
func (a *Allocator) startOf(o *owner, pb *poolBlocks) pool.Index {
	if o.walk.pool == pb {
		return o.walk.at
	}
	at := pb.pool.Start(o.id.Name, a.now)
	if cidr := pb.pool.CIDR(); pb.pool.BlockSize() < cidr.Addr().BitLen() {
		o.walk = start{pb, at}
	}
	return at
}

// poolOf returns the pool that contains addr, with its blocks, or nil. Successive
// requests usually use one pool, so it tries the last one found first.
func (a *Allocator) poolOf(addr netip.Addr) *poolBlocks {
	if pb := a.recent; pb != nil && pb.pool.Contains(addr) {
		return pb
	}
	p := a.pools.ByAddr(addr)
	if p == nil {
		return nil
	}
	a.recent = a.poolBlocks[p.Name()]
	return a.recent
}

// blockAt returns the block in which the allocator looks for addr, or nil: the
// block of the pool that contains it, else the first stray by name (§9).
func (a *Allocator) blockAt(addr netip.Addr) *ipamBlock {
	if pb := a.poolOf(addr); pb != nil {
		if l := pb.tree.Get(pb.pool.IndexOf(addr)); l != nil {
			return l.Value
		}
		return nil
	}
	return a.firstStray(addr, nil)
}

// firstStray returns the first by name of the strays that hold addr and of b,
// which may be nil. Several can hold it: strays may overlap other strays and
// blocks of pools (§5).
func (a *Allocator) firstStray(addr netip.Addr, b *ipamBlock) *ipamBlock {
	if len(a.strays) == 0 || addr.Zone() != "" {
		return b
	}
	lowest := addr.BitLen() - 12 // no block is larger than block.MaxSize
	for bits := addr.BitLen(); bits >= lowest; bits-- {
		stray := a.strays[netip.PrefixFrom(addr, bits).Masked()]
		if stray != nil && (b == nil || compareNames(stray, b) < 0) {
			b = stray
		}
	}
	return b
}

// block returns the block cidr, or nil.
func (a *Allocator) block(cidr netip.Prefix) *ipamBlock {
	if pb := a.poolOfBlock(cidr); pb != nil {
		if l := pb.tree.Get(pb.pool.IndexOf(cidr.Addr())); l != nil && l.Value.CIDR() == cidr {
			return l.Value
		}
		return nil
	}
	return a.strays[cidr]
}

// poolOfBlock returns the pool that cidr is a block of: one that contains it and
// whose blocks have its size. It is nil for strays.
func (a *Allocator) poolOfBlock(cidr netip.Prefix) *poolBlocks {
	if pb := a.poolOf(cidr.Addr()); pb != nil && pb.pool.BlockSize() == cidr.Bits() {
		return pb
	}
	return nil
}

// add adds a new block.
func (a *Allocator) add(b *ipamBlock) {
	a.note(b)
	a.reserve(b)
	b.leaf.MayBeFree, b.leaf.MayBeEmpty = maybe(b)
	pb := a.poolOfBlock(b.CIDR())
	if b.pool = pb; pb == nil {
		a.strays[b.CIDR()] = b
		return
	}
	b.leaf.Value = b
	b.leaf.At = pb.pool.IndexOf(b.CIDR().Addr())
	pb.tree.Insert(&b.leaf)
}

// remove removes a block, with any owner.
func (a *Allocator) remove(b *ipamBlock) {
	b.setOwner(nil, 0)
	b.gone = true
	if b.pool != nil {
		b.pool.tree.Remove(&b.leaf)
	} else {
		delete(a.strays, b.CIDR())
	}
	a.note(b)
}

// setOwner sets the owner of the block, nil for none, and its claim time.
func (b *ipamBlock) setOwner(o *owner, claimed int64) {
	if b.owner != nil {
		b.owner.dropBlock(b)
	}
	if o != nil {
		o.addBlock(b)
	}
	b.owner, b.claimed = o, claimed
}

// write ends a write of the block (§6).
func (a *Allocator) write(b *ipamBlock) {
	a.commit(b)
	a.note(b)
}

// commit is write for whoever notes the block. Each of the two is inlined, and both
// together would not be.
func (a *Allocator) commit(b *ipamBlock) {
	b.Commit()
	a.lastSeq = max(a.lastSeq, b.Seq())
}

// writeTaken writes the block after addresses were taken from it. It updates the
// summaries only when no address is left. So they may call a block empty that has
// addresses in use, until a search visits it: otherwise every other write would
// change them where single pods come and go.
func (a *Allocator) writeTaken(b *ipamBlock) {
	a.commit(b)
	a.note(b)
	if b.leaf.MayBeEmpty && b.InUse() > 1 || b.leaf.MayBeFree && b.FreeUnreserved(b.reserved) == 0 {
		b.refresh()
	}
}

// writeReleased writes the block after addresses were released or collected, or
// deletes it if it is empty and has no owner (§6).
func (a *Allocator) writeReleased(b *ipamBlock) {
	if b.owner == nil && b.Empty(a.cold) {
		a.remove(b)
		return
	}
	a.commit(b)
	a.note(b)
	if !b.leaf.MayBeFree || !b.leaf.MayBeEmpty {
		b.refresh()
	}
}

// refresh updates the tree's summaries of the block.
func (b *ipamBlock) refresh() {
	free, empty := maybe(b)
	if b.leaf.MayBeFree == free && b.leaf.MayBeEmpty == empty {
		return
	}
	if free && b.owner != nil {
		b.owner.reopen()
	}
	b.leaf.MayBeFree, b.leaf.MayBeEmpty = free, empty
	if b.pool != nil {
		b.pool.tree.Update(&b.leaf)
	}
}

// allCold is a time at which everything has cooled down.
const allCold = block.Cold(math.MaxInt64)

// maybe reports whether the block has a free address and whether it is empty, now
// or later without being written.
func maybe(b *ipamBlock) (free, empty bool) {
	return b.Available(allCold, b.reserved) > 0, b.Empty(allCold)
}

// reserve sets the effect of the reservations on the block.
func (a *Allocator) reserve(b *ipamBlock) {
	b.reserved, b.whole = nil, false
	if !a.reservations.OverlapsPrefix(b.CIDR()) {
		return
	}
	b.whole = a.reservations.CoversPrefix(b.CIDR())
	b.reserved = new(block.Ordinals)
	for _, r := range a.reservations.RangesIn(b.CIDR()) {
		from, _ := b.Ordinal(r.From())
		to, _ := b.Ordinal(r.To())
		b.reserved.AddRange(from, to+1)
	}
}

// nextMissing returns the first number on the walk from start that has no
// block and is not reserved whole.
func (a *Allocator) nextMissing(pb *poolBlocks, start pool.Index) (pool.Index, bool) {
	at, ok := a.missingFrom(pb, start)
	if ok || start == (pool.Index{}) {
		return at, ok
	}
	if at, ok = a.missingFrom(pb, pool.Index{}); ok && at.Less(start) {
		return at, true
	}
	return pool.Index{}, false
}

// missingFrom is nextMissing without the wrap. It skips a whole range of
// reservations at a time, which may cover more blocks than can be walked.
func (a *Allocator) missingFrom(pb *poolBlocks, from pool.Index) (pool.Index, bool) {
	for {
		at, ok := pb.tree.NextMissing(from)
		if !ok {
			return at, false
		}
		cidr := pb.pool.BlockAt(at)
		if !a.reservations.CoversPrefix(cidr) {
			return at, true
		}
		r, _ := a.reservations.RangeOf(cidr.Addr())
		end := r.To()
		if poolEnd := netipx.PrefixLastIP(pb.pool.CIDR()); poolEnd.Less(end) {
			return at, false
		}
		from = pb.pool.IndexOf(end)
		// If the range ends inside this block, the block is not reserved whole and
		// comes next.
		if netipx.PrefixLastIP(pb.pool.BlockAt(from)) == end {
			if from == pb.tree.Last() {
				return at, false
			}
			from = from.Next()
		}
	}
}
