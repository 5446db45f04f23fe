package protocol

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// free is the entry in a block's Index of an ordinal without a record.
const free = -1

// newBlock returns an empty block of the owner, with all ordinals in the queue
// except those reserved for the host.
func newBlock(cidr netip.Prefix, owner affinity.Owner, now time.Time, seq uint64, reserve *ipam.HostReservation) *Block {
	b := &Block{CIDR: cidr, Owner: owner, Claimed: now.UTC(), Sequence: seq}
	size := 1 << (cidr.Addr().BitLen() - cidr.Bits())
	b.Sequences = make([]uint64, size)
	for ord := range size {
		b.Queue = append(b.Queue, ord)
		b.Index = append(b.Index, free)
	}
	if reserve != nil {
		for ord := range size {
			if ord < reserve.StartOfBlock || ord >= size-reserve.EndOfBlock {
				b.take(ord, reservedRecord(reserve))
				b.Sequences[ord] = 0
			}
		}
	}
	return b
}

// addr returns the address of an ordinal.
func (b *Block) addr(ord int) netip.Addr {
	s := ipam.BlockState{CIDR: b.CIDR}
	return s.Addr(ord)
}

// ordinal returns the ordinal of an address of the block.
func (b *Block) ordinal(ip netip.Addr) int {
	bytes, first := ip.AsSlice(), b.CIDR.Addr().AsSlice()
	ord := 0
	for i := range bytes {
		ord = ord<<8 + int(bytes[i]-first[i])
	}
	return ord
}

// record returns the record of an ordinal, nil for a free one.
func (b *Block) record(ord int) *Record {
	if b.Index[ord] == free {
		return nil
	}
	return &b.Records[b.Index[ord]]
}

// collect moves the addresses that have cooled down to the tail of the queue, in
// ascending order, and returns their number. Every read of a block sees them
// there, but only a write stores that (§9).
func (b *Block) collect(now time.Time, cooldown time.Duration) int {
	n := 0
	for ord := range b.Index {
		if r := b.record(ord); r != nil && !r.ReleasedAt.IsZero() && r.ReleasedAt.Unix() <= now.Add(-cooldown).Unix() {
			b.Index[ord], b.Sequences[ord] = free, 0
			b.Queue = append(b.Queue, ord)
			n++
		}
	}
	if n > 0 {
		b.dropUnused()
	}
	return n
}

// dropUnused drops the records that no ordinal points at.
func (b *Block) dropUnused() {
	used := make([]bool, len(b.Records))
	for _, i := range b.Index {
		if i != free {
			used[i] = true
		}
	}
	var kept []Record
	moved := make([]int, len(b.Records))
	for i, r := range b.Records {
		if moved[i] = len(kept); used[i] {
			kept = append(kept, r)
		}
	}
	for ord, i := range b.Index {
		if i != free {
			b.Index[ord] = moved[i]
		}
	}
	b.Records = kept
}

// available returns the free ordinals that are not reserved, in the order of
// the queue.
func (b *Block) available(reserved *pool.Reservations) []int {
	if !reserved.OverlapsPrefix(b.CIDR) {
		return slices.Clone(b.Queue)
	}
	var ords []int
	for _, ord := range b.Queue {
		if !reserved.Contains(b.addr(ord)) {
			ords = append(ords, ord)
		}
	}
	return ords
}

// empty reports whether only ordinals reserved for the host are allocated. Cooling
// addresses count as allocated.
func (b *Block) empty() bool {
	for ord := range b.Index {
		if r := b.record(ord); r != nil && !block.IsHostReserved(r.Handle) {
			return false
		}
	}
	return true
}

// take allocates a free ordinal, wherever it is in the queue. It shares the record
// of another allocation of the same handle and attributes, unless that has an
// alternate owner (§7).
func (b *Block) take(ord int, r Record) {
	i := slices.Index(b.Records, r)
	if i < 0 {
		i = len(b.Records)
		b.Records = append(b.Records, r)
	}
	b.Index[ord], b.Sequences[ord] = i, b.Sequence
	b.Queue = slices.DeleteFunc(b.Queue, func(o int) bool { return o == ord })
}

// release releases the ordinals, which must be allocated, and lets them cool down
// in a record of their own; without a cooldown they are free at once. If renumber
// is set they remember the block's sequence number, otherwise they keep their own
// (§6).
func (b *Block) release(ords []int, renumber bool, now time.Time, cooldown time.Duration) {
	b.Records = append(b.Records, Record{ReleasedAt: time.Unix(now.Unix(), 0).UTC()})
	for _, ord := range ords {
		b.Index[ord] = len(b.Records) - 1
		if renumber {
			b.Sequences[ord] = b.Sequence
		}
	}
	b.dropUnused()
	b.collect(now, cooldown)
}

// free releases the ordinals, which must be allocated, to the tail of the queue in
// the order given, as Calico did before it had a cooldown. If they keep their
// sequence numbers, they remember them until they are allocated again (§16).
func (b *Block) free(ords []int, keep bool) {
	for _, ord := range ords {
		b.Index[ord] = free
		b.Queue = append(b.Queue, ord)
		if !keep {
			b.Sequences[ord] = 0
		}
	}
	b.dropUnused()
}

// seen returns the block as if collected: a copy if that makes a difference.
func (b *Block) seen(now time.Time, cooldown time.Duration) *Block {
	if !slices.ContainsFunc(b.Records, func(r Record) bool { return !r.ReleasedAt.IsZero() }) {
		return b
	}
	c := b.Copy().(*Block)
	c.collect(now, cooldown)
	return c
}

// heldBy returns the ordinals that the handle holds, ascending: none if the block
// does not exist.
func (b *Block) heldBy(handle string) []int {
	if b == nil {
		return nil
	}
	var ords []int
	for ord := range b.Index {
		if r := b.record(ord); r != nil && handle != "" && r.Handle == handle {
			ords = append(ords, ord)
		}
	}
	return ords
}

// disown removes the block's owner.
func (b *Block) disown() { b.Owner, b.Claimed = affinity.Owner{}, time.Time{} }
