package affinity_test

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
)

// Kubernetes lists the affinity objects of a node by their names, not by address.
func Example() {
	owner, err := affinity.ParseOwner("host:worker")
	if err != nil {
		fmt.Println(err)
		return
	}
	blocks := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.4/30"),
		netip.MustParsePrefix("10.0.0.16/30"),
	}
	slices.SortFunc(blocks, affinity.CompareCIDRNames)
	for _, cidr := range blocks {
		fmt.Println(affinity.Name(owner.Name, cidr), affinity.Confirmed)
	}

	// Output:
	// worker-10-0-0-16-30 confirmed
	// worker-10-0-0-4-30 confirmed
}
