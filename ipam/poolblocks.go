package ipam

import (
	"math"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/blocktree"
	"github.com/ipamsim/ipamsim/pool"
)

// An ipamBlock is one IPAMBlock: the addresses, and who owns them.
type ipamBlock struct {
	block.Block

	owner   *owner // nil for nobody; otherwise the block is among its blocks
	claimed int64  // when the owner claimed it, in Unix nanoseconds

	pool *poolBlocks // whose block it is; nil for a stray

	// What the reservations in force mean for this block.
	reserved *block.Ordinals // nil for none
	whole    bool            // reserved whole: skipped when a block is sought

	// Its place in the pool's tree, and what the summaries there say of it. A block
	// with cooling addresses may become free or empty without being written, and one
	// that is used for a single address after the other is empty every other time, so
	// these err on the side of yes; whoever follows them looks at the block itself.
	leaf blocktree.Leaf[*ipamBlock]

	gone bool // deleted; handles may still count in it
}

// ownerID returns who owns the block, the zero Owner for nobody.
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

// rejects reports whether the pool, being enabled, does not select the owner: what
// the owner has there goes back when it is empty. Blocks of disabled pools are left
// alone (§3, §9).
func (pb *poolBlocks) rejects(o *owner) bool {
	return !pb.pool.Disabled() && !pb.pool.SelectsNode(o.labels)
}

// An owner is who claims blocks, with what it claims and owns. It is known while
// there is any of that, or a node of its name.
type owner struct {
	id     affinity.Owner
	node   bool              // there is a node of its name
	labels map[string]string // of the node
	claims *affinity.Claims
	// blocks are those whose affinity names this owner, in no order. Usually
	// each has its claim, but claims can be lost.
	blocks []*ipamBlock

	version uint64  // counts changes of the node and of which blocks there are
	plans   [2]plan // for IPv4 and IPv6
	walk    start   // the last one that startOf returned

	oneBlock [1]*ipamBlock // room for what most owners have
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

// openOwner returns the owner called id, a new one if need be.
func (a *Allocator) openOwner(id affinity.Owner) *owner {
	o := a.known(id)
	if o == nil {
		o = &owner{id: id, claims: a.claims.Open(id)}
		o.blocks = o.oneBlock[:0]
		a.ownersOf(id.Type)[id.Name] = o
	}
	return o
}

// forget drops an owner about which there is nothing left to know.
func (a *Allocator) forget(o *owner) {
	if o == nil || o.node || o.claims.Len() > 0 || len(o.blocks) > 0 {
		return
	}
	delete(a.ownersOf(o.id.Type), o.id.Name)
	a.claims.Forget(o.id)
}

// setNode says whether there is a node of the owner's name, and what labels it has.
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

// startOf returns where the owner's walk over the pool begins (§2). A node that borrows
// asks again and again, so the owner keeps the answer, unless it depends on the time.
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

// poolOf returns the pool that contains addr, with its blocks, or nil. Requests
// stay with one pool for long, so the last one found is looked at first.
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

// firstStray returns the first by name of the strays that hold addr and of b, which
// may be nil. Several can hold it: strays may overlap, other strays as well as blocks
// of pools (§5).
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

// add files a block that exists from now on.
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

// remove takes a block out, whoever owned it.
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

// setOwner makes o, or nobody, the owner of the block, claimed at that moment.
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
	b.Commit()
	a.lastSeq = max(a.lastSeq, b.Seq())
	a.note(b)
}

// writeTaken writes the block after something was taken from it. It is told in
// the summaries when nothing is left. They go on calling a block empty that has
// one address in use, until a search comes upon it: where single pods come and
// go, every other write would change them.
func (a *Allocator) writeTaken(b *ipamBlock) {
	a.write(b)
	if b.leaf.MayBeEmpty && b.InUse() > 1 || b.leaf.MayBeFree && b.FreeUnreserved(b.reserved) == 0 {
		b.refresh()
	}
}

// writeReleased writes the block after something was released or collected from
// it, or deletes it when it is empty and nobody's (§6).
func (a *Allocator) writeReleased(b *ipamBlock) {
	if b.owner == nil && b.Empty(a.cold) {
		a.remove(b)
		return
	}
	a.write(b)
	if !b.leaf.MayBeFree || !b.leaf.MayBeEmpty {
		b.refresh()
	}
}

// refresh brings the tree in line with the block.
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

// allCold is a moment by which everything has cooled down.
const allCold = block.Cold(math.MaxInt64)

// maybe tells whether the block has, or may have later without being written,
// a free address, and whether it is or may be empty.
func maybe(b *ipamBlock) (free, empty bool) {
	return b.Available(allCold, b.reserved) > 0, b.Empty(allCold)
}

// reserve works out what the reservations mean for the block.
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

// missingFrom is nextMissing without the wrap. Reservations are jumped over a
// whole range at a time, for one may cover more blocks than can be walked.
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
		// The range may end inside this block, which is then not reserved
		// whole and is looked at next.
		if netipx.PrefixLastIP(pb.pool.BlockAt(from)) == end {
			if from == pb.tree.Last() {
				return at, false
			}
			from = from.Next()
		}
	}
}
