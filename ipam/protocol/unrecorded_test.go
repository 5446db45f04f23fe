package protocol

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// unrecorded are scenes that no recording has: changing the lines of ipam that they are
// about makes no recording diverge.
var unrecorded = map[string]func(t *testing.T, e trace.Engine, clock *ipam.Clock){
	// The host gets an affinity by name, which its namesake has too (§1, §15).
	"ReleaseAffinity drops a namesake's claim": func(t *testing.T, e trace.Engine, _ *ipam.Clock) {
		cidr := netip.MustParsePrefix("10.0.0.8/29")
		_, _, err := e.ClaimAffinity(cidr, affinity.VirtualOwner("n"))
		must.NoError(t, err)
		must.NoError(t, e.ReleaseAffinity(cidr, affinity.HostOwner("n"), true))
		s := e.State()
		must.SliceEmpty(t, s.Affinities, must.Sprint(s.Affinities))
		must.Eq(t, affinity.VirtualOwner("n"), s.Blocks[0].Owner)
	},
	"DropAffinity drops a namesake's claim, and says so": func(t *testing.T, e trace.Engine, _ *ipam.Clock) {
		cidr := netip.MustParsePrefix("10.0.0.8/29")
		must.NoError(t, e.PutAffinity(affinity.VirtualOwner("n"), cidr, affinity.Confirmed))
		must.True(t, e.DropAffinity(affinity.HostOwner("n"), cidr))
		must.SliceEmpty(t, e.State().Affinities)
		must.False(t, e.DropAffinity(affinity.HostOwner("n"), cidr))
	},
	// Recovering a claim writes the block, and every write collects (§5, §9).
	"a recovered block is collected": func(t *testing.T, e trace.Engine, clock *ipam.Clock) {
		must.NoError(t, e.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, StrictAffinity: true, IPCooldownSeconds: 60}))
		hold(t, e, "h", sideIP)
		must.NoError(t, e.ReleaseByHandle("h"))
		must.Len(t, 1, e.State().Blocks[0].Allocations, must.Sprint("it cools down"))
		cidr := e.State().Blocks[0].CIDR
		must.NoError(t, e.PutAffinity(sideNode, cidr, affinity.Pending))
		clock.Advance(twoMinutes)
		got, _, err := e.EnsureBlock(ipam.EnsureBlockArgs{Host: "n", HostReserved4: sideKeep})
		must.NoError(t, err)
		must.EqOp(t, cidr, got)
		must.SliceEmpty(t, e.State().Blocks[0].Allocations)
	},
	"collection in one block": func(t *testing.T, e trace.Engine, clock *ipam.Clock) {
		must.NoError(t, e.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
		far := sidePool.CIDR.Addr() // in the block before
		hold(t, e, "h", sideIP, far)
		must.NoError(t, e.ReleaseByHandle("h"))
		clock.Advance(twoMinutes)
		left := func() (n int) {
			for _, b := range e.State().Blocks {
				n += len(b.Allocations)
			}
			return n
		}
		must.Eq(t, 2, left())
		e.GarbageCollectColdIPs(netip.MustParsePrefix("10.9.0.0/29"), netip.Prefix{})
		must.Eq(t, 2, left(), must.Sprint("there are no such blocks"))
		e.GarbageCollectColdIPs(netip.PrefixFrom(far, 29).Masked())
		must.Eq(t, 1, left())
		e.GarbageCollectColdIPs()
		must.Zero(t, left())
	},
	"usage of some pools": func(t *testing.T, e trace.Engine, _ *ipam.Clock) {
		must.NoError(t, e.SetPool(pool.Spec{Name: "six", CIDR: netip.MustParsePrefix("fd00::/124"), BlockSize: 126}))
		all := e.GetUtilization()
		must.Len(t, 3, all)
		must.Eq(t, all[:2], e.GetUtilization("six", "10.0.0.0/28", "p"))
		must.Eq(t, all[1:2], e.GetUtilization("fd00::/124"))
		must.SliceEmpty(t, e.GetUtilization(ipam.OrphanedBlocks))
	},
	"release for the owner that was read": func(t *testing.T, e trace.Engine, _ *ipam.Clock) {
		hold(t, e, "h", sideIP)
		read := e.State().Blocks[0]
		must.ErrorIs(t, e.ReleaseBlockAffinityOf(read, true), codes.BlockNotEmpty)
		must.ErrorIs(t, e.ReleaseBlockAffinityOf(ipam.BlockState{CIDR: netip.MustParsePrefix("10.0.0.1/29"), Owner: read.Owner}, true), codes.InvalidArgument)
		must.NoError(t, e.ReleaseBlockAffinityOf(ipam.BlockState{CIDR: read.CIDR}, false), must.Sprint("nobody's"))
		must.NoError(t, e.PutAffinity(affinity.HostOwner("m"), read.CIDR, affinity.Confirmed))
		must.Len(t, 2, e.State().Affinities)
		must.NoError(t, e.ReleaseBlockAffinityOf(ipam.BlockState{CIDR: read.CIDR, Owner: affinity.HostOwner("m")}, false))
		must.Len(t, 1, e.State().Affinities, must.Sprint("a claim on another's block is dropped"))
		must.Eq(t, read.Owner, e.State().Blocks[0].Owner)
		must.NoError(t, e.ReleaseBlockAffinityOf(read, false))
		must.SliceEmpty(t, e.State().Affinities)
		must.True(t, e.State().Blocks[0].Owner.IsZero())
		must.NoError(t, e.ReleaseBlockAffinityOf(read, false), must.Sprint("there is no claim any more"))
	},
}

func TestUnrecorded(t *testing.T) {
	for name, scene := range unrecorded {
		for engine, made := range map[string]makeEngine{"allocator": allocator, "client": client} {
			t.Run(name+", "+engine, func(t *testing.T) {
				clock := ipam.NewClock(time.Unix(1_800_000_000, 0))
				e := made(ipam.Options{Now: clock.Now})
				must.NoError(t, e.SetPool(sidePool))
				must.NoError(t, e.SetNode(ipam.Node{Name: "n"}))
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
			must.NoError(t, e.SetPool(sidePool))
			must.NoError(t, e.SetNode(ipam.Node{Name: "n"}))
			hold(t, e, "h", sideIP, sideIP.Next())
			given := []ipam.Release{{IP: sideIP}, {IP: sideIP.Next()}} // as text 10.0.0.10 is before 10.0.0.9
			before := slices.Clone(given)
			_, released, err := e.ReleaseIPs(given...)
			must.NoError(t, err)
			must.Eq(t, []netip.Addr{sideIP, sideIP.Next()}, released)
			must.Eq(t, before, given, must.Sprint("arguments are only read"))
		})
	}
}
