package session

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const testdata = "../../../../testdata/"

// opened returns a session with a file.
func opened(t *testing.T, path string) *Session {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	s := New()
	require.NoError(t, s.Load(filepath.Base(path), data))
	return s
}

// TestLoad: every file of the repository opens, all acts work on it, and going back leads
// to the cluster as the file has it.
func TestLoad(t *testing.T) {
	paths, err := filepath.Glob(testdata + "field/*.yaml")
	paths = slices.DeleteFunc(paths, func(path string) bool { return strings.Contains(path, "plan-") }) // scenarios
	require.NoError(t, err)
	more, err := filepath.Glob(testdata + "snapshots/*.yaml.gz")
	require.NoError(t, err)
	paths = append(append(paths, more...), testdata+"sample.yaml")
	require.Greater(t, len(paths), 20)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			s := opened(t, path)
			first := state(s)
			f, err := s.Findings()
			require.NoError(t, err)
			require.Equal(t, len(s.dump.live.Report().Findings), len(f.Findings))
			require.Equal(t, f.Blocks, s.View().Figures.Blocks)
			require.Equal(t, f.Allocated+f.Cooling, s.View().Figures.InUse+s.View().Figures.Cooling)
			for _, node := range s.world.order {
				if !node.gone {
					_ = run(s, `{"do":"add-pods","node":"`+node.name+`"}`)
					_ = run(s, `{"do":"drain","node":"`+node.name+`"}`)
					break
				}
			}
			_ = run(s, `{"do":"add-pods","count":3}`)
			_ = run(s, `{"do":"scale","count":5}`)
			_ = run(s, `{"do":"configure","strict":true}`)
			_ = run(s, `{"do":"advance","by":"20m"}`)
			_ = run(s, `{"do":"clean"}`)
			_, err = s.Export("resources")
			require.NoError(t, err)
			require.NoError(t, s.Goto(1))
			require.Equal(t, first, state(s))
		})
	}
}

// TestLoadForms: a cluster is the same as YAML and as JSON, compressed, and in an archive.
func TestLoadForms(t *testing.T) {
	s := New()
	for _, op := range []string{`{"do":"add-pods","count":9}`, `{"do":"drain","node":"calico-ipam-worker2"}`} {
		require.NoError(t, run(s, op))
	}
	file, err := s.Export("resources")
	require.NoError(t, err)
	var list struct {
		Kind  string            `json:"kind"`
		Items []json.RawMessage `json:"items"`
	}
	for one := range strings.SplitSeq(file.Text, "\n---\n") {
		var some struct {
			Items []json.RawMessage `json:"items"`
		}
		text, err := yaml.YAMLToJSON([]byte(one))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &some))
		if list.Items = append(list.Items, some.Items...); some.Items == nil {
			list.Items = append(list.Items, text)
		}
	}
	list.Kind = "List"
	asJSON, err := json.Marshal(list)
	require.NoError(t, err)
	var zipped, archive bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err = z.Write(asJSON)
	require.NoError(t, errors.Join(err, z.Close()))
	a := tar.NewWriter(&archive)
	require.NoError(t, a.WriteHeader(&tar.Header{Name: "dump/cluster.yaml", Size: int64(len(file.Text)), Mode: 0o644}))
	_, err = io.WriteString(a, file.Text)
	require.NoError(t, errors.Join(err, a.Close()))
	want := ""
	for _, form := range []struct{ name, data string }{
		{"cluster.yaml", file.Text}, {"cluster.json", string(asJSON)}, {"cluster.json.gz", zipped.String()}, {"cluster.tar", archive.String()},
	} {
		s := New()
		require.NoError(t, s.Load(form.name, []byte(form.data)), form.name)
		v := s.View()
		require.Len(t, v.Nodes, 3)
		v.Ops, v.Says = nil, nil // they have the name of the file
		if want == "" {
			want = text(v)
		}
		require.Equal(t, want, text(v), form.name)
	}
}

// TestLoadRefused: a file that cannot be read is an error with reasons, and the cluster
// stays as it was.
func TestLoadRefused(t *testing.T) {
	s := New()
	require.NoError(t, run(s, `{"do":"add-pods","count":5}`))
	before := state(s)
	plan, err := os.ReadFile(testdata + "field/plan-windows.yaml")
	require.NoError(t, err)
	for name, data := range map[string]string{
		"a scenario": string(plan),
		"nothing":    "",
		"garbage":    "\x00\x01\x02",
		"half":       `{"apiVersion":"v1","kind":"List","items":[{"kind":"IPPool"`,
	} {
		answer := string(s.Call("load", []byte(`{"name":"x.yaml"}`), []byte(data)))
		require.Regexp(t, `^\{"error":"x.yaml cannot be opened; the cluster is as it was","reasons":\[".+"\]\}$`, answer, name)
		require.Equal(t, before, state(s), name)
	}
	_, err = s.Findings()
	require.ErrorContains(t, err, "no file is open")
	require.ErrorContains(t, run(s, `{"do":"load","name":"x"}`), "method load")
}

// TestLoadShared: a file does not go into a link, a recording or a list of operations.
func TestLoadShared(t *testing.T) {
	s := opened(t, testdata+"sample.yaml")
	_, err := s.Fragment()
	require.ErrorContains(t, err, "file")
	for _, what := range []string{"trace", "operations"} {
		_, err = s.Export(what)
		require.ErrorContains(t, err, "export resources")
	}
}
