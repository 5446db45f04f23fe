package pool

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
	"net/netip"
	"strconv"
)

// Index is the number of a block in its pool, 0 for the block at the pool's first address. It has 128 bits because pools
// do: a /48 of /122 blocks has 2^74 (§2). Arithmetic is modulo 2^128.
//
// The zero value is block 0. Indices are plain values: compare them with ==, use
// them as map keys, copy and share them freely. Only String allocates.
type Index struct{ hi, lo uint64 }

// MakeIndex returns the index hi*2^64 + lo.
func MakeIndex(hi, lo uint64) Index { return Index{hi, lo} }

// Hi returns the upper 64 bits of x.
func (x Index) Hi() uint64 { return x.hi }

// Lo returns the lower 64 bits of x.
func (x Index) Lo() uint64 { return x.lo }

// IsZero reports whether x is 0.
func (x Index) IsZero() bool { return x.hi|x.lo == 0 }

// Next returns x+1, and 0 after 2^128-1. It does not wrap at a pool's end:
// p.BlockAt(x.Next()) does, and so does [Index.Low] with the pool's BlockBits.
func (x Index) Next() Index {
	lo, carry := bits.Add64(x.lo, 1, 0)
	return Index{x.hi + carry, lo}
}

// Add returns x+y modulo 2^128.
func (x Index) Add(y Index) Index {
	lo, carry := bits.Add64(x.lo, y.lo, 0)
	return Index{x.hi + y.hi + carry, lo}
}

// Sub returns x-y modulo 2^128. With [Index.Low] it gives the distance on a ring: y.Sub(x).Low(bits) is how many steps of
// Next lead from x to y in a pool of 2^bits blocks.
func (x Index) Sub(y Index) Index {
	lo, borrow := bits.Sub64(x.lo, y.lo, 0)
	return Index{x.hi - y.hi - borrow, lo}
}

// Compare returns -1, 0 or 1 as x is below, equal to or above y.
func (x Index) Compare(y Index) int {
	if x.hi != y.hi {
		return cmp.Compare(x.hi, y.hi)
	}
	return cmp.Compare(x.lo, y.lo)
}

// Less reports whether x is below y.
func (x Index) Less(y Index) bool {
	_, borrow := bits.Sub64(x.lo, y.lo, 0)
	_, borrow = bits.Sub64(x.hi, y.hi, borrow)
	return borrow != 0
}

// Low returns x modulo 2^n, for n of 0 or more; 128 and more give x. In a pool of
// 2^n blocks it wraps a number beyond the end.
func (x Index) Low(n int) Index {
	if n <= 64 {
		return Index{0, x.lo & (1<<uint(n) - 1)}
	}
	return Index{x.hi & (1<<uint(n-64) - 1), x.lo}
}

// String returns x as a decimal number.
func (x Index) String() string {
	if x.hi == 0 {
		return strconv.FormatUint(x.lo, 10)
	}
	const chunk = 1e19 // the largest power of ten in a word
	hi, rest := x.hi/chunk, x.hi%chunk
	lo, rest := bits.Div64(rest, x.lo, chunk)
	return fmt.Sprintf("%v%019d", Index{hi, lo}, rest)
}

// big returns x as a big integer.
func (x Index) big() *big.Int {
	n := new(big.Int).SetUint64(x.hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(x.lo))
}

// shl returns x*2^n for n below 64.
func (x Index) shl(n uint8) Index { return Index{x.hi<<n | x.lo>>(64-n), x.lo << n} }

// shr returns x/2^n for n below 64.
func (x Index) shr(n uint8) Index { return Index{x.hi >> n, x.lo>>n | x.hi<<(64-n)} }

// addrIndex returns an address as a number, 32 or 128 bits wide.
func addrIndex(addr netip.Addr) Index {
	if addr.Is4() {
		b := addr.As4()
		return Index{lo: uint64(binary.BigEndian.Uint32(b[:]))}
	}
	b := addr.As16()
	return Index{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// addr4 and addr6 undo addrIndex.
func (x Index) addr4() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(x.lo))
	return netip.AddrFrom4(b)
}

func (x Index) addr6() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], x.hi)
	binary.BigEndian.PutUint64(b[8:], x.lo)
	return netip.AddrFrom16(b)
}
