package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestClusterOf: a scenario has the pools, nodes, pods and configuration of a dump.
func TestClusterOf(t *testing.T) {
	entries, err := clusterOf("../../../testdata/sample.yaml")
	require.NoError(t, err)
	require.Len(t, entries, 2)
	four, six := entries[0].Scenario, entries[1].Scenario
	require.Equal(t, "sample (IPv4)", four.Name)
	require.Len(t, four.Pools, 2)
	require.Equal(t, "zone == 'b'", four.Pools[1].NodeSelector)
	require.Len(t, six.Pools, 1)
	require.True(t, four.TunnelIPPerNode)
	require.Equal(t, 300, four.IPCooldownSeconds)
	require.Equal(t, "v3.33.0", four.Calico)
	nodes, pods := 0, 0
	for _, g := range append(four.Groups, four.Group) {
		require.Len(t, g.Labels, 1, "only what a selector looks at")
		in := 0
		for _, b := range g.PodHistogram {
			in += b.Nodes
			pods += b.Nodes * b.Pods
		}
		require.Equal(t, g.Nodes, in)
		nodes += g.Nodes
	}
	require.Equal(t, 40, nodes)
	require.Greater(t, pods, 330)

	var out, wrong strings.Builder
	require.Equal(t, 1, run([]string{"-cluster-of", "../../../testdata/sample.yaml"}, nil, &out, &wrong))
	require.Contains(t, out.String(), "sample (IPv4): 40 nodes of ")

	// A pool that is the only one leaves the block size open.
	dir := t.TempDir()
	const small = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/24, blockSize: 28}\n"
	const node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: a, labels: {kubernetes.io/os: windows}}\n---\napiVersion: projectcalico.org/v3\nkind: IPAMConfiguration\nmetadata: {name: default}\nspec: {strictAffinity: true}\n"
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	entries, err = clusterOf(file("one.yaml", small+node))
	require.NoError(t, err)
	require.Equal(t, "one", entries[0].Name)
	require.Equal(t, "10.0.0.0/24", entries[0].Pool.String())
	require.Zero(t, entries[0].BlockSize)
	require.True(t, entries[0].Windows)
	require.True(t, entries[0].StrictAffinity)
	for text, want := range map[string]string{small: "there are no nodes in it", node[4:]: "there is no enabled pool for pods in it", "hello": "is no Kubernetes object"} {
		out.Reset()
		wrong.Reset()
		require.Equal(t, 2, run([]string{"-cluster-of", file("x.yaml", text)}, nil, &out, &wrong))
		require.Contains(t, wrong.String(), want)
	}
	wrong.Reset()
	require.Equal(t, 2, run([]string{"-cluster-of", file("x.yaml", small+node), "-nodes", "3"}, nil, &out, &wrong))
	require.Contains(t, wrong.String(), "-nodes")
}
