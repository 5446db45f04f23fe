package block

import "math/bits"

// Ordinals is a set of ordinals: the addresses of a block that are reserved (§1).
//
// The zero value is the empty set, and so is a nil *Ordinals for every method that
// only reads. A set is filled once and then handed to a [Block], which only reads
// it; while nobody adds to it, it may be read concurrently. Do not copy a set that
// is still being filled: the copies may share memory.
type Ordinals struct {
	word uint64   // ordinals 0 to 63: all there are in a block of the usual size
	more []uint64 // ordinals from 64 on, as far as needed
}

// Add puts ord, in 0 to [MaxSize]-1, into the set. It panics if ord is out of
// range: no block has it.
func (s *Ordinals) Add(ord int) { s.AddRange(ord, ord+1) }

// AddRange puts the ordinals from, from+1, …, to-1 into the set: nothing if to is
// not above from. It panics if one of them is not in 0 to [MaxSize]-1.
func (s *Ordinals) AddRange(from, to int) {
	if from >= to {
		return
	}
	if from < 0 || to > MaxSize {
		panic("block: reserved ordinal out of range")
	}
	for s.words() <= (to-1)/64 {
		s.more = append(s.more, 0)
	}
	for ord := from; ord < to; ord++ {
		if ord < 64 {
			s.word |= 1 << ord
		} else {
			s.more[ord/64-1] |= 1 << (ord % 64)
		}
	}
}

// Contains reports whether ord, any number, is in the set.
func (s *Ordinals) Contains(ord int) bool {
	return ord >= 0 && s.at(ord/64)>>(ord%64)&1 != 0
}

// Len returns the number of ordinals in the set.
func (s *Ordinals) Len() int {
	if s == nil {
		return 0
	}
	n := bits.OnesCount64(s.word)
	for _, w := range s.more {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s *Ordinals) words() int { return 1 + len(s.more) }

// at returns the i-th word of the set, 0 beyond its end.
func (s *Ordinals) at(i int) uint64 {
	switch {
	case s == nil:
		return 0
	case i == 0:
		return s.word
	case i <= len(s.more):
		return s.more[i-1]
	}
	return 0
}
