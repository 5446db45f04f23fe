package ipam

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/pool"
)

// planned returns an allocator with two pools, of which the second takes nodes with
// the label b, and a plain request of its node.
func planned(t *testing.T) (a *Allocator, clock *Clock, ask func()) {
	t.Helper()
	clock = NewClock(time.Unix(1e9, 0))
	a = New(Options{Now: clock.Now})
	for _, s := range []pool.Spec{
		{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30},
		{Name: "b", CIDR: netip.MustParsePrefix("10.1.0.0/28"), BlockSize: 30, NodeSelector: "has(b)"},
	} {
		require.NoError(t, a.SetPool(s))
	}
	require.NoError(t, a.SetNode(Node{Name: "n1"}))
	t.Cleanup(func() { require.NoError(t, a.Check()) })
	return a, clock, func() {
		_, _, err := a.AutoAssign(AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload})
		require.NoError(t, err)
	}
}

// TestPlans: the second plain request of a host leaves a plan, and the third uses
// only that. Plans make most requests cheap, and show nowhere else.
func TestPlans(t *testing.T) {
	a, _, ask := planned(t)
	ask()
	o := a.known(affinity.HostOwner("n1"))
	require.Nil(t, a.planFor(o, true, pool.Workload), "it claimed its first block")
	ask()
	require.NotNil(t, a.planFor(o, true, pool.Workload))
}

// TestPlansGrow: a claimed block joins the plan, in the order of claims, and full
// blocks are skipped until an address is released.
func TestPlansGrow(t *testing.T) {
	a, _, ask := planned(t)
	ask()
	ask()
	o := a.known(affinity.HostOwner("n1"))
	p := a.planFor(o, true, pool.Workload)
	for range 14 {
		ask()
		require.NoError(t, a.Check())
	}
	require.Len(t, p.blocks, 4, "all of the pool")
	require.Same(t, p, a.planFor(o, true, pool.Workload), "it is valid all along")
	_, _, err := a.AutoAssign(AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload})
	require.NoError(t, err, "short, which is no error")
	require.Equal(t, 4, p.spent, "blocks that are full")
	_, err = a.ReleaseIP(Release{IP: p.blocks[2].Addr(1)})
	require.NoError(t, err)
	require.Zero(t, p.spent)
	ask()
	require.Equal(t, 2, p.spent)
}

// TestNoPlanWhileSomethingIsToBeGivenBack: if a pool no longer selects the node,
// the first request that finds its block empty releases it (§3): here after a
// cooldown, whose end is no write.
func TestNoPlanWhileSomethingIsToBeGivenBack(t *testing.T) {
	a, clock, ask := planned(t)
	require.NoError(t, a.SetIPAMConfig(Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	require.NoError(t, a.AssignIP(AssignIPArgs{IP: netip.MustParseAddr("10.1.0.1"), Host: "n1", Handle: "h"}))
	o := a.known(affinity.HostOwner("n1"))
	for range 2 {
		ask()
		require.Nil(t, a.planFor(o, true, pool.Workload))
	}
	require.NoError(t, a.ReleaseByHandle("h"))
	ask()
	require.NotNil(t, a.block(netip.MustParsePrefix("10.1.0.0/30")), "it cools")
	clock.Advance(time.Minute)
	ask()
	require.Nil(t, a.block(netip.MustParsePrefix("10.1.0.0/30")))
	require.NotNil(t, a.planFor(o, true, pool.Workload))
}

// TestNoPlanWhileAClaimNeedsRecovery: the request that reaches a claim recovers
// it, if it is not confirmed, or has no block or another owner's.
func TestNoPlanWhileAClaimNeedsRecovery(t *testing.T) {
	n1, missing, others, own := affinity.HostOwner("n1"), netip.MustParsePrefix("10.0.0.4/30"), netip.MustParsePrefix("10.0.0.8/30"), netip.MustParsePrefix("10.0.0.12/30")
	for _, claim := range []struct {
		cidr  netip.Prefix
		state affinity.State
	}{{missing, affinity.Confirmed}, {missing, affinity.Pending}, {others, affinity.Confirmed}, {own, affinity.Pending}, {own, affinity.Confirmed}} {
		a := New(Options{})
		require.NoError(t, a.SetPool(pool.Spec{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}))
		require.NoError(t, a.SetNode(Node{Name: "n1"}))
		for ip, host := range map[string]string{"10.0.0.0": "n1", "10.0.0.8": "n2", "10.0.0.12": "n1"} {
			require.NoError(t, a.AssignIP(AssignIPArgs{IP: netip.MustParseAddr(ip), Host: host}))
		}
		require.NoError(t, a.PutAffinity(n1, claim.cidr, claim.state))
		var out, none Assignment
		require.NoError(t, a.AutoAssignInto(&AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload}, &out, &none))
		require.Equal(t, "10.0.0.1/30", out.IPs[0].String(), "it did not come to the claim")
		isTrue := claim.cidr == own && claim.state == affinity.Confirmed
		require.Equal(t, isTrue, a.planFor(a.known(n1), true, pool.Workload) != nil, "%v", claim)
		require.NotErrorIs(t, a.Check(), ErrStructure)
	}
}
