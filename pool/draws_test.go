package pool

import (
	"math/rand"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// TestDraws compares the computed numbers with those of the real generator, beyond
// the point from which draws uses that generator itself.
func TestDraws(t *testing.T) {
	property.Slow(t)
	seeds := []int64{0, 1, -1, modulus, -modulus, modulus - 1, 89482311, 1 << 32, 1<<63 - 1, -1 << 63, 1767225600000000000}
	for i := range int64(300) {
		seeds = append(seeds, i*0x9e3779b9)
	}
	for _, seed := range seeds {
		want := rand.New(rand.NewSource(seed))
		got := newDraws(seed)
		for j := range lag + 20 {
			must.EqOp(t, want.Uint32(), got.uint32(), must.Sprintf("number %d of seed %d", j, seed))
		}
	}
}

// TestDrawsCatchesBroken shows that the comparison sees a wrong constant.
func TestDrawsCatchesBroken(t *testing.T) {
	broken := *tables()
	broken.constant[tap(0)] ^= 1 << 40
	got := newDraws(7)
	got.tables = &broken
	must.NotEq(t, rand.New(rand.NewSource(7)).Uint32(), got.uint32())
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		d := newDraws(12345)
		d.uint32()
		d.uint32()
	}
}
