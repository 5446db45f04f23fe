package snapshot

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam"
)

// dump loads a file in a shape in which people have it.
func dump(t *testing.T, name string) *Snapshot {
	t.Helper()
	s, err := Load(Options{}, "../../testdata/field/"+name)
	require.NoError(t, err)
	a, err := s.Allocator(ipam.Options{})
	require.NoError(t, err)
	require.NoError(t, a.Check())
	return s
}

// TestStaleSequenceNumbers: those of free ordinals are nothing to report.
func TestStaleSequenceNumbers(t *testing.T) {
	s := dump(t, "10-stale-sequence-numbers.yaml")
	require.Empty(t, s.Problems)
	require.Empty(t, Check(s).Findings)
	require.Equal(t, uint64(1690113884806720472), s.Cluster.Blocks[0].Allocations[0].Seq)
}

// TestBothGroups: an object that both API groups have counts once; one that is not
// equal in both is given twice.
func TestBothGroups(t *testing.T) {
	s := dump(t, "11-both-api-groups.yaml")
	require.Empty(t, s.Problems)
	require.Len(t, s.Cluster.Pools, 1)
	require.Len(t, s.Cluster.Affinities, 1)
	require.True(t, s.Cluster.Config.StrictAffinity)

	other := change(somePool, "projectcalico.org/v3", "crd.projectcalico.org/v1")
	_, err := read(Options{}, somePool, other)
	require.NoError(t, err)
	for _, pair := range [][2]string{
		{somePool, change(other, "30", "29")},
		{someAffinity, change(change(someAffinity, "projectcalico.org/v3", "crd.projectcalico.org/v1"), "confirmed", "pending")},
	} {
		_, err = read(Options{}, pair[0], pair[1])
		require.ErrorContains(t, err, "is given twice, first in a.yaml:1")
	}
}

// TestOtherKinds: what else a cluster has is skipped and counted, and so are the
// Node and Cluster of other groups.
func TestOtherKinds(t *testing.T) {
	s := dump(t, "08-other-kinds-beside.yaml")
	require.Empty(t, s.Problems)
	require.Equal(t, map[string]int{"ClusterInformation": 1, "FelixConfiguration": 1, "DaemonSet": 1}, s.Skipped)
	require.Len(t, s.Cluster.Pools, 1)
	require.Len(t, s.Cluster.Nodes, 1)
	require.Contains(t, Check(s).Notes, "objects of other kinds were skipped: 1 ClusterInformation, 1 DaemonSet, 1 FelixConfiguration")

	s, err := read(Options{}, `[{"apiVersion":"management.cattle.io/v3","kind":"Node"},{"apiVersion":"cluster.x-k8s.io/v1beta1","kind":"Cluster"}]`)
	require.NoError(t, err)
	require.Empty(t, s.Cluster.Nodes)
	require.Equal(t, map[string]int{"Node": 1, "Cluster": 1}, s.Skipped)
}
