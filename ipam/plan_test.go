package ipam

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

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
		must.NoError(t, a.SetPool(s))
	}
	must.NoError(t, a.SetNode(Node{Name: "n1"}))
	t.Cleanup(func() { must.NoError(t, a.Check()) })
	return a, clock, func() {
		_, _, err := a.AutoAssign(AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload})
		must.NoError(t, err)
	}
}

// TestPlans: the second plain request of a host leaves a plan, and the third uses
// only that. Plans make most requests cheap, and show nowhere else.
func TestPlans(t *testing.T) {
	a, _, ask := planned(t)
	ask()
	o := a.known(affinity.HostOwner("n1"))
	must.Nil(t, a.planFor(o, true, pool.Workload), must.Sprint("it claimed its first block"))
	ask()
	must.NotNil(t, a.planFor(o, true, pool.Workload))
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
		must.NoError(t, a.Check())
	}
	must.Len(t, 4, p.blocks, must.Sprint("all of the pool"))
	must.EqOp(t, p, a.planFor(o, true, pool.Workload), must.Sprint("it is valid all along"))
	_, _, err := a.AutoAssign(AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload})
	must.NoError(t, err, must.Sprint("short, which is no error"))
	must.Eq(t, 4, p.spent, must.Sprint("blocks that are full"))
	_, err = a.ReleaseIP(Release{IP: p.blocks[2].Addr(1)})
	must.NoError(t, err)
	must.Zero(t, p.spent)
	ask()
	must.Eq(t, 2, p.spent)
}

// TestNoPlanWhileSomethingIsToBeGivenBack: if a pool no longer selects the node,
// the first request that finds its block empty releases it (§3): here after a
// cooldown, whose end is no write.
func TestNoPlanWhileSomethingIsToBeGivenBack(t *testing.T) {
	a, clock, ask := planned(t)
	must.NoError(t, a.SetIPAMConfig(Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	must.NoError(t, a.AssignIP(AssignIPArgs{IP: netip.MustParseAddr("10.1.0.1"), Host: "n1", Handle: "h"}))
	o := a.known(affinity.HostOwner("n1"))
	for range 2 {
		ask()
		must.Nil(t, a.planFor(o, true, pool.Workload))
	}
	must.NoError(t, a.ReleaseByHandle("h"))
	ask()
	must.NotNil(t, a.block(netip.MustParsePrefix("10.1.0.0/30")), must.Sprint("it cools"))
	clock.Advance(time.Minute)
	ask()
	must.Nil(t, a.block(netip.MustParsePrefix("10.1.0.0/30")))
	must.NotNil(t, a.planFor(o, true, pool.Workload))
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
		must.NoError(t, a.SetPool(pool.Spec{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}))
		must.NoError(t, a.SetNode(Node{Name: "n1"}))
		for ip, host := range map[string]string{"10.0.0.0": "n1", "10.0.0.8": "n2", "10.0.0.12": "n1"} {
			must.NoError(t, a.AssignIP(AssignIPArgs{IP: netip.MustParseAddr(ip), Host: host}))
		}
		must.NoError(t, a.PutAffinity(n1, claim.cidr, claim.state))
		var out, none Assignment
		must.NoError(t, a.AutoAssignInto(&AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload}, &out, &none))
		must.Eq(t, "10.0.0.1/30", out.IPs[0].String(), must.Sprint("it did not come to the claim"))
		isTrue := claim.cidr == own && claim.state == affinity.Confirmed
		must.Eq(t, isTrue, a.planFor(a.known(n1), true, pool.Workload) != nil, must.Sprintf("%v", claim))
		must.False(t, errors.Is(a.Check(), ErrStructure))
	}
}
