package snapshot

import (
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// TestHeldBy: what a handle holds is counted by block, in the order of addresses, whatever
// the order of the blocks and of the lists, and whichever letters its ids are of.
func TestHeldBy(t *testing.T) {
	of := func(cidr string, handles ...string) ipam.BlockState {
		b := ipam.BlockState{CIDR: netip.MustParsePrefix(cidr)}
		for i, h := range handles {
			b.Allocations = append(b.Allocations, block.Allocation{Ordinal: i, Handle: h, Record: i})
		}
		return b
	}
	taken := []ipam.BlockState{of("10.0.1.0/29", "b", "A", "", "a"), of("10.0.0.0/29", "a", block.HostReservedHandle)}
	refused := []ipam.BlockState{of("10.0.1.0/29", "a"), of("10.0.2.0/29", "c\rx")}
	held := heldBy(taken, refused)
	must.Eq(t, &holding{"A", []ipam.HandleCount{{Block: taken[1].CIDR, Count: 1}, {Block: taken[0].CIDR, Count: 3}}}, held.get("a"))
	must.Eq(t, &holding{"c", []ipam.HandleCount{{Block: refused[1].CIDR, Count: 1}}}, held.get("c"))
	must.Nil(t, held.get(block.HostReservedHandle), must.Sprint("no handle counts what the host keeps"))
	must.Len(t, 2, held.take("A"))
	must.Nil(t, held.get("a"))
	must.SliceContainsAll(t, held.keys(), []string{"b", "c"})
}
