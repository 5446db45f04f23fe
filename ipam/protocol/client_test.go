package protocol

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// TestInvalidArguments: arguments that no state could accept are refused as by the
// allocator, before any request.
func TestInvalidArguments(t *testing.T) {
	var (
		n      = affinity.HostOwner("n")
		nobody = affinity.Owner{}
		good   = netip.MustParsePrefix("10.0.0.0/28")
		bits   = netip.MustParsePrefix("10.0.0.1/28")
		mapped = netip.MustParsePrefix("::ffff:10.0.0.0/124")
		ip     = netip.MustParseAddr("10.0.0.1")
		zone   = netip.MustParseAddr("fe80::1%eth0")
		attrs  = block.MakeAttrs(map[string]string{"pod": "p"})
		long   = strings.Repeat("x", 254)
	)
	huge := math.MaxInt32
	huge++ // negative on 32-bit machines, where vet alone looks at this
	auto := func(change func(*ipam.AutoAssignArgs)) func(trace.Engine) error {
		return func(e trace.Engine) error {
			args := ipam.AutoAssignArgs{Host: "n", Num4: 1, Use: pool.Workload}
			change(&args)
			_, _, err := e.AutoAssign(args)
			return err
		}
	}
	for name, call := range map[string]func(trace.Engine) error{
		"AutoAssign host":      auto(func(a *ipam.AutoAssignArgs) { a.Host = "" }),
		"AutoAssign long host": auto(func(a *ipam.AutoAssignArgs) { a.Host = long }),
		"AutoAssign blank":     auto(func(a *ipam.AutoAssignArgs) { a.Host = "a b" }),
		"AutoAssign num4":      auto(func(a *ipam.AutoAssignArgs) { a.Num4 = -1 }),
		"AutoAssign num6":      auto(func(a *ipam.AutoAssignArgs) { a.Num6 = -1 }),
		"AutoAssign blocks":    auto(func(a *ipam.AutoAssignArgs) { a.MaxBlocksPerHost = huge }),
		"AutoAssign limit":     auto(func(a *ipam.AutoAssignArgs) { a.MaxAllocPerHandle = huge }),
		"AutoAssign pools4":    auto(func(a *ipam.AutoAssignArgs) { a.Pools4 = []netip.Prefix{mapped} }),
		"AutoAssign pools6":    auto(func(a *ipam.AutoAssignArgs) { a.Pools6 = []netip.Prefix{mapped} }),
		"AssignIP address":     func(e trace.Engine) error { return e.AssignIP(ipam.AssignIPArgs{IP: zone, Host: "n"}) },
		"AssignIP host":        func(e trace.Engine) error { return e.AssignIP(ipam.AssignIPArgs{IP: ip}) },
		"AssignIP limit": func(e trace.Engine) error {
			return e.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n", MaxAllocPerHandle: huge})
		},
		"EnsureBlock host": func(e trace.Engine) error { _, _, err := e.EnsureBlock(ipam.EnsureBlockArgs{}); return err },
		"EnsureBlock pools": func(e trace.Engine) error {
			_, _, err := e.EnsureBlock(ipam.EnsureBlockArgs{Host: "n", Pools4: []netip.Prefix{{}}})
			return err
		},
		"ReleaseIPs": func(e trace.Engine) error {
			_, _, err := e.ReleaseIPs(ipam.Release{IP: ip}, ipam.Release{})
			return err
		},
		"Attributes": func(e trace.Engine) error { _, err := e.GetAssignmentAttributes(netip.Addr{}); return err },
		"SetOwner address": func(e trace.Engine) error {
			return e.SetOwnerAttributes(zone, "h", ipam.OwnerUpdate{}, ipam.OwnerPreconditions{})
		},
		"SetOwner active": func(e trace.Engine) error {
			return e.SetOwnerAttributes(ip, "h", ipam.OwnerUpdate{Active: attrs, ClearActive: true}, ipam.OwnerPreconditions{})
		},
		"SetOwner alternate": func(e trace.Engine) error {
			return e.SetOwnerAttributes(ip, "h", ipam.OwnerUpdate{Alternate: attrs, ClearAlternate: true}, ipam.OwnerPreconditions{})
		},
		"ClaimAffinity cidr":  func(e trace.Engine) error { _, _, err := e.ClaimAffinity(bits, n); return err },
		"ClaimAffinity owner": func(e trace.Engine) error { _, _, err := e.ClaimAffinity(good, nobody); return err },
		"ClaimAffinity blocks": func(e trace.Engine) error {
			_, _, err := e.ClaimAffinity(netip.MustParsePrefix("fd00::/96"), n)
			return err
		},
		"ReleaseAffinity cidr":  func(e trace.Engine) error { return e.ReleaseAffinity(mapped, n, false) },
		"ReleaseHostAffinities": func(e trace.Engine) error { return e.ReleaseHostAffinities(nobody, false) },
		"ReleasePoolAffinities": func(e trace.Engine) error { return e.ReleasePoolAffinities(bits) },
		"ReleaseBlockAffinity":  func(e trace.Engine) error { return e.ReleaseBlockAffinity(bits, false) },
		"SetIPAMConfig blocks":  func(e trace.Engine) error { return e.SetIPAMConfig(ipam.Config{MaxBlocksPerHost: -1}) },
		"PutIPAMConfig persistence": func(e trace.Engine) error {
			return e.PutIPAMConfig(ipam.Config{KubeVirtVMAddressPersistence: "enabled"})
		},
		"PutIPAMConfig cooldown": func(e trace.Engine) error { return e.PutIPAMConfig(ipam.Config{IPCooldownSeconds: 1201}) },
		"SetNode":                func(e trace.Engine) error { return e.SetNode(ipam.Node{}) },
		"PutAffinity cidr":       func(e trace.Engine) error { return e.PutAffinity(n, bits, affinity.Pending) },
		"PutAffinity state":      func(e trace.Engine) error { return e.PutAffinity(n, good, affinity.None) },
	} {
		t.Run(name, func(t *testing.T) {
			fast, c := ipam.New(ipam.Options{}), NewCluster()
			for _, e := range []trace.Engine{fast, c.Client(nil, nil)} {
				must.NoError(t, e.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28}))
				must.NoError(t, e.SetPool(pool.Spec{Name: "six", CIDR: netip.MustParsePrefix("fd00::/64")}))
				var wrong *ipam.Error
				err := call(e)
				must.ErrorIs(t, err, codes.InvalidArgument)
				must.ErrorAs[*ipam.Error](t, err, &wrong)
			}
			must.Zero(t, c.Store().Counts().Calls)
		})
	}
}

// watched is a datastore that records requests.
type watched struct {
	*Store
	calls []string
}

func (w *watched) Do(r Request) Response {
	a := w.Store.Do(r)
	w.calls = append(w.calls, string(r.Verb)+" "+string(r.Key)+" "+string(a.Result))
	return a
}

// TestRequests pins the requests of operations whose order recordings do not show,
// or show only with nothing allocated.
func TestRequests(t *testing.T) {
	var (
		n     = affinity.HostOwner("n")
		first = netip.MustParsePrefix("10.0.0.0/30")
		ip    = first.Addr()
	)
	for _, c := range []struct {
		name string
		do   func(*Client) error
		want []string
	}{
		{"IPsByHandle", func(c *Client) error { _, err := c.IPsByHandle("h"); return err },
			[]string{"get handle/h ok", "get config missing", "get block/10.0.0.0/30 ok"}},
		{"GetAssignmentAttributes", func(c *Client) error { _, err := c.GetAssignmentAttributes(ip); return err },
			[]string{"get config missing", "get block/10.0.0.0/30 ok"}},
		{"SetOwnerAttributes", func(c *Client) error {
			return c.SetOwnerAttributes(ip, "h", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{})
		}, []string{"get config missing", "get block/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok"}},
		{"ReleaseIP", func(c *Client) error { _, err := c.ReleaseIP(ipam.Release{IP: ip}); return err },
			[]string{"get config missing", "get block/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok", "get handle/h ok", "update handle/h ok", "get node/n ok"}},
		{"ReleaseIPs of more than two", func(c *Client) error {
			_, _, err := c.ReleaseIPs(ipam.Release{IP: ip}, ipam.Release{IP: ip.Next()}, ipam.Release{IP: ip.Next().Next()})
			return err
		}, []string{"list handles ok", "get config missing", "get block/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok", "delete handle/h ok", "get node/n ok"}},
		{"ReleaseAffinity", func(c *Client) error { return c.ReleaseAffinity(first, n, false) },
			[]string{"get config missing", "get affinity/host:n/10.0.0.0/30 ok", "get block/10.0.0.0/30 ok",
				"update affinity/host:n/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok", "delete affinity/host:n/10.0.0.0/30 ok"}},
		{"ReleasePoolAffinities", func(c *Client) error { return c.ReleasePoolAffinities(first) },
			[]string{"get config missing", "list affinities ok", "get affinity/host:n/10.0.0.0/30 ok", "get block/10.0.0.0/30 ok",
				"update affinity/host:n/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok", "delete affinity/host:n/10.0.0.0/30 ok"}},
		{"ReleaseBlockAffinity", func(c *Client) error { return c.ReleaseBlockAffinity(first, false) },
			[]string{"get block/10.0.0.0/30 ok", "get config missing", "get affinity/host:n/10.0.0.0/30 ok", "get block/10.0.0.0/30 ok",
				"update affinity/host:n/10.0.0.0/30 ok", "update block/10.0.0.0/30 ok", "delete affinity/host:n/10.0.0.0/30 ok"}},
		{"EnsureBlock", func(c *Client) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n", HostReserved4: &ipam.HostReservation{StartOfBlock: 1}})
			return err
		}, []string{"get config missing", "get node/n ok", "list affinities/host:n/ipv4 ok", "get affinity/host:n/10.0.0.0/30 ok", "get block/10.0.0.0/30 ok"}},
		{"GarbageCollectColdIPs", func(c *Client) error { c.GarbageCollectColdIPs(); return nil },
			[]string{"get config missing", "list blocks ok"}},
		{"GetUtilization", func(c *Client) error { c.GetUtilization(); return nil },
			[]string{"list blocks ok"}},
		{"SetIPAMConfig", func(c *Client) error { return c.SetIPAMConfig(ipam.Config{StrictAffinity: true}) },
			[]string{"get config missing", "get config missing", "create config ok"}},
		{"PutAffinity", func(c *Client) error { return c.PutAffinity(n, first, affinity.Pending) },
			[]string{"get affinity/host:n/10.0.0.0/30 ok", "apply affinity/host:n/10.0.0.0/30 ok"}},
		{"DropBlock", func(c *Client) error { c.DropBlock(first); return nil },
			[]string{"get block/10.0.0.0/30 ok", "delete block/10.0.0.0/30 ok"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cluster := cluster(t, "n")
			alone := cluster.Client(nil, nil)
			_, _, err := alone.ClaimAffinity(first, n)
			must.NoError(t, err)
			_, _, err = alone.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 3, Handle: "h", Use: pool.Workload})
			must.NoError(t, err)
			w := &watched{Store: cluster.Store()}
			must.NoError(t, c.do(cluster.Client(w, nil)))
			must.Eq(t, c.want, w.calls)
		})
	}
}

// AssignIP lowers the handle again if its block was deleted between read and
// write. After a conflict it does not, and a surplus stays (§15).
func TestAssignIPLeavesSurplus(t *testing.T) {
	ip := netip.MustParseAddr("10.0.0.1")
	first := netip.MustParsePrefix("10.0.0.0/30")
	for name, c := range map[string]struct {
		meanwhile func(*Client)
		err       error
		count     int
	}{
		"block gone":    {func(c *Client) { c.DropBlock(first) }, codes.DoesNotExist, 0},
		"block written": {func(c *Client) { must.NoError(t, c.AssignIP(ipam.AssignIPArgs{IP: ip.Next(), Host: "n"})) }, nil, 2},
		"address taken": {func(c *Client) { must.NoError(t, c.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n"})) }, codes.AlreadyExists, 1},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := cluster(t, "n")
			var err error
			p := Start(func(access Access) {
				err = cluster.Client(access, nil).AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n", Handle: "h"})
			})
			for done := false; ; {
				r, waiting := p.Request()
				if !waiting {
					break
				}
				if r.Verb == Update && r.Key == blockKey(first) && !done {
					done = true
					c.meanwhile(cluster.Client(nil, nil))
				}
				p.Answer(cluster.Store().Do(r))
			}
			if c.err == nil {
				must.NoError(t, err)
			} else {
				must.ErrorIs(t, err, c.err)
			}
			count := 0
			for _, h := range cluster.State().Handles {
				count += h.Counts[0].Count
			}
			must.Eq(t, c.count, count)
		})
	}
}
