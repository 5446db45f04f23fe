// Package property is what the property tests share: where a property's choices
// come from, and the proof that it rejects a broken variant.
//
// A property is a function from a [Source] to an error. Rapid makes the choices
// of one that has to hold, and shrinks those that break it; seeds make them
// where a broken variant has to be caught without failing the test; a fuzzer's
// bytes make them in a fuzz target. It is for tests only.
package property

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// Source makes the choices of a property.
type Source interface {
	// Pick returns a number in 0 to n-1, n being 1 or more. The lower, the
	// plainer: rapid shrinks towards 0. What it is for is told in logs.
	Pick(what string, n int) int
}

// Rapid returns a source whose choices rapid makes.
func Rapid(t *rapid.T) Source { return rapidSource{t} }

type rapidSource struct{ t *rapid.T }

func (s rapidSource) Pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(s.t, what) }

// Seeded returns a source whose choices follow from the seed.
func Seeded(seed uint64) Source { return seededSource{rand.New(rand.NewPCG(seed, 0))} }

type seededSource struct{ r *rand.Rand }

func (s seededSource) Pick(_ string, n int) int { return s.r.IntN(n) }

// Bytes returns a source that makes every byte a choice, two of them where there
// are more than 256 to choose from, and picks 0 when they are used up.
func Bytes(data []byte) *ByteSource { return &ByteSource{data} }

// ByteSource is a [Source] made by [Bytes].
type ByteSource struct{ data []byte }

// Len returns how many bytes are left.
func (s *ByteSource) Len() int { return len(s.data) }

// Pick makes the next bytes a choice.
func (s *ByteSource) Pick(_ string, n int) int {
	x := 0
	for range 2 {
		if len(s.data) > 0 {
			x = x<<8 | int(s.data[0])
			s.data = s.data[1:]
		}
		if n <= 256 {
			break
		}
	}
	return x % n
}

// Corpus gives a fuzz target so many inputs of so many random bytes to begin with,
// always the same.
func Corpus(f *testing.F, inputs, length int) {
	r := rand.New(rand.NewPCG(1, 1))
	for range inputs {
		data := make([]byte, length)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
}

// Rejects fails the test unless the property, which is that of a broken variant,
// finds its fault within 200 seeds. With -short it skips the test.
func Rejects(t testing.TB, property func(Source) error) {
	t.Helper()
	skipShort(t)
	const tries = 200
	for seed := range uint64(tries) {
		if err := property(Seeded(seed)); err != nil {
			t.Logf("rejected by seed %d: %v", seed, err)
			return
		}
	}
	t.Errorf("the property accepts a broken variant, %d times", tries)
}
