package ipam_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// TestReclaimSince: since v3.32 an empty block changes its owner if a pool is
// full.
func TestReclaimSince(t *testing.T) {
	for v, never := range map[calico.Version]bool{calico.V3(22): true, calico.V3(31): true, calico.V3(32): false, 0: false} {
		clock := ipam.NewClock(time.Unix(0, 0))
		a := ipam.New(ipam.Options{Now: clock.Now, Calico: v})
		must.NoError(t, a.SetIPAMConfig(ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true}))
		must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 28}))
		for _, host := range []string{"x", "y"} {
			must.NoError(t, a.SetNode(ipam.Node{Name: host}))
			v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 1, Handle: host, Use: pool.Workload})
			must.NoError(t, err)
			if host == "x" || !never {
				must.Len(t, 1, v4.IPs)
				must.NoError(t, a.ReleaseByHandle(host))
			} else {
				must.SliceEmpty(t, v4.IPs, must.Sprint(v4.IPs))
				_, _, err := a.EnsureBlock(ipam.EnsureBlockArgs{Host: host, HostReserved4: &ipam.HostReservation{StartOfBlock: 1}})
				must.ErrorIs(t, err, codes.NoFreeBlocks)
			}
			clock.Advance(time.Minute)
		}
		must.NoError(t, a.Check())
	}
}

// TestWalkMeetsOwnBlocks: §5, the first block on the walk that "does not exist" or
// "is affine to this very owner, and has a free address", without an affinity here.
// n1 walks over the blocks 2, 3, 0, 1.
func TestWalkMeetsOwnBlocks(t *testing.T) {
	for _, tc := range []struct {
		others, own []int
		want        int
	}{
		{nil, nil, 2},
		{nil, []int{2}, 2}, {nil, []int{3}, 2}, {nil, []int{1}, 2}, {nil, []int{0, 1, 3}, 2},
		{[]int{2}, []int{3}, 3}, {[]int{2}, []int{0}, 3}, {[]int{2}, []int{0, 3}, 3},
		{[]int{2, 3}, []int{0}, 0}, {[]int{2, 3}, []int{1}, 0}, {[]int{2, 3}, []int{1, 0}, 0},
		{[]int{0, 2, 3}, []int{1}, 1}, {[]int{0, 2}, []int{1}, 3},
	} {
		c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/28", 30)}, "n1")
		block := func(i int) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(4 * i)}), 30) }
		for _, i := range tc.others {
			c.take(block(i).Addr().String(), "n2", "h2")
		}
		for _, i := range tc.own {
			c.take(block(i).Addr().String(), "n1", "h1")
			must.True(t, c.DropAffinity(affinity.HostOwner("n1"), block(i)))
		}
		ips := c.ask("n1", 5, "h") // and more than one block has
		must.EqOp(t, block(tc.want), netip.MustParsePrefix(ips[0]).Masked(), must.Sprintf("%+v", tc))
	}
}

// TestWalkOfEachPool: §2, the start of a walk depends on the host's name and the
// pool, not on the host's walks over other pools.
func TestWalkOfEachPool(t *testing.T) {
	full, large := spec("a", "10.1.0.0/30", 30), spec("b", "10.0.0.0/20", 30)
	for _, host := range []string{"n1", "n2", "minikube"} {
		alone := newCluster(t, []pool.Spec{large}, host).ask(host, 1, "h")
		c := newCluster(t, []pool.Spec{full, large}, host)
		must.Eq(t, alone, c.ask(host, 5, "h")[4:])
	}
}

// TestMoreThanABlockHas: §4, "while fewer than num assigned": a block that is
// full, reserved whole, or has fewer addresses than requested does not end the
// request, with or without a plan.
func TestMoreThanABlockHas(t *testing.T) {
	for _, namespace := range []map[string]string{nil, {}} { // only the first is planned
		c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/28", 30)}, "n1")
		for _, ip := range []string{"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.12"} {
			c.take(ip, "n1", "h")
		}
		c.SetReservations([]string{"10.0.0.12/30"})
		ask := func(n int) []string {
			v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: n, Use: pool.Workload, Namespace: namespace})
			must.NoError(t, err)
			return texts(v4.IPs)
		}
		must.Eq(t, []string{"10.0.0.6/30"}, ask(1))
		must.Eq(t, []string{"10.0.0.7/30", "10.0.0.8/30"}, ask(2))
	}
}
