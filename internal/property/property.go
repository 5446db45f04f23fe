// Package property has what property tests share: the sources of a property's
// choices, and the proof that it rejects a broken variant.
//
// A property is a function from a [Source] to an error. For a property that must
// hold, rapid makes the choices, and shrinks those that break it. For a broken
// variant, which must be caught without failing the test, seeds make them; in a
// fuzz target, the fuzzer's bytes. The package is for tests only.
package property

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// Source makes the choices of a property.
type Source interface {
	// Pick returns a number in 0 to n-1, n being 1 or more. Lower is plainer:
	// rapid shrinks towards 0. Logs show the purpose.
	Pick(what string, n int) int
}

// Rapid returns a source whose choices rapid makes.
func Rapid(t *rapid.T) Source { return rapidSource{t} }

type rapidSource struct{ t *rapid.T }

func (s rapidSource) Pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(s.t, what) }

// Seeded returns a source whose choices depend only on the seed.
func Seeded(seed uint64) Source { return seededSource{rand.New(rand.NewPCG(seed, 0))} }

type seededSource struct{ r *rand.Rand }

func (s seededSource) Pick(_ string, n int) int { return s.r.IntN(n) }

// Bytes returns a source that turns every byte into a choice, two bytes if there
// are more than 256 alternatives, and picks 0 when they are used up.
func Bytes(data []byte) *ByteSource { return &ByteSource{data} }

// ByteSource is a [Source] made by [Bytes].
type ByteSource struct{ data []byte }

// Len returns how many bytes are left.
func (s *ByteSource) Len() int { return len(s.data) }

// Pick turns the next bytes into a choice.
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

// Corpus adds inputs of random bytes to a fuzz target, each of that length, always
// the same.
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

// Rejects fails the test unless the property of a broken variant fails for one of
// 200 seeds. With -short it skips the test.
func Rejects(t testing.TB, property func(Source) error) {
	t.Helper()
	Broken(t)
	const tries = 200
	for seed := range uint64(tries) {
		if err := property(Seeded(seed)); err != nil {
			t.Logf("rejected by seed %d: %v", seed, err)
			return
		}
	}
	t.Errorf("the property accepts a broken variant, %d times", tries)
}
