package session

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"sigs.k8s.io/yaml"

	"github.com/ipamsim/ipamsim/internal/property"
)

const testdata = "../../../../testdata/"

// opened returns a session with a file.
func opened(t *testing.T, path string) *Session {
	t.Helper()
	data, err := os.ReadFile(path)
	must.NoError(t, err)
	s := New()
	must.NoError(t, s.Load(filepath.Base(path), data))
	return s
}

// TestLoad: every file of the repository opens, all acts work on it, and going back leads
// to the cluster as the file has it.
func TestLoad(t *testing.T) {
	paths, err := filepath.Glob(testdata + "field/*.yaml")
	paths = slices.DeleteFunc(paths, func(path string) bool { return strings.Contains(path, "plan-") }) // scenarios
	must.NoError(t, err)
	more, err := filepath.Glob(testdata + "snapshots/*.yaml.gz")
	must.NoError(t, err)
	paths = append(append(paths, more...), testdata+"sample.yaml")
	must.Greater(t, 20, len(paths))
	if testing.Short() {
		paths = property.Some(paths)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			s := opened(t, path)
			first := state(s)
			f, err := s.Findings()
			must.NoError(t, err)
			must.Eq(t, len(s.dump.live.Report().Findings), len(f.Findings))
			must.Eq(t, f.Blocks, s.View().Figures.Blocks)
			must.Eq(t, f.Allocated+f.Cooling, s.View().Figures.InUse+s.View().Figures.Cooling)
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
			must.NoError(t, err)
			must.NoError(t, s.Goto(1))
			must.Eq(t, first, state(s))
		})
	}
}

// TestLoadForms: a cluster is the same as YAML and as JSON, compressed, and in an archive.
func TestLoadForms(t *testing.T) {
	s := New()
	for _, op := range []string{`{"do":"add-pods","count":9}`, `{"do":"drain","node":"calico-ipam-worker2"}`} {
		must.NoError(t, run(s, op))
	}
	file, err := s.Export("resources")
	must.NoError(t, err)
	var list struct {
		Kind  string            `json:"kind"`
		Items []json.RawMessage `json:"items"`
	}
	for one := range strings.SplitSeq(file.Text, "\n---\n") {
		var some struct {
			Items []json.RawMessage `json:"items"`
		}
		text, err := yaml.YAMLToJSON([]byte(one))
		must.NoError(t, err)
		must.NoError(t, json.Unmarshal(text, &some))
		if list.Items = append(list.Items, some.Items...); some.Items == nil {
			list.Items = append(list.Items, text)
		}
	}
	list.Kind = "List"
	asJSON, err := json.Marshal(list)
	must.NoError(t, err)
	var zipped, archive bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err = z.Write(asJSON)
	must.NoError(t, errors.Join(err, z.Close()))
	a := tar.NewWriter(&archive)
	must.NoError(t, a.WriteHeader(&tar.Header{Name: "dump/cluster.yaml", Size: int64(len(file.Text)), Mode: 0o644}))
	_, err = io.WriteString(a, file.Text)
	must.NoError(t, errors.Join(err, a.Close()))
	want := ""
	for _, form := range []struct{ name, data string }{
		{"cluster.yaml", file.Text}, {"cluster.json", string(asJSON)}, {"cluster.json.gz", zipped.String()}, {"cluster.tar", archive.String()},
	} {
		s := New()
		must.NoError(t, s.Load(form.name, []byte(form.data)), must.Sprint(form.name))
		v := s.View()
		must.Len(t, 3, v.Nodes)
		v.Ops, v.Says = nil, nil // they have the name of the file
		if want == "" {
			want = text(v)
		}
		must.Eq(t, want, text(v), must.Sprint(form.name))
	}
}

// TestLoadRefused: a file that cannot be read is an error with reasons, and the cluster
// stays as it was.
func TestLoadRefused(t *testing.T) {
	s := New()
	must.NoError(t, run(s, `{"do":"add-pods","count":5}`))
	before := state(s)
	plan, err := os.ReadFile(testdata + "field/plan-windows.yaml")
	must.NoError(t, err)
	for name, data := range map[string]string{
		"a scenario": string(plan),
		"nothing":    "",
		"garbage":    "\x00\x01\x02",
		"half":       `{"apiVersion":"v1","kind":"List","items":[{"kind":"IPPool"`,
	} {
		answer := string(s.Call("load", []byte(`{"name":"x.yaml"}`), []byte(data)))
		must.RegexMatch(t, regexp.MustCompile(`^\{"error":"x.yaml cannot be opened; the cluster is as it was","reasons":\[".+"\]\}$`), answer, must.Sprint(name))
		must.Eq(t, before, state(s), must.Sprint(name))
	}
	sample, err := os.ReadFile(testdata + "sample.yaml")
	must.NoError(t, err)
	answer := string(s.Call("load", []byte(`{"name":"x.yaml"}`), sample[:20_000]))
	must.StrContains(t, answer, `: the file is cut off in this object"]`, must.Sprint("nothing is said to be left out of a file that is refused"))
	_, err = s.Findings()
	must.ErrorContains(t, err, "no file is open")
	must.ErrorContains(t, run(s, `{"do":"load","name":"x"}`), "method load")
}

// TestLoadShared: a file does not go into a link, a recording or a list of operations.
func TestLoadShared(t *testing.T) {
	s := opened(t, testdata+"sample.yaml")
	_, err := s.Fragment()
	must.ErrorContains(t, err, "file")
	for _, what := range []string{"trace", "operations"} {
		_, err = s.Export(what)
		must.ErrorContains(t, err, "export resources")
	}
}

// TestLoadVast: pools of IPv6 have more blocks and addresses than a machine's word and a
// number of JavaScript hold; sentences and figures have every digit.
func TestLoadVast(t *testing.T) {
	for _, c := range []struct{ cidr, size, blocks, addresses, left string }{
		{"fd00::/75", "122", "140,737,488,355,328", "9007199254740992", "140737488355327"},
		{"fd00::/69", "122", "9,007,199,254,740,992", "576460752303423488", "9007199254740991"},
		{"fd00::/59", "122", "9,223,372,036,854,775,808", "590295810358705651712", "9223372036854775807"},
		{"fd00::/58", "122", "18,446,744,073,709,551,616", "1180591620717411303424", "18446744073709551615"},
		{"fd00::/56", "122", "73,786,976,294,838,206,464", "4722366482869645213696", "73786976294838206463"},
		{"::/0", "128", "340,282,366,920,938,463,463,374,607,431,768,211,456", "340282366920938463463374607431768211456", "340282366920938463463374607431768211455"},
	} {
		s := New()
		must.NoError(t, s.Load("vast.yaml", []byte(`apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: six}
spec: {cidr: "`+c.cidr+`", blockSize: `+c.size+`, nodeSelector: all()}
---
apiVersion: crd.projectcalico.org/v1
kind: IPReservation
metadata: {name: some}
spec: {reservedCIDRs: ["`+c.cidr+`"]}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
`)))
		must.StrContains(t, text(s.View()), `"reserved":"`+c.addresses+`"`)
		must.NoError(t, run(s, `{"do":"set-pool","name":"four","cidr":"10.0.0.0/24","disabled":true,"reserved":[]}`))
		must.NoError(t, run(s, `{"do":"add-pods"}`))
		view := text(s.View())
		must.RegexMatch(t, regexp.MustCompile(`it starts its walk at block [0-9,]+ of `+c.blocks+` and claims`), view)
		addresses, _ := new(big.Int).SetString(c.addresses, 10)
		must.StrContains(t, view, `"addresses":"`+addresses.Add(addresses, big.NewInt(256)).String()+`"`)
		must.StrContains(t, view, `"blocksLeft":"`+c.left+`"`)
		must.StrContains(t, view, `"blocks":"`+strings.ReplaceAll(c.blocks, ",", "")+`","claimed":1`)
	}
}
