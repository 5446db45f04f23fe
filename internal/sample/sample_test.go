package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

const path = "../../testdata/sample.yaml"

// TestSample: the file is the program's output.
func TestSample(t *testing.T) {
	var made bytes.Buffer
	require.NoError(t, write(&made))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(made.Bytes(), text), "run: go run ./internal/sample > testdata/sample.yaml")
}

// TestSampleHolds: the file has what its comment lists, and survives writing and reading.
func TestSampleHolds(t *testing.T) {
	property.Slow(t)
	s, err := snapshot.Load(snapshot.Options{}, path)
	require.NoError(t, err)
	require.Empty(t, s.Problems)
	require.Len(t, s.Cluster.Nodes, nodes)
	a, err := s.Allocator(ipam.Options{})
	require.NoError(t, err)
	require.NotErrorIs(t, a.Check(), ipam.ErrStructure)

	again := snapshot.Snapshot{Cluster: a.Cluster()}
	for _, write := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return again.WriteYAML(b, snapshot.V1) },
		func(b *bytes.Buffer) error { return again.WriteYAML(b, snapshot.V3) },
		func(b *bytes.Buffer) error { return again.WriteJSON(b, snapshot.V1) },
		func(b *bytes.Buffer) error { return again.WriteJSON(b, snapshot.V3) },
	} {
		var out bytes.Buffer
		require.NoError(t, write(&out))
		l := snapshot.NewLoader(snapshot.Options{})
		require.NoError(t, l.Add("circle", &out))
		back, err := l.Snapshot()
		require.NoError(t, err)
		b, err := back.Allocator(ipam.Options{})
		require.NoError(t, err)
		require.Equal(t, a.Cluster(), b.Cluster())
	}

	r := snapshot.Check(s)
	require.Positive(t, r.Cooling)
	for _, kind := range []snapshot.Kind{"allocated-not-used", "handle-without-addresses", "affinity-pending", "affinity-pending-deletion"} {
		require.Positive(t, r.Count(kind), kind)
	}
}
