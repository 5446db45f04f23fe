package block

import "iter"

// The queue is a ring of cells. It begins at place head and has one ordinal at
// each of the next b.free places. Taking the first and pushing one touch one place
// each. To take an ordinal from the middle, cut moves those before it one place
// up; only requests for a certain address, and reservations, need that.

// at returns the i-th ordinal of the queue, and put puts one there.
func (b *Block) at(i int) uint16 {
	place := (int(b.head) + i) & int(b.size-1)
	if place < len(b.cells) {
		return b.cells[place].queue
	}
	return uint16(place)
}

func (b *Block) put(i int, ord uint16) {
	place := (int(b.head) + i) & int(b.size-1)
	if place >= len(b.cells) {
		b.grow(place + 1)
	}
	b.cells[place].queue = ord
}

// first removes the first ordinal of the queue, which must not be empty. The
// caller must call allot next.
func (b *Block) first() uint16 {
	ord := b.at(0)
	b.head++
	return ord
}

// cut removes ord, which must be free, from the queue. The caller must call allot
// next.
func (b *Block) cut(ord uint16) {
	i := 0
	for b.at(i) != ord {
		i++
	}
	b.moveUp(i, 1)
	b.head++
}

// moveUp moves the first n ordinals of the queue by places up.
func (b *Block) moveUp(n, places int) {
	for i := n - 1; i >= 0; i-- {
		b.put(i+places, b.at(i))
	}
}

// allot makes ord, which has left the queue, point at a record.
func (b *Block) allot(ord, record uint16, seq uint64) {
	if int(ord) >= len(b.cells) {
		b.grow(int(ord) + 1)
	}
	c := &b.cells[ord]
	c.record, c.seq = record, seq
	b.free--
	*b.wordOf(ord) |= 1 << (ord % 64)
}

// push frees ord, which must not be free, and puts it at the tail of the queue.
func (b *Block) push(ord uint16) {
	c := &b.cells[ord]
	c.record, c.seq = 0, 0
	b.put(int(b.free), ord)
	b.free++
	*b.wordOf(ord) &^= 1 << (ord % 64)
}

// isFree reports whether ord, which the block must have, is free.
func (b *Block) isFree(ord uint16) bool { return int(ord) >= len(b.cells) || b.cells[ord].record == 0 }

// wordOf returns the word of the bitmap that has the bit of ord.
func (b *Block) wordOf(ord uint16) *uint64 {
	if ord < 64 {
		return &b.word
	}
	return &b.more[ord/64-1]
}

// words returns the number of words of the bitmap.
func (b *Block) words() int { return 1 + len(b.more) }

// usedWord returns the ordinals of the i-th word that are not free.
func (b *Block) usedWord(i int) uint64 {
	if i == 0 {
		return b.word
	}
	return b.more[i-1]
}

// freeWord returns the free ordinals of the i-th word.
func (b *Block) freeWord(i int) uint64 {
	w := ^b.usedWord(i)
	if size := b.size; size < 64 {
		w &= 1<<size - 1
	}
	return w
}

// Queue yields the free ordinals in the order in which they will be given out, as
// last written. The block must not be changed meanwhile.
func (b *Block) Queue() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range int(b.free) {
			if !yield(int(b.at(i))) {
				return
			}
		}
	}
}
