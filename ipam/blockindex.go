package ipam

import (
	"math/bits"
	"slices"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/pool"
)

// A blockIndex finds the blocks of one pool by number. It is a 64-way trie over
// the 6-bit digits of the block's number, highest digit first, and answers the
// three questions of §5 and §8 without walking the pool: which is the next number
// without a block, the next block with a free address, the next empty block. Every node summarizes the slots below it in words of one
// bit a slot, so each answer costs a few word scans, at most two a level: 3
// levels for a /8 of /26 blocks, 13 for a /48 of /122 blocks.
//
// A slot with a single block below it holds that block at once, whatever the
// level, so a huge pool costs memory for its blocks only. The zero blockIndex is
// not usable; make one with newBlockIndex.
type blockIndex struct {
	root  indexNode
	top   int        // level of the root: its slots are digit number top
	slots uint       // how many slots of the root are in the pool
	last  pool.Index // the highest number
	count int        // blocks
}

// indexNode is one level of a blockIndex. Bit i of each word is about slot i.
type indexNode struct {
	some     uint64  // there is a block below
	full     uint64  // every block below exists
	free     uint64  // some block below has, or may have, a free address
	empty    uint64  // some block below is, or may be, empty
	children []child // in slot order, one for each bit of some
}

// child is what a slot holds: a node, or the only block below it.
type child struct {
	node  *indexNode
	block *ipamBlock
}

// filter names the word of a node that a search follows.
type filter uint8

const (
	anyBlock    filter = iota
	withFree           // has, or may have, a free address
	thatIsEmpty        // is, or may be, empty
)

// newBlockIndex returns an empty index of the blocks of p.
func newBlockIndex(p *pool.Pool) blockIndex {
	top := max(0, (p.BlockBits()+5)/6-1)
	return blockIndex{
		top:   top,
		slots: 1 << (p.BlockBits() - 6*top),
		last:  p.IndexOf(netipx.PrefixLastIP(p.CIDR())),
	}
}

// rank returns how many slots below slot d are taken.
func (n *indexNode) rank(d uint) int { return bits.OnesCount64(n.some & (1<<d - 1)) }

// get returns block number at, or nil.
func (t *blockIndex) get(at pool.Index) *ipamBlock {
	n := &t.root
	for level := t.top; ; level-- {
		d := at.Digit(level)
		if n.some>>d&1 == 0 {
			return nil
		}
		c := n.children[n.rank(d)]
		if c.node == nil {
			if c.block.at == at {
				return c.block
			}
			return nil
		}
		n = c.node
	}
}

// insert adds b, which must not be there, under its number.
func (t *blockIndex) insert(b *ipamBlock) {
	t.root.insert(b, t.top)
	t.count++
}

func (n *indexNode) insert(b *ipamBlock, level int) {
	d := b.at.Digit(level)
	i := n.rank(d)
	if n.some>>d&1 == 0 {
		n.some |= 1 << d
		n.children = slices.Insert(n.children, i, child{block: b})
	} else {
		c := &n.children[i]
		if c.node == nil {
			c.node = new(indexNode)
			c.node.insert(c.block, level-1)
			c.block = nil
		}
		c.node.insert(b, level-1)
	}
	n.summarize(d, i, level)
}

// remove takes out b, which must be there.
func (t *blockIndex) remove(b *ipamBlock) {
	t.root.remove(b, t.top)
	t.count--
}

func (n *indexNode) remove(b *ipamBlock, level int) {
	d := b.at.Digit(level)
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
	c.node.remove(b, level-1)
	// The last block below moves up, which keeps the index as small as its
	// blocks; a node is never without children, for it had two when it was made.
	if len(c.node.children) == 1 && c.node.children[0].node == nil {
		*c = c.node.children[0]
	}
	n.summarize(d, i, level)
}

// update brings the summaries above b in line with its flags.
func (t *blockIndex) update(b *ipamBlock) { t.root.update(b, t.top) }

// update reports whether the node's own summary changed: if not, those above it
// stand as they are.
func (n *indexNode) update(b *ipamBlock, level int) bool {
	d := b.at.Digit(level)
	i := n.rank(d)
	if c := n.children[i]; c.node != nil && !c.node.update(b, level-1) {
		return false
	}
	free, empty := n.free, n.empty
	n.summarize(d, i, level)
	return free != n.free || empty != n.empty
}

// summarize sets the bits of slot d, which holds child i.
func (n *indexNode) summarize(d uint, i, level int) {
	var full, free, empty bool
	if c := n.children[i]; c.node != nil {
		full, free, empty = c.node.full == ^uint64(0), c.node.free != 0, c.node.empty != 0
	} else {
		full, free, empty = level == 0, c.block.mayBeFree, c.block.mayBeEmpty
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

// next returns the first block numbered from or higher that passes the filter, or nil.
func (t *blockIndex) next(f filter, from pool.Index) *ipamBlock { return t.root.next(f, from, t.top) }

func (n *indexNode) next(f filter, from pool.Index, level int) *ipamBlock {
	d := from.Digit(level)
	for word := n.word(f) >> d << d; word != 0; word &= word - 1 {
		slot := uint(bits.TrailingZeros64(word))
		low := from
		if slot > d {
			low = pool.Index{} // every number below this slot is high enough
		}
		c := n.children[n.rank(slot)]
		if c.node == nil {
			if !c.block.at.Less(low) {
				return c.block
			}
		} else if b := c.node.next(f, low, level-1); b != nil {
			return b
		}
	}
	return nil
}

// word returns the summary that a search follows.
func (n *indexNode) word(f filter) uint64 {
	switch f {
	case withFree:
		return n.free
	case thatIsEmpty:
		return n.empty
	}
	return n.some
}

// nextMissing returns the first number, from or higher, that has no block.
func (t *blockIndex) nextMissing(from pool.Index) (pool.Index, bool) {
	return t.root.nextMissing(from, t.top, t.slots)
}

func (n *indexNode) nextMissing(from pool.Index, level int, slots uint) (pool.Index, bool) {
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
		switch c := n.children[n.rank(d)]; {
		case c.node != nil:
			if found, ok := c.node.nextMissing(at, level-1, 64); ok {
				return found, true
			}
		case c.block.at != at:
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

// walk goes over the blocks of an index that pass the filter, once round from a
// start number, in the order of §2. Blocks may change or go between two steps.
type walk struct {
	index   *blockIndex
	filter  filter
	start   pool.Index
	at      pool.Index // where the search goes on; the start to begin with
	wrapped bool       // past the last number, searching [0, start)
	done    bool
}

// walk returns a walk that begins at start.
func (t *blockIndex) walk(f filter, start pool.Index) walk {
	return walk{index: t, filter: f, start: start, at: start}
}

// next returns the next block, or nil at the end of the round.
func (w *walk) next() *ipamBlock {
	for !w.done {
		b := w.index.next(w.filter, w.at)
		if w.wrapped && (b == nil || !b.at.Less(w.start)) {
			w.done = true
			return nil
		}
		if b == nil {
			w.wrap()
			continue
		}
		if b.at == w.index.last {
			w.wrap()
		} else {
			w.at = b.at.Next()
		}
		return b
	}
	return nil
}

// wrap goes on at number 0, once.
func (w *walk) wrap() {
	w.done = w.wrapped
	w.wrapped, w.at = true, pool.Index{}
}
