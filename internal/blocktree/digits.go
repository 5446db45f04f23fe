package blocktree

import "github.com/ipamsim/ipamsim/pool"

// digitBits is the width of a digit: a node has one machine word of slots.
const digitBits = 6

// digit returns the 6-bit digit of x at a level: level 0 is the lowest six bits,
// level 21 the highest two. Levels above that give 0. The level must not be negative.
func digit(x pool.Index, level int) uint {
	// A shift by 64 or more gives 0, and the unsigned 64-s and s-64 are huge where
	// they would be negative. So each term is 0 unless it has bits of the digit.
	s := uint(level) * digitBits
	return uint(x.Lo()>>s|x.Hi()<<(64-s)|x.Hi()>>(s-64)) & (1<<digitBits - 1)
}

// withDigit returns x with the digit at a level, 0 to 21, replaced by the low six
// bits of d, two at level 21. The level must not be negative; above 21 it returns
// x unchanged.
func withDigit(x pool.Index, level int, d uint) pool.Index {
	s := uint(level) * digitBits
	flip := uint64(digit(x, level)^d) & (1<<digitBits - 1)
	return pool.MakeIndex(x.Hi()^(flip>>(64-s)|flip<<(s-64)), x.Lo()^flip<<s)
}

// floor returns x with the digits below a level cleared: the first index of the
// 64^level that share x's higher digits. Level 0 gives x, 22 and more give 0. The
// level must not be negative.
func floor(x pool.Index, level int) pool.Index {
	s := uint(level) * digitBits
	if s <= 64 {
		return pool.MakeIndex(x.Hi(), x.Lo()>>s<<s)
	}
	return pool.MakeIndex(x.Hi()>>(s-64)<<(s-64), 0)
}
