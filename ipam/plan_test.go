package ipam

import (
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"
	"unsafe"

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

// TestFullBlocksAreTriedAgain: a host fills its blocks one after the other, and finds
// the one address that is released in one of them.
func TestFullBlocksAreTriedAgain(t *testing.T) {
	a, _, _ := planned(t)
	ask := func() []netip.Prefix {
		v4, _, err := a.AutoAssign(AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload})
		must.NoError(t, err)
		must.NoError(t, a.Check())
		return v4.IPs
	}
	given := make(map[netip.Prefix]bool)
	for range 16 {
		for _, ip := range ask() {
			given[ip] = true
		}
	}
	must.MapLen(t, 16, given, must.Sprint("all of the pool"))
	must.SliceEmpty(t, ask(), must.Sprint("short, which is no error"))
	for ip := range given {
		_, err := a.ReleaseIP(Release{IP: ip.Addr()})
		must.NoError(t, err)
		must.Eq(t, []netip.Prefix{ip}, ask())
		must.SliceEmpty(t, ask())
	}
}

// TestGivesBackWhatHasCooled: if a pool no longer selects the node, the first request
// that finds its block empty releases it (§3): here after a cooldown, whose end is no
// write.
func TestGivesBackWhatHasCooled(t *testing.T) {
	a, clock, ask := planned(t)
	must.NoError(t, a.SetIPAMConfig(Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	must.NoError(t, a.AssignIP(AssignIPArgs{IP: netip.MustParseAddr("10.1.0.1"), Host: "n1", Handle: "h"}))
	ask()
	ask()
	must.NoError(t, a.ReleaseByHandle("h"))
	ask()
	must.NotNil(t, a.block(netip.MustParsePrefix("10.1.0.0/30")), must.Sprint("it cools"))
	clock.Advance(time.Minute)
	ask()
	must.Nil(t, a.block(netip.MustParsePrefix("10.1.0.0/30")))
}

// TestRecoversTheClaimItReaches: the request that reaches a claim recovers it, if it
// is not confirmed, or has no block or another owner's. Requests before leave it.
func TestRecoversTheClaimItReaches(t *testing.T) {
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
		ask := func(n int) (last string) {
			v4, _, err := a.AutoAssign(AutoAssignArgs{Host: "n1", Num4: n, Use: pool.Workload})
			must.NoError(t, err)
			must.False(t, errors.Is(a.Check(), ErrStructure))
			return v4.IPs[len(v4.IPs)-1].Addr().String()
		}
		must.Eq(t, "10.0.0.1", ask(1), must.Sprintf("%v", claim))
		must.Eq(t, claim.state, a.known(n1).claims.Get(claim.cidr).State, must.Sprintf("%v: not reached", claim))
		must.Eq(t, "10.0.0.3", ask(2), must.Sprintf("%v", claim))
		must.Eq(t, "10.0.0.15", ask(3), must.Sprintf("%v", claim))
		must.Eq(t, "10.0.0.4", ask(1), must.Sprintf("%v", claim))
		must.Len(t, 3, a.known(n1).blocks, must.Sprintf("%v", claim))
		for _, c := range a.known(n1).claims.All() {
			must.Eq(t, affinity.Confirmed, c.State, must.Sprintf("%v: %s", claim, c.CIDR))
			must.SliceContainsOp(t, a.known(n1).blocks, a.block(c.CIDR), must.Sprintf("%v", claim))
		}
	}
}

// TestLines: what a pod needs when it comes or goes is in two cache lines of its owner,
// and in one of its block beside those that package block has.
func TestLines(t *testing.T) {
	if math.MaxInt < math.MaxInt64 {
		t.Skip("pointers are smaller")
	}
	const line = 64
	var b ipamBlock
	must.Zero(t, unsafe.Sizeof(b)%line)
	must.LessEq(t, line, unsafe.Sizeof(b)-unsafe.Offsetof(b.pool))
	var o owner
	must.LessEq(t, 2*line, unsafe.Offsetof(o.plan4)+unsafe.Offsetof(o.plan4.spent)+unsafe.Sizeof(o.plan4.spent))
}
