package block

import "math/bits"

// sumOf returns the hash that decides the bucket of a record. It depends on the
// handle alone, so that all records of a handle are in one bucket. Without a
// handle it depends on the attributes.
func sumOf(handle Handle, active Attrs) uint32 {
	if handle.id != "" || active.text == "" {
		return handle.hash
	}
	hash, _, _ := readText(active.text)
	return hash
}

// each has a bit in each of the eight bytes of a word.
const each = 0x0101010101010101

// readText reads a text that is not empty, once. It returns a hash, and its bytes, eight
// side by side in a word, combined by AND and by OR.
//
// Every bit of the text changes every bit of the hash about half of the time: handles
// are long and differ in a few digits anywhere, and the bucket is the last bits of the
// hash. The hash is the same in every process, so that the cost of a block is
// repeatable.
//
// The products of 16 bytes each are independent, so a long handle takes hardly
// longer than a short one.
func readText(s string) (hash uint32, all, some uint64) {
	const one, two, three = 0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3 // odd, without a pattern
	h := uint64(len(s)) * three
	all = ^uint64(0)
	for ; len(s) > 16; s = s[16:] {
		x, y := word(s), word(s[8:])
		h = bits.RotateLeft64(h, 29) + fold(x^one, y^two)
		all &= x & y
		some |= x | y
	}
	if len(s) >= 8 {
		x, y := word(s), word(s[len(s)-8:]) // the two overlap
		h ^= fold(x^one, y^three)
		all &= x & y
		some |= x | y
	} else {
		var short uint64
		for i := range len(s) {
			short = short<<8 | uint64(s[i])
			all &= uint64(s[i]) * each
			some |= uint64(s[i])
		}
		h ^= short
	}
	h = fold(h^two, three)
	return uint32(h ^ h>>32), all, some
}

// fold multiplies two words and combines the halves of the product. The low bits
// of the lower half alone would depend on low bits only.
func fold(x, y uint64) uint64 {
	high, low := bits.Mul64(x, y)
	return high ^ low
}

// word returns the first eight bytes of s as a number, in one load.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
