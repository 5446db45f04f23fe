package pool_test

import (
	"errors"
	"fmt"
	"math/big"
	"os/exec"
	"strings"
	"testing"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/pool"
	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
	"pgregory.net/rapid"
)

// arithmetic has the functions that the property of Index tests.
type arithmetic struct {
	next     func(x pool.Index) pool.Index
	add, sub func(x, y pool.Index) pool.Index
	compare  func(x, y pool.Index) int
	less     func(x, y pool.Index) bool
	low      func(x pool.Index, n int) pool.Index
	decimal  func(x pool.Index) string
}

var real128 = arithmetic{
	next: pool.Index.Next, add: pool.Index.Add, sub: pool.Index.Sub,
	compare: pool.Index.Compare, less: pool.Index.Less,
	low: pool.Index.Low, decimal: pool.Index.String,
}

type indexCase struct {
	x, y pool.Index
	bits int
}

var indexCases = rapid.Custom(func(t *rapid.T) indexCase {
	word := rapid.OneOf(
		rapid.Uint64(),
		rapid.SampledFrom([]uint64{0, 1, 1 << 63, 1<<64 - 1, 1<<64 - 2, 1<<60 - 1, 0xf << 60, 10_000_000_000_000_000_000}),
	)
	return indexCase{
		x:    pool.MakeIndex(word.Draw(t, "xhi"), word.Draw(t, "xlo")),
		y:    pool.MakeIndex(word.Draw(t, "yhi"), word.Draw(t, "ylo")),
		bits: rapid.OneOf(rapid.IntRange(0, 130), rapid.SampledFrom([]int{63, 64, 65, 127, 128})).Draw(t, "bits"),
	}
})

var two128 = new(big.Int).Lsh(big.NewInt(1), 128)

func toBig(x pool.Index) *big.Int {
	n := new(big.Int).SetUint64(x.Hi())
	return n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(x.Lo()))
}

func fromBig(n *big.Int) pool.Index {
	n = new(big.Int).Mod(n, two128)
	return pool.MakeIndex(new(big.Int).Rsh(n, 64).Uint64(), new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1)).Uint64())
}

// indexProperty compares arithmetic on Index with the same on big integers modulo
// 2^128.
func indexProperty(impl arithmetic) func(indexCase) error {
	return func(c indexCase) error {
		x, y := toBig(c.x), toBig(c.y)
		return errors.Join(
			differs("next", impl.next(c.x), fromBig(new(big.Int).Add(x, big.NewInt(1)))),
			differs("add", impl.add(c.x, c.y), fromBig(new(big.Int).Add(x, y))),
			differs("sub", impl.sub(c.x, c.y), fromBig(new(big.Int).Sub(x, y))),
			differs("compare", impl.compare(c.x, c.y), x.Cmp(y)),
			differs("compare with itself", impl.compare(c.x, c.x), 0),
			differs("less", impl.less(c.x, c.y), x.Cmp(y) < 0),
			differs("low", impl.low(c.x, c.bits), fromBig(new(big.Int).Mod(x, new(big.Int).Lsh(big.NewInt(1), uint(c.bits))))),
			differs("decimal", impl.decimal(c.x), x),
		)
	}
}

func TestIndexArithmetic(t *testing.T) { holds(t, indexCases, indexProperty(real128)) }

func TestIndexCatchesBroken(t *testing.T) {
	broken := map[string]func(*arithmetic){
		"next loses the carry": func(a *arithmetic) {
			a.next = func(x pool.Index) pool.Index { return pool.MakeIndex(x.Hi(), x.Lo()+1) }
		},
		"add loses the carry": func(a *arithmetic) {
			a.add = func(x, y pool.Index) pool.Index { return pool.MakeIndex(x.Hi()+y.Hi(), x.Lo()+y.Lo()) }
		},
		"sub loses the borrow": func(a *arithmetic) {
			a.sub = func(x, y pool.Index) pool.Index { return pool.MakeIndex(x.Hi()-y.Hi(), x.Lo()-y.Lo()) }
		},
		"compare looks at the low word": func(a *arithmetic) {
			a.compare = func(x, y pool.Index) int { return pool.MakeIndex(0, x.Lo()).Compare(pool.MakeIndex(0, y.Lo())) }
		},
		"less is less or equal": func(a *arithmetic) {
			a.less = func(x, y pool.Index) bool { return x.Hi() < y.Hi() || x.Lo() <= y.Lo() }
		},
		"low is one bit short": func(a *arithmetic) {
			a.low = func(x pool.Index, n int) pool.Index { return x.Low(n - n/128) }
		},
		"decimal loses leading zeros": func(a *arithmetic) {
			a.decimal = func(x pool.Index) string {
				if x.Hi() == 0 {
					return x.String()
				}
				s := x.String()
				head, tail := s[:len(s)-19], s[len(s)-19:]
				return head + strings.TrimLeft(tail, "0")
			}
		},
	}
	for name, damage := range broken {
		t.Run(name, func(t *testing.T) {
			impl := real128
			damage(&impl)
			cases := indexCases
			if strings.HasPrefix(name, "decimal") { // few numbers show it, and these are just above 2*10^19
				cases = rapid.Map(indexCases, func(c indexCase) indexCase {
					c.x = pool.MakeIndex(1, 1_553_255_926_290_448_384+c.x.Lo()%1e17)
					return c
				})
			}
			rejects(t, cases, indexProperty(impl))
		})
	}
}

func TestIndexWordBoundary(t *testing.T) {
	test.EqOp(t, pool.MakeIndex(1, 0), pool.MakeIndex(0, 1<<64-1).Next())
	test.EqOp(t, pool.Index{}, pool.MakeIndex(1<<64-1, 1<<64-1).Next())
	test.True(t, pool.Index{}.IsZero())
	test.False(t, pool.MakeIndex(1, 0).IsZero())
	test.Eq(t, "18446744073709551616", pool.MakeIndex(1, 0).String())
	test.Eq(t, "340282366920938463463374607431768211455", fmt.Sprint(pool.MakeIndex(1<<64-1, 1<<64-1)))
}

// Searches for blocks call these at every step.
func TestIndexInlines(t *testing.T) {
	property.Slow(t) // runs the compiler
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	out, err := exec.Command(goTool, "build", "-gcflags=-m", ".").CombinedOutput()
	must.NoError(t, err, must.Sprintf("%s", out))
	for _, name := range []string{
		"MakeIndex", "Index.Hi", "Index.Lo", "Index.IsZero", "Index.Next", "Index.Add", "Index.Sub", "Index.Less",
		"Index.Low", "Use.Valid", "(*Pool).CIDR", "(*Pool).BlockBits",
		"(*Pool).Disabled", "(*Pool).Automatic", "(*Pool).Allows", "(*Pool).Contains",
	} {
		test.StrContains(t, string(out), "can inline "+name+"\n")
	}
}
