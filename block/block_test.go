package block

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type rapidSource struct{ t *rapid.T }

func (s rapidSource) pick(what string, n int) int { return rapid.IntRange(0, n-1).Draw(s.t, what) }

type seededSource struct{ r *rand.Rand }

func (s seededSource) pick(_ string, n int) int { return s.r.IntN(n) }

// byteSource makes two bytes a choice, and only zeros when they are used up.
type byteSource struct{ data []byte }

func (s *byteSource) pick(_ string, n int) int {
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

// TestMachine holds a Block against the model in every operation.
func TestMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := newMachine(rapidSource{t}, allSizes, realBlock)
		require.NoError(t, err)
		do := make(map[string]func(*rapid.T))
		for i, a := range actions {
			do[a.name] = func(t *rapid.T) {
				m.src = rapidSource{t}
				if err := m.step(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Repeat(do)
	})
}

// run lets a machine take so many steps on what make returns, by a seed.
func run(seed uint64, steps int, make makeSubject) error {
	src := seededSource{rand.New(rand.NewPCG(seed, 0))}
	m, err := newMachine(src, allSizes, make)
	if err != nil {
		return err
	}
	for range steps {
		if err := m.step(src.pick("action", len(actions))); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return nil
}

func TestMachineBySeed(t *testing.T) {
	for seed := range uint64(120) {
		require.NoError(t, run(seed, 120, realBlock))
	}
	for seed := range uint64(20) {
		require.NoError(t, run(seed, 120, broken(faultless)), "the model against itself")
	}
}

// TestMachineRejects: the machine is worth what it can catch.
func TestMachineRejects(t *testing.T) {
	for _, f := range []fault{
		lowestFreeFirst, reservedLosePlace, reservedTaken, collectByRelease, collectTooLate, collectLast,
		releaseAsGiven, seqForgotten, seqKept, hostSeq, sharedAlternate, sharedYoungest, sharedByHandle,
		sharedNever, sharedCooling, setOwnerAlone, recordKept, recordMoved, hostNotEmpty, coolingHeld,
		coolingAvailable, commitTwice, takenOrdinalToTail,
	} {
		t.Run(string(f), func(t *testing.T) {
			for seed := range uint64(1000) {
				if run(seed, 120, broken(f)) != nil {
					t.Logf("rejected by seed %d", seed)
					return
				}
			}
			t.Error("never rejected")
		})
	}
}

func FuzzBlock(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 8 {
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		src := &byteSource{data[:min(len(data), 1000)]}
		m, err := newMachine(src, smallSizes, realBlock)
		require.NoError(t, err)
		for len(src.data) > 0 {
			if err := m.step(src.pick("action", len(actions))); err != nil {
				t.Fatal(err)
			}
		}
	})
}
