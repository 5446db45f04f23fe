package protocol

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// cluster returns a cluster with one pool of four blocks of four, and the nodes.
func cluster(t testing.TB, nodes ...string) *Cluster {
	t.Helper()
	c := NewCluster()
	require.NoError(t, c.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}))
	for _, n := range nodes {
		require.NoError(t, c.Client(nil, nil).SetNode(ipam.Node{Name: n}))
	}
	return c
}

// assigning returns a process that assigns one address, and the place of its
// outcome.
func assigning(c *Cluster, host, handle string) (*Process, *error) {
	var err error
	return Start(func(access Access) {
		_, _, err = c.Client(access, nil).AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 1, Handle: handle, Use: pool.Workload})
	}), &err
}

// run answers up to that many requests of a process from the store.
func run(c *Cluster, p *Process, requests int) {
	for range requests {
		r, waiting := p.Request()
		if !waiting {
			return
		}
		p.Answer(c.Store().Do(r))
	}
}

const toTheEnd = 1000

func TestProcess(t *testing.T) {
	c := cluster(t, "n")
	p, err := assigning(c, "n", "h")
	r, waiting := p.Request()
	require.True(t, waiting)
	require.Equal(t, Request{Verb: Get, Key: configKey}, r)
	require.Equal(t, 1, c.Store().Counts().Calls, "nothing is asked before its turn")
	run(c, p, toTheEnd)
	require.NoError(t, *err)
	require.Len(t, c.State().Handles, 1)
	_, waiting = p.Request()
	require.False(t, waiting)
	require.Panics(t, func() { p.Answer(Response{}) })
	p.Kill() // no harm
}

// A process that dies at any request leaves its writes until then and no
// goroutine; then the host comes back and gets an address.
func TestProcessKilled(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	alone := cluster(t, "n")
	p, _ := assigning(alone, "n", "h")
	run(alone, p, toTheEnd)
	requests := alone.Store().Counts().Calls - 1
	require.Greater(t, requests, 10)
	for n := range requests {
		c := cluster(t, "n")
		p, err := assigning(c, "n", "h")
		run(c, p, n)
		calls, state := c.Store().Counts(), c.State()
		p.Kill()
		_, waiting := p.Request()
		require.False(t, waiting)
		require.NoError(t, *err, "it never came to an outcome")
		require.Equal(t, calls, c.Store().Counts())
		require.Equal(t, state, c.State())

		v4, _, back := c.Client(nil, nil).AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 1, Handle: "back", Use: pool.Workload})
		require.NoError(t, back)
		require.Len(t, v4.IPs, 1)
		for _, a := range c.State().Affinities {
			require.Equal(t, affinity.Confirmed, a.State)
		}
	}
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
}

// The caller sees a panic in a program.
func TestProcessPanics(t *testing.T) {
	require.PanicsWithValue(t, "a bug", func() { Start(func(Access) { panic("a bug") }) })
	p := Start(func(a Access) { a.Do(Request{Verb: Get, Key: configKey}); panic("a bug") })
	require.PanicsWithValue(t, "a bug", func() { p.Answer(Response{}) })
}

// Any request may fail, before or after it is carried out: the operation then
// ends, with that error or without, and never panics.
func TestFailedAnswers(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for n := range 20 {
			c := cluster(t, "n")
			p, err := assigning(c, "n", "h")
			run(c, p, n)
			r, waiting := p.Request()
			if !waiting {
				break
			}
			if lost {
				c.Store().Do(r)
			}
			p.Answer(Response{Result: Failed})
			run(c, p, toTheEnd)
			_, waiting = p.Request()
			require.False(t, waiting)
			if *err != nil {
				require.ErrorIs(t, *err, ErrUnavailable)
			}
		}
	}
}

// A client with a stale read of a block meets a conflict, and reads the block
// again.
func TestStaleRead(t *testing.T) {
	c := cluster(t, "n")
	p, _ := assigning(c, "n", "first")
	run(c, p, toTheEnd)
	block := c.State().Blocks[0].CIDR
	old := c.Store().Do(Request{Verb: Get, Key: blockKey(block)})
	p, _ = assigning(c, "n", "second")
	run(c, p, toTheEnd)

	p, err := assigning(c, "n", "third")
	for {
		r, waiting := p.Request()
		if !waiting {
			break
		}
		answer := c.Store().Do(r)
		if r.Verb == Get && r.Key == blockKey(block) && old.Object != nil {
			answer, old = old, Response{}
		}
		p.Answer(answer)
	}
	require.NoError(t, *err)
	require.Equal(t, 1, c.Store().Counts().Conflicts)
	require.Len(t, c.State().Blocks[0].Allocations, 3)
}

// No client tries for ever.
func TestGivesUp(t *testing.T) {
	c := cluster(t, "n")
	p := Start(func(access Access) {
		err := c.Client(access, nil).AssignIP(ipam.AssignIPArgs{IP: netip.MustParseAddr("10.0.0.1"), Host: "n"})
		require.ErrorIs(t, err, codes.MaxRetries)
	})
	updates := 0
	for {
		r, waiting := p.Request()
		if !waiting {
			break
		}
		if r.Verb == Update && r.Key == "block/10.0.0.0/30" {
			updates++
			p.Answer(Response{Result: Conflict})
			continue
		}
		p.Answer(c.Store().Do(r))
	}
	require.Equal(t, maxTries, updates)
}

// Each client uses its own clock.
func TestClocks(t *testing.T) {
	c := cluster(t, "n", "m")
	at := func(second int64) func() time.Time { return func() time.Time { return time.Unix(second, 0).UTC() } }
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	_, _, err := c.Client(nil, at(1000)).ClaimAffinity(cidr, affinity.HostOwner("n"))
	require.NoError(t, err)
	require.Equal(t, at(1000)(), c.State().Blocks[0].Claimed)

	all := ipam.AutoAssignArgs{Host: "m", Num4: 16, Use: pool.Workload}
	v4, _, err := c.Client(nil, at(1059)).AutoAssign(all)
	require.NoError(t, err)
	require.Len(t, v4.IPs, 16, "borrowed")
	require.Equal(t, affinity.HostOwner("n"), c.State().Blocks[0].Owner, "too young to be reclaimed, for that clock")
}
