package trace

import (
	"path/filepath"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// TestRecordings replays every recording of the real allocator. With -short it
// takes some of each kind.
func TestRecordings(t *testing.T) {
	for pattern, want := range map[string]struct{ files, operations int }{
		"traces/*.jsonl.gz":   {73, 45207},
		"traces-2/*.jsonl.gz": {96, 34495},
		"minimal/*.jsonl":     {37, 274},
		"releases/*.jsonl.gz": {117, 52777},
	} {
		t.Run(filepath.Dir(pattern), func(t *testing.T) {
			files, err := filepath.Glob("../../testdata/" + pattern)
			must.NoError(t, err)
			must.Len(t, want.files, files)
			if testing.Short() {
				agree(t, property.Some(files))
				return
			}
			must.Eq(t, want.operations, agree(t, files))
		})
	}
}

// agree replays recordings, each of which must end without a divergence, and
// returns how many operations they have.
func agree(t *testing.T, files []string) (operations int) {
	t.Helper()
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r, err := Open(file)
			must.NoError(t, err)
			defer r.Close()
			result, err := Replay(r, nil)
			must.NoError(t, err)
			operations += result.Operations
			for i, d := range result.Divergences {
				if i == 3 {
					t.Errorf("and %d more", len(result.Divergences)-i)
					break
				}
				t.Errorf("%v", &d)
			}
		})
	}
	return operations
}
