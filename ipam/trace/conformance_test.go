package trace

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRecordings replays every recording of the real allocator.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("../../testdata/traces/*.jsonl.gz")
	require.NoError(t, err)
	require.Len(t, files, 73)
	require.Equal(t, 45207, agree(t, files))
}

// TestMinimalRecordings replays the recordings that show one cause each.
func TestMinimalRecordings(t *testing.T) {
	files, err := filepath.Glob("../../testdata/minimal/*.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	require.Positive(t, agree(t, files))
}

// agree replays recordings, each of which must end without a divergence, and
// returns how many operations they have.
func agree(t *testing.T, files []string) (operations int) {
	t.Helper()
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r, err := Open(file)
			require.NoError(t, err)
			defer r.Close()
			result, err := Replay(r)
			require.NoError(t, err)
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
