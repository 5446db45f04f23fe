package block

import (
	"math/bits"
	"time"
)

// Cold is a moment in Unix seconds: an address released at or before it has
// finished cooling down.
type Cold int64

// ColdAt returns the moment whose releases have cooled down by now: now less the
// cooldown, in whole seconds, rounded down. An address released exactly the
// cooldown ago has cooled down: elapsed >= cooldown counts (§9). With a cooldown
// of 0 that includes releases in the current second.
func ColdAt(now time.Time, cooldown time.Duration) Cold {
	if cooldown == 0 { // most clusters have no cooldown, and Add is slow
		return Cold(now.Unix())
	}
	return Cold(now.Add(-cooldown).Unix())
}

// Cooling returns the number of addresses that were released and not collected
// yet, whether they have cooled down or not.
func (b *Block) Cooling() int { return int(b.cold) }

// OldestRelease returns the earliest time of release, in Unix seconds, among the
// addresses not collected yet, and whether there are any.
func (b *Block) OldestRelease() (unixSeconds int64, ok bool) {
	if b.oldest == never {
		return 0, false
	}
	return b.oldest, true
}

// Cools reports whether an ordinal was released and not collected yet, and if so
// whether it has cooled down by cold, so that a Collect would free it. Both are
// false for an ordinal that the block does not have.
func (b *Block) Cools(ord int, cold Cold) (cooling, expired bool) {
	if !b.has(ord) || b.isFree(uint16(ord)) {
		return false, false
	}
	i := b.cells[ord].record
	return b.records[i].cooling(), b.cooled(i, cold)
}

// Collect moves every address that has cooled down by cold to the tail of the
// queue, in ascending order of ordinals, not of release times (§9), and returns
// their number. It costs one comparison if there is none. It does not raise the
// sequence number: see [Block.Commit].
func (b *Block) Collect(cold Cold) int {
	if int64(cold) < b.oldest {
		return 0
	}
	return b.collect(cold)
}

func (b *Block) collect(cold Cold) int {
	n := 0
	for i := range b.words() {
		for w := b.usedWord(i); w != 0; w &= w - 1 {
			ord := uint16(i*64 + bits.TrailingZeros64(w))
			if b.cooled(b.cells[ord].record, cold) {
				b.release(ord)
				n++
			}
		}
	}
	b.cold -= uint16(n)
	b.oldest = never
	for _, at := range b.releases {
		b.oldest = min(b.oldest, at)
	}
	return n
}

// expired returns the number of addresses that have cooled down by cold and are
// not reserved.
func (b *Block) expired(cold Cold, reserved *Ordinals) int {
	n := 0
	for i := range b.words() {
		for w := b.usedWord(i) &^ reserved.at(i); w != 0; w &= w - 1 {
			if b.cooled(b.cells[i*64+bits.TrailingZeros64(w)].record, cold) {
				n++
			}
		}
	}
	return n
}
