package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// TestClusterOf: a scenario has the pools, nodes, pods and configuration of a dump.
func TestClusterOf(t *testing.T) {
	property.Slow(t)
	entries, err := clusterOf("../../../testdata/sample.yaml")
	must.NoError(t, err)
	must.Len(t, 2, entries)
	four, six := entries[0].Scenario, entries[1].Scenario
	must.Eq(t, "sample (IPv4)", four.Name)
	must.Len(t, 2, four.Pools)
	must.Eq(t, "zone == 'b'", four.Pools[1].NodeSelector)
	must.Len(t, 1, six.Pools)
	must.True(t, four.TunnelIPPerNode)
	must.Eq(t, 300, four.IPCooldownSeconds)
	must.Eq(t, "v3.33.0", four.Calico)
	nodes, pods := 0, 0
	for _, g := range append(four.Groups, four.Group) {
		must.MapLen(t, 1, g.Labels, must.Sprint("only what a selector looks at"))
		in := 0
		for _, b := range g.PodHistogram {
			in += b.Nodes
			pods += b.Nodes * b.Pods
		}
		must.Eq(t, g.Nodes, in)
		nodes += g.Nodes
	}
	must.Eq(t, 40, nodes)
	must.Greater(t, 330, pods)

	var out, wrong strings.Builder
	must.Eq(t, 1, run([]string{"-cluster-of", "../../../testdata/sample.yaml"}, nil, &out, &wrong))
	must.StrContains(t, out.String(), "sample (IPv4): 40 nodes of ")

	// A pool that is the only one leaves the block size open.
	dir := t.TempDir()
	const small = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/24, blockSize: 28}\n"
	const node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {kubernetes.io/os: windows}}\n---\napiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: default}\nspec: {strictAffinity: true}\n"
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		must.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	entries, err = clusterOf(file("one.yaml", small+node))
	must.NoError(t, err)
	must.Eq(t, "one", entries[0].Name)
	must.Eq(t, "10.0.0.0/24", entries[0].Pool.String())
	must.Zero(t, entries[0].BlockSize)
	must.True(t, entries[0].Windows)
	must.True(t, entries[0].StrictAffinity)
	for text, want := range map[string]string{small: "there are no nodes in it", node[4:]: "there is no enabled pool for pods in it", "hello": "is no Kubernetes object"} {
		out.Reset()
		wrong.Reset()
		must.Eq(t, 2, run([]string{"-cluster-of", file("x.yaml", text)}, nil, &out, &wrong))
		must.StrContains(t, wrong.String(), want)
	}
	wrong.Reset()
	must.Eq(t, 2, run([]string{"-cluster-of", file("x.yaml", small+node), "-nodes", "3"}, nil, &out, &wrong))
	must.StrContains(t, wrong.String(), "-nodes")
}

// TestClusterOfNamespaces: where pools select namespaces, the pods of a dump come in
// groups, and each node runs those that it has.
func TestClusterOfNamespaces(t *testing.T) {
	property.Slow(t)
	const pools = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: data}
spec: {cidr: 10.1.0.0/28, blockSize: 30, namespaceSelector: team == 'data', allowedUses: [Workload]}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: rest}
spec: {cidr: 10.0.0.0/28, blockSize: 29, namespaceSelector: "!has(team)"}
---
apiVersion: v1
kind: Node
metadata: {name: a}
---
apiVersion: v1
kind: Node
metadata: {name: b}
---
apiVersion: crd.projectcalico.org/v1
kind: IPAMBlock
metadata: {name: 10-0-0-0-29}
spec:
  cidr: 10.0.0.0/29
  affinity: host:a
  allocations: [0, 1, 2, 3, null, null, null, null]
  unallocated: [4, 5, 6, 7]
  attributes:
  - {handle_id: h.1, secondary: {pod: web-1, namespace: shop, node: a}}
  - {handle_id: h.2, secondary: {pod: web-2, namespace: shop, node: b}}
  - {handle_id: h.3, secondary: {pod: x, namespace: kube-system, node: b}}
  - {handle_id: h.4, secondary: {pod: db-0, namespace: data, node: b}}
---
`
	const namespaces = `apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {color: red}}
---
apiVersion: v1
kind: Namespace
metadata: {name: data, labels: {team: data, color: red}}
`
	path := file(t, "c.yaml", pools+namespaces)
	entries, err := clusterOf(path)
	must.NoError(t, err)
	s := entries[0].Scenario
	must.Eq(t, []sim.PodGroup{
		{Name: "data", Namespace: "data", NamespaceLabels: map[string]string{"team": "data"}},
		{Name: "kube-system and 1 more", Namespace: "kube-system"},
	}, s.PodGroups)
	must.Eq(t, "!has(team)", s.Pools[1].NamespaceSelector)
	must.Eq(t, map[string]int{"kube-system and 1 more": 1}, s.PodsOf)
	must.Eq(t, map[string]int{"kube-system and 1 more": 2, "data": 1}, s.Groups[0].PodsOf)
	must.Eq(t, "", s.About)
	status, out, errs := do("-cluster-of", path)
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	must.StrContains(t, out, "c: 2 nodes with 4 pods in 2 pod groups in 2 pools: 4 requests.\n")
	must.StrContains(t, out, "\n  data       1  data 1\n  rest       3  kube-system and 1 more 3\n")

	// Without the namespaces nobody is in the pool of data.
	status, out, errs = do("-cluster-of", file(t, "c.yaml", pools))
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	must.StrContains(t, out, "Pools select namespaces, and there are none in the file: they count as having no\nlabels.")
	must.StrContains(t, out, "\n  data       0\n  rest       4  data and 2 more 4\n")
}
