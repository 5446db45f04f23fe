package course

import (
	"fmt"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
)

// played returns a lab that has gone through the whole course.
func played(t *testing.T, s Settings) *lab {
	t.Helper()
	l := newLab(s)
	l.play(nil, func(_ Part, err error) bool {
		must.NoError(t, err)
		return true
	})
	return l
}

// A node may own twenty blocks, and does not borrow beyond.
func TestBlockLimit(t *testing.T) {
	s := Default()
	s.Nodes, s.Pool.BlockSize = 1, 32
	l := played(t, s)
	for range 20 {
		_, err := l.startPod("default", fmt.Sprint("more-", len(l.pods)), l.nodes[0])
		must.NoError(t, err)
	}
	last := l.pods[len(l.pods)-1]
	must.False(t, last.address.IsValid())
	must.Eq(t, "block-limit:20", last.why)
	must.StrContains(t, l.explain(last, nil), "owns as many blocks as it may")
	must.StrContains(t, l.podTable(l.pods), "none              block-limit:20   calico-ipam-control-plane")
}

// The operator says when something is wrong.
func TestDegraded(t *testing.T) {
	l := played(t, Default())
	cidr := l.blocksOf(l.nodes[0])[0].CIDR
	must.True(t, l.ipam.DropBlock(cidr))
	l.heading("again")
	l.tigerastatus()
	must.StrContains(t, l.Items[0].Text, "apiserver   False       False         True       0s\n")
	must.Eq(t, Look, l.Items[1].Kind)
	must.StrContains(t, l.Items[1].Text, "The allocator's own check finds: ")
	must.False(t, l.sound().well)
	must.ErrorIs(t, l.ipam.Check(), ipam.ErrTruth)

	// An address whose pod is gone is a leak.
	l.pods = l.pods[:len(l.pods)-1]
	must.False(t, l.leaked(l.ipam.State()).well)
}

func TestRanges(t *testing.T) {
	for want, ns := range map[string][]int{"empty": nil, "0": {0}, "0-1": {0, 1}, "5-7,0,3-4": {5, 6, 7, 0, 3, 4}, "2,1,0": {2, 1, 0}} {
		must.Eq(t, want, ranges(ns))
	}
}
