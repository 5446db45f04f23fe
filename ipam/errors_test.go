package ipam_test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// A cluster is an allocator with short methods for tests.
type cluster struct {
	*ipam.Allocator
	t     testing.TB
	clock *ipam.Clock
}

// newCluster returns a cluster with these pools and nodes, which is checked at
// the end of the test.
func newCluster(t testing.TB, pools []pool.Spec, nodes ...string) *cluster {
	t.Helper()
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	c := &cluster{ipam.New(ipam.Options{Now: clock.Now}), t, clock}
	for _, s := range pools {
		must.NoError(t, c.SetPool(s))
	}
	for _, n := range nodes {
		must.NoError(t, c.SetNode(ipam.Node{Name: n}))
	}
	t.Cleanup(func() {
		if !errors.Is(c.Check(), ipam.ErrTruth) {
			must.NoError(t, c.Check())
		}
		must.False(t, errors.Is(c.Check(), ipam.ErrStructure))
	})
	return c
}

// ask asks for IPv4 addresses for a pod and returns them as text.
func (c *cluster) ask(host string, n int, handle string) []string {
	c.t.Helper()
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: n, Handle: handle, Use: pool.Workload})
	must.NoError(c.t, err)
	return texts(v4.IPs)
}

// take gives a host an address by name.
func (c *cluster) take(ip, host, handle string) {
	c.t.Helper()
	must.NoError(c.t, c.AssignIP(ipam.AssignIPArgs{IP: addr(ip), Host: host, Handle: handle}))
}

// free releases addresses.
func (c *cluster) free(ips ...string) {
	c.t.Helper()
	for _, ip := range ips {
		unallocated, _, err := c.ReleaseIPs(ipam.Release{IP: addr(ip)})
		must.NoError(c.t, err)
		must.SliceEmpty(c.t, unallocated, must.Sprint(unallocated))
	}
}

// configure sets a configuration.
func (c *cluster) configure(config ipam.Config) {
	c.t.Helper()
	must.NoError(c.t, c.SetIPAMConfig(config))
}

func texts[T fmt.Stringer](values []T) []string {
	var all []string
	for _, v := range values {
		all = append(all, v.String())
	}
	return all
}

// addr reads an address, with or without the mask of its block.
func addr(text string) netip.Addr {
	ip, _, _ := strings.Cut(text, "/")
	return netip.MustParseAddr(ip)
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

var (
	strict     = ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true}
	cooled     = ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}
	smallPools = []pool.Spec{spec("small", "10.0.0.0/28", 30), spec("v6", "fd00::/124", 126)}
)

// onlyInRaces are the errors that no call of this package returns, since each
// operation is one step: for the protocol in which they are many.
var onlyInRaces = []string{"block-claim-conflict", "conflict"}

// TestErrors provokes every error of §13. Where the operation is
// refused, nothing changes.
func TestErrors(t *testing.T) {
	n1, n2 := affinity.HostOwner("n1"), affinity.HostOwner("n2")
	ask := func(change func(*ipam.AutoAssignArgs)) func(c *cluster) error {
		return func(c *cluster) error {
			r := ipam.AutoAssignArgs{Host: "n1", Num4: 1, Handle: "h", Use: pool.Workload}
			change(&r)
			_, _, err := c.AutoAssign(r)
			return err
		}
	}
	assign := func(change func(*ipam.AssignIPArgs)) func(c *cluster) error {
		return func(c *cluster) error {
			r := ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n1", Handle: "h"}
			change(&r)
			return c.AssignIP(r)
		}
	}
	release := func(r ipam.Release) func(c *cluster) error {
		return func(c *cluster) error {
			_, _, err := c.ReleaseIPs(r)
			return err
		}
	}
	var zero uint64
	held := func(c *cluster) { c.take("10.0.0.1", "n1", "h") }
	table := []struct {
		want    error
		code    string
		name    string
		before  func(c *cluster)
		do      func(c *cluster) error
		changes bool // as in Calico, something happened before the error
	}{
		{codes.AffinityMismatch, "affinity-mismatch", "another's block", func(c *cluster) { c.take("10.0.0.1", "n2", ""); c.configure(strict) },
			assign(func(r *ipam.AssignIPArgs) { r.IP = addr("10.0.0.2") }), false},
		{codes.AffinityMismatch, "affinity-mismatch", "nobody's block", func(c *cluster) {
			held(c)
			c.configure(strict)
			must.NoError(c.t, c.RemoveIPAMHost(n1))
		}, assign(func(r *ipam.AssignIPArgs) {}), false},
		{codes.AlreadyExists, "already-exists", "taken", held, assign(func(r *ipam.AssignIPArgs) {}), false},
		{codes.AlreadyExists, "already-exists", "cooling", func(c *cluster) { c.configure(cooled); held(c); c.free("10.0.0.1") },
			assign(func(r *ipam.AssignIPArgs) {}), false},
		{codes.AlreadyExists, "already-exists", "reserved for the host, in a block that is claimed and stays", nil,
			assign(func(r *ipam.AssignIPArgs) {
				r.IP = addr("10.0.0.0")
				r.HostReserved = &ipam.HostReservation{StartOfBlock: 1, Handle: block.HostReservedHandle}
			}), true},
		{codes.BadHandle, "bad-handle", "", held, release(ipam.Release{IP: addr("10.0.0.1"), Handle: "other"}), false},
		{codes.BadHostReservation, "bad-host-reservation", "nothing reserved", nil,
			ask(func(r *ipam.AutoAssignArgs) { r.HostReserved4 = &ipam.HostReservation{} }), false},
		{codes.BadHostReservation, "bad-host-reservation", "more than a block", nil, assign(func(r *ipam.AssignIPArgs) {
			r.HostReserved = &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 2, Handle: block.HostReservedHandle}
		}), false},
		{codes.BadSequenceNumber, "bad-sequence-number", "held", held, release(ipam.Release{IP: addr("10.0.0.1"), Sequence: &zero}), false},
		{codes.BadSequenceNumber, "bad-sequence-number", "free", held,
			func(c *cluster) error {
				number := c.SequenceNumber(addr("10.0.0.1"))
				return release(ipam.Release{IP: addr("10.0.0.2"), Sequence: &number})(c)
			}, false},
		{codes.BlockLimit, "block-limit", "", nil, ask(func(r *ipam.AutoAssignArgs) { r.Num4, r.MaxBlocksPerHost = 5, 1 }), true},
		{codes.BlockNotEmpty, "block-not-empty", "of a CIDR", held, func(c *cluster) error { return c.ReleaseAffinity(prefix("10.0.0.0/28"), n1, true) }, false},
		{codes.BlockNotEmpty, "block-not-empty", "of a host", held, func(c *cluster) error { return c.ReleaseHostAffinities(n1, true) }, false},
		{codes.BlockNotEmpty, "block-not-empty", "one block", held, func(c *cluster) error { return c.ReleaseBlockAffinity(prefix("10.0.0.0/30"), true) }, false},
		{codes.BlockTooSmall, "block-too-small", "full of what is reserved for the host", func(c *cluster) {
			must.NoError(c.t, c.SetPool(spec("z", "10.0.1.0/24", 26))) // another would be valid
		}, ask(func(r *ipam.AutoAssignArgs) {
			r.HostReserved4 = &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1, Handle: block.HostReservedHandle}
		}), true},
		{codes.ConfigConflict, "config-conflict", "neither strict nor claiming", nil, func(c *cluster) error { return c.SetIPAMConfig(ipam.Config{}) }, false},
		{codes.ConfigConflict, "config-conflict", "limit without strict", nil,
			func(c *cluster) error {
				return c.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, MaxBlocksPerHost: 1})
			}, false},
		{codes.DoesNotExist, "does-not-exist", "node", nil, ask(func(r *ipam.AutoAssignArgs) { r.Host = "n9" }), false},
		{codes.DoesNotExist, "does-not-exist", "node that should have a block", nil, func(c *cluster) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n9", HostReserved4: &ipam.HostReservation{StartOfBlock: 1}})
			return err
		}, false},
		{codes.DoesNotExist, "does-not-exist", "handle to release", nil, func(c *cluster) error { return c.ReleaseByHandle("h9") }, false},
		{codes.DoesNotExist, "does-not-exist", "handle", nil, func(c *cluster) error { _, err := c.IPsByHandle("h9"); return err }, false},
		{codes.DoesNotExist, "does-not-exist", "free address", held, func(c *cluster) error { _, err := c.GetAssignmentAttributes(addr("10.0.0.2")); return err }, false},
		{codes.DoesNotExist, "does-not-exist", "block", held, func(c *cluster) error { _, err := c.GetAssignmentAttributes(addr("10.0.0.5")); return err }, false},
		{codes.DoesNotExist, "does-not-exist", "pool", held, func(c *cluster) error { _, err := c.GetAssignmentAttributes(addr("10.9.0.1")); return err }, false},
		{codes.DoesNotExist, "does-not-exist", "address to update", held, func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.2"), "h", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{})
		}, false},
		{codes.InvalidSize, "invalid-size", "claim", nil, func(c *cluster) error { _, _, err := c.ClaimAffinity(prefix("10.0.0.0/31"), n1); return err }, false},
		{codes.InvalidSize, "invalid-size", "release", nil, func(c *cluster) error { return c.ReleaseAffinity(prefix("10.0.0.0/31"), n1, false) }, false},
		{codes.IPInCooldown, "ip-in-cooldown", "", func(c *cluster) { c.configure(cooled); held(c); c.free("10.0.0.1") },
			func(c *cluster) error { _, err := c.GetAssignmentAttributes(addr("10.0.0.1")); return err }, false},
		{codes.MaxAlloc, "max-alloc", "", held, assign(func(r *ipam.AssignIPArgs) { r.IP, r.MaxAllocPerHandle = addr("10.0.0.2"), 1 }), false},
		{codes.MaxRetries, "max-retries", "counted, not held", func(c *cluster) {
			_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 30, Handle: "h", Use: pool.Workload})
			must.NoError(c.t, err)
			must.NoError(c.t, c.ReleaseByHandle("h"))
		}, assign(func(r *ipam.AssignIPArgs) { r.IP, r.MaxAllocPerHandle = addr("10.0.0.2"), 1 }), false},
		{codes.NoBlock, "no-block", "address", func(c *cluster) { c.configure(ipam.Config{StrictAffinity: true}) }, ask(func(r *ipam.AutoAssignArgs) {}), false},
		{codes.NoBlock, "no-block", "block", func(c *cluster) { c.configure(ipam.Config{StrictAffinity: true}) }, func(c *cluster) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved4: &ipam.HostReservation{StartOfBlock: 1}})
			return err
		}, false},
		{codes.NoFreeBlocks, "no-free-blocks", "", func(c *cluster) {
			_, _, err := c.ClaimAffinity(prefix("10.0.0.0/28"), n2)
			must.NoError(c.t, err)
		}, func(c *cluster) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved4: &ipam.HostReservation{StartOfBlock: 1, Handle: block.HostReservedHandle}})
			return err
		}, false},
		{codes.NoPoolsForNode, "no-pools-for-node", "", func(c *cluster) {
			s := smallPools[0]
			s.NodeSelector = "has(rack)"
			must.NoError(c.t, c.SetPool(s))
		}, ask(func(r *ipam.AutoAssignArgs) {}), false},
		{codes.NoQualifiedPool, "no-qualified-pool", "use", nil, ask(func(r *ipam.AutoAssignArgs) { r.Use = pool.LoadBalancer }), false},
		{codes.NoQualifiedPool, "no-qualified-pool", "large enough", nil, ask(func(r *ipam.AutoAssignArgs) {
			r.HostReserved4 = &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1}
		}), false},
		{codes.NoSuchBlock, "no-such-block", "", held, func(c *cluster) error { return c.ReleaseBlockAffinity(prefix("10.0.0.4/30"), false) }, false},
		{codes.NotInPool, "not-in-pool", "address", nil, assign(func(r *ipam.AssignIPArgs) { r.IP = addr("10.9.0.1") }), false},
		{codes.NotInPool, "not-in-pool", "disabled", held, func(c *cluster) error {
			s := smallPools[0]
			s.Disabled = true
			must.NoError(c.t, c.SetPool(s))
			return assign(func(r *ipam.AssignIPArgs) { r.IP = addr("10.0.0.2") })(c)
		}, false},
		{codes.NotInPool, "not-in-pool", "claim", nil, func(c *cluster) error { _, _, err := c.ClaimAffinity(prefix("10.9.0.0/16"), n1); return err }, false},
		{codes.NotInPool, "not-in-pool", "release", nil, func(c *cluster) error { return c.ReleaseAffinity(prefix("10.9.0.0/30"), n1, false) }, false},
		{codes.NotInPool, "not-in-pool", "address to update", held, func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.9.0.1"), "h", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{})
		}, false},
		{codes.PoolNotEnabled, "pool-not-enabled", "no such pool", nil,
			ask(func(r *ipam.AutoAssignArgs) { r.Pools4 = []netip.Prefix{prefix("10.0.0.0/27")} }), false},
		{codes.PoolNotEnabled, "pool-not-enabled", "too small", func(c *cluster) { must.NoError(c.t, c.SetPool(spec("z", "10.0.1.0/24", 26))) },
			ask(func(r *ipam.AutoAssignArgs) {
				r.Pools4 = []netip.Prefix{prefix("10.0.0.0/28")}
				r.HostReserved4 = &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1}
			}), false},
		{codes.UpdateConflict, "update-conflict", "another pod", held, func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{Active: worldAttrs[0]},
				ipam.OwnerPreconditions{Active: &ipam.OwnerRef{Namespace: "ns", Name: "p1"}})
		}, false},
		{codes.UpdateConflict, "update-conflict", "not empty", func(c *cluster) {
			must.NoError(c.t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n1", Handle: "h", Attrs: worldAttrs[0]}))
		}, func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{Active: worldAttrs[1]}, ipam.OwnerPreconditions{ActiveEmpty: true})
		}, false},
		{codes.UseNotAllowed, "use-not-allowed", "", nil, assign(func(r *ipam.AssignIPArgs) { r.Use = pool.LoadBalancer }), false},
		{codes.UseNotAllowed, "use-not-allowed", "unknown", nil, assign(func(r *ipam.AssignIPArgs) { r.Use = "Walk" }), false},
		{codes.UseRequired, "use-required", "none", nil, ask(func(r *ipam.AutoAssignArgs) { r.Use = "" }), false},
		{codes.UseRequired, "use-required", "unknown", nil, ask(func(r *ipam.AutoAssignArgs) { r.Use = "Walk" }), false},
		{codes.WrongFamily, "wrong-family", "IPv4", nil, ask(func(r *ipam.AutoAssignArgs) { r.Pools4 = []netip.Prefix{prefix("fd00::/124")} }), false},
		{codes.WrongFamily, "wrong-family", "IPv6", nil, ask(func(r *ipam.AutoAssignArgs) {
			r.Num4, r.Num6, r.Pools6 = 0, 1, []netip.Prefix{prefix("10.0.0.0/28")}
		}), false},
		{codes.WrongHandle, "wrong-handle", "another", held, func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.1"), "other", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{})
		}, false},
		{codes.WrongHandle, "wrong-handle", "cooling", func(c *cluster) { c.configure(cooled); held(c); c.free("10.0.0.1") }, func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{})
		}, false},
		{codes.WrongHandle, "wrong-handle", "none", held, func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.1"), "", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{})
		}, false},
	}
	provoked := slices.Clone(onlyInRaces)
	for _, e := range table {
		provoked = append(provoked, e.code)
		t.Run(e.code+" "+e.name, func(t *testing.T) {
			c := newCluster(t, smallPools, "n1", "n2")
			if e.before != nil {
				e.before(c)
			}
			was := c.State()
			err := e.do(c)
			must.ErrorIs(t, err, e.want)
			must.Eq(t, e.code, string(codes.Of(err)))
			must.Eq(t, e.code, string(codes.Of(e.want)), must.Sprint("the bare error"))
			must.Eq(t, e.code, string(codes.Of(fmt.Errorf("wrapped: %w", err))))
			must.Greater(t, len(e.want.Error()), len(err.Error()), must.Sprintf("says what it is about: %v", err))
			must.False(t, errors.Is(err, codes.InvalidArgument), must.Sprint(err))
			if now := c.State(); e.changes {
				must.NotEq(t, was, now)
			} else {
				must.Eq(t, was, now)
			}
		})
	}
	slices.Sort(provoked)
	must.Eq(t, strings.Fields(`affinity-mismatch already-exists bad-handle bad-host-reservation bad-sequence-number
		block-claim-conflict block-limit block-not-empty block-too-small config-conflict conflict does-not-exist invalid-size ip-in-cooldown
		max-alloc max-retries no-block no-free-blocks no-pools-for-node no-qualified-pool no-such-block not-in-pool pool-not-enabled
		update-conflict use-not-allowed use-required wrong-family wrong-handle`), slices.Compact(provoked))
}

// TestErrorKnows: a refusal has its details, and its text ends with them.
func TestErrorKnows(t *testing.T) {
	c := newCluster(t, smallPools, "n1", "n2")
	c.take("10.0.0.1", "n1", "h")
	seq := c.SequenceNumber(addr("10.0.0.1")) + 1
	release := func(r ipam.Release) error { _, _, err := c.ReleaseIPs(r); return err }
	for _, x := range []struct {
		err  error
		want ipam.Error
		text string
	}{
		{release(ipam.Release{IP: addr("10.0.0.1"), Handle: "other"}),
			ipam.Error{Code: codes.BadHandle, Address: addr("10.0.0.1"), Block: prefix("10.0.0.0/30"), Want: "other", Got: "h"},
			"ipam: address is held by another handle: 10.0.0.1"},
		{release(ipam.Release{IP: addr("10.0.0.1"), Sequence: &seq}),
			ipam.Error{Code: codes.BadSequenceNumber, Address: addr("10.0.0.1"), Block: prefix("10.0.0.0/30"), Want: strconv.FormatUint(seq, 10), Got: strconv.FormatUint(seq-1, 10)},
			"ipam: address has another sequence number: 10.0.0.1"},
		{c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n2", Handle: "g"}),
			ipam.Error{Code: codes.AlreadyExists, Address: addr("10.0.0.1"), Block: prefix("10.0.0.0/30"), Want: "g", Got: "h"},
			"ipam: address is already assigned: 10.0.0.1"},
		{c.ReleaseByHandle("g"), ipam.Error{Code: codes.DoesNotExist, Handle: "g", Detail: "handle g"}, "ipam: does not exist: handle g"},
		{c.ReleaseBlockAffinity(prefix("10.0.0.0/30"), true),
			ipam.Error{Code: codes.BlockNotEmpty, Block: prefix("10.0.0.0/30"), Host: "n1"}, "ipam: block is not empty: 10.0.0.0/30"},
		{c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.2")}),
			ipam.Error{Code: codes.InvalidArgument, Argument: "host", Detail: "must not be empty"}, `ipam: invalid host "": must not be empty`},
	} {
		var got *ipam.Error
		must.ErrorAs[*ipam.Error](t, x.err, &got)
		must.EqOp(t, x.want, *got)
		must.EqError(t, got, x.text)
	}
}

// TestBadInput: arguments that no state could accept are refused with an error
// that names them, and change nothing.
func TestBadInput(t *testing.T) {
	host := affinity.HostOwner("n1")
	autoAssign := func(change func(*ipam.AutoAssignArgs)) func(c *cluster) error {
		return func(c *cluster) error {
			r := ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload}
			change(&r)
			v4, v6, err := c.AutoAssign(r)
			must.SliceEmpty(c.t, v4.IPs, must.Sprint(v4.IPs))
			must.SliceEmpty(c.t, v6.IPs, must.Sprint(v6.IPs))
			return err
		}
	}
	assignIP := func(change func(*ipam.AssignIPArgs)) func(c *cluster) error {
		return func(c *cluster) error {
			r := ipam.AssignIPArgs{IP: addr("10.0.0.9"), Host: "n1"}
			change(&r)
			return c.AssignIP(r)
		}
	}
	setPool := func(change func(*pool.Spec)) func(c *cluster) error {
		return func(c *cluster) error {
			s := spec("new", "10.1.0.0/24", 26)
			change(&s)
			return c.SetPool(s)
		}
	}
	long := strings.Repeat("x", 254)
	table := []struct {
		name  string
		want  error
		names string // what the error names
		do    func(c *cluster) error
	}{
		{"AutoAssign no host", codes.InvalidArgument, `host ""`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Host = "" })},
		{"AutoAssign host with a blank", codes.InvalidArgument, `host "a b"`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Host = "a b" })},
		{"AutoAssign host that begins with a blank", codes.InvalidArgument, `host " ab"`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Host = " ab" })},
		{"AutoAssign host with a newline", codes.InvalidArgument, `host "a\nb"`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Host = "a\nb" })},
		{"AutoAssign endless host", codes.InvalidArgument, `host "xxx`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Host = long })},
		{"AutoAssign unknown host", codes.DoesNotExist, "n9", autoAssign(func(r *ipam.AutoAssignArgs) { r.Host = "n9" })},
		{"AutoAssign minus one", codes.InvalidArgument, `num4 "-1"`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Num4 = -1 })},
		{"AutoAssign minus one of the other family", codes.InvalidArgument, `num6 "-1"`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Num6 = -1 })},
		{"AutoAssign the smallest int", codes.InvalidArgument, `num4 "-`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Num4 = math.MinInt })},
		{"AutoAssign 2^31", codes.InvalidArgument, `num4 "`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Num4 = tooMany })},
		{"AutoAssign the largest int", codes.InvalidArgument, `num6 "9223372036854775807"`, autoAssign(func(r *ipam.AutoAssignArgs) { r.Num6 = math.MaxInt })},
		{"AutoAssign huge limit", codes.InvalidArgument, `maxBlocksPerHost "9223372036854775807"`, autoAssign(func(r *ipam.AutoAssignArgs) { r.MaxBlocksPerHost = math.MaxInt })},
		{"AutoAssign huge limit of a handle", codes.InvalidArgument, `maxAllocPerHandle "`, autoAssign(func(r *ipam.AutoAssignArgs) { r.MaxAllocPerHandle = tooMany })},
		{"AutoAssign pool without length", codes.InvalidArgument, "cidr", autoAssign(func(r *ipam.AutoAssignArgs) { r.Pools4 = []netip.Prefix{{}} })},
		{"AutoAssign IPv4-mapped pool", codes.InvalidArgument, "use 10.0.0.0/28", autoAssign(func(r *ipam.AutoAssignArgs) { r.Pools4 = []netip.Prefix{prefix("::ffff:10.0.0.0/124")} })},
		{"AutoAssign all of IPv4, mapped", codes.InvalidArgument, "use 0.0.0.0/0", autoAssign(func(r *ipam.AutoAssignArgs) { r.Pools4 = []netip.Prefix{prefix("::ffff:0.0.0.0/96")} })},
		{"AutoAssign zero pool", codes.InvalidArgument, "cidr", autoAssign(func(r *ipam.AutoAssignArgs) { r.Pools4 = make([]netip.Prefix, 1) })},
		{"AutoAssign odd pool of IPv6", codes.InvalidArgument, "::ffff:10.0.0.1/124", autoAssign(func(r *ipam.AutoAssignArgs) {
			r.Num4, r.Num6, r.Pools6 = 0, 1, []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.1/124")}
		})},
		{"AutoAssign pool of the other family", codes.WrongFamily, "fd00::/124", autoAssign(func(r *ipam.AutoAssignArgs) { r.Pools4 = []netip.Prefix{prefix("fd00::/124")} })},
		{"AutoAssign negative reservation", codes.BadHostReservation, "-1", autoAssign(func(r *ipam.AutoAssignArgs) {
			r.HostReserved4 = &ipam.HostReservation{StartOfBlock: -1, EndOfBlock: 2}
		})},
		{"AutoAssign zero reservation", codes.BadHostReservation, "0 addresses", autoAssign(func(r *ipam.AutoAssignArgs) { r.HostReserved4 = new(ipam.HostReservation) })},
		{"AutoAssign reservations that overflow", codes.BadHostReservation, "9223372036854775807", autoAssign(func(r *ipam.AutoAssignArgs) {
			r.HostReserved4 = &ipam.HostReservation{StartOfBlock: math.MaxInt, EndOfBlock: math.MaxInt}
		})},

		{"AutoAssign reservation of half of IPv4", codes.BadHostReservation, "2147483647", autoAssign(func(r *ipam.AutoAssignArgs) {
			r.HostReserved4 = &ipam.HostReservation{StartOfBlock: math.MaxInt32, EndOfBlock: 1}
		})},
		{"AutoAssign reservation of one less", codes.NoQualifiedPool, "/1", autoAssign(func(r *ipam.AutoAssignArgs) {
			r.HostReserved4 = &ipam.HostReservation{StartOfBlock: math.MaxInt32}
		})},

		{"AssignIP zero arguments", codes.InvalidArgument, "address", func(c *cluster) error { return c.AssignIP(ipam.AssignIPArgs{}) }},
		{"AssignIP no address", codes.InvalidArgument, "address", assignIP(func(r *ipam.AssignIPArgs) { r.IP = netip.Addr{} })},
		{"AssignIP no host", codes.InvalidArgument, `host ""`, assignIP(func(r *ipam.AssignIPArgs) { r.Host = "" })},
		{"AssignIP IPv4-mapped", codes.InvalidArgument, "use 10.0.0.1", assignIP(func(r *ipam.AssignIPArgs) { r.IP = netip.MustParseAddr("::ffff:10.0.0.1") })},
		{"AssignIP zone", codes.InvalidArgument, "fd00::1%eth0", assignIP(func(r *ipam.AssignIPArgs) { r.IP = netip.MustParseAddr("fd00::1%eth0") })},
		{"AssignIP outside", codes.NotInPool, "192.0.2.1", assignIP(func(r *ipam.AssignIPArgs) { r.IP = addr("192.0.2.1") })},
		{"AssignIP huge limit", codes.InvalidArgument, `maxAllocPerHandle "9223372036854775807"`, assignIP(func(r *ipam.AssignIPArgs) { r.MaxAllocPerHandle = math.MaxInt })},
		{"AssignIP negative reservation", codes.BadHostReservation, "-1", assignIP(func(r *ipam.AssignIPArgs) { r.HostReserved = &ipam.HostReservation{EndOfBlock: -1} })},
		{"AssignIP unknown use", codes.UseNotAllowed, "Walk", assignIP(func(r *ipam.AssignIPArgs) { r.Use = "Walk" })},

		{"EnsureBlock no host", codes.InvalidArgument, `host ""`, func(c *cluster) error { _, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{}); return err }},
		{"EnsureBlock zero reservation", codes.BadHostReservation, "0 addresses", func(c *cluster) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved6: new(ipam.HostReservation)})
			return err
		}},
		{"EnsureBlock odd pool", codes.InvalidArgument, "::ffff:10.0.0.0/124", func(c *cluster) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved4: &ipam.HostReservation{StartOfBlock: 1}, Pools4: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/124")}})
			return err
		}},

		{"ReleaseIPs zero release", codes.InvalidArgument, "address", func(c *cluster) error {
			_, _, err := c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.1")}, ipam.Release{})
			return err
		}},
		{"ReleaseIPs IPv4-mapped", codes.InvalidArgument, "::ffff:10.0.0.1", func(c *cluster) error {
			_, _, err := c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.1")}, ipam.Release{IP: netip.MustParseAddr("::ffff:10.0.0.1")})
			return err
		}},
		{"ReleaseIP zone", codes.InvalidArgument, "fd00::1%eth0", func(c *cluster) error {
			_, err := c.ReleaseIP(ipam.Release{IP: netip.MustParseAddr("fd00::1%eth0")})
			return err
		}},
		{"ReleaseByHandle none", codes.DoesNotExist, "", func(c *cluster) error { return c.ReleaseByHandle("") }},
		{"IPsByHandle none", codes.DoesNotExist, "", func(c *cluster) error { _, err := c.IPsByHandle("\r"); return err }},
		{"GetAssignmentAttributes zero", codes.InvalidArgument, "address", func(c *cluster) error { _, err := c.GetAssignmentAttributes(netip.Addr{}); return err }},
		{"GetAssignmentAttributes zone", codes.InvalidArgument, "%eth0", func(c *cluster) error {
			_, err := c.GetAssignmentAttributes(netip.MustParseAddr("fd00::1%eth0"))
			return err
		}},
		{"SetOwnerAttributes zero", codes.InvalidArgument, "address", func(c *cluster) error {
			return c.SetOwnerAttributes(netip.Addr{}, "h", ipam.OwnerUpdate{}, ipam.OwnerPreconditions{})
		}},
		{"SetOwnerAttributes both at once", codes.InvalidArgument, "active attributes", func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{Active: worldAttrs[0], ClearActive: true}, ipam.OwnerPreconditions{})
		}},
		{"SetOwnerAttributes expecting both", codes.InvalidArgument, "active attributes", func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{Active: &ipam.OwnerRef{}, ActiveEmpty: true})
		}},
		{"SetOwnerAttributes both at once, alternate", codes.InvalidArgument, "alternate attributes", func(c *cluster) error {
			return c.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{Alternate: worldAttrs[0], ClearAlternate: true}, ipam.OwnerPreconditions{})
		}},

		{"ClaimAffinity zero", codes.InvalidArgument, "cidr", func(c *cluster) error { _, _, err := c.ClaimAffinity(netip.Prefix{}, host); return err }},
		{"ClaimAffinity host bits", codes.InvalidArgument, "use 10.0.0.0/28", func(c *cluster) error { _, _, err := c.ClaimAffinity(prefix("10.0.0.3/28"), host); return err }},
		{"ClaimAffinity for nobody", codes.InvalidArgument, "owner", func(c *cluster) error {
			_, _, err := c.ClaimAffinity(prefix("10.0.0.0/28"), affinity.Owner{})
			return err
		}},
		{"ClaimAffinity for a ghost", codes.InvalidArgument, "ghost:n1", func(c *cluster) error {
			_, _, err := c.ClaimAffinity(prefix("10.0.0.0/28"), affinity.Owner{Type: "ghost", Name: "n1"})
			return err
		}},
		{"ClaimAffinity too many", codes.InvalidArgument, "fd00:1::/48", func(c *cluster) error { _, _, err := c.ClaimAffinity(prefix("fd00:1::/48"), host); return err }},
		{"ReleaseAffinity zero", codes.InvalidArgument, "cidr", func(c *cluster) error { return c.ReleaseAffinity(netip.Prefix{}, host, false) }},
		{"ReleaseAffinity nobody", codes.InvalidArgument, "owner", func(c *cluster) error { return c.ReleaseAffinity(prefix("10.0.0.0/28"), affinity.Owner{}, false) }},
		{"ReleaseHostAffinities nobody", codes.InvalidArgument, "owner", func(c *cluster) error { return c.ReleaseHostAffinities(affinity.HostOwner(""), false) }},
		{"RemoveIPAMHost nobody", codes.InvalidArgument, "owner", func(c *cluster) error { return c.RemoveIPAMHost(affinity.Owner{}) }},
		{"ReleasePoolAffinities zero", codes.InvalidArgument, "cidr", func(c *cluster) error { return c.ReleasePoolAffinities(netip.Prefix{}) }},
		{"ReleaseBlockAffinity zero", codes.InvalidArgument, "cidr", func(c *cluster) error { return c.ReleaseBlockAffinity(netip.Prefix{}, false) }},
		{"PutAffinity zero", codes.InvalidArgument, "cidr", func(c *cluster) error { return c.PutAffinity(host, netip.Prefix{}, affinity.Pending) }},
		{"PutAffinity no state", codes.InvalidArgument, "state", func(c *cluster) error { return c.PutAffinity(host, prefix("10.0.0.0/30"), affinity.None) }},
		{"PutAffinity unknown state", codes.InvalidArgument, "State(77)", func(c *cluster) error { return c.PutAffinity(host, prefix("10.0.0.0/30"), 77) }},
		{"PutAffinity nobody", codes.InvalidArgument, "owner", func(c *cluster) error {
			return c.PutAffinity(affinity.Owner{}, prefix("10.0.0.0/30"), affinity.Pending)
		}},

		{"SetNode zero", codes.InvalidArgument, `node ""`, func(c *cluster) error { return c.SetNode(ipam.Node{}) }},
		{"SetNode with a DEL", codes.InvalidArgument, `node "a\x7fb"`, func(c *cluster) error { return c.SetNode(ipam.Node{Name: "a\x7fb"}) }},
		{"SetNode with a tab", codes.InvalidArgument, `node "a\tb"`, func(c *cluster) error { return c.SetNode(ipam.Node{Name: "a\tb"}) }},
		{"SetIPAMConfig negative limit", codes.InvalidArgument, `"-1"`, func(c *cluster) error {
			return c.SetIPAMConfig(ipam.Config{StrictAffinity: true, MaxBlocksPerHost: -1})
		}},
		{"SetIPAMConfig negative cooldown", codes.InvalidArgument, `"-1"`, func(c *cluster) error {
			return c.SetIPAMConfig(ipam.Config{StrictAffinity: true, IPCooldownSeconds: -1})
		}},
		{"SetIPAMConfig long cooldown", codes.InvalidArgument, `"1201"`, func(c *cluster) error {
			return c.SetIPAMConfig(ipam.Config{StrictAffinity: true, IPCooldownSeconds: 1201})
		}},
		{"SetIPAMConfig zero", codes.ConfigConflict, "", func(c *cluster) error { return c.SetIPAMConfig(ipam.Config{}) }},
		{"PutIPAMConfig persistence", codes.InvalidArgument, `"on"`, func(c *cluster) error {
			return c.PutIPAMConfig(ipam.Config{KubeVirtVMAddressPersistence: "on"})
		}},
		{"PutIPAMConfig long cooldown", codes.InvalidArgument, `"1201"`, func(c *cluster) error { return c.PutIPAMConfig(ipam.Config{IPCooldownSeconds: 1201}) }},

		{"SetPool zero", pool.ErrInvalid, "name", func(c *cluster) error { return c.SetPool(pool.Spec{}) }},
		{"SetPool no name", pool.ErrInvalid, "name", setPool(func(s *pool.Spec) { s.Name = "" })},
		{"SetPool host bits", pool.ErrInvalid, "10.1.0.9/24", setPool(func(s *pool.Spec) { s.CIDR = prefix("10.1.0.9/24") })},
		{"SetPool IPv4-mapped", pool.ErrInvalid, "::ffff:10.1.0.0/120", setPool(func(s *pool.Spec) { s.CIDR = prefix("::ffff:10.1.0.0/120") })},
		{"SetPool large blocks", pool.ErrInvalid, `"19"`, setPool(func(s *pool.Spec) { s.CIDR, s.BlockSize = prefix("10.1.0.0/16"), 19 })},
		{"SetPool impossible blocks", pool.ErrInvalid, `"33"`, setPool(func(s *pool.Spec) { s.BlockSize = 33 })},
		{"SetPool negative blocks", pool.ErrInvalid, `"-1"`, setPool(func(s *pool.Spec) { s.BlockSize = -1 })},
		{"SetPool large IPv6 blocks", pool.ErrInvalid, `"115"`, setPool(func(s *pool.Spec) { s.CIDR, s.BlockSize = prefix("fd01::/64"), 115 })},
		{"SetPool smaller than a block", pool.ErrInvalid, "10.1.0.0/27", setPool(func(s *pool.Spec) { s.CIDR = prefix("10.1.0.0/27") })},
		{"SetPool overlap", pool.ErrOverlap, "small", setPool(func(s *pool.Spec) { s.CIDR = prefix("10.0.0.0/16") })},
		{"SetPool other blocks", pool.ErrImmutable, "small", setPool(func(s *pool.Spec) { s.Name, s.CIDR, s.BlockSize = "small", prefix("10.0.0.0/28"), 31 })},
		{"SetPool unknown mode", pool.ErrInvalid, "Sometimes", setPool(func(s *pool.Spec) { s.AssignmentMode = "Sometimes" })},
		{"SetPool unknown use", pool.ErrInvalid, "Walk", setPool(func(s *pool.Spec) { s.AllowedUses = []pool.Use{"Walk"} })},
	}
	for _, b := range table {
		t.Run(b.name, func(t *testing.T) {
			c := newCluster(t, append(smallPools, spec("huge", "fd00:1::/48", 122)), "n1")
			c.take("10.0.0.1", "n1", "h")
			was, pools, nodes, config := c.State(), c.Pools(), c.Nodes(), c.GetIPAMConfig()
			err := b.do(c)
			must.ErrorIs(t, err, b.want)
			must.StrContains(t, err.Error(), b.names)
			if b.want == codes.InvalidArgument {
				var argument *ipam.Error
				must.ErrorAs[*ipam.Error](t, err, &argument)
				must.NotEq(t, "", argument.Argument)
				must.NotEq(t, "", argument.Detail)
				must.Eq(t, codes.InvalidArgument, codes.Of(err))
			}
			must.Eq(t, was, c.State())
			must.Eq(t, pools, c.Pools())
			must.Eq(t, nodes, c.Nodes())
			must.Eq(t, config, c.GetIPAMConfig())
			must.NoError(t, c.Check())
		})
	}
}

// TestLargestInput: arguments at the limit of their range are accepted.
func TestLargestInput(t *testing.T) {
	c := newCluster(t, smallPools)
	longest := strings.Repeat("x", 253)
	must.NoError(t, c.SetNode(ipam.Node{Name: longest}))
	must.NoError(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.0"), Host: longest, Handle: "h", MaxAllocPerHandle: math.MaxInt32}))
	_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: longest, Num4: math.MaxInt32, Handle: "h", Use: pool.Workload, MaxBlocksPerHost: math.MaxInt32})
	must.NoError(t, err)
	c.configure(ipam.Config{StrictAffinity: true, MaxBlocksPerHost: math.MaxInt32, IPCooldownSeconds: ipam.MaxCooldownSeconds})
}

// TestBadSelectors: a selector that does not parse is refused with the place
// where it goes wrong.
func TestBadSelectors(t *testing.T) {
	for selector, pos := range map[string]int{"zone =": 5, "zone == 'a": 8, "has(": 4, "zone == 'a' &&": 14, "zone in {,'a'}": 9, "(all()": 6} {
		for _, field := range []string{"nodeSelector", "namespaceSelector"} {
			c := newCluster(t, smallPools, "n1")
			s := spec("new", "10.1.0.0/24", 26)
			if field == "nodeSelector" {
				s.NodeSelector = selector
			} else {
				s.NamespaceSelector = selector
			}
			err := c.SetPool(s)
			must.ErrorIs(t, err, pool.ErrInvalid)
			var invalid *pool.InvalidError
			must.ErrorAs[*pool.InvalidError](t, err, &invalid)
			must.Eq(t, field, invalid.Field)
			var syntax *pool.SyntaxError
			must.ErrorAs[*pool.SyntaxError](t, err, &syntax)
			must.Eq(t, selector, syntax.Selector)
			must.Eq(t, pos, syntax.Pos, must.Sprintf("%q: %v", selector, err))
			must.Len(t, 2, c.Pools())
		}
	}
}

// TestQuestionsAboutNothing: reads, and deletions of missing objects, neither fail
// nor panic.
func TestQuestionsAboutNothing(t *testing.T) {
	c := newCluster(t, smallPools, "n1")
	c.take("10.0.0.1", "n1", "h")
	was := c.State()
	for _, ip := range append(worldOutside, addr("10.0.0.2"), addr("10.0.0.9")) {
		must.Zero(t, c.SequenceNumber(ip), must.Sprintf("%v", ip))
		_, _, exists := c.BlockOf(ip)
		must.Eq(t, ip == addr("10.0.0.2"), exists, must.Sprintf("%v", ip))
	}
	for _, cidr := range []netip.Prefix{{}, prefix("10.0.0.1/30"), prefix("10.0.0.0/29"), prefix("::ffff:10.0.0.0/126"), prefix("0.0.0.0/0")} {
		must.False(t, c.DropBlock(cidr))
		must.False(t, c.DropAffinity(affinity.HostOwner("n1"), cidr))
		must.False(t, c.DropAffinity(affinity.Owner{}, cidr))
	}
	must.False(t, c.DropAffinity(affinity.VirtualOwner("n2"), prefix("10.0.0.0/30")))
	must.False(t, c.DeletePool(""))
	must.False(t, c.DeleteNode(""))
	must.SliceEmpty(t, c.SetReservations(nil))
	unallocated, released, err := c.ReleaseIPs()
	must.NoError(t, err)
	must.SliceEmpty(t, append(unallocated, released...))
	v4, v6, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "nobody"})
	must.NoError(t, err, must.Sprint("nothing is asked for"))
	must.SliceEmpty(t, append(v4.IPs, v6.IPs...))
	b4, b6, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "nobody"})
	must.NoError(t, err)
	must.EqOp(t, netip.Prefix{}, b4)
	must.EqOp(t, netip.Prefix{}, b6)
	must.Eq(t, was, c.State())

	empty := ipam.New(ipam.Options{})
	must.NoError(t, empty.Check())
	must.Eq(t, ipam.State{}, empty.State())
	must.Len(t, 1, empty.GetUtilization())
	must.Eq(t, ipam.OrphanedBlocks, empty.GetUtilization()[0].Name)
	must.EqOp(t, time.Unix(0, 0).UTC(), empty.Now())
	must.SliceEmpty(t, empty.Pools())
	must.SliceEmpty(t, empty.Nodes())
}
