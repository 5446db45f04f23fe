package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// §2 to §5, where the recordings hardly reach: which pools, which
// blocks. Every test quotes what it is about.

// §2: "minikube always starts at 10.244.120.64/26"
func TestMinikube(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("default", "10.244.0.0/16", 0)}, "minikube")
	must.Eq(t, []string{"10.244.120.64/26", "10.244.120.65/26"}, c.ask("minikube", 2, "h"))
}

// §3: the errors in the order in which they come: use, node, host reservation,
// requested pools, pools; wrong family before all.
func TestOrderOfErrors(t *testing.T) {
	s := spec("only", "10.0.0.0/28", 30)
	s.NodeSelector, s.AllowedUses = "has(rack)", []pool.Use{pool.Workload}
	c := newCluster(t, []pool.Spec{s})
	r := ipam.AutoAssignArgs{
		Host: "n1", Num4: 1, Handle: "h", Pools4: []netip.Prefix{prefix("10.9.0.0/28"), prefix("fd00::/64")},
		HostReserved4: &ipam.HostReservation{},
	}
	next := func(want error) {
		t.Helper()
		_, _, err := c.AutoAssign(r)
		must.ErrorIs(t, err, want)
	}
	next(codes.WrongFamily)
	r.Pools4 = r.Pools4[:1]
	next(codes.UseRequired)
	r.Use = pool.Tunnel
	next(codes.DoesNotExist)
	must.NoError(t, c.SetNode(ipam.Node{Name: "n1"}))
	next(codes.BadHostReservation)
	r.HostReserved4 = &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1}
	next(codes.NoQualifiedPool) // before the requested pool is looked at
	r.HostReserved4 = nil
	next(codes.PoolNotEnabled)
	r.Pools4 = nil
	next(codes.NoPoolsForNode)
	must.NoError(t, c.SetNode(ipam.Node{Name: "n1", Labels: map[string]string{"rack": ""}}))
	next(codes.NoQualifiedPool)
	r.Use = pool.Workload
	next(nil)
}

// §3: "when IPv6 is refused so, the IPv4 addresses just given out stay allocated
// but the answer does not name them; after any other IPv6 error it does"
func TestSecondFamilyFails(t *testing.T) {
	c := newCluster(t, smallPools[:1], "n1")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 1, Num6: 1, Handle: "h", Use: pool.Workload, Pools6: []netip.Prefix{prefix("10.0.0.0/28")}}
	v4, v6, err := c.AutoAssign(r)
	must.ErrorIs(t, err, codes.WrongFamily)
	must.SliceEmpty(t, v4.IPs, must.Sprint(v4.IPs))
	must.SliceEmpty(t, v6.IPs, must.Sprint(v6.IPs))
	ips, err := c.IPsByHandle("h")
	must.NoError(t, err)
	must.Len(t, 1, ips)

	r.Pools6 = nil
	v4, _, err = c.AutoAssign(r)
	must.ErrorIs(t, err, codes.NoQualifiedPool)
	must.Len(t, 1, v4.IPs)
	ips, err = c.IPsByHandle("h")
	must.NoError(t, err)
	must.Len(t, 2, ips)
}

// §4: "An error of the first family ends the request; the second is not tried."
func TestFirstFamilyFails(t *testing.T) {
	c := newCluster(t, smallPools, "n1")
	v4, v6, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 5, Num6: 1, Use: pool.Workload, MaxBlocksPerHost: 1})
	must.ErrorIs(t, err, codes.BlockLimit)
	must.Len(t, 4, v4.IPs)
	must.SliceEmpty(t, v6.IPs, must.Sprint(v6.IPs))
}

// §3: "If pools were requested … exactly those are used, in the requested order;
// selectors and assignmentMode are not looked at."
func TestRequestedPools(t *testing.T) {
	manual, picky := spec("a-manual", "10.0.0.0/30", 30), spec("b-picky", "10.0.1.0/30", 30)
	manual.AssignmentMode, picky.NodeSelector = pool.Manual, "has(rack)"
	picky.NamespaceSelector, picky.AllowedUses = "has(team)", []pool.Use{pool.Workload}
	c := newCluster(t, []pool.Spec{manual, picky}, "n1")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 5, Use: pool.Workload}
	_, _, err := c.AutoAssign(r)
	must.ErrorIs(t, err, codes.NoPoolsForNode)
	r.Pools4 = []netip.Prefix{picky.CIDR, manual.CIDR}
	v4, _, err := c.AutoAssign(r)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.1.0/30", "10.0.1.1/30", "10.0.1.2/30", "10.0.1.3/30", "10.0.0.0/30"}, texts(v4.IPs))
}

// §3: "exactly those are used", whatever pools, namespace or reservation the host's
// last requests had, and where they led.
func TestRequestsStandAlone(t *testing.T) {
	type odd struct {
		pools     []netip.Prefix
		namespace map[string]string
		reserve   *ipam.HostReservation
	}
	for _, is4 := range []bool{true, false} {
		a, b, c := spec("a", "10.0.0.0/28", 30), spec("b", "10.0.1.0/28", 30), spec("c", "10.0.2.0/28", 30)
		if !is4 {
			a, b, c = spec("a", "fd00::/124", 126), spec("b", "fd01::/124", 126), spec("c", "fd02::/124", 126)
		}
		a.NamespaceSelector, b.NamespaceSelector = "team == 'x'", "team == 'y'"
		for name, requests := range map[string]struct {
			often, then odd
			want        pool.Spec // none for an error
		}{
			"other pools":           {odd{pools: []netip.Prefix{a.CIDR}}, odd{pools: []netip.Prefix{b.CIDR}}, b},
			"another namespace":     {odd{namespace: map[string]string{"team": "x"}}, odd{namespace: map[string]string{"team": "y"}}, b},
			"no namespace":          {odd{namespace: map[string]string{"team": "x"}}, odd{}, c},
			"no bad reservation":    {odd{reserve: &ipam.HostReservation{StartOfBlock: 1}}, odd{reserve: new(ipam.HostReservation)}, pool.Spec{}},
			"nothing plain, though": {odd{}, odd{pools: []netip.Prefix{a.CIDR}}, a},
		} {
			t.Run(fmt.Sprint(name, " IPv4 ", is4), func(t *testing.T) {
				cl := newCluster(t, []pool.Spec{a, b, c}, "n1")
				ask := func(o odd) ([]netip.Prefix, error) {
					r := ipam.AutoAssignArgs{Host: "n1", Use: pool.Workload, Namespace: o.namespace}
					if is4 {
						r.Num4, r.Pools4, r.HostReserved4 = 1, o.pools, o.reserve
					} else {
						r.Num6, r.Pools6, r.HostReserved6 = 1, o.pools, o.reserve
					}
					v4, v6, err := cl.AutoAssign(r)
					return append(v4.IPs, v6.IPs...), err
				}
				for range 2 {
					_, err := ask(requests.often)
					must.NoError(t, err)
				}
				ips, err := ask(requests.then)
				if requests.want.Name == "" {
					must.ErrorIs(t, err, codes.BadHostReservation)
					return
				}
				must.NoError(t, err)
				must.True(t, requests.want.CIDR.Contains(ips[0].Addr()), must.Sprintf("%v", ips))
			})
		}
	}
}

// §3, §8: a pool requested twice is walked twice, and named twice.
func TestRequestedTwice(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30)}, "n1")
	cidr := prefix("10.0.0.0/30")
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 6, Use: pool.Workload, Pools4: []netip.Prefix{cidr, cidr}})
	must.NoError(t, err)
	must.Len(t, 4, v4.IPs)
	must.Eq(t, []string{"exhausted:10.0.0.0/30,10.0.0.0/30"}, v4.Msgs)
}

// §3: "For virtual owners a nodeSelector is held against no labels at all", and
// §1: the two types of one name are two owners.
func TestVirtualOwners(t *testing.T) {
	lb := spec("lb", "10.0.0.0/28", 30)
	lb.AllowedUses = []pool.Use{pool.LoadBalancer}
	c := newCluster(t, []pool.Spec{lb, spec("pods", "10.1.0.0/28", 30)})
	r := ipam.AutoAssignArgs{Host: "same-name", Num4: 1, Use: pool.LoadBalancer}
	v4, _, err := c.AutoAssign(r)
	must.NoError(t, err, must.Sprint("there need be no such node"))
	_, owner, _ := c.BlockOf(v4.IPs[0].Addr())
	must.Eq(t, affinity.VirtualOwner("same-name"), owner)

	must.NoError(t, c.SetNode(ipam.Node{Name: "same-name", Labels: map[string]string{"zone": "a"}}))
	c.ask("same-name", 1, "h")
	must.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("same-name")))
	_, owner, _ = c.BlockOf(v4.IPs[0].Addr())
	must.Eq(t, affinity.VirtualOwner("same-name"), owner, must.Sprint("the node's are others"))
	must.NoError(t, c.RemoveIPAMHost(affinity.VirtualOwner("same-name")))
	_, owner, _ = c.BlockOf(v4.IPs[0].Addr())
	must.True(t, owner.IsZero())
}

// §3: "10-0-0-16-28 comes before 10-0-0-4-30, and - sorts before digits"
func TestNameOrder(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.4/30", 30), spec("b", "10.0.0.16/28", 28)}, "n1")
	c.take("10.0.0.4", "n1", "h")
	c.take("10.0.0.16", "n1", "h")
	must.Eq(t, []string{"10.0.0.17/28"}, c.ask("n1", 1, "h"))
	ips, err := c.IPsByHandle("h")
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.16", "10.0.0.17", "10.0.0.4"}, texts(ips))
	s := c.State()
	must.Eq(t, "10.0.0.16/28", s.Blocks[0].CIDR.String())
	must.Eq(t, "10.0.0.16/28", s.Affinities[0].CIDR.String())
	must.Eq(t, "10.0.0.16/28", s.Handles[0].Counts[0].Block.String())
}

// §3: "A block of the rest whose enabled pool does not select this node any more
// is released if it is empty …; blocks of disabled or unknown pools are left
// alone."
func TestBlocksGivenBack(t *testing.T) {
	gone, disabled, used := spec("a", "10.0.0.0/30", 30), spec("b", "10.0.1.0/30", 30), spec("c", "10.0.2.0/30", 30)
	unknown, now := spec("d", "10.0.3.0/30", 30), spec("e", "10.0.4.0/30", 30)
	c := newCluster(t, []pool.Spec{gone, disabled, used, unknown}, "n1")
	n1 := affinity.HostOwner("n1")
	for _, s := range []pool.Spec{gone, disabled, used, unknown} {
		_, _, err := c.ClaimAffinity(s.CIDR, n1)
		must.NoError(t, err)
	}
	c.take("10.0.2.1", "n1", "h")
	gone.NodeSelector, used.NodeSelector = "has(rack)", "has(rack)"
	disabled.NodeSelector, disabled.Disabled = "has(rack)", true
	for _, s := range []pool.Spec{gone, disabled, used, now} {
		must.NoError(t, c.SetPool(s))
	}
	c.DeletePool("d")
	must.Eq(t, []string{"10.0.4.0/30"}, c.ask("n1", 1, "h"))
	var left []string
	for _, b := range c.State().Blocks {
		left = append(left, b.CIDR.String()+" "+b.Owner.String())
	}
	must.Eq(t, []string{"10.0.1.0/30 host:n1", "10.0.2.0/30 host:n1", "10.0.3.0/30 host:n1", "10.0.4.0/30 host:n1"}, left)

	// §9: a release looks at the same.
	c.free("10.0.2.1")
	_, _, exists := c.BlockOf(addr("10.0.2.1"))
	must.False(t, exists)
}

// §1: "0, which means 20"
func TestTwentyBlocks(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/24", 30)}, "n1", "n2")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 81, Use: pool.Workload}
	v4, _, err := c.AutoAssign(r)
	must.ErrorIs(t, err, codes.BlockLimit)
	must.Len(t, 80, v4.IPs)
	must.Eq(t, []string{"block-limit:20"}, v4.Msgs)
	must.Len(t, 20, c.State().Blocks)

	// ClaimAffinity knows no limit; with more the next request is refused all
	// the same.
	_, failed, err := c.ClaimAffinity(prefix("10.0.0.0/24"), affinity.HostOwner("n1"))
	must.NoError(t, err)
	must.SliceEmpty(t, failed, must.Sprint(failed))
	r.Num4 = 176
	v4, _, err = c.AutoAssign(r)
	must.NoError(t, err)
	must.Len(t, 176, v4.IPs)
	r.Num4 = 1
	v4, _, err = c.AutoAssign(r)
	must.ErrorIs(t, err, codes.BlockLimit)
	must.SliceEmpty(t, v4.IPs, must.Sprint(v4.IPs))
}

// §4: "limit = request's maxBlocksPerHost, or the config's, the smaller where
// both are set"
func TestSmallerLimit(t *testing.T) {
	for _, l := range []struct{ config, request, want int }{{0, 0, 20}, {3, 0, 3}, {0, 3, 3}, {3, 2, 2}, {2, 3, 2}, {0, 25, 25}} {
		c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/24", 30)}, "n1")
		config := ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true, MaxBlocksPerHost: l.config}
		c.configure(config)
		v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 250, Use: pool.Workload, MaxBlocksPerHost: l.request})
		must.ErrorIs(t, err, codes.BlockLimit)
		must.Len(t, 4*l.want, v4.IPs, must.Sprintf("%+v", l))
	}
}

// §4: "owned = number of the host's usable affinities, whatever their state"
func TestPendingCounts(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/28", 30), spec("b", "10.1.0.0/28", 30)}, "n1", "n2")
	_, _, err := c.ClaimAffinity(prefix("10.0.0.0/30"), affinity.HostOwner("n2"))
	must.NoError(t, err)
	must.NoError(t, c.PutAffinity(affinity.HostOwner("n1"), prefix("10.0.0.0/30"), affinity.PendingDeletion))
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload, MaxBlocksPerHost: 1})
	must.ErrorIs(t, err, codes.BlockLimit)
	must.SliceEmpty(t, v4.IPs, must.Sprint(v4.IPs))
	// It was met and found stale, so that it counts no more.
	must.Len(t, 1, c.State().Affinities)
	v4, _, err = c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload, MaxBlocksPerHost: 1})
	must.NoError(t, err)
	must.Len(t, 1, v4.IPs)
}

// §4: strict affinity: no borrowing, and a message instead of an error.
func TestStrict(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/29", 30)}, "n1", "n2")
	c.configure(strict)
	c.ask("n1", 1, "h1")
	c.ask("n2", 1, "h2")
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 4, Use: pool.Workload})
	must.NoError(t, err)
	must.Len(t, 3, v4.IPs, must.Sprint("the rest of its own block"))
	must.Eq(t, []string{"strict-affinity"}, v4.Msgs)

	c.configure(ipam.DefaultConfig())
	v4, _, err = c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 4, Use: pool.Workload})
	must.NoError(t, err)
	must.Len(t, 3, v4.IPs, must.Sprint("n2's"))
	must.Eq(t, []string{"exhausted:10.0.0.0/29"}, v4.Msgs)
}

// §5: "one claimed less than one minute ago is left alone …; exactly 60 s is old
// enough"
func TestReclaim(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30)}, "n1", "n2")
	_, _, err := c.ClaimAffinity(prefix("10.0.0.0/30"), affinity.HostOwner("n1"))
	must.NoError(t, err)
	owner := func() affinity.Owner {
		_, o, _ := c.BlockOf(addr("10.0.0.0"))
		return o
	}
	c.clock.Advance(time.Minute - 1)
	c.ask("n2", 1, "h")
	must.Eq(t, affinity.HostOwner("n1"), owner(), must.Sprint("borrowed from"))
	must.NoError(t, c.ReleaseByHandle("h"))
	c.clock.Advance(1)
	before := c.State().Blocks[0].Sequence
	c.ask("n2", 1, "h")
	must.Eq(t, affinity.HostOwner("n2"), owner(), must.Sprint("claimed anew"))
	must.Greater(t, before, c.State().Blocks[0].Sequence)
	must.Len(t, 1, c.State().Affinities)

	c.clock.Advance(time.Hour)
	c.ask("n1", 1, "h")
	must.Eq(t, affinity.HostOwner("n2"), owner(), must.Sprint("not empty"))
}

// §5: "If that release fails (its affinity object is missing, say), try the
// next."
func TestReclaimNext(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/29", 30)}, "n1", "n2")
	n1 := affinity.HostOwner("n1")
	_, _, err := c.ClaimAffinity(prefix("10.0.0.0/29"), n1)
	must.NoError(t, err)
	c.clock.Advance(time.Minute)
	first := c.ask("n2", 1, "h")
	must.NoError(t, c.ReleaseByHandle("h"))
	must.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("n2")))
	_, _, err = c.ClaimAffinity(prefix("10.0.0.0/29"), n1)
	must.NoError(t, err)
	c.clock.Advance(time.Minute)

	cidr, _, _ := c.BlockOf(addr(first[0]))
	must.True(t, c.DropAffinity(n1, cidr))
	second := c.ask("n2", 1, "h")
	must.False(t, cidr.Contains(addr(second[0])), must.Sprintf("%s is passed over", cidr))
	must.ErrorIs(t, c.Check(), ipam.ErrTruth)
}

// §5: "a block that exists, is affine to this very owner, and has a free
// address: take it (its affinity object may be missing)"
func TestOwnBlockWithoutAffinity(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30)}, "n1")
	c.ask("n1", 1, "h")
	must.True(t, c.DropAffinity(affinity.HostOwner("n1"), prefix("10.0.0.0/30")))
	must.ErrorIs(t, c.Check(), ipam.ErrTruth)
	must.Eq(t, []string{"10.0.0.1/30"}, c.ask("n1", 1, "h"))
	must.NoError(t, c.Check())
	must.Eq(t, affinity.Confirmed, c.State().Affinities[0].State)
}

// §5, recovery: what a host that died leaves is mended when it is met.
func TestRecovery(t *testing.T) {
	n1, cidr := affinity.HostOwner("n1"), prefix("10.0.0.0/30")
	for _, state := range []affinity.State{affinity.Pending, affinity.Confirmed, affinity.PendingDeletion} {
		for _, left := range []string{"block missing", "another's block", "nobody's block", "own block"} {
			t.Run(state.String()+" "+left, func(t *testing.T) {
				c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30), spec("b", "10.1.0.0/30", 30)}, "n1", "n2")
				var number uint64
				switch left {
				case "another's block":
					c.take("10.0.0.0", "n2", "")
				case "nobody's block":
					c.take("10.0.0.0", "n2", "")
					must.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("n2")))
				case "own block":
					c.take("10.0.0.0", "n1", "")
					number = c.State().Blocks[0].Sequence
				}
				must.NoError(t, c.PutAffinity(n1, cidr, state))
				v4 := c.ask("n1", 1, "h")
				must.NoError(t, c.Check())
				if foreign := left == "another's block" || left == "nobody's block"; foreign {
					must.Eq(t, []string{"10.1.0.0/30"}, v4, must.Sprint("stale: the next block"))
					must.False(t, c.DropAffinity(n1, cidr), must.Sprint("and gone"))
					return
				}
				must.True(t, cidr.Contains(addr(v4[0])))
				must.Eq(t, affinity.Confirmed, c.State().Affinities[0].State)
				if left == "own block" {
					writes := uint64(1)
					if state != affinity.Confirmed {
						writes++ // so that others who hold an older copy fail
					}
					must.Eq(t, number+writes, c.State().Blocks[0].Sequence)
				}
			})
		}
	}
}

// §5: AssignIP and ClaimAffinity go without recovery: what is not theirs fails,
// "delete our affinity (an older one too)".
func TestClaimWithoutRecovery(t *testing.T) {
	c := newCluster(t, smallPools, "n1", "n2")
	n1 := affinity.HostOwner("n1")
	c.take("10.0.0.0", "n2", "")
	c.take("10.0.0.4", "n2", "")
	must.NoError(t, c.ReleaseAffinity(prefix("10.0.0.4/30"), affinity.HostOwner("n2"), false))
	c.take("10.0.0.8", "n1", "")
	must.NoError(t, c.PutAffinity(n1, prefix("10.0.0.0/30"), affinity.Pending))
	must.NoError(t, c.PutAffinity(n1, prefix("10.0.0.8/30"), affinity.PendingDeletion))
	must.NoError(t, c.PutAffinity(n1, prefix("10.0.0.12/30"), affinity.PendingDeletion))
	claimed, failed, err := c.ClaimAffinity(prefix("10.0.0.0/28"), n1)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.8/30", "10.0.0.12/30"}, texts(claimed))
	must.Eq(t, []string{"10.0.0.0/30", "10.0.0.4/30"}, texts(failed), must.Sprint("somebody's or nobody's"))
	must.False(t, c.DropAffinity(n1, prefix("10.0.0.0/30")))
	must.NoError(t, c.Check())
}

// §1: "A block that is reserved whole (by one CIDR or by several together) is
// skipped when a block is sought. In a partly reserved block the reserved
// ordinals are passed over but keep their place in the queue. Only AutoAssign
// looks at reservations; AssignIP does not."
func TestReservations(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/29", 30)}, "n1")
	warnings := c.SetReservations([]string{" 10.0.0.0/31", "10.0.0.2", "10.0.0.3 ", "10.0.0.4", "10.0.0.6", "", "ten"})
	must.Len(t, 1, warnings)
	must.Eq(t, "ten", warnings[0].Entry)
	must.Eq(t, []string{"10.0.0.5/30", "10.0.0.7/30"}, c.ask("n1", 8, "h"))
	b := c.State().Blocks
	must.Len(t, 1, b, must.Sprint("the other is reserved whole"))
	must.Eq(t, []int{0, 2}, b[0].Free)
	c.free("10.0.0.5")
	must.Eq(t, []int{0, 2, 1}, c.State().Blocks[0].Free)
	c.SetReservations(nil)
	must.Eq(t, []string{"10.0.0.4/30", "10.0.0.6/30", "10.0.0.5/30"}, c.ask("n1", 8, "h")[:3])
	c.free("10.0.0.4")
	c.SetReservations([]string{"10.0.0.0/24"})
	must.SliceEmpty(t, c.ask("n1", 1, "h"))
	c.take("10.0.0.4", "n1", "h")
}

// TestHugePool: a /48 pool of /122 blocks has 2^74 blocks (§2). A request that walked
// them would not end.
func TestHugePool(t *testing.T) {
	huge := spec("huge", "fd00:1::/48", 122)
	// All but one block is reserved, by ranges of up to 2^73 blocks.
	only := prefix("fd00:1:0:8000:1234:5678:9abc:de40/122")
	var builder netipx.IPSetBuilder
	builder.AddPrefix(huge.CIDR)
	builder.RemovePrefix(only)
	set, err := builder.IPSet()
	must.NoError(t, err)
	var allBut []string
	for _, p := range set.Prefixes() {
		allBut = append(allBut, p.String())
	}
	must.Len(t, 74, allBut)

	c := newCluster(t, []pool.Spec{huge}, "n1", "n2")
	request := func(host string, n int) []netip.Prefix {
		t.Helper()
		_, v6, err := c.AutoAssign(ipam.AutoAssignArgs{Host: host, Num6: n, Handle: "h", Use: pool.Workload})
		must.NoError(t, err)
		return v6.IPs
	}
	for _, host := range []string{"n1", "n2"} {
		must.Len(t, 100, request(host, 100))
	}
	must.NoError(t, c.ReleaseByHandle("h"))
	must.NoError(t, c.ReleasePoolAffinities(huge.CIDR))
	must.SliceEmpty(t, c.State().Blocks)

	must.SliceEmpty(t, c.SetReservations(allBut))
	got := request("n1", 100)
	must.Len(t, 64, got)
	must.True(t, only.Contains(got[0].Addr()))
	must.SliceEmpty(t, request("n2", 1))
	must.Len(t, 0, request("n2", 0))
	u := c.GetUtilization()[0]
	must.Eq(t, "64", u.InUse.String())
	must.Eq(t, "0", u.Available.String())

	must.SliceEmpty(t, c.SetReservations([]string{"fd00::/16"}))
	must.SliceEmpty(t, request("n1", 1))
	must.NoError(t, c.ReleaseByHandle("h"))
	must.SliceEmpty(t, request("n1", 1))
}

// §2: "For blocks of a single address (/32, /128) the seed is instead the
// clock's UnixNano"
func TestSingleAddresses(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/24", 32)}, "n1")
	s, err := pool.New(spec("a", "10.0.0.0/24", 32))
	must.NoError(t, err)
	for range 5 {
		c.clock.Advance(time.Second)
		want := s.BlockAt(s.Start("whoever", c.clock.Now()))
		got := c.ask("n1", 1, "h")
		must.Eq(t, want.String(), got[0])
	}
}

// §10: host reservations are in use, do not make a block non-empty, and are
// nobody's to count.
func TestHostReservations(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/28", 29)}, "n1", "n2")
	windows := &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1, Handle: block.HostReservedHandle, Note: "windows host rsvd"}
	b4, b6, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved4: windows})
	must.NoError(t, err)
	must.True(t, b4.IsValid())
	must.False(t, b6.IsValid(), must.Sprint("a family without a reservation is left alone"))
	s := c.State()
	must.Len(t, 4, s.Blocks[0].Allocations)
	must.Eq(t, []int{3, 4, 5, 6}, s.Blocks[0].Free)
	must.Eq(t, `{"note":"windows host rsvd"}`, s.Blocks[0].Allocations[0].Active.String())
	must.SliceEmpty(t, s.Handles, must.Sprint(s.Handles))
	u := c.GetUtilization()[0]
	must.Eq(t, "4", u.InUse.String())
	must.Eq(t, "12", u.Available.String())
	must.NoError(t, c.ReleaseHostAffinities(affinity.HostOwner("n1"), true), must.Sprint("it is empty"))
	must.SliceEmpty(t, c.State().Blocks)

	// "EnsureBlock … takes even a full affine block"
	b4, _, err = c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved4: windows})
	must.NoError(t, err)
	must.Len(t, 4, c.ask("n1", 4, "h"))
	again, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved4: windows})
	must.NoError(t, err)
	must.EqOp(t, b4, again)

	// "longest allowed prefix = 32 minus bits.Len(S+E)"
	_, _, err = c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n2", HostReserved4: &ipam.HostReservation{StartOfBlock: 7, EndOfBlock: 1}})
	must.ErrorIs(t, err, codes.NoQualifiedPool)
}

// §10: "the automatic choice takes every enabled pool all the same, and an
// affine block of the host in a small one is used"
func TestHostReservationInSmallPool(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a-small", "10.0.0.0/30", 30), spec("b-large", "10.0.1.0/24", 26)}, "n1")
	c.ask("n1", 1, "h")
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload,
		HostReserved4: &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1, Handle: block.HostReservedHandle}})
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.1/30"}, texts(v4.IPs))
}

// §10: "a block too small for the reservation makes the real allocator panic;
// ours refuses": an affinity whose block would have to be made so is passed
// over.
func TestHostReservationTooLargeForAffinity(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a-small", "10.0.0.0/30", 30), spec("b-large", "10.0.1.0/26", 26)}, "n1")
	must.NoError(t, c.PutAffinity(affinity.HostOwner("n1"), prefix("10.0.0.0/30"), affinity.Pending))
	was := c.State()
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload, HostReserved4: &ipam.HostReservation{StartOfBlock: 4, EndOfBlock: 1}}
	_, _, err := c.AutoAssign(r)
	must.ErrorIs(t, err, codes.BadHostReservation)
	must.ErrorContains(t, err, "block 10.0.0.0/30 cannot hold 5 addresses")
	must.Eq(t, was, c.State())
	_, _, err = c.ClaimAffinity(prefix("10.0.0.0/30"), affinity.HostOwner("n1"))
	must.NoError(t, err)
	v4, _, err := c.AutoAssign(r)
	must.NoError(t, err, must.Sprint("the block is there, without a reservation"))
	must.Eq(t, []string{"10.0.0.0/30"}, texts(v4.IPs))
}

// Whatever the order of the calls that make a cluster, pools are walked by name.
func TestPoolsByName(t *testing.T) {
	specs := []pool.Spec{spec("b", "10.0.1.0/30", 30), spec("a", "10.0.2.0/30", 30), spec("B", "10.0.3.0/30", 30), spec("a-", "10.0.0.0/30", 30)}
	c := newCluster(t, specs, "n1")
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 16, Use: pool.Workload})
	must.NoError(t, err)
	var order []string
	for _, p := range v4.IPs {
		order = append(order, p.Masked().String())
	}
	must.Eq(t, []string{"10.0.3.0/30", "10.0.2.0/30", "10.0.0.0/30", "10.0.1.0/30"}, slices.Compact(order))
	must.False(t, errors.Is(c.Check(), ipam.ErrTruth))
}
