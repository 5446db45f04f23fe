package block

import (
	"fmt"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

// TestMachine compares a Block with the model after every operation.
func TestMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := newMachine(property.Rapid(t), allSizes, realBlock)
		must.NoError(t, err)
		do := make(map[string]func(*rapid.T))
		for i, a := range actions {
			do[a.name] = func(t *rapid.T) {
				m.src = property.Rapid(t)
				if err := m.step(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Repeat(do)
	})
}

// run drives the subject that make returns for that many steps, by a seed.
func run(seed uint64, steps int, make makeSubject) error {
	src := property.Seeded(seed)
	m, err := newMachine(src, allSizes, make)
	if err != nil {
		return err
	}
	for range steps {
		if err := m.step(src.Pick("action", len(actions))); err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return nil
}

func TestMachineBySeed(t *testing.T) {
	for seed := range uint64(property.Times(120)) {
		must.NoError(t, run(seed, 120, realBlock))
	}
	for seed := range uint64(property.Times(20)) {
		must.NoError(t, run(seed, 120, broken(faultless)), must.Sprint("the model against itself"))
	}
}

// TestMachineRejects: the machine finds every fault of a broken model.
func TestMachineRejects(t *testing.T) {
	property.Broken(t)
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
	property.Corpus(f, 8, 300)
	f.Fuzz(func(t *testing.T, data []byte) {
		src := property.Bytes(data[:min(len(data), 1000)])
		m, err := newMachine(src, smallSizes, realBlock)
		must.NoError(t, err)
		for src.Len() > 0 {
			if err := m.step(src.Pick("action", len(actions))); err != nil {
				t.Fatal(err)
			}
		}
	})
}
