package session

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/sim"
	"github.com/ipamsim/ipamsim/pool"
)

// This file plans a cluster: so many nodes and pods in a pool, at one block size.

type planArgs struct {
	Nodes     int    `json:"nodes"`
	Pods      int    `json:"pods"` // of each node
	BlockSize int    `json:"blockSize"`
	Pool      string `json:"pool"`
	Strict    bool   `json:"strict"`
}

// The most of a plan, so that dragging a slider feels immediate.
const (
	maxPlanNodes = 5000
	maxPlanPods  = 500
	maxPlanned   = 250_000 // pods of all nodes
)

// Plan is what becomes of a cluster in which every node and every pod asks for an address,
// pods in turns.
type Plan struct {
	BlockSize int     `json:"blockSize"`
	Requests  int     `json:"requests"` // one a pod and one a node, for its tunnel
	Own       int     `json:"own"`
	Borrowed  int     `json:"borrowed"`
	Refused   int     `json:"refused"`
	Blocks    int     `json:"blocks"`  // claimed
	Room      float64 `json:"room"`    // blocks that the pool has
	Without   int     `json:"without"` // nodes without a block
	Routes    int     `json:"routes"`
	Addresses float64 `json:"addresses"`
	Unused    float64 `json:"unused"` // addresses of claimed blocks that nobody has
	Fits      bool    `json:"fits"`   // nothing is refused or borrowed
	// Runs are the blocks that are claimed: the first, how many, 1, the node's number, and
	// how many of a hundred of their addresses are in use.
	Runs [][5]float64 `json:"runs"`
	Says []string     `json:"says"`
}

// Plan runs a cluster.
func (s *Session) Plan(a planArgs) (*Plan, error) {
	for _, one := range []struct {
		field       string
		n, from, to int
	}{{"nodes", a.Nodes, 1, maxPlanNodes}, {"pods", a.Pods, 0, maxPlanPods}, {"pods of all nodes", a.Nodes * a.Pods, 0, maxPlanned}} {
		if one.n < one.from || one.n > one.to {
			return nil, fmt.Errorf("%s: %s is out of range: %s to %s", one.field, thousands(one.n), thousands(one.from), thousands(one.to))
		}
	}
	cidr, err := prefix("pool", a.Pool)
	if err != nil {
		return nil, err
	}
	spec := pool.Spec{Name: "plan", CIDR: cidr, BlockSize: a.BlockSize}
	if err := checkPool(spec); err != nil {
		return nil, err
	}
	p, err := pool.New(spec)
	if err != nil {
		return nil, plainPool(err)
	}
	r, err := sim.Run(sim.Scenario{
		Pool: cidr, BlockSize: p.BlockSize(), TunnelIPPerNode: true, StrictAffinity: a.Strict,
		Group: sim.Group{Nodes: a.Nodes, PodsPerNode: a.Pods},
	}, sim.Options{Samples: 2, Map: true})
	if err != nil {
		return nil, err
	}
	room, size := math.Ldexp(1, p.BlockBits()), math.Ldexp(1, cidr.Addr().BitLen()-p.BlockSize())
	plan := &Plan{
		BlockSize: p.BlockSize(), Requests: r.Requests, Own: r.Own, Borrowed: r.Borrowed, Refused: r.Refused(), Blocks: r.BlocksClaimed,
		Room: room, Without: r.NodesWithoutBlock, Routes: r.Routes, Addresses: size * room,
		Unused: float64(r.BlocksClaimed)*size - float64(r.Assigned), Fits: r.Refused() == 0 && r.Borrowed == 0, Runs: planRuns(r.Map, int(size)), Says: []string{},
	}
	plan.tell(cidr, a)
	return plan, nil
}

// planRuns are the blocks at the end of a map.
func planRuns(m *sim.Map, size int) [][5]float64 {
	runs := [][5]float64{}
	if m == nil || len(m.Pools) == 0 {
		return runs
	}
	last := make(map[int]sim.Cell)
	for _, f := range m.Frames {
		for _, c := range f.Cells {
			last[c.Block] = c
		}
	}
	for _, i := range slices.Sorted(maps.Keys(last)) {
		c := last[i]
		if c.Owner < 0 {
			continue
		}
		r := [5]float64{float64(i - m.Pools[0].First), 1, runOwned, float64(c.Owner), percent(c.InUse, size)}
		if n := len(runs); n > 0 {
			if before := &runs[n-1]; before[0]+before[1] == r[0] && before[3] == r[3] && before[4] == r[4] {
				before[1]++
				continue
			}
		}
		runs = append(runs, r)
	}
	return runs
}

// tell says what the plan comes to.
func (p *Plan) tell(cidr netip.Prefix, a planArgs) {
	say := func(format string, args ...any) { p.Says = append(p.Says, fmt.Sprintf(format, args...)) }
	say("%s of %s in %s, in blocks of /%d: %s ask for an address, with the nodes' tunnels.", count(a.Nodes, "node"), count(a.Pods, "pod"), cidr, p.BlockSize, thousands(p.Requests))
	if p.Fits {
		say("All get one from a block of their own node: %s of %s are claimed, and the routers carry %s.", thousands(p.Blocks), thousands(p.Room), count(p.Routes, "route"))
	} else {
		var parts []string
		if p.Borrowed > 0 {
			parts = append(parts, are(p.Borrowed, "address is borrowed", "addresses are borrowed"))
		}
		if p.Refused > 0 {
			parts = append(parts, are(p.Refused, "request gets none", "requests get none"))
		}
		say("It does not fit: %s.", list(parts))
		if p.Without > 0 {
			say("%s no block: all %s are claimed.", are(p.Without, "node has", "nodes have"), thousands(p.Room))
		}
		if need := float64(p.Requests); need > p.Addresses {
			say("The pool has only %s addresses.", thousands(p.Addresses))
		} else if float64(p.Blocks) >= p.Room {
			say("The addresses would suffice, the blocks do not: %s addresses of claimed blocks are not in use.", thousands(p.Unused))
		}
	}
	p.Says[0] = strings.Replace(p.Says[0], " of 0 pods", " without pods", 1)
}
