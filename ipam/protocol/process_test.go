package protocol

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// cluster returns a cluster with one pool of four blocks of four, and the nodes.
func cluster(t testing.TB, nodes ...string) *Cluster {
	t.Helper()
	c := NewCluster()
	must.NoError(t, c.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}))
	for _, n := range nodes {
		must.NoError(t, c.Client(nil, nil).SetNode(ipam.Node{Name: n}))
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
	must.True(t, waiting)
	must.Eq(t, Request{Verb: Get, Key: configKey}, r)
	must.Eq(t, 1, c.Store().Counts().Calls, must.Sprint("nothing is asked before its turn"))
	run(c, p, toTheEnd)
	must.NoError(t, *err)
	must.Len(t, 1, c.State().Handles)
	_, waiting = p.Request()
	must.False(t, waiting)
	must.Panic(t, func() { p.Answer(Response{}) })
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
	must.Greater(t, 10, requests)
	for n := range requests {
		c := cluster(t, "n")
		p, err := assigning(c, "n", "h")
		run(c, p, n)
		calls, state := c.Store().Counts(), c.State()
		p.Kill()
		_, waiting := p.Request()
		must.False(t, waiting)
		must.NoError(t, *err, must.Sprint("it never came to an outcome"))
		must.Eq(t, calls, c.Store().Counts())
		must.Eq(t, state, c.State())

		v4, _, back := c.Client(nil, nil).AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 1, Handle: "back", Use: pool.Workload})
		must.NoError(t, back)
		must.Len(t, 1, v4.IPs)
		for _, a := range c.State().Affinities {
			must.Eq(t, affinity.Confirmed, a.State)
		}
	}
	must.LessEq(t, goroutines, runtime.NumGoroutine())
}

// The caller sees a panic in a program.
func TestProcessPanics(t *testing.T) {
	must.Eq(t, "a bug", panicOf(func() { Start(func(Access) { panic("a bug") }) }))
	p := Start(func(a Access) { a.Do(Request{Verb: Get, Key: configKey}); panic("a bug") })
	must.Eq(t, "a bug", panicOf(func() { p.Answer(Response{}) }))
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
			must.False(t, waiting)
			if *err != nil {
				must.ErrorIs(t, *err, ErrUnavailable)
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
	must.NoError(t, *err)
	must.Eq(t, 1, c.Store().Counts().Conflicts)
	must.Len(t, 3, c.State().Blocks[0].Allocations)
}

// No client tries for ever.
func TestGivesUp(t *testing.T) {
	c := cluster(t, "n")
	p := Start(func(access Access) {
		err := c.Client(access, nil).AssignIP(ipam.AssignIPArgs{IP: netip.MustParseAddr("10.0.0.1"), Host: "n"})
		must.ErrorIs(t, err, codes.MaxRetries)
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
	must.Eq(t, maxTries, updates)
}

// Each client uses its own clock.
func TestClocks(t *testing.T) {
	c := cluster(t, "n", "m")
	at := func(second int64) func() time.Time { return func() time.Time { return time.Unix(second, 0).UTC() } }
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	_, _, err := c.Client(nil, at(1000)).ClaimAffinity(cidr, affinity.HostOwner("n"))
	must.NoError(t, err)
	must.EqOp(t, at(1000)(), c.State().Blocks[0].Claimed)

	all := ipam.AutoAssignArgs{Host: "m", Num4: 16, Use: pool.Workload}
	v4, _, err := c.Client(nil, at(1059)).AutoAssign(all)
	must.NoError(t, err)
	must.Len(t, 16, v4.IPs, must.Sprint("borrowed"))
	must.Eq(t, affinity.HostOwner("n"), c.State().Blocks[0].Owner, must.Sprint("too young to be reclaimed, for that clock"))
}

// panicOf returns what f panics with, or nil.
func panicOf(f func()) (what any) {
	defer func() { what = recover() }()
	f()
	return nil
}
