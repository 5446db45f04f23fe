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
	total := 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r, err := Open(file)
			require.NoError(t, err)
			defer r.Close()
			result, err := Replay(r)
			require.NoError(t, err)
			total += result.Operations
			for i, d := range result.Divergences {
				if i == 3 {
					t.Errorf("and %d more", len(result.Divergences)-i)
					break
				}
				t.Errorf("%v", &d)
			}
		})
	}
	require.Equal(t, 45207, total)
}
