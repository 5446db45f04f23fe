package sim_test

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam/sim"
)

// Four nodes with forty pods each share a /25, which has two blocks. Whoever
// comes without one takes addresses from the two that have, which then borrow
// from each other: a formula would say 64 borrowed.
func ExampleRun() {
	result, err := sim.Run(sim.Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 26,
		Group: sim.Group{Nodes: 4, PodsPerNode: 40}, TunnelIPPerNode: true,
	}, sim.Options{})
	fmt.Println(err)
	fmt.Println("own", result.Own, "borrowed", result.Borrowed, "refused", result.RefusedPoolEmptyOrStrict)
	fmt.Println("without a block", result.NodesWithoutBlock, "routes", result.Routes)
	// Output:
	// <nil>
	// own 54 borrowed 74 refused 36
	// without a block 2 routes 76
}

// The pool has a block for each of four nodes. The fifth, which comes later, has
// every address from the others' blocks, and the cluster ends with more routes.
func ExampleRun_headroom() {
	s := sim.Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), Group: sim.Group{Nodes: 4, PodsPerNode: 20}, TunnelIPPerNode: true,
		Events: []sim.Event{{At: sim.Duration(time.Hour), Do: "add-nodes", Group: &sim.Group{Nodes: 1}}},
	}
	result, err := sim.Run(s, sim.Options{Headroom: true})
	fmt.Println(err)
	fmt.Println("first borrowed", result.FirstBorrow.Node, "tunnel", result.FirstBorrow.Tunnel, "after", result.FirstBorrow.At)
	fmt.Println("routes", result.Routes, "stranded", result.Blocks.Stranded)
	fmt.Println("room for", result.Headroom.Nodes, "nodes more, or", result.Headroom.PodsPerNode, "pods more on each")
	// Output:
	// <nil>
	// first borrowed node-4 tunnel true after 1h0m0s
	// routes 25 stranded 151
	// room for 7 nodes more, or 30 pods more on each
}

// A file has scenarios with what is to become of them.
func ExampleRead() {
	const text = `
name: limit
pool: 10.0.0.0/24
blockSize: 32
nodes: 2
podsPerNode: 30
refusedBlockLimit: 19
`
	entries, err := sim.Read("limit.yaml", strings.NewReader(text))
	fmt.Println(err)
	for _, e := range entries {
		result, err := sim.Run(e.Scenario, sim.Options{})
		fmt.Println(e.Name, err, e.Differences(&result))
	}
	// Output:
	// <nil>
	// limit <nil> [refusedBlockLimit: 20, want 19]
}
