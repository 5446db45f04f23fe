package block

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
)

// MaxSize is the largest number of addresses a block can have: an IPv4 /20 or an
// IPv6 /116 (§1).
const MaxSize = 4096

// HostReservedHandle is the handle of the addresses at both ends of a block that
// are set aside for a Windows host. They are in use, but a block with no other
// allocation is empty (§10).
const HostReservedHandle = "windows-reserved-ipam-handle"

// IsHostReserved reports whether a handle is [HostReservedHandle], in capital or
// small letters: Calico compares it in lower case (§10).
func IsHostReserved(handle string) bool {
	// Few handles begin with a w.
	return len(handle) >= len(HostReservedHandle) && handle[0]|0x20 == HostReservedHandle[0] && strings.ToLower(handle) == HostReservedHandle
}

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
	cidr netip.Prefix
	seq  uint64

	// The ordinals that are not free as a bitmap, the first word inline: it is the
	// only one in a block of the usual size. Bits from the size on are never set.
	word uint64
	more []uint64

	cells []cell // of the first ordinals, a power of two of them; see cell

	// records are slots of attribute records, empty until the first is made; slot
	// 0 never holds one. spare is the first of the unused slots, 0 if there is
	// none. few is their first storage: most blocks of a new cluster have one
	// record.
	records []record
	few     [2]record
	// alternates are the attributes of alternate owners by slot; nil until the
	// first. Only a few addresses have any, for the time of a live migration.
	alternates map[uint16]Attrs
	// releases are the Unix seconds at which cooling records were released, by slot;
	// nil until the first.
	releases map[uint16]int64

	oldest int64  // smallest of the releases, or never
	size   uint16 // ordinals
	born   uint32 // the next record's number
	spare  uint16
	head   uint16 // where in the ring the queue begins, modulo the size
	free   uint16 // ordinals in the queue
	cold   uint16 // ordinals cooling down
	host   uint16 // records whose handle is HostReservedHandle
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
	bits := cidr.Addr().BitLen() - cidr.Bits()
	if !cidr.IsValid() || cidr != cidr.Masked() || bits > 12 {
		return fmt.Errorf("%w %s", ErrInvalidCIDR, cidr)
	}
	size := 1 << bits
	*b = Block{
		cidr: cidr, seq: seq,
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
func (b *Block) CIDR() netip.Prefix { return b.cidr }

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
	if addr := b.cidr.Addr(); addr.Is4() {
		a := addr.As4()
		return netip.AddrFrom4([4]byte{a[0], a[1], a[2] | byte(ord>>8), a[3] | byte(ord)})
	}
	a := b.cidr.Addr().As16()
	a[14] |= byte(ord >> 8)
	a[15] |= byte(ord)
	return netip.AddrFrom16(a)
}

// Ordinal returns the ordinal of an address and whether the block has it. No block
// has an IPv4-mapped IPv6 address or an address with a zone.
func (b *Block) Ordinal(addr netip.Addr) (ord int, ok bool) {
	if !b.cidr.Contains(addr) {
		return 0, false
	}
	if addr.Is4() {
		a := addr.As4()
		ord = int(a[2])<<8 | int(a[3])
	} else {
		a := addr.As16()
		ord = int(a[14])<<8 | int(a[15])
	}
	return ord & int(b.size-1), true
}
