package trace

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// TestRestoredGoesOn replays recordings on an allocator that is turned into its
// Cluster and restored again and again: nothing that decides the next outcomes may
// be lost.
func TestRestoredGoesOn(t *testing.T) {
	property.Slow(t)
	files, err := filepath.Glob("../../testdata/traces/*.gz")
	must.NoError(t, err)
	must.SliceNotEmpty(t, files)
	for _, file := range property.Some(files) {
		r, err := Open(file)
		must.NoError(t, err)
		p, err := NewPlayer(r.Header())
		must.NoError(t, err)
		for n := 1; ; n++ {
			op, err := r.Next()
			if err != nil {
				break
			}
			got, err := p.Do(op)
			must.NoError(t, err)
			must.Eq(t, op.Out.String(), got.String(), must.Sprintf("%s:%d", file, op.Line))
			if n%67 == 0 || op.Op == "State" {
				p = PlayOn(restored(t, p), p.clock)
			}
		}
		must.NoError(t, r.Close())
	}
}

// restored returns an allocator made from the cluster of the player's.
func restored(t *testing.T, p *Player) *ipam.Allocator {
	t.Helper()
	c := p.engine.(*ipam.Allocator).Cluster()
	b, err := ipam.Restore(c, ipam.Options{Now: p.clock.Now})
	must.NoError(t, err)
	must.Eq(t, c, b.Cluster())
	if err := b.Check(); err != nil {
		must.False(t, errors.Is(err, ipam.ErrStructure), must.Sprint(err))
	}
	return b
}

// TestSnapshotHeader: if the cluster is in a snapshot, the caller must provide it.
func TestSnapshotHeader(t *testing.T) {
	_, err := NewPlayer(Header{Snapshot: "churn-0"})
	must.ErrorIs(t, err, ErrSnapshot)
	must.ErrorContains(t, err, `"churn-0"`)
}
