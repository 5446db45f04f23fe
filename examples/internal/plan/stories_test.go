package plan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam/sim"
)

// TestStories runs the six stories and compares what their files say of the end.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../../plan/stories/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 6)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			require.NoError(t, err)
			defer f.Close()
			entries, err := sim.Read(name, f)
			require.NoError(t, err)
			require.Greater(t, len(entries), 1)
			for _, e := range entries {
				require.NotEmpty(t, e.Want, "%s: says nothing of the end", e.Name)
				got, err := sim.Run(e.Scenario, sim.Options{})
				require.NoError(t, err)
				require.Empty(t, e.Differences(&got), e.Name)
			}
		})
	}
}
