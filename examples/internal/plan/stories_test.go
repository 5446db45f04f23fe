package plan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam/sim"
)

// TestStories runs the six stories and compares what their files say of the end.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("../../plan/stories/*.yaml")
	must.NoError(t, err)
	must.Len(t, 6, files)
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			must.NoError(t, err)
			defer f.Close()
			entries, err := sim.Read(name, f)
			must.NoError(t, err)
			must.Greater(t, 1, len(entries))
			for _, e := range entries {
				must.MapNotEmpty(t, e.Want, must.Sprintf("%s: says nothing of the end", e.Name))
				got, err := sim.Run(e.Scenario, sim.Options{})
				must.NoError(t, err)
				must.SliceEmpty(t, e.Differences(&got), must.Sprint(e.Name))
			}
		})
	}
}
