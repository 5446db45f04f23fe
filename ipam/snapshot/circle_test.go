package snapshot

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/shoenig/test/must"
	"sigs.k8s.io/yaml"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// TestRecordings: every recorded cluster loads from either group, is the same, and
// goes on as the real one did.
func TestRecordings(t *testing.T) {
	operations := 0
	names := recorded(t)
	if testing.Short() {
		names = names[:1]
	}
	for i, name := range names {
		these := forms
		if !property.Long() {
			these = forms[i%4 : i%4+1]
		}
		must.Eq(t, loadFile(t, name+".v1.yaml.gz"), loadFile(t, name+".v3.yaml.gz"))
		for _, group := range []string{"v1", "v3"} {
			p, r, _ := player(t, name, group)
			result, err := p.Replay(r)
			must.NoError(t, err)
			for i := range result.Divergences {
				t.Error(result.Divergences[i].String())
			}
			operations += result.Operations
			must.NoError(t, p.Engine().(*ipam.Allocator).Check())
			circle(t, p.Engine().(*ipam.Allocator).Cluster(), these...)
		}
	}
	if len(names) == len(recorded(t)) {
		must.Eq(t, 2*1952, operations)
	}
}

// TestWhatIsWrittenIsWhatWasRead: what comes out has the kinds, names and specs of
// what the real cluster's objects had.
func TestWhatIsWrittenIsWhatWasRead(t *testing.T) {
	property.Slow(t)
	for _, name := range recorded(t) {
		for group, g := range map[string]Group{"v1": V1, "v3": V3} {
			path := name + "." + group + ".yaml.gz"
			want := specs(t, path)
			out, err := os.Create(filepath.Join(t.TempDir(), "out.yaml.gz"))
			must.NoError(t, err)
			z := gzip.NewWriter(out)
			must.NoError(t, writeYAML(z, loadFile(t, path).Cluster, g))
			must.NoError(t, z.Close())
			must.NoError(t, out.Close())
			got := specs(t, out.Name())
			must.Eq(t, want, got)
		}
	}
}

// specs returns the specs of the objects of a file by kind and name, reservations
// as one.
func specs(t *testing.T, path string) map[string]any {
	t.Helper()
	f, err := os.Open(path)
	must.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must.NoError(t, err)
	text, err := io.ReadAll(z)
	must.NoError(t, err)
	var list struct {
		Items []struct {
			APIVersion, Kind string
			Metadata         struct {
				Name   string
				Labels map[string]string
			}
			Spec map[string]any
		}
	}
	must.NoError(t, yaml.Unmarshal(text, &list))
	out := make(map[string]any)
	for _, o := range list.Items {
		if o.Kind == "IPReservation" {
			o.Metadata.Name = "" // there is one, of any name
		}
		if o.Kind == "IPAMConfig" || o.Kind == "IPAMConfiguration" {
			// Absent is 0.
			for _, key := range []string{"maxBlocksPerHost", "ipCooldownSeconds"} {
				if o.Spec[key] == nil {
					o.Spec[key] = 0.0
				}
			}
		}
		key := fmt.Sprintf("%s %s %s", o.APIVersion, o.Kind, o.Metadata.Name)
		if o.Kind == "Node" {
			out[key] = o.Metadata.Labels
			continue
		}
		text, err := json.Marshal(o.Spec)
		must.NoError(t, err)
		out[key] = string(text)
	}
	return out
}

// TestTraceStates takes every state that a trace dumps out as resources and in
// again: in one of the four forms after the other, or in each form and of every
// trace in a long run.
func TestTraceStates(t *testing.T) {
	property.Slow(t)
	files, err := filepath.Glob("../../testdata/traces/*.gz")
	must.NoError(t, err)
	must.Len(t, 73, files)
	states := 0
	some := property.Some(files)
	for _, file := range some {
		r, err := trace.Open(file)
		must.NoError(t, err)
		p, err := trace.NewPlayer(r.Header())
		must.NoError(t, err)
		for {
			op, err := r.Next()
			if err != nil {
				must.ErrorIs(t, err, io.EOF)
				break
			}
			_, err = p.Do(op)
			must.NoError(t, err)
			if op.Op == "State" {
				these := forms
				if !property.Long() {
					these = forms[states%4 : states%4+1]
				}
				states++
				circle(t, p.Engine().(*ipam.Allocator).Cluster(), these...)
			}
		}
		must.NoError(t, r.Close())
	}
	if len(some) == len(files) {
		must.Eq(t, 781, states)
	}
	must.NonZero(t, states)
}
