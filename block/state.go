package block

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// State is the whole content of a block, as last written: what Calico keeps in an
// IPAMBlock, less its owner (§1). Two blocks with equal states behave the same.
type State struct {
	// CIDR is the prefix, Seq the sequence number.
	CIDR netip.Prefix
	Seq  uint64
	// Queue are the free ordinals, head first.
	Queue []int
	// Records are the attribute records in the order in which they were made.
	Records []Record
	// Index has for every ordinal the number of its record, -1 for a free one.
	Index []int
	// Seqs has for every ordinal the sequence number it remembers: 0 for a free
	// and for a host-reserved one.
	Seqs []uint64
}

// State returns the content of the block. The caller owns it; it shares no memory
// with the block.
func (b *Block) State() State {
	s := State{
		CIDR:    b.CIDR(),
		Seq:     b.seq,
		Queue:   slices.Collect(b.Queue()),
		Records: b.Records(),
		Index:   make([]int, b.Size()),
		Seqs:    make([]uint64, b.Size()),
	}
	rank := b.ranks()
	for ord := range b.Size() {
		c := b.cell(ord)
		s.Index[ord], s.Seqs[ord] = -1, c.seq
		if c.record != 0 {
			s.Index[ord] = rank[c.record]
		}
	}
	return s
}

// Restore returns a block with the content of s, which it copies. Records that
// nothing points at are dropped, as the next release of Calico's would.
//
// The error matches [ErrInvalidCIDR] if no block can have that CIDR, else
// [ErrState] if the state contradicts itself; it names every contradiction. These
// are: an ordinal that is out of range, in the queue twice, both in the queue and
// pointing at a record, or neither; a number of no record; a list that has not one
// entry for each ordinal; a free ordinal with a sequence number; a cooling record
// with a handle or attributes, or with a fraction of a second in its release time.
func Restore(s State) (*Block, error) {
	b := new(Block)
	if err := b.Restore(s); err != nil {
		return nil, err
	}
	return b, nil
}

// Restore makes b, which may be a zero Block, equal to what the function [Restore]
// returns. After an error b must not be used.
func (b *Block) Restore(s State) error {
	if err := b.Reset(s.CIDR, s.Seq); err != nil {
		return err
	}
	if errs := contradictions(s, b.Size()); len(errs) > 0 {
		return fmt.Errorf("%w of %s: %w", ErrState, s.CIDR, errors.Join(errs...))
	}
	// The queue begins at the place of its first ordinal: as long as they follow each
	// other, all stand at the places of their own numbers.
	if len(s.Queue) > 0 {
		b.head = uint16(s.Queue[0])
	}
	if n := b.needed(s); n > len(b.cells) {
		b.grow(n)
	}
	slots := b.restoreRecords(s)
	for ord, n := range s.Index {
		if n < 0 {
			continue
		}
		rec := slots[n]
		if r := &b.records[rec]; r.cooling() {
			r.refs++
			b.cold++
			b.oldest = min(b.oldest, b.releases[rec])
		} else {
			b.share(rec, uint16(ord))
		}
		b.allot(uint16(ord), rec, s.Seqs[ord])
	}
	for i, ord := range s.Queue {
		if int(b.at(i)) != ord {
			b.put(i, uint16(ord))
		}
	}
	return nil
}

// needed returns how many cells the block needs for the content of s, with its queue
// where it begins.
func (b *Block) needed(s State) (n int) {
	for ord := range s.Index {
		if s.Index[ord] >= 0 {
			n = ord + 1
		}
	}
	for i, ord := range s.Queue {
		if place := (int(b.head) + i) & (b.Size() - 1); place != ord {
			n = max(n, place+1)
		}
	}
	return n
}

// restoreRecords makes the records of s that allocations use, and returns the slot
// of each.
func (b *Block) restoreRecords(s State) []uint16 {
	used := make([]bool, len(s.Records))
	for _, n := range s.Index {
		if n >= 0 {
			used[n] = true
		}
	}
	slots := make([]uint16, len(s.Records))
	for n, from := range s.Records {
		if !used[n] {
			continue
		}
		i := b.newRecord()
		slots[n] = i
		r := &b.records[i]
		if !from.ReleasedAt.IsZero() {
			b.cool(i, from.ReleasedAt.Unix())
			continue
		}
		r.handle, r.active = from.Handle, from.Active
		b.setAlternate(i, from.Alternate)
		if r.isHost() {
			b.host++
		}
		r.sum = sumOf(MakeHandle(r.handle), r.active)
		b.chain(i, r)
	}
	return slots
}

// contradictions returns every reason why s is no valid state of a block of this
// size.
func contradictions(s State, size int) (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(s.Index) != size || len(s.Seqs) != size {
		wrong("%d ordinals, but %d record numbers and %d sequence numbers", size, len(s.Index), len(s.Seqs))
		return errs
	}
	queued := make([]bool, size)
	for _, ord := range s.Queue {
		switch {
		case ord < 0 || ord >= size:
			wrong("queue: no ordinal %d", ord)
		case queued[ord]:
			wrong("queue: ordinal %d twice", ord)
		default:
			queued[ord] = true
		}
	}
	for ord, n := range s.Index {
		switch {
		case n < -1 || n >= len(s.Records):
			wrong("ordinal %d: no record %d", ord, n)
		case n >= 0 && queued[ord]:
			wrong("ordinal %d: in the queue, but allocated", ord)
		case n < 0 && !queued[ord]:
			wrong("ordinal %d: neither in the queue nor allocated", ord)
		case n < 0 && s.Seqs[ord] != 0:
			wrong("ordinal %d: free with sequence number %d", ord, s.Seqs[ord])
		}
	}
	for n, r := range s.Records {
		if r.ReleasedAt.IsZero() {
			continue
		}
		if r.Handle != "" || r.Active != (Attrs{}) || r.Alternate != (Attrs{}) {
			wrong("record %d: cooling with an owner", n)
		}
		if r.ReleasedAt.Nanosecond() != 0 || r.ReleasedAt.Unix() == never {
			wrong("record %d: released at %s, not a whole second", n, r.ReleasedAt.Format(time.RFC3339Nano))
		}
	}
	return errs
}
