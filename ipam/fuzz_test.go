package ipam_test

import (
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// FuzzAllocator turns bytes into operations, raw edits included: nothing panics,
// and the structure and the model's checks hold. An input is a long program, so
// fuzz with -fuzzminimizetime 10x, or minimizing new inputs takes most of the
// time.
func FuzzAllocator(f *testing.F) {
	property.Corpus(f, 8, 400)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		src := property.Bytes(data[:min(len(data), 1500)])
		m, err := newMachine(src, realAllocator, true)
		must.NoError(t, err)
		for src.Len() > 0 {
			if err := m.step(m.actions[src.Pick("action", len(m.actions))]); err != nil {
				t.Fatal(err)
			}
		}
	})
}
