package protocol

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam/trace"
)

var _ trace.Engine = (*Client)(nil)

// alone is the engine of a cluster with one client.
func alone(now func() time.Time) trace.Engine { return NewCluster().Client(nil, now) }

// TestRecordings replays every recording of the real allocator: run alone, a
// client does what the fast allocator does.
func TestRecordings(t *testing.T) {
	files, err := filepath.Glob("../../testdata/traces/*.jsonl.gz")
	require.NoError(t, err)
	require.Len(t, files, 73)
	total := 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r, err := trace.Open(file)
			require.NoError(t, err)
			defer r.Close()
			result, err := trace.ReplayOn(r, alone)
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
