package claimlist_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/claimlist"
)

// A host claims two blocks and dies before it confirms the second.
func Example() {
	var claims claimlist.Index
	worker := claims.Open(affinity.HostOwner("calico-ipam-worker"))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	first := worker.Pend(netip.MustParsePrefix("192.168.131.128/26"), now)
	// … the block is written …
	if err := first.Confirm(); err != nil {
		fmt.Println(err)
	}
	worker.Pend(netip.MustParsePrefix("192.168.18.64/26"), now)

	for _, c := range claims.All() {
		fmt.Println(c.Name(), c.Owner, c.State)
	}

	// Giving a block up: the claim is marked first, and deleted last.
	if err := first.Release(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(first.Confirm())
	worker.Drop(first.CIDR)
	fmt.Println(worker.Len(), "left")

	// Output:
	// calico-ipam-worker-192-168-131-128-26 host:calico-ipam-worker confirmed
	// calico-ipam-worker-192-168-18-64-26 host:calico-ipam-worker pending
	// 192.168.131.128/26 of host:calico-ipam-worker: claimlist: step not allowed in this state: confirm when "pendingDeletion"
	// 1 left
}
