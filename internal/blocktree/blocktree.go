// Package blocktree finds the blocks of one pool by number.
//
// It is a data structure and knows nothing of addresses or owners: the caller says
// what a block is and whether it has free addresses.
package blocktree

import (
	"math/bits"
	"slices"

	"github.com/ipamsim/ipamsim/pool"
)

// A Tree finds the blocks of one pool by number. It is a 64-way trie over the
// 6-bit digits of the block's number, highest digit first, and answers three
// questions without walking the pool: which is the next number without a block,
// the next empty block (docs/calico.md §5), and the next block with a free address
// (docs/calico.md §8). Every node summarizes its slots in words with one bit for
// each slot, so each answer costs a few word scans, at most two for each level: 3
// levels for a /8 of /26 blocks, 13 for a /48 of /122 blocks.
//
// A slot with a single block below it holds that block directly, at any level, so
// a huge pool costs memory for its blocks only. The zero Tree is not usable; make
// one with [New].
type Tree[V any] struct {
	root  node[V]
	top   int        // level of the root: its slots are digit number top
	slots uint       // how many slots of the root are in the pool
	last  pool.Index // the highest number
	count int        // blocks
}

// A Leaf is one block in a tree. The caller sets its fields: the place before the
// leaf is inserted, the others before that or before [Tree.Update].
type Leaf[V any] struct {
	At                    pool.Index // the block's number
	MayBeFree, MayBeEmpty bool       // it has, or may have, a free address; it is, or may be, empty
	Value                 V          // the block
}

// node is one level of a Tree. Bit i of each word describes slot i.
type node[V any] struct {
	some     uint64     // there is a block below
	full     uint64     // every block below exists
	free     uint64     // some block below has, or may have, a free address
	empty    uint64     // some block below is, or may be, empty
	children []child[V] // in slot order, one for each bit of some
}

// child is the content of a slot: a node, or the only block below it.
type child[V any] struct {
	node *node[V]
	leaf *Leaf[V]
}

// A Filter says which blocks a search finds.
type Filter uint8

// The filters.
const (
	Free  Filter = iota // has, or may have, a free address
	Empty               // is, or may be, empty
)

// New returns an empty tree for a pool of 2^blockBits blocks.
func New[V any](blockBits int) Tree[V] {
	top := max(0, (blockBits+5)/6-1)
	return Tree[V]{
		top:   top,
		slots: 1 << (blockBits - 6*top),
		last:  pool.MakeIndex(^uint64(0), ^uint64(0)).Low(blockBits),
	}
}

// Len returns the number of blocks.
func (t *Tree[V]) Len() int { return t.count }

// Last returns the highest number that the pool has.
func (t *Tree[V]) Last() pool.Index { return t.last }

// rank returns how many slots before slot d are taken.
func (n *node[V]) rank(d uint) int { return bits.OnesCount64(n.some & (1<<d - 1)) }

// Get returns block number at, or nil.
func (t *Tree[V]) Get(at pool.Index) *Leaf[V] {
	n := &t.root
	for level := t.top; ; level-- {
		d := digit(at, level)
		if n.some>>d&1 == 0 {
			return nil
		}
		c := n.children[n.rank(d)]
		if c.node == nil {
			if c.leaf.At == at {
				return c.leaf
			}
			return nil
		}
		n = c.node
	}
}

// Insert adds a block under its number, which must not be taken.
func (t *Tree[V]) Insert(l *Leaf[V]) {
	t.root.insert(l, t.top)
	t.count++
}

func (n *node[V]) insert(l *Leaf[V], level int) {
	d := digit(l.At, level)
	i := n.rank(d)
	if n.some>>d&1 == 0 {
		n.some |= 1 << d
		n.children = slices.Insert(n.children, i, child[V]{leaf: l})
	} else {
		c := &n.children[i]
		if c.node == nil {
			c.node = new(node[V])
			c.node.insert(c.leaf, level-1)
			c.leaf = nil
		}
		c.node.insert(l, level-1)
	}
	n.summarize(d, i, level)
}

// Remove removes a block, which must be in the tree.
func (t *Tree[V]) Remove(l *Leaf[V]) {
	t.root.remove(l, t.top)
	t.count--
}

func (n *node[V]) remove(l *Leaf[V], level int) {
	d := digit(l.At, level)
	i := n.rank(d)
	c := &n.children[i]
	if c.node == nil {
		n.children = slices.Delete(n.children, i, i+1)
		n.some &^= 1 << d
		n.full &^= 1 << d
		n.free &^= 1 << d
		n.empty &^= 1 << d
		return
	}
	c.node.remove(l, level-1)
	// A block that is the last below its slot moves up, so the tree is no larger
	// than its blocks need. No node is without children: it is made with two.
	if len(c.node.children) == 1 && c.node.children[0].node == nil {
		*c = c.node.children[0]
	}
	n.summarize(d, i, level)
}

// Update updates the summaries above a block after its leaf has changed.
func (t *Tree[V]) Update(l *Leaf[V]) { t.root.update(l, t.top) }

// update reports whether the node's own summary changed: if not, those above it
// need no change.
func (n *node[V]) update(l *Leaf[V], level int) bool {
	d := digit(l.At, level)
	i := n.rank(d)
	if c := n.children[i]; c.node != nil && !c.node.update(l, level-1) {
		return false
	}
	free, empty := n.free, n.empty
	n.summarize(d, i, level)
	return free != n.free || empty != n.empty
}

// summarize sets the bits of slot d, which holds child i.
func (n *node[V]) summarize(d uint, i, level int) {
	var full, free, empty bool
	if c := n.children[i]; c.node != nil {
		full, free, empty = c.node.full == ^uint64(0), c.node.free != 0, c.node.empty != 0
	} else {
		full, free, empty = level == 0, c.leaf.MayBeFree, c.leaf.MayBeEmpty
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

// Next returns the first block numbered from or higher that passes the filter, or
// nil.
func (t *Tree[V]) Next(f Filter, from pool.Index) *Leaf[V] { return t.root.next(f, from, t.top) }

func (n *node[V]) next(f Filter, from pool.Index, level int) *Leaf[V] {
	d := digit(from, level)
	for word := n.word(f) >> d << d; word != 0; word &= word - 1 {
		slot := uint(bits.TrailingZeros64(word))
		low := from
		if slot > d {
			low = pool.Index{} // every number below this slot is high enough
		}
		c := n.children[n.rank(slot)]
		if c.node == nil {
			if !c.leaf.At.Less(low) {
				return c.leaf
			}
		} else if l := c.node.next(f, low, level-1); l != nil {
			return l
		}
	}
	return nil
}

// word returns the summary that a search follows.
func (n *node[V]) word(f Filter) uint64 {
	if f == Empty {
		return n.empty
	}
	return n.free
}

// All yields all blocks, by number. The tree must not change meanwhile.
func (t *Tree[V]) All(yield func(*Leaf[V]) bool) { t.root.all(yield) }

func (n *node[V]) all(yield func(*Leaf[V]) bool) bool {
	for i := range n.children {
		c := &n.children[i]
		if c.node != nil && !c.node.all(yield) || c.node == nil && !yield(c.leaf) {
			return false
		}
	}
	return true
}

// NextMissing returns the first number, from or higher, that has no block.
func (t *Tree[V]) NextMissing(from pool.Index) (pool.Index, bool) {
	return t.root.nextMissing(from, t.top, t.slots)
}

func (n *node[V]) nextMissing(from pool.Index, level int, slots uint) (pool.Index, bool) {
	d := digit(from, level)
	for {
		word := ^n.full >> d << d
		d = uint(bits.TrailingZeros64(word))
		if d >= slots { // 64 if the word is 0
			return pool.Index{}, false
		}
		at := from
		if d > digit(from, level) {
			at = floor(withDigit(from, level, d), level)
		}
		if n.some>>d&1 == 0 {
			return at, true
		}
		switch c := n.children[n.rank(d)]; {
		case c.node != nil:
			if found, ok := c.node.nextMissing(at, level-1, 64); ok {
				return found, true
			}
		case c.leaf.At != at:
			return at, true
		default: // a single block at this number: try the next one, if it is in the slot
			if next := at.Next(); floor(next, level) == floor(at, level) {
				return next, true
			}
		}
		if d++; d == 64 {
			return pool.Index{}, false
		}
	}
}

// A Walk visits the blocks of a tree that pass a filter, once round from a start
// number, in the order of docs/calico.md §2. Blocks may change or go between two
// steps.
type Walk[V any] struct {
	tree    *Tree[V]
	filter  Filter
	start   pool.Index
	at      pool.Index // where the search goes on; the start to begin with
	wrapped bool       // past the last number, searching [0, start)
	done    bool
}

// Walk returns a walk that begins at start.
func (t *Tree[V]) Walk(f Filter, start pool.Index) Walk[V] {
	return Walk[V]{tree: t, filter: f, start: start, at: start}
}

// Next returns the next block, or nil at the end of the round.
func (w *Walk[V]) Next() *Leaf[V] {
	for !w.done {
		l := w.tree.Next(w.filter, w.at)
		if w.wrapped && (l == nil || !l.At.Less(w.start)) {
			w.done = true
			return nil
		}
		if l == nil {
			w.wrap()
			continue
		}
		if l.At == w.tree.last {
			w.wrap()
		} else {
			w.at = l.At.Next()
		}
		return l
	}
	return nil
}

// wrap continues at number 0, once.
func (w *Walk[V]) wrap() {
	w.done = w.wrapped
	w.wrapped, w.at = true, pool.Index{}
}
