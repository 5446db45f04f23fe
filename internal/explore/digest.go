package explore

import (
	"math/bits"
	"net/netip"
)

// digest is a hash of 128 bits by which states are compared: among the millions
// that fit into memory a collision is unlikely. It depends only on its input.
type digest struct{ hi, lo uint64 }

// word adds a number.
func (d *digest) word(x uint64) {
	hi, lo := bits.Mul64(d.lo^x^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93)
	d.lo = lo ^ d.hi
	hi2, lo2 := bits.Mul64(d.hi^x^0xa0761d6478bd642f, 0xe7037ed1a0b428db)
	d.hi = hi ^ lo2 ^ bits.RotateLeft64(hi2, 23)
}

// flag adds a yes or no.
func (d *digest) flag(yes bool) {
	if yes {
		d.word(1)
	} else {
		d.word(0)
	}
}

// text adds a text, with its length.
func (d *digest) text(s string) {
	d.word(uint64(len(s)))
	for len(s) > 0 {
		var x uint64
		n := min(8, len(s))
		for i := range n {
			x = x<<8 | uint64(s[i])
		}
		d.word(x)
		s = s[n:]
	}
}

// addr adds an address.
func (d *digest) addr(ip netip.Addr) {
	bytes := ip.As16()
	for half := range 2 {
		var x uint64
		for _, b := range bytes[8*half : 8*half+8] {
			x = x<<8 | uint64(b)
		}
		d.word(x)
	}
}

// cidr adds a prefix.
func (d *digest) cidr(p netip.Prefix) {
	d.addr(p.Addr())
	d.word(uint64(p.Bits()))
}

// digest adds another digest.
func (d *digest) digest(other digest) {
	d.word(other.hi)
	d.word(other.lo)
}

// bag combines digests whose order does not matter.
type bag struct{ hi, lo uint64 }

func (b *bag) add(d digest) {
	b.hi += d.hi
	b.lo += d.lo
}
