package block

import (
	"fmt"
	"iter"
	"math/bits"
	"time"
)

// Free returns the length of the queue, reserved ordinals included, as last
// written.
func (b *Block) Free() int { return int(b.free) }

// InUse returns the number of ordinals that are not in the queue: allocated,
// host-reserved and cooling ones, as last written (§9 GetUtilization).
func (b *Block) InUse() int { return b.Size() - int(b.free) }

// FreeUnreserved returns the number of ordinals that are free and not reserved, as
// last written. It ignores reserved ordinals that the block does not have.
func (b *Block) FreeUnreserved(reserved *Ordinals) int {
	if reserved == nil {
		return int(b.free) // inlined where a pod comes
	}
	return b.freeUnreserved(reserved)
}

func (b *Block) freeUnreserved(reserved *Ordinals) int {
	n := int(b.free)
	for i := range b.words() {
		n -= bits.OnesCount64(b.freeWord(i) & reserved.at(i))
	}
	return n
}

// Held returns the number of allocated ordinals, without cooling ones, for whose
// active attributes pass returns true. It calls pass once for each record, not for
// each ordinal.
func (b *Block) Held(pass func(active Attrs) bool) (n int) {
	for i := range b.records {
		if r := &b.records[i]; r.refs > 0 && !r.cooling() && pass(r.active) {
			n += int(r.refs)
		}
	}
	return n
}

// Available returns the number of ordinals that [Block.Take] could give after a
// [Block.Collect]: free or cooled down by cold, and not reserved (§4).
func (b *Block) Available(cold Cold, reserved *Ordinals) int {
	if reserved == nil && b.cold == 0 {
		return int(b.free) // inlined where a pod comes
	}
	return b.available(cold, reserved)
}

func (b *Block) available(cold Cold, reserved *Ordinals) int {
	n := b.FreeUnreserved(reserved)
	if b.cold > 0 && int64(cold) >= b.oldest {
		n += b.expired(cold, reserved)
	}
	return n
}

// Empty reports whether only ordinals of [HostReservedHandle] are in use, as if
// everything that has cooled down by cold had been collected (§5, §10).
func (b *Block) Empty(cold Cold) bool {
	if int(b.size-b.free-b.cold) != b.HostReserved() {
		return false
	}
	return b.cold == 0 || int64(cold) >= b.oldest && b.expired(cold, nil) == int(b.cold)
}

// AppendHandle appends the ordinals that a handle holds to dst in ascending order
// and returns it. No handle holds cooling addresses, and the zero Handle holds
// nothing (§9).
func (b *Block) AppendHandle(dst []int, handle Handle) []int {
	if handle.id == "" {
		return dst
	}
	// All records of the handle are in one chain. Usually there is one, with one
	// ordinal, and the hint is right.
	sum, id := handle.hash, handle.id
	only, held := uint16(0), 0
	for i := *b.bucket(sum); i != 0; i = b.records[i].next {
		if r := &b.records[i]; r.sum == sum && r.handle == id {
			only = i
			held += int(r.refs)
		}
	}
	if held == 0 {
		return dst
	}
	if held == 1 {
		if ord := b.records[only].hint; !b.isFree(ord) && b.cells[ord].record == only {
			return append(dst, int(ord))
		}
	}
	for i := range b.words() {
		for w := b.usedWord(i); w != 0; w &= w - 1 {
			ord := i*64 + bits.TrailingZeros64(w)
			rec := b.cells[ord].record
			if r := &b.records[rec]; rec == only || r.sum == sum && r.handle == id {
				dst = append(dst, ord)
				if held--; held == 0 {
					return dst
				}
			}
		}
	}
	return dst
}

// Holder returns the handle that holds an ordinal (empty if it has none), the
// sequence number that the ordinal remembers, and whether anyone holds it, as if
// everything that has cooled down by cold had been collected. Nobody holds a
// cooling ordinal, but it has its number. A free ordinal, or one that the block
// does not have, has the number 0 (§6, §9 ReleaseIPs), unless
// [Block.ReleaseInOrder] kept it. Holder is cheaper than [Block.Allocation].
func (b *Block) Holder(ord int, cold Cold) (handle string, seq uint64, held bool) {
	if !b.has(ord) {
		return "", 0, false
	}
	if b.isFree(uint16(ord)) {
		return "", b.cell(ord).seq, false
	}
	i := b.cells[ord].record
	if b.cooled(i, cold) {
		return "", 0, false
	}
	r := &b.records[i]
	return r.handle, b.cells[ord].seq, !r.cooling()
}

// Allocation describes an ordinal that is not free.
type Allocation struct {
	// Ordinal is in 0 to Size-1.
	Ordinal int
	// Handle is the id of the handle, empty if there is none.
	Handle string
	// Active and Alternate are the attributes of the two owners.
	Active, Alternate Attrs
	// ReleasedAt is the moment of the release in UTC, whole seconds, while the
	// address is cooling down; else the zero Time.
	ReleasedAt time.Time
	// Seq is the block's sequence number when the ordinal was allocated, or
	// released into cooldown; 0 if it is host-reserved.
	Seq uint64
	// Record is the number of its attribute record, 0-based, in what
	// [Block.Records] returns.
	Record int
}

// Allocation describes an ordinal, as last written; false if it is free or the
// block does not have it. It reads all records once.
func (b *Block) Allocation(ord int) (Allocation, bool) {
	if !b.has(ord) || b.isFree(uint16(ord)) {
		return Allocation{}, false
	}
	birth := b.records[b.cells[ord].record].birth
	rank := 0
	for i := range b.records {
		if r := &b.records[i]; r.refs > 0 && r.birth < birth {
			rank++
		}
	}
	return b.allocation(ord, rank), true
}

func (b *Block) allocation(ord, rank int) Allocation {
	r := b.public(b.cells[ord].record)
	return Allocation{
		Ordinal:    ord,
		Handle:     r.Handle,
		Active:     r.Active,
		Alternate:  r.Alternate,
		ReleasedAt: r.ReleasedAt,
		Seq:        b.cells[ord].seq,
		Record:     rank,
	}
}

// Allocations yields every ordinal that is not free, cooling ones included, as
// last written and in ascending order. The block must not be changed meanwhile.
func (b *Block) Allocations() iter.Seq[Allocation] {
	return func(yield func(Allocation) bool) {
		rank := b.ranks()
		for i := range b.words() {
			for w := b.usedWord(i); w != 0; w &= w - 1 {
				ord := i*64 + bits.TrailingZeros64(w)
				if !yield(b.allocation(ord, rank[b.cells[ord].record])) {
					return
				}
			}
		}
	}
}

// ranks returns for every slot in use its number in [Block.Records].
func (b *Block) ranks() []int {
	rank := make([]int, len(b.records))
	for n, i := range b.inOrder() {
		rank[i] = n
	}
	return rank
}

// SetOwner sets the attributes of the active and of the alternate owner of an
// allocated ordinal; nil leaves that side, and a pointer to the empty set clears
// it. Attributes belong to the record: the change shows on every ordinal that
// shares it, and decides whether later allocations share it (§9
// SetOwnerAttributes).
//
// The error matches [ErrOrdinal] if the block has no such ordinal,
// [ErrNotAllocated] if it is free, and [ErrCooling] if it was released and not
// collected yet; nothing changes then.
func (b *Block) SetOwner(ord int, active, alternate *Attrs) error {
	switch {
	case !b.has(ord):
		return fmt.Errorf("%w: %d in %s", ErrOrdinal, ord, b.CIDR())
	case b.isFree(uint16(ord)):
		return fmt.Errorf("%w: %s", ErrNotAllocated, b.Addr(ord))
	}
	i := b.cells[ord].record
	r := &b.records[i]
	if r.cooling() {
		return fmt.Errorf("%w: %s", ErrCooling, b.Addr(ord))
	}
	if alternate != nil {
		b.setAlternate(i, *alternate)
	}
	if active != nil {
		b.unchain(r)
		r.active = *active
		r.sum = sumOf(MakeHandle(r.handle), r.active)
		b.chain(i, r)
	}
	return nil
}
