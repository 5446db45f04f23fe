package fake

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// recordings are those of the real allocator, with the numbers of files and
// operations.
var recordings = []struct {
	pattern           string
	files, operations int
}{
	{"traces/*.jsonl.gz", 73, 45207},
	{"traces-2/*.jsonl.gz", 96, 34495},
	{"minimal/*.jsonl", 37, 274},
	{"releases/*.jsonl.gz", 117, 52777},
}

// replay plays a recording on an engine, and returns how many operations it has and
// where outcomes differ.
func replay(t *testing.T, name string, make func(sim.Options) *engine) (e *engine, operations int, divergences []string) {
	t.Helper()
	r, err := trace.Open(name)
	must.NoError(t, err)
	defer r.Close()
	result, err := trace.Replay(r, func(o sim.Options) trace.Engine { e = make(o); return e })
	must.NoError(t, err)
	for _, d := range result.Divergences {
		want := d.Op.Out
		want.Released = nil // which the interface does not name
		if want.String() != d.Got.String() {
			divergences = append(divergences, d.String())
		}
	}
	return e, result.Operations, divergences
}

// short returns arguments as recordings write them.
func short(in trace.In) string {
	text, err := json.Marshal(in)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// some returns every nth of the items: all in a long run, a few under the race
// detector.
func some[T any](items []T) (out []T) {
	nth := 4
	if property.Long() {
		nth = 1
	}
	if testing.Short() {
		nth = 12
	}
	if property.UnderRace {
		nth *= 6
	}
	for i := 0; i < len(items); i += nth {
		out = append(out, items[i])
	}
	return out
}

// TestRecordings replays every recording of the real allocator through Calico's
// interface: its errors, its messages, its datastore. With -short it takes some.
func TestRecordings(t *testing.T) {
	through, past := make(map[string]int), make(map[string]int)
	for _, of := range recordings {
		t.Run(filepath.Dir(of.pattern), func(t *testing.T) {
			names, err := filepath.Glob("../../testdata/" + of.pattern)
			must.NoError(t, err)
			must.Len(t, of.files, names)
			total := 0
			taken := names
			if testing.Short() || property.UnderRace {
				taken = some(names)
			}
			for _, name := range taken {
				e, operations, divergences := replay(t, name, newEngine)
				total += operations
				for _, d := range divergences[:min(3, len(divergences))] {
					t.Error(d)
				}
				add(through, e.through)
				add(past, e.past)
			}
			if len(taken) == len(names) {
				must.Eq(t, of.operations, total)
			}
		})
	}
	log(t, "through the interface and the datastore", through)
	log(t, "past them", past)
}

func add(to, from map[string]int) {
	for k, n := range from {
		to[k] += n
	}
}

func log(t *testing.T, what string, counts map[string]int) {
	t.Helper()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	t.Logf("%d %s", sum, what)
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("  %6d %s", counts[k], k)
	}
}

// forgetful is a broken interface: it says nothing of why an answer is short.
type forgetful struct{ ipam.Interface }

func (f forgetful) AutoAssign(ctx context.Context, args ipam.AutoAssignArgs) (v4, v6 *ipam.IPAMAssignments, err error) {
	v4, v6, err = f.Interface.AutoAssign(ctx, args)
	if v4 != nil {
		v4.Msgs = nil
	}
	return v4, v6, err
}

// textual is another: its errors have the texts but not the types.
type textual struct{ ipam.Interface }

func (f textual) AssignIP(ctx context.Context, args ipam.AssignIPArgs) error {
	if err := f.Interface.AssignIP(ctx, args); err != nil {
		return errors.New(err.Error())
	}
	return nil
}

// TestRecordingsReject: the recordings catch broken variants.
func TestRecordingsReject(t *testing.T) {
	for what, of := range map[string]struct {
		recording string
		broken    func(ipam.Interface) ipam.Interface
	}{
		"messages are lost": {"traces/small-pool-0", func(i ipam.Interface) ipam.Interface { return forgetful{i} }},
		"types are lost":    {"releases/v3.28-assign-ip-0", func(i ipam.Interface) ipam.Interface { return textual{i} }},
	} {
		_, _, divergences := replay(t, "../../testdata/"+of.recording+".jsonl.gz", func(o sim.Options) *engine {
			e := newEngine(o)
			e.ipam = of.broken(e.fake.IPAM())
			return e
		})
		must.SliceNotEmpty(t, divergences, must.Sprint(what))
	}
}
