package snapshot

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// twoNodes returns a cluster of two nodes with eight blocks of four addresses and a pod
// each.
func twoNodes(t *testing.T) *Live {
	t.Helper()
	a := ipam.New(ipam.Options{})
	require.NoError(t, a.SetPool(pool.Spec{Name: "small", CIDR: netip.MustParsePrefix("10.0.0.0/27"), BlockSize: 30}))
	for _, name := range []string{"node-1", "node-2"} {
		require.NoError(t, a.SetNode(ipam.Node{Name: name}))
	}
	l, err := (&Snapshot{Cluster: a.Cluster()}).Live()
	require.NoError(t, err)
	for i, m := range l.Start(LivePod{Namespace: "shop", Name: "web-1", Node: "node-1"}, LivePod{Namespace: "shop", Name: "web-2", Node: "node-2"}) {
		require.NoError(t, m.Err, i)
		require.Len(t, m.Pod.IPs, 1, "what is usual where there is a pool of IPv4 alone")
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
	require.ErrorIs(t, moves[0].Err, codes.AlreadyExists)
	require.EqualError(t, moves[0].Err, `ipam: invalid pod "shop/web-1": has addresses already: stop it first, or give the new one another name`)
	require.Equal(t, "a pod of its name has addresses already", moves[0].Why())
	require.Empty(t, moves[0].Pod.IPs)
	require.ErrorIs(t, moves[1].Err, codes.InvalidArgument)
	require.EqualError(t, moves[1].Err, `ipam: invalid pod "/web": must have a namespace and a name`)
	require.ErrorIs(t, moves[2].Err, codes.DoesNotExist)
	require.ErrorIs(t, moves[3].Err, codes.InvalidArgument)
	require.Equal(t, "shop/web-1 on node-1, shop/web-2 on node-2", labelsOf(l))
	require.Len(t, l.a.State().Handles, taken)

	require.Empty(t, l.Stop(l.Pods()[0]))
	require.Empty(t, l.Stop(web), "one that is not there")
	moves = l.Start(web, web)
	require.NoError(t, moves[0].Err)
	require.ErrorIs(t, moves[1].Err, codes.AlreadyExists, "the second of two of one name")
	require.Equal(t, "shop/web-1 on node-2, shop/web-2 on node-2", labelsOf(l))
	c, err := l.Copy()
	require.NoError(t, err)
	require.Empty(t, c.Stop(c.Pods()...))
	require.NoError(t, c.Start(web)[0].Err)
	require.ErrorIs(t, l.Start(web)[0].Err, codes.AlreadyExists, "what a copy does is not done here")
	require.NoError(t, l.a.Check())
}

// TestDrainRefuses: a node that is not there; one that was drained has nothing to move.
func TestDrainRefuses(t *testing.T) {
	l := twoNodes(t)
	_, err := l.Drain("node-3")
	require.ErrorIs(t, err, codes.DoesNotExist)
	require.ErrorContains(t, err, "node-3")
	_, err = l.RemoveNode("node-3")
	require.ErrorIs(t, err, codes.DoesNotExist)
	require.False(t, l.Cordoned("node-3"))

	moves, err := l.Drain("node-1")
	require.NoError(t, err)
	require.Len(t, moves, 1)
	require.Equal(t, "node-1", moves[0].From)
	require.True(t, l.Cordoned("node-1"))
	moves, err = l.Drain("node-1")
	require.NoError(t, err)
	require.Empty(t, moves)
	moves, err = l.Drain("node-2")
	require.NoError(t, err)
	require.Len(t, moves, 2)
	for i := range moves {
		require.ErrorIs(t, moves[i].Err, codes.DoesNotExist)
		require.Equal(t, "there is no node left to move to", moves[i].Why())
		require.Empty(t, moves[i].Pod.Node)
	}
	require.Empty(t, l.Pods())
	l.Uncordon("node-1")
	require.NoError(t, l.Start(LivePod{Namespace: "shop", Name: "web-1", Node: "node-1"})[0].Err)
	c, err := l.RemoveNode("node-1")
	require.NoError(t, err)
	require.Len(t, c.Moves, 1, "node-2 is drained, too")
	require.ErrorIs(t, c.Moves[0].Err, codes.DoesNotExist)
	require.Len(t, l.a.Nodes(), 1)
	require.Empty(t, l.a.State().Handles)
	require.NoError(t, l.a.Check())
}

// TestScale: names of pods that came to another node are not used again, and fewer than
// none are none.
func TestScale(t *testing.T) {
	l := twoNodes(t)
	started, ended := l.Scale(3)
	require.Len(t, started, 4)
	require.Empty(t, ended)
	_, err := l.Drain("node-1")
	require.NoError(t, err)
	l.Uncordon("node-1")
	started, ended = l.Scale(3)
	require.Len(t, ended, 3, "of node-2, which has six")
	require.Len(t, started, 3)
	for _, m := range started {
		require.NoError(t, m.Err)
	}
	seen, on := make(map[string]bool), make(map[string]int)
	for _, p := range l.Pods() {
		require.False(t, seen[p.Label()], p.Label())
		seen[p.Label()] = true
		on[p.Node]++
	}
	require.Equal(t, map[string]int{"node-1": 3, "node-2": 3}, on)
	started, ended = l.Scale(-1)
	require.Empty(t, started)
	require.Len(t, ended, 6)
	require.Empty(t, l.Pods())
	require.NoError(t, l.a.Check())
}

// TestStartMany: pods until the pool is full.
func TestStartMany(t *testing.T) {
	l := twoNodes(t)
	require.Empty(t, l.Stop(l.Pods()...))
	for i := range 32 {
		require.NoError(t, l.Start(LivePod{Namespace: "shop", Name: fmt.Sprint(i), Node: "node-1"})[0].Err)
	}
	m := l.Start(LivePod{Namespace: "shop", Name: "late", Node: "node-1"})[0]
	require.ErrorIs(t, m.Err, codes.Partial)
	require.Equal(t, "every address is taken in 10.0.0.0/27", m.Why())
}
