package ipam

import (
	"math/bits"
	"slices"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/pool"
)

// A tree finds the blocks of one pool by number. It is a 64-way trie over the
// 6-bit digits of the block's number, highest digit first, and answers the
// three questions of §5 and §8 without walking the pool: which is
// the next number without a block, the next block with a free address, the
// next empty block. Every node summarizes the slots below it in words of one
// bit a slot, so each answer costs a few word scans, at most two a level: 3
// levels for a /8 of /26 blocks, 13 for a /48 of /122 blocks.
//
// A slot with a single block below it holds that block at once, whatever the
// level, so a huge pool costs memory for its blocks only. The zero tree is not
// usable; make one with newTree.
type tree struct {
	root  node
	top   int        // level of the root: its slots are digit number top
	slots uint       // how many slots of the root are in the pool
	last  pool.Index // the highest number
	count int        // blocks
}

// node is one level of a tree. Bit i of each word is about slot i.
type node struct {
	some  uint64 // there is a block below
	full  uint64 // every block below exists
	free  uint64 // some block below has, or may have, a free address
	empty uint64 // some block below is, or may be, empty
	kids  []kid  // in slot order, one for each bit of some
}

// kid is what a slot holds: a node, or the only block below it.
type kid struct {
	node  *node
	entry *entry
}

// want names the word of a node that a search follows.
type want uint8

const (
	anyBlock    want = iota
	withFree         // has, or may have, a free address
	thatIsEmpty      // is, or may be, empty
)

// newTree returns an empty tree for the blocks of p.
func newTree(p *pool.Pool) tree {
	top := max(0, (p.BlockBits()+5)/6-1)
	return tree{
		top:   top,
		slots: 1 << (p.BlockBits() - 6*top),
		last:  p.IndexOf(netipx.PrefixLastIP(p.CIDR())),
	}
}

// rank returns how many slots below slot d are taken.
func (n *node) rank(d uint) int { return bits.OnesCount64(n.some & (1<<d - 1)) }

// get returns block number at, or nil.
func (t *tree) get(at pool.Index) *entry {
	n := &t.root
	for level := t.top; ; level-- {
		d := at.Digit(level)
		if n.some>>d&1 == 0 {
			return nil
		}
		k := n.kids[n.rank(d)]
		if k.node == nil {
			if k.entry.at == at {
				return k.entry
			}
			return nil
		}
		n = k.node
	}
}

// insert adds e, which must not be there, under its number.
func (t *tree) insert(e *entry) {
	t.root.insert(e, t.top)
	t.count++
}

func (n *node) insert(e *entry, level int) {
	d := e.at.Digit(level)
	i := n.rank(d)
	if n.some>>d&1 == 0 {
		n.some |= 1 << d
		n.kids = slices.Insert(n.kids, i, kid{entry: e})
	} else {
		k := &n.kids[i]
		if k.node == nil {
			k.node = new(node)
			k.node.insert(k.entry, level-1)
			k.entry = nil
		}
		k.node.insert(e, level-1)
	}
	n.summarize(d, i, level)
}

// remove takes out e, which must be there.
func (t *tree) remove(e *entry) {
	t.root.remove(e, t.top)
	t.count--
}

func (n *node) remove(e *entry, level int) {
	d := e.at.Digit(level)
	i := n.rank(d)
	k := &n.kids[i]
	if k.node == nil {
		n.kids = slices.Delete(n.kids, i, i+1)
		n.some &^= 1 << d
		n.full &^= 1 << d
		n.free &^= 1 << d
		n.empty &^= 1 << d
		return
	}
	k.node.remove(e, level-1)
	// The last block below moves up, which keeps the tree as small as its
	// blocks; a node never has no kid at all, for it had two when it was made.
	if len(k.node.kids) == 1 && k.node.kids[0].node == nil {
		*k = k.node.kids[0]
	}
	n.summarize(d, i, level)
}

// update brings the summaries above e in line with its flags.
func (t *tree) update(e *entry) { t.root.update(e, t.top) }

// update reports whether the node's own summary changed: if not, those above it
// stand as they are.
func (n *node) update(e *entry, level int) bool {
	d := e.at.Digit(level)
	i := n.rank(d)
	if k := n.kids[i]; k.node != nil && !k.node.update(e, level-1) {
		return false
	}
	free, empty := n.free, n.empty
	n.summarize(d, i, level)
	return free != n.free || empty != n.empty
}

// summarize sets the bits of slot d, which holds kid i.
func (n *node) summarize(d uint, i, level int) {
	var full, free, empty bool
	if k := n.kids[i]; k.node != nil {
		full, free, empty = k.node.full == ^uint64(0), k.node.free != 0, k.node.empty != 0
	} else {
		full, free, empty = level == 0, k.entry.mayBeFree, k.entry.mayBeEmpty
	}
	bit := uint64(1) << d
	n.full = setBit(n.full, bit, full)
	n.free = setBit(n.free, bit, free)
	n.empty = setBit(n.empty, bit, empty)
}

func setBit(word, bit uint64, on bool) uint64 {
	if on {
		return word | bit
	}
	return word &^ bit
}

// next returns the first block numbered from or higher that is wanted, or nil.
func (t *tree) next(w want, from pool.Index) *entry { return t.root.next(w, from, t.top) }

func (n *node) next(w want, from pool.Index, level int) *entry {
	d := from.Digit(level)
	for word := n.word(w) >> d << d; word != 0; word &= word - 1 {
		slot := uint(bits.TrailingZeros64(word))
		low := from
		if slot > d {
			low = pool.Index{} // every number below this slot is high enough
		}
		k := n.kids[n.rank(slot)]
		if k.node == nil {
			if !k.entry.at.Less(low) {
				return k.entry
			}
		} else if e := k.node.next(w, low, level-1); e != nil {
			return e
		}
	}
	return nil
}

// word returns the summary that a search follows.
func (n *node) word(w want) uint64 {
	switch w {
	case withFree:
		return n.free
	case thatIsEmpty:
		return n.empty
	}
	return n.some
}

// nextMissing returns the first number, from or higher, that has no block.
func (t *tree) nextMissing(from pool.Index) (pool.Index, bool) {
	return t.root.nextMissing(from, t.top, t.slots)
}

func (n *node) nextMissing(from pool.Index, level int, slots uint) (pool.Index, bool) {
	d := from.Digit(level)
	for {
		word := ^n.full >> d << d
		d = uint(bits.TrailingZeros64(word))
		if d >= slots { // 64 when the word is 0
			return pool.Index{}, false
		}
		at := from
		if d > from.Digit(level) {
			at = from.WithDigit(level, d).Floor(level)
		}
		if n.some>>d&1 == 0 {
			return at, true
		}
		switch k := n.kids[n.rank(d)]; {
		case k.node != nil:
			if found, ok := k.node.nextMissing(at, level-1, 64); ok {
				return found, true
			}
		case k.entry.at != at:
			return at, true
		default: // a lone block just here: its neighbour, if still in the slot
			if next := at.Next(); next.Floor(level) == at.Floor(level) {
				return next, true
			}
		}
		if d++; d == 64 {
			return pool.Index{}, false
		}
	}
}

// cycle walks the wanted blocks of a tree once round from a start number, in
// the order of §2. Blocks may change or go between two steps.
type cycle struct {
	tree    *tree
	want    want
	start   pool.Index
	at      pool.Index // where the search goes on; the start to begin with
	wrapped bool       // past the last number, searching [0, start)
	done    bool
}

// cycle returns a walk that begins at start.
func (t *tree) cycle(w want, start pool.Index) cycle {
	return cycle{tree: t, want: w, start: start, at: start}
}

// next returns the next block, or nil at the end of the round.
func (c *cycle) next() *entry {
	for !c.done {
		e := c.tree.next(c.want, c.at)
		if c.wrapped && (e == nil || !e.at.Less(c.start)) {
			c.done = true
			return nil
		}
		if e == nil {
			c.wrap()
			continue
		}
		if e.at == c.tree.last {
			c.wrap()
		} else {
			c.at = e.at.Next()
		}
		return e
	}
	return nil
}

// wrap goes on at number 0, once.
func (c *cycle) wrap() {
	c.done = c.wrapped
	c.wrapped, c.at = true, pool.Index{}
}
