package block

import "fmt"

// Owner is who gets an address. The zero value has no handle and no attributes,
// which is allowed. Blocks copy what they need of an Owner; the pointer spares the
// copies on the way.
type Owner struct {
	// Handle is the handle, the zero Handle for none.
	Handle Handle
	// Active are the attributes of the active owner.
	Active Attrs
}

// Take allocates the first n free ordinals of the queue to an owner, as many as
// there are, appends them to dst in that order and returns it. Reserved ordinals
// are passed over and keep their place (§1, §7). The allocations remember the
// block's current sequence number. If n is not positive, or no unreserved ordinal
// is free, nothing changes.
//
// Take does not take addresses that have cooled down: call [Block.Collect] before.
// It allocates no memory if dst has room and the block has had as many records and
// these ordinals in use before.
func (b *Block) Take(dst []int, n int, to *Owner, reserved *Ordinals) []int {
	if reserved != nil {
		return b.takeUnreserved(dst, n, to, reserved)
	}
	if n <= 0 || b.free == 0 {
		return dst
	}
	ord := b.first()
	rec := b.hold(ord, to)
	b.allot(ord, rec, b.seq)
	dst = append(dst, int(ord))
	for n = min(n-1, int(b.free)); n > 0; n-- {
		ord = b.first()
		b.share(rec, ord)
		b.allot(ord, rec, b.seq)
		dst = append(dst, int(ord))
	}
	return dst
}

// takeUnreserved is Take with reserved ordinals. It gathers those that it passes
// over at the head, and joins them with the rest of the queue at the end.
func (b *Block) takeUnreserved(dst []int, n int, to *Owner, reserved *Ordinals) []int {
	passed, taken := 0, 0
	rec := uint16(0)
	for free := int(b.free); passed+taken < free && taken < n; {
		ord := b.at(passed + taken)
		if reserved.Contains(int(ord)) {
			if taken > 0 { // else it is at that place
				b.put(passed, ord)
			}
			passed++
			continue
		}
		if taken == 0 {
			rec = b.hold(ord, to)
		} else {
			b.share(rec, ord)
		}
		b.allot(ord, rec, b.seq)
		dst = append(dst, int(ord))
		taken++
	}
	b.moveUp(passed, taken)
	b.head += uint16(taken)
	return dst
}

// TakeOrdinal allocates one certain ordinal to an owner, at any place in the
// queue, reserved or not (§9 AssignIP). It remembers the block's current sequence
// number. The error matches [ErrOrdinal] if the block has no such ordinal, and
// [ErrTaken] if it is allocated or cooling down; nothing changes then. An ordinal
// that has cooled down counts as taken until it is collected: call [Block.Collect]
// before.
func (b *Block) TakeOrdinal(ord int, to *Owner) error {
	if err := b.checkFree(ord); err != nil {
		return err
	}
	b.cut(uint16(ord))
	b.allot(uint16(ord), b.hold(uint16(ord), to), b.seq)
	return nil
}

func (b *Block) checkFree(ord int) error {
	if !b.has(ord) {
		return fmt.Errorf("%w: %d in %s", ErrOrdinal, ord, b.CIDR())
	}
	if !b.isFree(uint16(ord)) {
		return fmt.Errorf("%w: %s", ErrTaken, b.Addr(ord))
	}
	return nil
}

// ReserveForHost takes the first start and the last end ordinals out of the queue
// and allocates them to an owner: in Calico that is always [HostReservedHandle]
// with the attribute `note` (§10). It is meant for new blocks. Host-reserved
// ordinals have no sequence number: theirs is 0 (§6).
//
// The error matches [ErrTooSmall] if the block has fewer than start+end ordinals,
// [ErrOrdinal] if start or end is negative, and [ErrTaken] if one of them is not
// free; nothing changes then.
func (b *Block) ReserveForHost(start, end int, to *Owner) error {
	size := b.Size()
	switch {
	case start < 0 || end < 0:
		return fmt.Errorf("%w: %d at the start and %d at the end of %s", ErrOrdinal, start, end, b.CIDR())
	case start > size || end > size-start: // the sum may not fit an int
		return fmt.Errorf("%w: %d at the start and %d at the end of %s", ErrTooSmall, start, end, b.CIDR())
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
		b.cut(uint16(ord))
		b.allot(uint16(ord), b.hold(uint16(ord), to), 0)
	}
	return nil
}
