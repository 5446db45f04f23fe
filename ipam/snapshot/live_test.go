package snapshot

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// twoNodes returns a cluster of two nodes with eight blocks of four addresses and a pod
// each.
func twoNodes(t *testing.T) *Live {
	t.Helper()
	a := ipam.New(ipam.Options{})
	must.NoError(t, a.SetPool(pool.Spec{Name: "small", CIDR: netip.MustParsePrefix("10.0.0.0/27"), BlockSize: 30}))
	for _, name := range []string{"node-1", "node-2"} {
		must.NoError(t, a.SetNode(ipam.Node{Name: name}))
	}
	l, err := (&Snapshot{Cluster: a.Cluster()}).Live()
	must.NoError(t, err)
	for i, m := range l.Start(LivePod{Namespace: "shop", Name: "web-1", Node: "node-1"}, LivePod{Namespace: "shop", Name: "web-2", Node: "node-2"}) {
		must.NoError(t, m.Err, must.Sprint(i))
		must.Len(t, 1, m.Pod.IPs, must.Sprint("what is usual where there is a pool of IPv4 alone"))
	}
	return l
}

// labelsOf returns which pod is where.
func labelsOf(l *Live) string {
	var all []string
	for _, p := range l.Pods() {
		all = append(all, p.Label()+" on "+p.Node)
	}
	return strings.Join(all, ", ")
}

// TestStartRefuses: a pod that is there, and what is no pod.
func TestStartRefuses(t *testing.T) {
	l := twoNodes(t)
	web := LivePod{Namespace: "shop", Name: "web-1", Node: "node-2"}
	taken := len(l.a.State().Handles)
	moves := l.Start(web, LivePod{Name: "web", Node: "node-1"}, LivePod{Namespace: "shop", Name: "db", Node: "nowhere"},
		LivePod{Namespace: "shop", Name: "db", Node: "node-1", Num4: -1})
	must.ErrorIs(t, moves[0].Err, codes.AlreadyExists)
	must.EqError(t, moves[0].Err, `ipam: invalid pod "shop/web-1": has addresses already: stop it first, or give the new one another name`)
	must.Eq(t, "a pod of its name has addresses already", moves[0].Why())
	must.SliceEmpty(t, moves[0].Pod.IPs)
	must.ErrorIs(t, moves[1].Err, codes.InvalidArgument)
	must.EqError(t, moves[1].Err, `ipam: invalid pod "/web": must have a namespace and a name`)
	must.ErrorIs(t, moves[2].Err, codes.DoesNotExist)
	must.ErrorIs(t, moves[3].Err, codes.InvalidArgument)
	must.Eq(t, "shop/web-1 on node-1, shop/web-2 on node-2", labelsOf(l))
	must.Len(t, taken, l.a.State().Handles)

	must.SliceEmpty(t, l.Stop(l.Pods()[0]))
	must.SliceEmpty(t, l.Stop(web), must.Sprint("one that is not there"))
	moves = l.Start(web, web)
	must.NoError(t, moves[0].Err)
	must.ErrorIs(t, moves[1].Err, codes.AlreadyExists, must.Sprint("the second of two of one name"))
	must.Eq(t, "shop/web-1 on node-2, shop/web-2 on node-2", labelsOf(l))
	c, err := l.Copy()
	must.NoError(t, err)
	must.SliceEmpty(t, c.Stop(c.Pods()...))
	must.NoError(t, c.Start(web)[0].Err)
	must.ErrorIs(t, l.Start(web)[0].Err, codes.AlreadyExists, must.Sprint("what a copy does is not done here"))
	must.NoError(t, l.a.Check())
}

// TestDrainRefuses: a node that is not there; one that was drained has nothing to move.
func TestDrainRefuses(t *testing.T) {
	l := twoNodes(t)
	_, err := l.Drain("node-3")
	must.ErrorIs(t, err, codes.DoesNotExist)
	must.ErrorContains(t, err, "node-3")
	_, err = l.RemoveNode("node-3")
	must.ErrorIs(t, err, codes.DoesNotExist)
	must.False(t, l.Cordoned("node-3"))

	moves, err := l.Drain("node-1")
	must.NoError(t, err)
	must.Len(t, 1, moves)
	must.Eq(t, "node-1", moves[0].From)
	must.True(t, l.Cordoned("node-1"))
	moves, err = l.Drain("node-1")
	must.NoError(t, err)
	must.SliceEmpty(t, moves, must.Sprint(moves))
	moves, err = l.Drain("node-2")
	must.NoError(t, err)
	must.Len(t, 2, moves)
	for i := range moves {
		must.ErrorIs(t, moves[i].Err, codes.DoesNotExist)
		must.Eq(t, "there is no node left to move to", moves[i].Why())
		must.Eq(t, "", moves[i].Pod.Node)
	}
	must.SliceEmpty(t, l.Pods())
	l.Uncordon("node-1")
	must.NoError(t, l.Start(LivePod{Namespace: "shop", Name: "web-1", Node: "node-1"})[0].Err)
	c, err := l.RemoveNode("node-1")
	must.NoError(t, err)
	must.Len(t, 1, c.Moves, must.Sprint("node-2 is drained, too"))
	must.ErrorIs(t, c.Moves[0].Err, codes.DoesNotExist)
	must.Len(t, 1, l.a.Nodes())
	must.SliceEmpty(t, l.a.State().Handles)
	must.NoError(t, l.a.Check())
}

// TestScale: names of pods that came to another node are not used again, and fewer than
// none are none.
func TestScale(t *testing.T) {
	l := twoNodes(t)
	started, ended := l.Scale(3)
	must.Len(t, 4, started)
	must.SliceEmpty(t, ended, must.Sprint(ended))
	_, err := l.Drain("node-1")
	must.NoError(t, err)
	l.Uncordon("node-1")
	started, ended = l.Scale(3)
	must.Len(t, 3, ended, must.Sprint("of node-2, which has six"))
	must.Len(t, 3, started)
	for _, m := range started {
		must.NoError(t, m.Err)
	}
	seen, on := make(map[string]bool), make(map[string]int)
	for _, p := range l.Pods() {
		must.False(t, seen[p.Label()], must.Sprint(p.Label()))
		seen[p.Label()] = true
		on[p.Node]++
	}
	must.Eq(t, map[string]int{"node-1": 3, "node-2": 3}, on)
	started, ended = l.Scale(-1)
	must.SliceEmpty(t, started, must.Sprint(started))
	must.Len(t, 6, ended)
	must.SliceEmpty(t, l.Pods())
	must.NoError(t, l.a.Check())
}

// TestStartMany: pods until the pool is full.
func TestStartMany(t *testing.T) {
	l := twoNodes(t)
	must.SliceEmpty(t, l.Stop(l.Pods()...))
	for i := range 32 {
		must.NoError(t, l.Start(LivePod{Namespace: "shop", Name: fmt.Sprint(i), Node: "node-1"})[0].Err)
	}
	m := l.Start(LivePod{Namespace: "shop", Name: "late", Node: "node-1"})[0]
	must.ErrorIs(t, m.Err, codes.Partial)
	must.Eq(t, "every address is taken in 10.0.0.0/27", m.Why())
}
