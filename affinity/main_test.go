package affinity

import (
	"flag"
	"math/rand/v2"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// long makes more and longer checks: IPAMSIM_LONG=1 go test ./affinity
var long = os.Getenv("IPAMSIM_LONG") != ""

func TestMain(m *testing.M) {
	if long {
		// Flags on the command line are parsed later and win.
		if err := flag.Set("rapid.checks", "5000"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// source makes the choices of a property: rapid, which shrinks them, or a seed.
type source interface {
	// pick returns a number in 0 to n-1.
	pick(what string, n int) int
}

type rapidSource struct{ t *rapid.T }

func (s rapidSource) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(s.t, what) }

type seededSource struct{ r *rand.Rand }

func (s seededSource) pick(_ string, n int) int { return s.r.IntN(n) }

func seeded(seed uint64) source { return seededSource{rand.New(rand.NewPCG(seed, 0))} }

// rejects fails the test unless the property, tried with seeds, finds the fault
// of a broken variant.
func rejects(t *testing.T, property func(source) error) {
	t.Helper()
	const tries = 200
	for seed := range uint64(tries) {
		if err := property(seeded(seed)); err != nil {
			t.Logf("rejected by seed %d: %v", seed, err)
			return
		}
	}
	t.Errorf("the property accepts a broken variant, %d times", tries)
}
