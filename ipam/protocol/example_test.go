package protocol_test

import (
	"fmt"
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// Two hosts claim one block at once, taking turns call by call. The host that
// creates the block first owns it; the other finds it taken and deletes its own
// affinity.
func Example() {
	cluster := protocol.NewCluster()
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	if err := cluster.SetPool(pool.Spec{Name: "p", CIDR: cidr, BlockSize: 26}); err != nil {
		fmt.Println(err)
	}
	hosts := []string{"a", "b"}
	var clients []*protocol.Process
	for _, host := range hosts {
		clients = append(clients, protocol.Start(func(access protocol.Access) {
			_, _, _ = cluster.Client(access, nil).ClaimAffinity(cidr, affinity.HostOwner(host))
		}))
	}
	for turn := 0; turn < 10; turn++ {
		if r, waiting := clients[turn%2].Request(); waiting {
			answer := cluster.Store().Do(r)
			fmt.Println(hosts[turn%2], r.Verb, r.Key, answer.Result)
			clients[turn%2].Answer(answer)
		}
	}
	// Output:
	// a get config missing
	// b get config missing
	// a create affinity/host:a/10.0.0.0/26 ok
	// b create affinity/host:b/10.0.0.0/26 ok
	// a create block/10.0.0.0/26 ok
	// b create block/10.0.0.0/26 exists
	// a update affinity/host:a/10.0.0.0/26 ok
	// b get block/10.0.0.0/26 ok
	// b delete affinity/host:b/10.0.0.0/26 ok
}
