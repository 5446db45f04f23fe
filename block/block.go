package block

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
)

// MaxSize is the largest number of addresses a block can have: an IPv4 /20 or an
// IPv6 /116 (§1).
const MaxSize = 4096

// Block is one block: see the package's documentation for its rules.
//
// Make one with [New] or [Restore]; the zero value and nil cannot be used. A Block
// must not be copied. It may be read concurrently while nobody writes.
//
// An ordinal is in one of three states:
//
//	       Take, TakeOrdinal, ReserveForHost
//	free ------------------------------------> allocated
//	 ^  ^                                       |     |
//	 |  '------------ Release, no cooldown -----'     | Release
//	 |                                                v
//	 '------------- Collect, Release ------------- cooling
//
// Taking and releasing does not raise the sequence number: the caller calls
// [Block.Commit] once, after all its changes.
//
// Take and Release of one address cost the same in a block of any size and with
// any number of records, unless something has cooled down: then they look once at
// everything in use.
type Block struct {
	// The fields that a pod needs when it comes or goes are first: they fit two
	// cache lines, and in a large cluster each line is a wait for memory.

	base netip.Addr // the first address
	seq  uint64
	// The ordinals that are not free as a bitmap, the first word inline: it is the
	// only one in a block of the usual size. Bits from the size on are never set.
	word   uint64
	size   uint16 // ordinals
	spare  uint16 // the first of the unused slots of records, 0 if there is none
	head   uint16 // where in the ring the queue begins, modulo the size
	free   uint16 // ordinals in the queue
	cold   uint16 // ordinals cooling down
	host   uint16 // records whose handle is HostReservedHandle
	born   uint32 // the next record's number
	oldest int64  // smallest of the releases, or never

	cells []cell // of the first ordinals, a power of two of them; see cell
	// records are slots of attribute records, empty until the first is made; slot
	// 0 never holds one.
	records []record
	// alternates are the attributes of alternate owners by slot; nil until the
	// first. Only a few addresses have any, for the time of a live migration.
	alternates map[uint16]Attrs
	// releases are the Unix seconds at which cooling records were released, by slot;
	// nil until the first.
	releases map[uint16]int64

	more []uint64  // see word
	few  [2]record // the first storage of records: most blocks of a new cluster have one
}

// cell i has three unrelated parts: the state of ordinal i, place i of the queue's
// ring, and the head of chain i of the records. One pointer reaches all three.
//
// Most blocks of a large cluster never have more than a few addresses in use. So a
// block makes cells as it needs them. Missing cells are as in a new block: ordinal
// i is free, and at place i of the ring.
type cell struct {
	seq    uint64 // the sequence number that the ordinal remembers, 0 for a free one
	record uint16 // the slot of its record, 0 for a free one
	queue  uint16 // the ordinal at this place of the ring
	bucket uint16 // the slot of the first record in this chain, 0 for none
}

// never is the oldest release of a block without cooling addresses. No time is
// that late, so one comparison shows that nothing has cooled down.
const never = math.MaxInt64

// New returns an empty block whose addresses are those of cidr, with the sequence
// number seq (in Calico the clock's UnixNano: §6). All ordinals are free and in the
// queue in ascending order. The error matches [ErrInvalidCIDR] if cidr is not
// valid, has host bits, or has more than [MaxSize] addresses.
func New(cidr netip.Prefix, seq uint64) (*Block, error) {
	b := new(Block)
	if err := b.Reset(cidr, seq); err != nil {
		return nil, err
	}
	return b, nil
}

// Reset makes b, which may be a zero Block, equal to what [New] returns. An error
// leaves b unchanged.
func (b *Block) Reset(cidr netip.Prefix, seq uint64) error {
	hostBits := cidr.Addr().BitLen() - cidr.Bits()
	if !cidr.IsValid() || cidr != cidr.Masked() || hostBits > 12 {
		return fmt.Errorf("%w %s", ErrInvalidCIDR, cidr)
	}
	size := 1 << hostBits
	*b = Block{
		base: cidr.Addr(), seq: seq,
		more:   make([]uint64, (size-1)/64),
		oldest: never,
		size:   uint16(size),
		free:   uint16(size),
	}
	b.grow(1)
	return nil
}

// grow makes at least least cells, no more than the block has ordinals: 8, 64,
// 512, …, or one for each ordinal.
func (b *Block) grow(least int) {
	n := 8
	for n < least {
		n *= 8
	}
	cells := make([]cell, min(n, int(b.size)))
	copy(cells, b.cells)
	for i := range cells {
		if i >= len(b.cells) {
			cells[i].queue = uint16(i)
		}
		cells[i].bucket = 0
	}
	b.cells = cells
	for i := range b.records { // into the chains of the larger table
		if r := &b.records[i]; r.refs > 0 && !r.cooling() {
			b.chain(uint16(i), r)
		}
	}
}

// cell returns the cell of an ordinal, which the block must have.
func (b *Block) cell(ord int) cell {
	if ord < len(b.cells) {
		return b.cells[ord]
	}
	return cell{queue: uint16(ord)}
}

// CIDR returns the block's prefix, which is also its name.
func (b *Block) CIDR() netip.Prefix { return netip.PrefixFrom(b.base, b.Bits()) }

// Bits returns the length of the block's prefix.
func (b *Block) Bits() int { return b.base.BitLen() - bits.TrailingZeros16(b.size) }

// Size returns the number of addresses, a power of two in 1 to [MaxSize].
func (b *Block) Size() int { return int(b.size) }

// has reports whether the block has that ordinal.
func (b *Block) has(ord int) bool { return uint(ord) < uint(b.size) }

// Seq returns the block's sequence number, which the next allocation remembers
// (§6).
func (b *Block) Seq() uint64 { return b.seq }

// Commit ends a write of the block: its sequence number rises by one (§6). The
// caller calls it once, after its last change.
func (b *Block) Commit() { b.seq++ }

// Addr returns the address of an ordinal, the zero Addr if the block has no such
// ordinal.
func (b *Block) Addr(ord int) netip.Addr {
	if !b.has(ord) {
		return netip.Addr{}
	}
	// The prefix has no host bits and a block is smaller than 1<<16, so the
	// ordinal only sets bits that are zero in the prefix.
	if b.base.Is4() {
		a := b.base.As4()
		return netip.AddrFrom4([4]byte{a[0], a[1], a[2] | byte(ord>>8), a[3] | byte(ord)})
	}
	a := b.base.As16()
	a[14] |= byte(ord >> 8)
	a[15] |= byte(ord)
	return netip.AddrFrom16(a)
}

// Ordinal returns the ordinal of an address and whether the block has it. No block
// has an IPv4-mapped IPv6 address or an address with a zone.
func (b *Block) Ordinal(addr netip.Addr) (ord int, ok bool) {
	if addr.Is4() {
		if !b.base.Is4() {
			return 0, false
		}
		a, base := addr.As4(), b.base.As4()
		ord := binary.BigEndian.Uint32(a[:]) - binary.BigEndian.Uint32(base[:])
		if ord >= uint32(b.size) {
			return 0, false
		}
		return int(ord), true
	}
	if !b.CIDR().Contains(addr) {
		return 0, false
	}
	a := addr.As16()
	return (int(a[14])<<8 | int(a[15])) & int(b.size-1), true
}
