package protocol

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// unrecorded are scenes that no recording has: changing the line of ipam that each of
// them is about makes no recording diverge.
var unrecorded = map[string]func(t *testing.T, e trace.Engine, clock *ipam.Clock){
	// The host gets an affinity by name, which its namesake has too (§1, §15).
	"ReleaseAffinity drops a namesake's claim": func(t *testing.T, e trace.Engine, _ *ipam.Clock) {
		cidr := netip.MustParsePrefix("10.0.0.8/29")
		_, _, err := e.ClaimAffinity(cidr, affinity.VirtualOwner("n"))
		require.NoError(t, err)
		require.NoError(t, e.ReleaseAffinity(cidr, affinity.HostOwner("n"), true))
		s := e.State()
		require.Empty(t, s.Affinities)
		require.Equal(t, affinity.VirtualOwner("n"), s.Blocks[0].Owner)
	},
	"DropAffinity drops a namesake's claim, and says so": func(t *testing.T, e trace.Engine, _ *ipam.Clock) {
		cidr := netip.MustParsePrefix("10.0.0.8/29")
		require.NoError(t, e.PutAffinity(affinity.VirtualOwner("n"), cidr, affinity.Confirmed))
		require.True(t, e.DropAffinity(affinity.HostOwner("n"), cidr))
		require.Empty(t, e.State().Affinities)
		require.False(t, e.DropAffinity(affinity.HostOwner("n"), cidr))
	},
	// Recovering a claim writes the block, and every write collects (§5, §9).
	"a recovered block is collected": func(t *testing.T, e trace.Engine, clock *ipam.Clock) {
		require.NoError(t, e.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, StrictAffinity: true, IPCooldownSeconds: 60}))
		hold(t, e, "h", sideIP)
		require.NoError(t, e.ReleaseByHandle("h"))
		require.Len(t, e.State().Blocks[0].Allocations, 1, "it cools down")
		cidr := e.State().Blocks[0].CIDR
		require.NoError(t, e.PutAffinity(sideNode, cidr, affinity.Pending))
		clock.Advance(twoMinutes)
		got, _, err := e.EnsureBlock(ipam.EnsureBlockArgs{Host: "n", HostReserved4: sideKeep})
		require.NoError(t, err)
		require.Equal(t, cidr, got)
		require.Empty(t, e.State().Blocks[0].Allocations)
	},
}

func TestUnrecorded(t *testing.T) {
	for name, scene := range unrecorded {
		for engine, made := range map[string]makeEngine{"allocator": allocator, "client": client} {
			t.Run(name+", "+engine, func(t *testing.T) {
				clock := ipam.NewClock(time.Unix(1_800_000_000, 0))
				e := made(ipam.Options{Now: clock.Now})
				require.NoError(t, e.SetPool(sidePool))
				require.NoError(t, e.SetNode(ipam.Node{Name: "n"}))
				scene(t, e, clock)
			})
		}
	}
}

// TestReleasedInTheOrderGiven: v3.32 goes through a batch by the text of addresses, and
// answers in the order in which they were given.
func TestReleasedInTheOrderGiven(t *testing.T) {
	for engine, made := range map[string]makeEngine{"allocator": allocator, "client": client} {
		t.Run(engine, func(t *testing.T) {
			e := made(ipam.Options{Calico: calico.V3(32), Now: ipam.NewClock(time.Unix(1_800_000_000, 0)).Now})
			require.NoError(t, e.SetPool(sidePool))
			require.NoError(t, e.SetNode(ipam.Node{Name: "n"}))
			hold(t, e, "h", sideIP, sideIP.Next())
			given := []ipam.Release{{IP: sideIP}, {IP: sideIP.Next()}} // as text 10.0.0.10 is before 10.0.0.9
			before := slices.Clone(given)
			_, released, err := e.ReleaseIPs(given...)
			require.NoError(t, err)
			require.Equal(t, []netip.Addr{sideIP, sideIP.Next()}, released)
			require.Equal(t, before, given, "arguments are only read")
		})
	}
}
