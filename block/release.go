package block

import (
	"math/bits"
	"time"
)

// Release releases ordinals, as one release of Calico's does (§9). First it
// collects what had cooled down by cold, as [Block.Collect] does. Then the given
// ones, in any order, lose handle and attributes. If what is released at now has
// already cooled down by cold (a cooldown of 0), they go to the tail of the queue
// in ascending order; else they share one cooling record of this release, stamped
// with the whole seconds of now, and stay in use with the sequence number that
// they have (see [Block.Renumber]). Without ordinals it only collects.
//
// Each ordinal must be allocated, not cooling, and given only once, or Release
// panics: the caller checks. Release does not change the slice.
func (b *Block) Release(ords []int, now time.Time, cold Cold) {
	at := now.Unix()
	if len(ords) != 1 || at > int64(cold) || b.oldest <= int64(cold) {
		b.releaseAll(ords, at, cold)
		return
	}
	// The usual case: one ordinal, no cooldown, and nothing else cools in the
	// block.
	rec := b.held(ords[0])
	b.unrefer(rec)
	b.push(uint16(ords[0]))
}

// releaseAll is Release for the general case.
func (b *Block) releaseAll(ords []int, at int64, cold Cold) {
	b.Collect(cold)
	if len(ords) == 0 {
		return
	}
	// A bitmap sorts the ordinals and finds duplicates.
	var given [MaxSize / 64]uint64
	for _, ord := range ords {
		b.held(ord)
		if given[ord/64]>>(ord%64)&1 != 0 {
			panic("block: Release of an ordinal given twice")
		}
		given[ord/64] |= 1 << (ord % 64)
	}
	cooling := uint16(0)
	for i := range b.words() {
		for w := given[i]; w != 0; w &= w - 1 {
			ord := uint16(i*64 + bits.TrailingZeros64(w))
			if at <= int64(cold) {
				b.release(ord)
				continue
			}
			c := &b.cells[ord]
			b.unrefer(c.record)
			if cooling == 0 {
				cooling = b.newRecord()
				b.cool(cooling, at)
			}
			c.record = cooling
			b.records[cooling].refs++
		}
	}
	if cooling != 0 {
		b.cold += uint16(len(ords))
		b.oldest = min(b.oldest, at)
	}
}

// ReleaseInOrder releases ordinals and puts them at the tail of the queue in the
// order given, as Calico did before it had a cooldown (§16). If keep is true they
// keep their sequence numbers until they are allocated again.
//
// Each ordinal must be allocated, not cooling, and given only once, or
// ReleaseInOrder panics: the caller checks. It does not change the slice.
func (b *Block) ReleaseInOrder(ords []int, keep bool) {
	for _, ord := range ords {
		rec, seq := b.held(ord), b.cells[ord].seq
		b.unrefer(rec)
		b.push(uint16(ord))
		if keep {
			b.cells[ord].seq = seq
		}
	}
}

// Renumber gives the block's current sequence number to those of the ordinals that
// are cooling. A release of single addresses does that, one of a whole handle does
// not (§6).
func (b *Block) Renumber(ords []int) {
	if b.cold == 0 {
		return
	}
	for _, ord := range ords {
		if !b.isFree(uint16(ord)) && b.records[b.cells[ord].record].cooling() {
			b.cells[ord].seq = b.seq
		}
	}
}

// held returns the slot of an ordinal's record. It panics unless the ordinal is
// allocated and not cooling down.
func (b *Block) held(ord int) uint16 {
	if b.has(ord) {
		if i := b.cell(ord).record; i != 0 && !b.records[i].cooling() {
			return i
		}
	}
	panic("block: Release of an ordinal that nobody holds")
}

// release makes an ordinal, allocated or cooling, free.
func (b *Block) release(ord uint16) {
	b.unrefer(b.cells[ord].record)
	b.push(ord)
}

// unrefer removes one reference to a record, and the record with the last one.
func (b *Block) unrefer(i uint16) {
	r := &b.records[i]
	if r.refs--; r.refs == 0 {
		b.dropRecord(i, r)
	}
}
