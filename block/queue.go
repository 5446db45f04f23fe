package block

import "iter"

// cell is what a block knows about one ordinal besides its sequence number. The
// queue is a list through the cells of the free ordinals; an allocated ordinal
// needs no neighbours, so that its cell has room for the number of its record.
// Hence four bytes an ordinal. Beyond both ends is the number size, with a cell of
// its own: what is written into the neighbour of the first or the last ordinal goes
// there, to no effect.
type cell struct {
	next uint16 // free: the ordinal behind it in the queue; else: its record
	prev uint16 // free: the ordinal before it; else of no meaning
}

// push makes ord, which must not be free, free: it enters the queue at the tail.
func (b *Block) push(ord uint16) {
	cells, end, tail := b.cells, b.size, b.tail
	cells[ord] = cell{next: end, prev: tail}
	cells[tail].next = ord
	if tail == end {
		b.head = ord
	}
	b.tail = ord
	b.free++
	if ord < 64 {
		b.word |= 1 << ord
	} else {
		b.more[ord/64-1] |= 1 << (ord % 64)
	}
}

// pull takes ord, which must be free, out of the queue and leaves its cell pointing
// at a record.
func (b *Block) pull(ord, record uint16) {
	cells, end := b.cells, b.size
	c := cells[ord]
	cells[c.prev].next = c.next
	cells[c.next].prev = c.prev
	if c.prev == end {
		b.head = c.next
	}
	if c.next == end {
		b.tail = c.prev
	}
	cells[ord].next = record
	b.free--
	if ord < 64 {
		b.word &^= 1 << ord
	} else {
		b.more[ord/64-1] &^= 1 << (ord % 64)
	}
}

// isFree reports whether ord, which the block must have, is free.
func (b *Block) isFree(ord uint16) bool {
	if ord < 64 {
		return b.word>>ord&1 != 0
	}
	return b.more[ord/64-1]>>(ord%64)&1 != 0
}

// words returns the number of words of the bitmap.
func (b *Block) words() int { return 1 + len(b.more) }

// freeWord returns the free ordinals of the i-th word.
func (b *Block) freeWord(i int) uint64 {
	if i == 0 {
		return b.word
	}
	return b.more[i-1]
}

// usedWord returns the ordinals of the i-th word that are not free.
func (b *Block) usedWord(i int) uint64 {
	w := ^b.freeWord(i)
	if b.size < 64 {
		w &= 1<<b.size - 1
	}
	return w
}

// Queue yields the free ordinals in the order in which they will be given out, as
// last written. The block must not be changed meanwhile.
func (b *Block) Queue() iter.Seq[int] {
	return func(yield func(int) bool) {
		for ord := b.head; ord != b.size; ord = b.cells[ord].next {
			if !yield(int(ord)) {
				return
			}
		}
	}
}
