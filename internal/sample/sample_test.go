package main

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

const path = "../../testdata/sample.yaml"

// TestSample: the file is the program's output.
func TestSample(t *testing.T) {
	var made bytes.Buffer
	must.NoError(t, write(&made))
	text, err := os.ReadFile(path)
	must.NoError(t, err)
	must.True(t, bytes.Equal(made.Bytes(), text), must.Sprint("run: go run ./internal/sample > testdata/sample.yaml"))
}

// TestSampleHolds: the file has what its comment lists, and survives writing and reading.
func TestSampleHolds(t *testing.T) {
	property.Slow(t)
	s, err := snapshot.Load(snapshot.Options{}, path)
	must.NoError(t, err)
	must.SliceEmpty(t, s.Problems, must.Sprint(s.Problems))
	must.Len(t, nodes, s.Cluster.Nodes)
	a, err := s.Allocator(ipam.Options{})
	must.NoError(t, err)
	must.False(t, errors.Is(a.Check(), ipam.ErrStructure))

	again := snapshot.Snapshot{Cluster: a.Cluster()}
	for _, write := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return again.WriteYAML(b, snapshot.V1) },
		func(b *bytes.Buffer) error { return again.WriteYAML(b, snapshot.V3) },
		func(b *bytes.Buffer) error { return again.WriteJSON(b, snapshot.V1) },
		func(b *bytes.Buffer) error { return again.WriteJSON(b, snapshot.V3) },
	} {
		var out bytes.Buffer
		must.NoError(t, write(&out))
		l := snapshot.NewLoader(snapshot.Options{})
		must.NoError(t, l.Add("circle", &out))
		back, err := l.Snapshot()
		must.NoError(t, err)
		b, err := back.Allocator(ipam.Options{})
		must.NoError(t, err)
		must.Eq(t, a.Cluster(), b.Cluster())
	}

	r := snapshot.Check(s)
	must.Positive(t, r.Cooling)
	for _, kind := range []snapshot.Kind{"allocated-not-used", "handle-without-addresses", "affinity-pending", "affinity-pending-deletion"} {
		must.Positive(t, r.Count(kind), must.Sprint(kind))
	}
}
