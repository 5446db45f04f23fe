package block

import "fmt"

// Owner is who an address is given to. The zero value is nobody in particular: no
// handle and no attributes, which is allowed.
type Owner struct {
	// Handle is the id of the handle, empty for none.
	Handle string
	// Active are the attributes of the active owner.
	Active Attrs
}

// Take allocates the first n free ordinals of the queue to an owner, as many as
// there are, appends them to dst in that order and returns it. Reserved ordinals
// are passed over and keep their place (§1, §7). The allocations remember the
// block's current sequence number. If n is not positive, or no unreserved ordinal
// is free, nothing changes.
//
// Addresses that have cooled down are not taken: call [Block.Collect] before.
// Take allocates no memory if dst has room and as many records were in use before.
func (b *Block) Take(dst []int, n int, to Owner, reserved *Ordinals) []int {
	if n <= 0 {
		return dst
	}
	ord := b.unreserved(b.head, reserved)
	if ord == b.size {
		return dst
	}
	rec := b.hold(ord, to)
	next := b.cells[ord].next
	b.pull(ord, rec)
	b.seqs[ord] = b.seq
	dst = append(dst, int(ord))
	for n--; n > 0; n-- {
		if ord = b.unreserved(next, reserved); ord == b.size {
			break
		}
		b.share(rec, ord)
		next = b.cells[ord].next
		b.pull(ord, rec)
		b.seqs[ord] = b.seq
		dst = append(dst, int(ord))
	}
	return dst
}

// unreserved returns the first ordinal of the queue from ord on that is not
// reserved; the end of the queue, whose number is the size, if there is none.
func (b *Block) unreserved(ord uint16, reserved *Ordinals) uint16 {
	if reserved != nil {
		for ord != b.size && reserved.Contains(int(ord)) {
			ord = b.cells[ord].next
		}
	}
	return ord
}

// TakeOrdinal allocates one certain ordinal to an owner, from wherever it is in the
// queue and reserved or not (§9 AssignIP). It remembers the block's current
// sequence number. The error matches [ErrOrdinal] if the block has no such ordinal,
// and [ErrTaken] if it is allocated or cooling down; nothing changes then. One that
// has cooled down is taken until it is collected: call [Block.Collect] before.
func (b *Block) TakeOrdinal(ord int, to Owner) error {
	if err := b.checkFree(ord); err != nil {
		return err
	}
	b.pull(uint16(ord), b.hold(uint16(ord), to))
	b.seqs[ord] = b.seq
	return nil
}

func (b *Block) checkFree(ord int) error {
	if uint(ord) >= uint(b.size) {
		return fmt.Errorf("%w: %d in %s", ErrOrdinal, ord, b.cidr)
	}
	if !b.isFree(uint16(ord)) {
		return fmt.Errorf("%w: %s", ErrTaken, b.Addr(ord))
	}
	return nil
}

// ReserveForHost takes the first start and the last end ordinals out of the queue
// and allocates them to an owner, in Calico always [HostReservedHandle] with the
// attribute `note` (§10). It is meant for a block that was just made. Host-reserved
// ordinals have no sequence number: theirs is 0 (§6).
//
// The error matches [ErrTooSmall] if the block has fewer than start+end ordinals,
// [ErrOrdinal] if start or end is negative, and [ErrTaken] if one of them is not
// free; nothing changes then.
func (b *Block) ReserveForHost(start, end int, to Owner) error {
	size := int(b.size)
	switch {
	case start < 0 || end < 0:
		return fmt.Errorf("%w: %d at the start and %d at the end of %s", ErrOrdinal, start, end, b.cidr)
	case start > size || end > size-start: // the sum may not fit an int
		return fmt.Errorf("%w: %d at the start and %d at the end of %s", ErrTooSmall, start, end, b.cidr)
	}
	reserved := func(yield func(int) bool) {
		for ord := range size {
			if (ord < start || ord >= size-end) && !yield(ord) {
				return
			}
		}
	}
	for ord := range reserved {
		if err := b.checkFree(ord); err != nil {
			return err
		}
	}
	for ord := range reserved {
		b.pull(uint16(ord), b.hold(uint16(ord), to))
	}
	return nil
}
