package protocol

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

var _ trace.Engine = (*Client)(nil)

// replayed replays recordings on clients that work alone.
func replayed(t *testing.T, names []string, engine makeEngine) (operations int, divergences []trace.Divergence) {
	t.Helper()
	for _, name := range names {
		r, err := trace.Open(name)
		must.NoError(t, err)
		result, err := trace.Replay(r, engine)
		must.NoError(t, err)
		must.NoError(t, r.Close())
		operations += result.Operations
		divergences = append(divergences, result.Divergences...)
	}
	return operations, divergences
}

// TestRecordings replays recordings of the real allocator: run alone, a client does
// what the fast allocator does. Those called minimal show one cause each; those of
// releases are older than the newest. A long run takes every recording.
func TestRecordings(t *testing.T) {
	for pattern, want := range map[string]struct{ files, operations int }{
		"traces/*.jsonl.gz":   {73, 45207},
		"traces-2/*.jsonl.gz": {96, 34495},
		"minimal/*.jsonl":     {37, 274},
		"releases/*.jsonl.gz": {117, 52777},
	} {
		t.Run(pattern, func(t *testing.T) {
			names, err := filepath.Glob("../../testdata/" + pattern)
			must.NoError(t, err)
			must.Len(t, want.files, names)
			some := property.Some(names)
			operations, divergences := replayed(t, some, client)
			for i := range min(3, len(divergences)) {
				t.Errorf("%v", &divergences[i])
			}
			must.SliceEmpty(t, divergences[min(3, len(divergences)):])
			if len(some) == len(names) {
				must.Eq(t, want.operations, operations)
			}
		})
	}
}

// TestStates replays recordings on both engines and compares their whole states,
// also what recordings do not have: sequence numbers, times, the order of
// attribute records.
func TestStates(t *testing.T) {
	names, err := filepath.Glob("../../testdata/traces/*-0.jsonl.gz")
	must.NoError(t, err)
	must.Len(t, 25, names)
	for _, name := range property.Some(names) {
		must.NoError(t, bothPlay(t, name, client), must.Sprint(name))
	}
	must.Error(t, bothPlay(t, names[0], writing(writes["a sequence number is used again"])))
}

// bothPlay replays a recording on the allocator and another engine, and returns
// where they differ.
func bothPlay(t *testing.T, name string, other makeEngine) error {
	t.Helper()
	r, err := trace.Open(name)
	must.NoError(t, err)
	defer r.Close()
	p, err := newPair(r.Header(), allocator, other)
	must.NoError(t, err)
	for i := 1; ; i++ {
		op, err := r.Next()
		if err != nil {
			must.ErrorIs(t, err, io.EOF)
			return nil
		}
		if _, err := p.do(op); err != nil {
			return err
		}
		if i%50 > 0 {
			continue // large states, and many
		}
		if err := p.same(); err != nil {
			return err
		}
	}
}

// TestFaults: the recordings catch planted faults, with the operations that are
// about them.
func TestFaults(t *testing.T) {
	property.Broken(t)
	for name, recordings := range map[string]string{
		"the queue loses its order": "churn-0",
		"claims are not confirmed":  "crash-0",
		"claim times are lost":      "small-pool-*",
		"attributes are not shared": "owners-0",
	} {
		t.Run(name, func(t *testing.T) {
			names, err := filepath.Glob("../../testdata/traces/" + recordings + ".jsonl.gz")
			must.NoError(t, err)
			_, divergences := replayed(t, names, writing(writes[name]))
			must.SliceNotEmpty(t, divergences)
			t.Logf("%d divergences, first %v", len(divergences), &divergences[0])
		})
	}
}
