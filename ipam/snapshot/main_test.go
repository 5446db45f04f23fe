package snapshot

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// recorded returns the names of the recorded clusters.
func recorded(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../../testdata/snapshots/*.jsonl.gz")
	must.NoError(t, err)
	must.Len(t, 16, files)
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".jsonl.gz")
	}
	return files
}

// loadFile loads one file that must be sound.
func loadFile(t testing.TB, path string) *Snapshot {
	t.Helper()
	s, err := Load(Options{}, path)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	return s
}

// forms are the ways in which a cluster can be written.
var forms = []func(w io.Writer, c ipam.Cluster) error{
	func(w io.Writer, c ipam.Cluster) error { return writeYAML(w, c, V1) },
	func(w io.Writer, c ipam.Cluster) error { return writeYAML(w, c, V3) },
	func(w io.Writer, c ipam.Cluster) error { return writeJSON(w, c, V1) },
	func(w io.Writer, c ipam.Cluster) error { return writeJSON(w, c, V3) },
}

// writeYAML writes a cluster that was not loaded.
func writeYAML(w io.Writer, c ipam.Cluster, g Group) error {
	return (&Snapshot{Cluster: c}).WriteYAML(w, g)
}

// writeJSON is writeYAML in JSON.
func writeJSON(w io.Writer, c ipam.Cluster, g Group) error {
	return (&Snapshot{Cluster: c}).WriteJSON(w, g)
}

// circle writes a cluster in these forms, reads each again, and holds it against
// the cluster.
func circle(t testing.TB, c ipam.Cluster, forms ...func(w io.Writer, c ipam.Cluster) error) {
	t.Helper()
	for _, write := range forms {
		var text, again bytes.Buffer
		must.NoError(t, write(&text, c))
		l := NewLoader(Options{})
		must.NoError(t, l.Add("circle", bytes.NewReader(text.Bytes())))
		s, err := l.Snapshot()
		must.NoError(t, err)
		for _, p := range s.Problems {
			// Malformed reservations are kept, and said to be malformed.
			must.Eq(t, "spec.reservedCIDRs", p.Field, must.Sprintf("%v", p))
		}
		a, err := s.Allocator(ipam.Options{})
		must.NoError(t, err)
		must.Eq(t, c, a.Cluster())
		must.NoError(t, write(&again, a.Cluster()))
		must.True(t, bytes.Equal(text.Bytes(), again.Bytes()), must.Sprint("equal clusters give equal bytes"))
	}
}

// player returns a player on a recorded cluster, and its recording.
func player(t testing.TB, name, group string) (*trace.Player, *trace.Reader, *ipam.Clock) {
	t.Helper()
	r, err := trace.Open(name + ".jsonl.gz")
	must.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	must.Eq(t, filepath.Base(name), r.Header().Snapshot)
	s := loadFile(t, name+"."+group+".yaml.gz")
	must.False(t, s.Latest.After(r.Header().Start), must.Sprintf("%s: taken at %s, after the start", name, s.Latest))
	clock := ipam.NewClock(r.Header().Start)
	a, err := s.Allocator(ipam.Options{Now: clock.Now})
	must.NoError(t, err)
	return trace.PlayOn(a, clock), r, clock
}
