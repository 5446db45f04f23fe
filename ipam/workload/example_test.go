package workload_test

import (
	"fmt"
	"net/netip"

	"github.com/ipamsim/ipamsim/ipam/workload"
)

// Four nodes with forty pods each share a /25, which has two blocks. Whoever
// comes without one takes addresses from the two that have, which then borrow
// from each other: a formula would say 64 borrowed.
func ExampleRun() {
	result, err := workload.Run(workload.Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 26,
		Group: workload.Group{Nodes: 4, PodsPerNode: 40}, TunnelIPPerNode: true,
	})
	fmt.Println(err)
	fmt.Println("own", result.Own, "borrowed", result.Borrowed, "refused", result.RefusedPoolEmptyOrStrict)
	fmt.Println("without a block", result.NodesWithoutBlock, "routes", result.Routes)
	// Output:
	// <nil>
	// own 54 borrowed 74 refused 36
	// without a block 2 routes 76
}
