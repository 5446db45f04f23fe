package protocol

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// side is one scene, with its results before and since a change.
type side struct {
	before, since string // neighbouring releases
	do            func(t *testing.T, e trace.Engine, clock *ipam.Clock) any
	old, now      any
}

var (
	sideIP     = netip.MustParseAddr("10.0.0.9")
	sidePool   = pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 29}
	sideNode   = affinity.HostOwner("n")
	sideKeep   = &ipam.HostReservation{StartOfBlock: 1, Handle: block.HostReservedHandle}
	twoMinutes = 2 * time.Minute
)

// hold gives addresses to a handle.
func hold(t *testing.T, e trace.Engine, handle string, ips ...netip.Addr) {
	t.Helper()
	for _, ip := range ips {
		must.NoError(t, e.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n", Handle: handle}))
	}
}

// without returns the text of an error that a release has, and nothing.
func without(argument, value, release, what, first string) string {
	return fmt.Sprintf("ipam: invalid %s %q: Calico %s has no %s; %s is the first release that does", argument, value, release, what, first)
}

func text(err error) any {
	if err == nil {
		return ""
	}
	return err.Error()
}

// sides has every rule of the allocator by its name in [calico.Rules].
var sides = map[string]side{
	"ReclaimEmptyBlocks": {"v3.31", "v3.32.0", func(t *testing.T, e trace.Engine, clock *ipam.Clock) any {
		_, _, err := e.ClaimAffinity(sidePool.CIDR, affinity.HostOwner("other"))
		must.NoError(t, err)
		clock.Advance(twoMinutes)
		v4, _, err := e.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 1, Use: pool.Workload})
		must.NoError(t, err)
		must.Len(t, 1, v4.IPs)
		s := e.State()
		at := slices.IndexFunc(s.Blocks, func(b ipam.BlockState) bool { return len(b.Allocations) > 0 })
		return fmt.Sprint(s.Blocks[at].Owner, " ", s.Blocks[at].Claimed.IsZero())
	}, "host:other true", "host:n false"},
	"LowerByReleased": {"v3.32", "v3.33.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		hold(t, e, "h", sideIP, sideIP.Next())
		_, _, err := e.ReleaseIPs(ipam.Release{IP: sideIP}, ipam.Release{IP: sideIP.Next()})
		must.NoError(t, err)
		_, err = e.IPsByHandle("h")
		return string(codes.Of(err))
	}, "", "does-not-exist"},
	"QueueByOrdinal": {"v3.32", "v3.33.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		hold(t, e, "h", sideIP, sideIP.Next())
		none := uint64(0)
		_, _, refused := e.ReleaseIPs(ipam.Release{IP: sideIP, Handle: "other"}, ipam.Release{IP: sideIP.Next(), Sequence: &none})
		_, _, err := e.ReleaseIPs(ipam.Release{IP: sideIP.Next()}, ipam.Release{IP: sideIP})
		must.NoError(t, err)
		return fmt.Sprint(string(codes.Of(refused)), e.State().Blocks[0].Free[6:])
	}, "bad-sequence-number[2 1]", "bad-handle[1 2]"},
	"FreeHasNoNumber": {"v3.32", "v3.33.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		hold(t, e, "h", sideIP)
		n := e.SequenceNumber(sideIP)
		must.NoError(t, e.ReleaseByHandle("h"))
		_, _, err := e.ReleaseIPs(ipam.Release{IP: sideIP, Sequence: &n})
		return string(codes.Of(err))
	}, "", "bad-sequence-number"},
	"ReservationsInUsage": {"v3.32", "v3.33.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		e.SetReservations([]string{"10.0.0.8/30"})
		hold(t, e, "h", sideIP)
		u := e.GetUtilization()[0]
		return fmt.Sprint(u.Reserved, u.Available, u.Blocks[0].Reserved, u.Blocks[0].Available)
	}, "0 15 0 7", "4 12 4 4"},
	"EnsureByPools6": {"v3.31.6", "v3.31.7", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		must.NoError(t, e.SetPool(pool.Spec{Name: "six", CIDR: netip.MustParsePrefix("fd00::/122"), BlockSize: 122}))
		_, b, err := e.EnsureBlock(ipam.EnsureBlockArgs{Host: "n", Pools4: []netip.Prefix{sidePool.CIDR}, HostReserved6: sideKeep})
		return b.String() + string(codes.Of(err))
	}, "invalid Prefixpool-not-enabled", "fd00::/122"},
	"TellReleased": {"v3.30", "v3.31.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		hold(t, e, "h", sideIP)
		_, released, err := e.ReleaseIPs(ipam.Release{IP: sideIP})
		must.NoError(t, err)
		return released
	}, []netip.Addr(nil), []netip.Addr{sideIP}},
	"DisabledByAddress": {"v3.30.3", "v3.30.4", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		must.NoError(t, e.PutAffinity(sideNode, sidePool.CIDR, affinity.Pending))
		v4, _, err := e.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 1, Use: pool.Workload})
		must.NoError(t, err)
		must.Eq(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/28")}, v4.IPs)
		off := sidePool
		off.Disabled = true
		must.NoError(t, e.SetPool(off))
		unallocated, _, err := e.ReleaseIPs(ipam.Release{IP: v4.IPs[0].Addr()})
		must.NoError(t, err)
		return len(unallocated)
	}, 0, 1},
	"LoadBalancer": {"v3.29", "v3.30.0", func(_ *testing.T, e trace.Engine, _ *ipam.Clock) any {
		manual := sidePool
		manual.AssignmentMode, manual.AllowedUses = pool.Manual, []pool.Use{pool.LoadBalancer}
		set := e.SetPool(manual)
		_, _, err := e.AutoAssign(ipam.AutoAssignArgs{Host: "lb", Num4: 1, Use: pool.LoadBalancer, Pools4: []netip.Prefix{sidePool.CIDR}})
		return fmt.Sprint(text(set), "\n", text(err))
	},
		without("allowedUses", "LoadBalancer", "v3.29", "use LoadBalancer and assignment mode Manual", "v3.30") + "\n" +
			without("assignmentMode", "Manual", "v3.29", "use LoadBalancer and assignment mode Manual", "v3.30") + "\n" +
			without("use", "LoadBalancer", "v3.29", "use LoadBalancer and assignment mode Manual", "v3.30"),
		"\n"},
	"NamespaceSelector": {"v3.30", "v3.31.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		p := sidePool
		p.NamespaceSelector = " all() "
		must.NoError(t, e.SetPool(p), must.Sprint("as good as none"))
		p.NamespaceSelector = "has(x)"
		return text(e.SetPool(p))
	}, without("namespaceSelector", "has(x)", "v3.30", "namespaceSelector", "v3.31"), ""},
	"CapsPerHandle": {"v3.31", "v3.32.0", func(_ *testing.T, e trace.Engine, _ *ipam.Clock) any {
		return text(e.AssignIP(ipam.AssignIPArgs{IP: sideIP, Host: "n", Handle: "h", MaxAllocPerHandle: 2}))
	}, without("maxAllocPerHandle", "2", "v3.31", "maxAllocPerHandle", "v3.32"), ""},
	"AlternateOwners": {"v3.31", "v3.32.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		hold(t, e, "h", sideIP)
		return text(e.SetOwnerAttributes(sideIP, "h", ipam.OwnerUpdate{ClearAlternate: true}, ipam.OwnerPreconditions{}))
	}, without("operation", "SetOwnerAttributes", "v3.31", "alternate owners", "v3.32"), ""},
	"AssignIPChecksUse": {"v3.32", "v3.33.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		tunnel := sidePool
		tunnel.AllowedUses = []pool.Use{pool.Tunnel}
		must.NoError(t, e.SetPool(tunnel))
		return string(codes.Of(e.AssignIP(ipam.AssignIPArgs{IP: sideIP, Host: "n", Use: pool.Workload})))
	}, "", "use-not-allowed"},
	"Cooldown": {"v3.32", "v3.33.0", func(t *testing.T, e trace.Engine, _ *ipam.Clock) any {
		config := ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}
		err := e.PutIPAMConfig(config)
		must.Eq(t, text(err), text(e.SetIPAMConfig(config)))
		return text(err)
	}, without("ipCooldownSeconds", "60", "v3.32", "ipCooldownSeconds", "v3.33"), ""},
	"ReleaseReadsConfig": {"v3.32", "v3.33.0", func(_ *testing.T, e trace.Engine, _ *ipam.Clock) any {
		_, _, err := e.ReleaseIPs(ipam.Release{IP: sideIP, Windows: true})
		return string(codes.Of(err))
	}, "", "strict-affinity-required"},
}

// TestBothSides: each rule of the allocator shows in the last release before its
// change and in the first since, in both engines.
func TestBothSides(t *testing.T) {
	for i := range reflect.TypeFor[calico.Rules]().NumField() {
		rule := reflect.TypeFor[calico.Rules]().Field(i).Name
		s, there := sides[rule]
		must.NotEq(t, there, slices.Contains(elsewhere, rule), must.Sprint(rule))
		if !there {
			continue
		}
		for version, want := range map[string]any{s.before: s.old, s.since: s.now} {
			for name, engine := range map[string]makeEngine{"allocator": allocator, "client": client} {
				t.Run(rule+" "+version+" "+name, func(t *testing.T) {
					v, err := calico.Parse(version)
					must.NoError(t, err)
					clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
					e := engine(ipam.Options{Now: clock.Now, Calico: v})
					must.NoError(t, e.SetPool(sidePool))
					must.NoError(t, e.SetNode(ipam.Node{Name: "n"}))
					must.Eq(t, want, s.do(t, e, clock))
				})
			}
		}
	}
}

// TestRequestsOfReleases pins where a release before v3.33 reads the configuration
// (§16); [TestRequests] does it for the newest. The cluster has a block of n's with
// three addresses of handle h.
func TestRequestsOfReleases(t *testing.T) {
	first := netip.MustParsePrefix("10.0.0.0/30")
	ip := first.Addr()
	for name, c := range map[string]struct {
		do   func(*Client) error
		want []string
	}{
		"AutoAssign": {func(c *Client) error {
			_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 1, Use: pool.Workload})
			return err
		}, []string{"get node/n ok", "list affinities/host:n/ipv4 ok", "get config missing",
			"get affinity/host:n/10.0.0.0/30 ok", "get block/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok"}},
		"AutoAssign of a new block": {func(c *Client) error {
			_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "m", Num4: 1, Use: pool.Workload})
			return err
		}, []string{"get node/m ok", "list affinities/host:m/ipv4 ok", "get config missing", "get config missing", "list blocks ok",
			"create affinity/host:m/10.0.0.4/30 ok", "get block/10.0.0.4/30 missing", "update affinity/host:m/10.0.0.4/30 ok", "get config missing",
			"create block/10.0.0.4/30 ok", "update affinity/host:m/10.0.0.4/30 ok", "update block/10.0.0.4/30 ok"}},
		"EnsureBlock": {func(c *Client) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n", HostReserved4: sideKeep, Windows: true})
			return err
		}, []string{"get node/n ok", "list affinities/host:n/ipv4 ok", "get affinity/host:n/10.0.0.0/30 ok", "get block/10.0.0.0/30 ok"}},
		"EnsureBlock of a new block": {func(c *Client) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "m", HostReserved4: sideKeep, Windows: true})
			must.ErrorIs(t, err, codes.StrictAffinityRequired)
			return nil
		}, []string{"get node/m ok", "list affinities/host:m/ipv4 ok", "get config missing"}},
		"AutoAssign on Windows": {func(c *Client) error {
			_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 1, Use: pool.Workload, Windows: true})
			must.ErrorIs(t, err, codes.StrictAffinityRequired)
			return nil
		}, []string{"get node/n ok", "list affinities/host:n/ipv4 ok", "get config missing"}},
		"ReleaseIPs": {func(c *Client) error { _, _, err := c.ReleaseIPs(ipam.Release{IP: ip, Windows: true}); return err },
			[]string{"get block/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok", "get handle/h ok", "update handle/h ok", "get node/n ok"}},
		"ReleaseByHandle": {func(c *Client) error { return c.ReleaseByHandle("h") },
			[]string{"get handle/h ok", "get block/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok", "get handle/h ok", "delete handle/h ok", "get node/n ok"}},
		"IPsByHandle": {func(c *Client) error { _, err := c.IPsByHandle("h"); return err },
			[]string{"get handle/h ok", "get block/10.0.0.0/30 ok"}},
		"GetAssignmentAttributes": {func(c *Client) error { _, err := c.GetAssignmentAttributes(ip); return err },
			[]string{"get block/10.0.0.0/30 ok"}},
		"ReleaseAffinity": {func(c *Client) error { return c.ReleaseAffinity(first, affinity.HostOwner("m"), false) },
			[]string{"get affinity/host:m/10.0.0.0/30 missing"}},
		"ReleaseHostAffinities": {func(c *Client) error { return c.ReleaseHostAffinities(affinity.HostOwner("m"), false) },
			[]string{"list affinities/host:m/ipv4 ok", "list affinities/host:m/ipv6 ok"}},
		"RemoveIPAMHost": {func(c *Client) error { return c.RemoveIPAMHost(affinity.HostOwner("m")) },
			[]string{"list affinities/host:m/ipv4 ok", "list affinities/host:m/ipv6 ok"}},
		"ReleasePoolAffinities": {func(c *Client) error { return c.ReleasePoolAffinities(netip.MustParsePrefix("10.0.0.4/30")) },
			[]string{"list affinities ok"}},
		"AssignIP": {func(c *Client) error {
			must.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n"}), codes.AlreadyExists)
			return nil
		}, []string{"get config missing", "get block/10.0.0.0/30 ok"}},
		"ClaimAffinity": {func(c *Client) error {
			_, failed, err := c.ClaimAffinity(first, affinity.HostOwner("m"))
			must.Len(t, 1, failed)
			return err
		}, []string{"get config missing", "create affinity/host:m/10.0.0.0/30 ok", "create block/10.0.0.0/30 exists", "get block/10.0.0.0/30 ok", "delete affinity/host:m/10.0.0.0/30 ok"}},
		"GarbageCollectColdIPs": {func(c *Client) error { c.GarbageCollectColdIPs(); return nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := cluster(t, "n", "m")
			cluster.SetCalico(calico.V3(32))
			// The second block is the only one left to claim.
			alone := cluster.Client(nil, nil)
			_, _, err := alone.ClaimAffinity(first, affinity.HostOwner("n"))
			must.NoError(t, err)
			_, _, err = alone.ClaimAffinity(netip.MustParsePrefix("10.0.0.8/29"), affinity.HostOwner("other"))
			must.NoError(t, err)
			_, _, err = alone.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 3, Handle: "h", Use: pool.Workload})
			must.NoError(t, err)
			w := &watched{Store: cluster.Store()}
			must.NoError(t, c.do(cluster.Client(w, nil)))
			must.Eq(t, c.want, w.calls)
		})
	}
}
