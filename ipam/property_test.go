package ipam_test

import (
	"fmt"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

// TestMachine compares an allocator with the model after every operation.
func TestMachine(t *testing.T) { testMachine(t, false) }

// TestMachineRaw does the raw edits too, which may make objects inconsistent, but
// never break the structure or the promises about addresses.
func TestMachineRaw(t *testing.T) { testMachine(t, true) }

func testMachine(t *testing.T, raw bool) {
	property.Check(t, 300, 30, func(t *rapid.T) {
		m, err := newMachine(property.Rapid(t), realAllocator, raw)
		must.NoError(t, err)
		do := make(map[string]func(*rapid.T))
		for _, a := range m.actions {
			do[a.name] = func(t *rapid.T) {
				m.src = property.Rapid(t)
				if err := m.step(a); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Repeat(do)
	})
}

// run drives the subject that make returns for that many steps, by a seed, and
// returns the machine's complaint.
func run(seed uint64, steps int, make makeSubject, raw bool) (*machine, error) {
	src := property.Seeded(seed)
	m, err := newMachine(src, make, raw)
	if err != nil {
		return nil, err
	}
	for range steps {
		if err := m.step(m.actions[src.Pick("action", len(m.actions))]); err != nil {
			return m, fmt.Errorf("seed %d: %w", seed, err)
		}
	}
	return m, nil
}

// TestMachineBySeed takes longer walks than rapid does, the same every time.
func TestMachineBySeed(t *testing.T) {
	for _, raw := range []bool{false, true} {
		for seed := range uint64(property.Times(60)) {
			_, err := run(seed, 150, realAllocator, raw)
			must.NoError(t, err)
		}
	}
}
