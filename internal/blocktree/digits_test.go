package blocktree

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/pool"
)

// digits has the functions that the property tests.
type digits struct {
	digit     func(x pool.Index, level int) uint
	withDigit func(x pool.Index, level int, d uint) pool.Index
	floor     func(x pool.Index, level int) pool.Index
}

var realDigits = digits{digit, withDigit, floor}

// tryDigits compares digits of a number with the same on big integers, and returns
// how they differ.
func tryDigits(pick chooser, impl digits) error {
	words := []uint64{0, 1, 1 << 63, 1<<64 - 1, 1<<64 - 2, 1<<60 - 1, 0xf << 60}
	word := func(what string) uint64 {
		if pick(what+" is any", 2) == 0 {
			return words[pick(what, len(words))]
		}
		// Three picks of 22 bits: an int has 32 on some machines.
		return uint64(pick(what+" high", 1<<22))<<42 ^ uint64(pick(what+" middle", 1<<22))<<21 ^ uint64(pick(what+" low", 1<<22))
	}
	at, level, d := pool.MakeIndex(word("hi"), word("lo")), pick("level", 25), uint(pick("digit", 201))

	x := toBig(at)
	span := new(big.Int).Lsh(big.NewInt(1), uint(6*level))
	above := new(big.Int).Lsh(span, 6)
	tail := new(big.Int).Mod(x, span)
	want := new(big.Int).Div(new(big.Int).Mod(x, above), span)
	// The digit replaced: x - digit*span + d*span. fromBig cuts off what does not
	// fit 128 bits.
	replaced := new(big.Int).Add(x, new(big.Int).Mul(span, new(big.Int).Sub(big.NewInt(int64(d&63)), want)))
	if got := impl.digit(at, level); uint64(got) != want.Uint64() {
		return fmt.Errorf("digit %d of %s is %d, want %s", level, at, got, want)
	}
	if got := impl.withDigit(at, level, d); got != fromBig(replaced) {
		return fmt.Errorf("%s with digit %d %d is %s, want %s", at, level, d, got, fromBig(replaced))
	}
	if got, want := impl.floor(at, level), fromBig(new(big.Int).Sub(x, tail)); got != want {
		return fmt.Errorf("floor %d of %s is %s, want %s", level, at, got, want)
	}
	return nil
}

func toBig(x pool.Index) *big.Int {
	n := new(big.Int).SetUint64(x.Hi())
	return n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(x.Lo()))
}

func fromBig(n *big.Int) pool.Index {
	n = new(big.Int).Mod(n, new(big.Int).Lsh(big.NewInt(1), 128))
	return pool.MakeIndex(new(big.Int).Rsh(n, 64).Uint64(), new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1)).Uint64())
}

func TestDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		if err := tryDigits(pick, realDigits); err != nil {
			t.Fatal(err)
		}
	})
	for seed := range uint64(2000) {
		must.NoError(t, tryDigits(seeded(seed), realDigits), must.Sprintf("seed %d", seed))
	}
}

func TestDigitsRejects(t *testing.T) {
	for what, damage := range map[string]func(*digits){
		"digit 10 is cut at the word": func(d *digits) {
			d.digit = func(x pool.Index, level int) uint {
				if level <= 10 {
					return uint(x.Lo()>>(6*level)) & 63
				}
				return digit(x, level)
			}
		},
		"withDigit does not clear": func(d *digits) {
			d.withDigit = func(x pool.Index, level int, with uint) pool.Index {
				return withDigit(x, level, with|digit(x, level))
			}
		},
		"floor forgets the low word": func(d *digits) {
			d.floor = func(x pool.Index, level int) pool.Index {
				if level > 10 {
					return pool.MakeIndex(floor(x, level).Hi(), x.Lo())
				}
				return floor(x, level)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			impl := realDigits
			damage(&impl)
			for seed := range uint64(2000) {
				if err := tryDigits(seeded(seed), impl); err != nil {
					t.Logf("caught by seed %d: %v", seed, err)
					return
				}
			}
			t.Error("never caught")
		})
	}
}

func TestDigitsAtTheWordBoundary(t *testing.T) {
	x := pool.MakeIndex(0b101_01, 0b1101<<60)
	test.Eq(t, uint(0b01_1101), digit(x, 10), test.Sprint("digit 10 is bits 60 to 65"))
	test.Eq(t, uint(0b101), digit(x, 11))
	test.EqOp(t, pool.MakeIndex(0b101_01, 0), withDigit(floor(floor(x, 10), 10), 10, 0b01_0000))
	test.EqOp(t, pool.MakeIndex(0b101_00, 0), floor(x, 11))
	highest := pool.MakeIndex(1<<64-1, 1<<64-1)
	test.Eq(t, uint(0), digit(highest, 22))
	test.Eq(t, uint(3), digit(highest, 21))
}
