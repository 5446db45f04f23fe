package ipam_test

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// §6 to §9, where the recordings hardly reach: addresses, handles and
// what becomes of them. Every test quotes what it is about.

var onePool = []pool.Spec{spec("a", "10.0.0.0/29", 29)}

// §6: "allocation takes from the head, release appends to the tail: the address
// that has been free longest is reused first"
func TestQueue(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	require.Equal(t, []string{"10.0.0.0/29", "10.0.0.1/29", "10.0.0.2/29", "10.0.0.3/29"}, c.ask("n1", 4, "h"))
	c.free("10.0.0.2")
	c.free("10.0.0.0")
	c.take("10.0.0.6", "n1", "h")
	require.Equal(t, []int{4, 5, 7, 2, 0}, c.State().Blocks[0].Free)
	require.Equal(t, []string{"10.0.0.4/29", "10.0.0.5/29", "10.0.0.7/29", "10.0.0.2/29", "10.0.0.0/29"}, c.ask("n1", 5, "h"))
}

// §6: "The block is deleted when it is empty and has no affinity."
func TestNobodysBlock(t *testing.T) {
	c := newCluster(t, onePool, "n1", "n2")
	c.ask("n1", 2, "h1")
	require.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("n1")))
	s := c.State()
	require.Len(t, s.Blocks, 1)
	require.True(t, s.Blocks[0].Owner.IsZero())
	require.True(t, s.Blocks[0].Claimed.IsZero())
	require.Empty(t, s.Affinities)

	// §9: "Addresses in such a block stay allocated, belong to nobody's block,
	// and can be borrowed from when not strict."
	require.Equal(t, []string{"10.0.0.2/29"}, c.ask("n2", 1, "h2"))
	_, owner, _ := c.BlockOf(addr("10.0.0.2"))
	require.True(t, owner.IsZero())
	_, failed, err := c.ClaimAffinity(prefix("10.0.0.0/29"), affinity.HostOwner("n1"))
	require.NoError(t, err)
	require.Len(t, failed, 1)

	require.NoError(t, c.ReleaseByHandle("h1"))
	require.Len(t, c.State().Blocks, 1)
	require.NoError(t, c.ReleaseByHandle("h2"))
	require.Empty(t, c.State().Blocks)
}

// A cooling address keeps a block that nobody owns, and so does its collection:
// only a release deletes a block. It cannot be claimed, only borrowed from (§5, §6).
func TestNobodysBlockCools(t *testing.T) {
	c := newCluster(t, onePool, "n1", "n2")
	c.configure(cooled)
	c.ask("n1", 1, "h")
	require.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("n1")))
	require.NoError(t, c.ReleaseByHandle("h"))
	c.clock.Advance(time.Minute)
	require.Len(t, c.State().Blocks, 1)
	c.GarbageCollectColdIPs()
	left := c.State().Blocks
	require.Len(t, left, 1)
	require.Empty(t, left[0].Allocations)

	claimed, failed, err := c.ClaimAffinity(left[0].CIDR, affinity.HostOwner("n2"))
	require.NoError(t, err)
	require.Empty(t, claimed)
	require.Equal(t, []netip.Prefix{left[0].CIDR}, failed)
	require.NoError(t, c.AssignIP(ipam.AssignIPArgs{IP: left[0].CIDR.Addr(), Host: "n2"}), "borrowed")
	require.True(t, c.State().Blocks[0].Owner.IsZero())
	c.configure(ipam.DefaultConfig())
	c.free(left[0].CIDR.Addr().String())
	require.Empty(t, c.State().Blocks)
}

// §6: "a new block starts at the clock's UnixNano …; every write of the block
// adds one; an allocation … remembers the block's number at that moment"; on a
// clock that stands still numbers never repeat either.
func TestSequenceNumbers(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	begin := uint64(c.clock.Now().UnixNano())
	c.ask("n1", 1, "h")
	require.Equal(t, begin, c.SequenceNumber(addr("10.0.0.0")))
	c.ask("n1", 1, "h")
	require.Equal(t, begin+1, c.SequenceNumber(addr("10.0.0.1")))
	require.Equal(t, begin+2, c.State().Blocks[0].Sequence)
	require.Zero(t, c.SequenceNumber(addr("10.0.0.2")))

	require.NoError(t, c.ReleaseByHandle("h"))
	require.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("n1")))
	require.Empty(t, c.State().Blocks)
	c.ask("n1", 1, "h")
	require.Greater(t, c.SequenceNumber(addr("10.0.0.0")), begin+2, "the clock stands still")
}

// §7: "the handle's count for this block is raised … by the number asked of this
// block, not by the number it gave … the surplus stays after release"
func TestSurplus(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/29", 30)}, "n1")
	require.Len(t, c.ask("n1", 6, "h"), 6)
	var counts []int
	for _, n := range c.State().Handles[0].Counts {
		counts = append(counts, n.Count)
	}
	require.ElementsMatch(t, []int{6, 2}, counts, "6 were asked of the first, 2 of the second")
	require.NoError(t, c.ReleaseByHandle("h"))
	require.Equal(t, 2, c.State().Handles[0].Counts[0].Count, "6 less the 4 that were released")
	ips, err := c.IPsByHandle("h")
	require.NoError(t, err, "the handle stays")
	require.Empty(t, ips)
	was := c.State()
	require.NoError(t, c.ReleaseByHandle("h"), "and knows nothing to release")
	require.Equal(t, was, c.State(), "so nothing is written")

	c.ask("n1", math.MaxInt32, "much")
	c.free("10.0.0.0")
	require.Len(t, c.ask("n1", math.MaxInt32, "much"), 1)
	require.Equal(t, math.MaxInt32, slices.MaxFunc(c.State().Handles[1].Counts, func(x, y ipam.HandleCount) int { return x.Count - y.Count }).Count, "no more")
}

// §7: "a block that has none to give raises nothing"
func TestNoSurplusOfFullBlocks(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30)}, "n1", "n2")
	c.ask("n1", 4, "h1")
	require.Empty(t, c.ask("n2", 3, "h2"))
	require.Len(t, c.State().Handles, 1)
}

// §7: what a handle that may hold no more is told: what it has, if that is
// enough.
func TestMaxAllocPerHandle(t *testing.T) {
	c := newCluster(t, append(onePool, spec("v6", "fd00::/124", 126)), "n1")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload, MaxAllocPerHandle: 2}
	v4, _, err := c.AutoAssign(r)
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.0/29", "10.0.0.1/29"}, texts(v4.IPs))
	was := c.State()
	v4, _, err = c.AutoAssign(r)
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.0/32", "10.0.0.1/32"}, texts(v4.IPs), "the same, with full masks")
	require.Empty(t, v4.Msgs)
	require.Equal(t, was, c.State())
	r.Num4, r.Num6 = 1, 2
	v4, v6, err := c.AutoAssign(r)
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.0/32"}, texts(v4.IPs))
	require.Len(t, v6.IPs, 2, "per family")
	require.False(t, v6.IPs[0].IsSingleIP())

	// AssignIP: "the same address already held by the same handle is success"
	a := ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n1", Handle: "h", MaxAllocPerHandle: 2}
	require.NoError(t, c.AssignIP(a))
	a.MaxAllocPerHandle = 0
	require.ErrorIs(t, c.AssignIP(a), codes.AlreadyExists, "only where there is a limit")
	a.IP, a.MaxAllocPerHandle = addr("10.0.0.5"), 2
	require.ErrorIs(t, c.AssignIP(a), codes.MaxAlloc)
}

// §7: "while borrowing, this ends the request at once, without messages"
func TestMaxAllocWhileBorrowing(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30), spec("b", "10.0.1.0/30", 30)}, "n1", "n2")
	c.ask("n2", 4, "full")
	c.take("10.0.1.0", "n2", "h")
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Handle: "h", Use: pool.Workload, MaxAllocPerHandle: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.1.0/32"}, texts(v4.IPs))
	require.Empty(t, v4.Msgs, "a was exhausted, but nobody says so")
}

// §7: "If it has fewer, the block gives nothing and the loop goes on"
func TestMaxAllocTooFew(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/28", 30)}, "n1")
	c.take("10.0.0.0", "n1", "h")
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload, MaxAllocPerHandle: 2})
	require.ErrorIs(t, err, codes.BlockLimit)
	require.Empty(t, v4.IPs)
	require.Equal(t, []string{"block-limit:20"}, v4.Msgs)
}

// §7: "Two allocations of a block share one attribute record if handle and
// attributes are the same and it has no alternate owner", and §9: "a change
// shows on all of them".
func TestSharedRecords(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Attrs: worldAttrs[0], Use: pool.Workload}
	_, _, err := c.AutoAssign(r)
	require.NoError(t, err)
	require.NoError(t, c.SetOwnerAttributes(addr("10.0.0.0"), "h", ipam.OwnerUpdate{Alternate: worldAttrs[1]},
		ipam.OwnerPreconditions{AlternateEmpty: true, Active: &ipam.OwnerRef{Namespace: "another", Name: "but not changed"}}))
	r.Num4 = 1
	_, _, err = c.AutoAssign(r)
	require.NoError(t, err)
	of := func(ip string) ipam.Attributes {
		a, err := c.GetAssignmentAttributes(addr(ip))
		require.NoError(t, err)
		return a
	}
	require.Equal(t, worldAttrs[1], of("10.0.0.1").Alternate, "shared")
	require.Equal(t, block.Attrs{}, of("10.0.0.2").Alternate, "made after, so of its own")
	number := c.State().Blocks[0].Sequence

	// Live migration: the target becomes the active owner, in one step.
	require.NoError(t, c.SetOwnerAttributes(addr("10.0.0.1"), "h\rold", ipam.OwnerUpdate{Active: worldAttrs[1], ClearAlternate: true},
		ipam.OwnerPreconditions{Active: &ipam.OwnerRef{Namespace: "ns", Name: "p1"}, Alternate: &ipam.OwnerRef{Namespace: "ns", Name: "p2"}}))
	require.Equal(t, worldAttrs[1], of("10.0.0.0").Active)
	require.Equal(t, block.Attrs{}, of("10.0.0.0").Alternate)
	require.Equal(t, number+1, c.State().Blocks[0].Sequence, "one write (§6)")
	was := c.State()
	require.NoError(t, c.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{}, ipam.OwnerPreconditions{ActiveEmpty: true}))
	is := c.State()
	require.Equal(t, number+2, is.Blocks[0].Sequence, "nothing is changed, so nothing is expected, but the block is written")
	is.Blocks[0].Sequence--
	require.Equal(t, was, is)
}

// §8: "Each pool walked to its end without satisfying the request is named in
// one message …, also when a later pool then satisfies it."
func TestBorrow(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30), spec("b", "10.0.1.0/30", 30)}, "n1", "n2")
	c.ask("n2", 2, "h2")
	c.take("10.0.1.0", "n2", "h2")
	require.Empty(t, c.SetReservations([]string{"10.0.0.3"}))
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h1", Use: pool.Workload})
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.2/30", "10.0.1.1/30"}, texts(v4.IPs))
	require.Equal(t, []string{"exhausted:10.0.0.0/30"}, v4.Msgs)
	for _, ip := range v4.IPs {
		_, owner, _ := c.BlockOf(ip.Addr())
		require.Equal(t, affinity.HostOwner("n2"), owner)
	}
	was := c.State()
	c.SetReservations([]string{"10.0.0.0/8"})
	require.Empty(t, c.ask("n1", 1, "h1"))
	require.Equal(t, was, c.State(), "passed over without a write")
}

// §9: "It goes to the tail of the queue when the block is next touched and
// ipCooldownSeconds have passed: in ascending ordinal order within one such
// pass."
func TestCooldownOrder(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	c.configure(cooled)
	c.ask("n1", 7, "h")
	for _, ip := range []string{"10.0.0.5", "10.0.0.1", "10.0.0.3"} {
		c.free(ip)
		c.clock.Advance(time.Second)
	}
	c.clock.Advance(57 * time.Second) // the first is 60 s old, the others are not
	was := c.State()
	require.Equal(t, []int{7}, was.Blocks[0].Free)
	_, err := c.GetAssignmentAttributes(addr("10.0.0.5"))
	require.ErrorIs(t, err, codes.DoesNotExist, "looked at as if collected")
	_, err = c.GetAssignmentAttributes(addr("10.0.0.1"))
	require.ErrorIs(t, err, codes.IPInCooldown)
	number := c.SequenceNumber(addr("10.0.0.5"))
	require.NotZero(t, number, "as last written")
	_, _, err = c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.5"), Sequence: &number})
	require.ErrorIs(t, err, codes.BadSequenceNumber, "a free address has number 0")
	require.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.0"), Host: "n1"}), codes.AlreadyExists)
	require.Equal(t, was, c.State(), "only an operation that ends by writing keeps what it collected")
	require.Equal(t, "8", c.GetUtilization()[0].InUse.Add(c.GetUtilization()[0].InUse, c.GetUtilization()[0].Available).String())

	c.clock.Advance(time.Minute)
	c.free("10.0.0.0") // collects, on its way
	require.Equal(t, []int{7, 1, 3, 5}, c.State().Blocks[0].Free, "ascending, though 5 was released first")
	c.configure(ipam.DefaultConfig())
	c.free("10.0.0.6")
	require.Equal(t, []int{7, 1, 3, 5, 0, 6}, c.State().Blocks[0].Free, "two passes: what had cooled, then what it released")
	was = c.State()
	c.GarbageCollectColdIPs()
	require.Equal(t, was, c.State(), "nothing to collect, so nothing is written")
}

// §9: ReleaseIPs, the whole of it.
func TestReleaseIPs(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/24", 30)}, "n1")
	number := func(ip string) *uint64 {
		n := c.SequenceNumber(addr(ip))
		return &n
	}
	for _, ip := range []string{"10.0.0.4", "10.0.0.5", "10.0.0.16", "10.0.0.17"} {
		c.take(ip, "n1", "h")
	}
	stale := *number("10.0.0.4") - 1
	unallocated, released, err := c.ReleaseIPs(
		ipam.Release{IP: addr("192.0.2.1")},                     // in no pool
		ipam.Release{IP: addr("10.0.0.200")},                    // in no block
		ipam.Release{IP: addr("10.0.0.4"), Sequence: &stale},    // fails …
		ipam.Release{IP: addr("10.0.0.5")},                      // … with its whole block
		ipam.Release{IP: addr("10.0.0.16"), Handle: "h\rolder"}, // is released
		ipam.Release{IP: addr("10.0.0.18")},                     // is free
	)
	require.ErrorIs(t, err, codes.BadSequenceNumber)
	require.ErrorContains(t, err, "10.0.0.4")
	require.Equal(t, []string{"192.0.2.1", "10.0.0.18", "10.0.0.200"}, texts(unallocated), "in no block, then by block")
	require.Equal(t, []string{"10.0.0.16", "10.0.0.18", "10.0.0.200"}, texts(released))
	_, err = c.GetAssignmentAttributes(addr("10.0.0.5"))
	require.NoError(t, err, "kept")

	// "Of an address given twice the last counts; released names it as often as
	// it was given, unallocated once, or as often as given where the block does
	// not exist."
	unallocated, released, err = c.ReleaseIPs(
		ipam.Release{IP: addr("10.0.0.4"), Handle: "somebody else"}, ipam.Release{IP: addr("10.0.0.4"), Sequence: number("10.0.0.4")},
		ipam.Release{IP: addr("10.0.0.6")}, ipam.Release{IP: addr("10.0.0.6")},
		ipam.Release{IP: addr("10.0.0.200")}, ipam.Release{IP: addr("10.0.0.200")},
	)
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.200", "10.0.0.200", "10.0.0.6"}, texts(unallocated))
	require.Equal(t, []string{"10.0.0.200", "10.0.0.200", "10.0.0.4", "10.0.0.4", "10.0.0.6", "10.0.0.6"}, texts(released))

	// "the error is the first failing block's, by name": 10-0-0-16 before 10-0-0-4
	_, _, err = c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.5"), Sequence: &stale}, ipam.Release{IP: addr("10.0.0.17"), Handle: "another"})
	require.ErrorIs(t, err, codes.BadHandle)
	require.ErrorContains(t, err, "10.0.0.17")

	c.take("10.0.0.8", "n1", "h8")
	c.take("10.0.0.9", "n1", "h9")
	_, _, err = c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.8")}, ipam.Release{IP: addr("10.0.0.9")})
	require.NoError(t, err)
	require.Len(t, c.State().Handles, 1, "each is lowered by what it held")

	// "An address in no pool is looked for in the blocks themselves".
	c.DeletePool("a")
	unallocated, released, err = c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.5")}, ipam.Release{IP: addr("10.0.0.200")})
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.200"}, texts(unallocated))
	require.Equal(t, []string{"10.0.0.5"}, texts(released))
}

// ReleaseIP is ReleaseIPs for one.
func TestReleaseIP(t *testing.T) {
	c := newCluster(t, smallPools, "n1")
	c.take("10.0.0.1", "n1", "h")
	var zero uint64
	for _, r := range []struct {
		release   ipam.Release
		allocated bool
		err       error
	}{
		{ipam.Release{IP: addr("192.0.2.1")}, false, nil},
		{ipam.Release{IP: addr("10.0.0.2")}, false, nil},
		{ipam.Release{IP: addr("10.0.0.1"), Handle: "another"}, false, codes.BadHandle},
		{ipam.Release{IP: addr("10.0.0.1"), Sequence: &zero}, false, codes.BadSequenceNumber},
		{ipam.Release{IP: addr("10.0.0.1"), Handle: "h"}, true, nil},
		{ipam.Release{IP: addr("10.0.0.1"), Handle: "h", Sequence: &zero}, false, nil},
	} {
		allocated, err := c.ReleaseIP(r.release)
		require.Equal(t, r.allocated, allocated, "%+v", r)
		require.ErrorIs(t, err, r.err)
	}
	require.Empty(t, c.State().Handles)
}

// §9: "Handle ids are cut at the first carriage return (a fault of old
// migrations)."
func TestHandlesAreCut(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	c.ask("n1", 1, "h\rand more")
	c.take("10.0.0.7", "n1", "h\r")
	require.Len(t, c.State().Handles, 1)
	ips, err := c.IPsByHandle("h\rsomething else")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.0", "10.0.0.7"}, texts(ips))
	require.NoError(t, c.ReleaseByHandle("h\r\r"))
	c.ask("n1", 1, "\rnothing is left of it")
	require.Empty(t, c.State().Handles)
}

// §9: "GetAssignmentAttributes(ip) answers from the enabled pools only", while
// addresses of disabled pools, or of none, are released all the same.
func TestDisabledPool(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	c.ask("n1", 1, "h")
	s := onePool[0]
	s.Disabled = true
	require.NoError(t, c.SetPool(s))
	_, err := c.GetAssignmentAttributes(addr("10.0.0.0"))
	require.ErrorIs(t, err, codes.DoesNotExist)
	ips, err := c.IPsByHandle("h")
	require.NoError(t, err)
	require.Len(t, ips, 1)
	require.Len(t, c.GetUtilization()[0].Blocks, 1, "disabled ones too")
	require.NoError(t, c.ReleaseByHandle("h"))
	require.Len(t, c.State().Blocks, 1)
}

// §9: "the blocks that no pool covers", and §1: "A pool whose blockSize differs
// from that of blocks already lying in its CIDR is refused."
func TestOrphans(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/28", 30)}, "n1")
	c.ask("n1", 1, "h")
	was := c.State()
	require.True(t, c.DeletePool("a"))
	require.False(t, c.DeletePool("a"))
	require.Equal(t, was, c.State())
	u := c.GetUtilization()
	require.Len(t, u, 1)
	require.Equal(t, "0.0.0.0/0", u[0].CIDR.String())
	require.Equal(t, "0", u[0].InUse.String(), "no totals")
	require.Equal(t, "1", u[0].Blocks[0].InUse.String())
	require.ErrorIs(t, c.SetPool(spec("a", "10.0.0.0/16", 26)), pool.ErrBlockSize)
	require.ErrorIs(t, c.SetPool(spec("a", "10.0.0.0/28", 31)), pool.ErrBlockSize)
	require.NoError(t, c.SetPool(spec("other", "10.0.0.0/16", 30)))
	require.Equal(t, was, c.State())
	require.Len(t, c.GetUtilization()[0].Blocks, 1)
	require.Len(t, c.ask("n1", 1, "h"), 1)
	require.Len(t, c.State().Blocks, 1, "it is the host's still")
}

// §9: "ReleaseAffinity … stops at the first error; ReleaseHostAffinities … goes
// on, reports the last error at the end".
func TestReleaseAffinities(t *testing.T) {
	n1 := affinity.HostOwner("n1")
	setUp := func(t *testing.T) *cluster {
		c := newCluster(t, append(smallPools, spec("b", "10.0.0.16/28", 28)), "n1")
		for _, cidr := range []string{"10.0.0.0/28", "10.0.0.16/28", "fd00::/124"} {
			_, failed, err := c.ClaimAffinity(prefix(cidr), n1)
			require.NoError(t, err)
			require.Empty(t, failed)
		}
		c.take("10.0.0.5", "n1", "h")
		c.take("fd00::5", "n1", "h")
		return c
	}
	c := setUp(t)
	err := c.ReleaseAffinity(prefix("10.0.0.0/28"), n1, true)
	require.ErrorIs(t, err, codes.BlockNotEmpty)
	require.ErrorContains(t, err, "10.0.0.4/30")
	_, _, first := c.BlockOf(addr("10.0.0.0"))
	_, _, last := c.BlockOf(addr("10.0.0.12"))
	require.False(t, first, "before it")
	require.True(t, last, "after it")
	require.NoError(t, c.ReleaseAffinity(prefix("10.0.0.0/28"), n1, false))
	_, owner, exists := c.BlockOf(addr("10.0.0.5"))
	require.True(t, exists)
	require.True(t, owner.IsZero())

	c = setUp(t)
	err = c.ReleaseHostAffinities(n1, true)
	require.ErrorIs(t, err, codes.BlockNotEmpty)
	require.ErrorContains(t, err, "fd00::4/126", "the last")
	require.Len(t, c.State().Blocks, 2)
	require.NoError(t, c.RemoveIPAMHost(n1))
	require.Empty(t, c.State().Affinities)
	require.Len(t, c.State().Blocks, 2)
}

// §9: "no affinity object of this owner, or no block: nothing to do, and what
// there is stays as it is"; "somebody else's: delete our stale affinity"; "a
// block with no owner is not stale here".
func TestReleaseStaleAffinities(t *testing.T) {
	n1, n2 := affinity.HostOwner("n1"), affinity.HostOwner("n2")
	c := newCluster(t, smallPools, "n1", "n2")
	require.NoError(t, c.PutAffinity(n1, prefix("10.0.0.0/30"), affinity.Pending)) // no block
	c.take("10.0.0.4", "n2", "")
	require.NoError(t, c.PutAffinity(n1, prefix("10.0.0.4/30"), affinity.Confirmed)) // n2's
	c.take("10.0.0.8", "n2", "")
	require.NoError(t, c.ReleaseAffinity(prefix("10.0.0.8/30"), n2, false))
	require.NoError(t, c.PutAffinity(n1, prefix("10.0.0.8/30"), affinity.Confirmed)) // nobody's
	c.take("10.0.0.12", "n1", "")
	c.DropAffinity(n1, prefix("10.0.0.12/30")) // n1's without an affinity

	require.NoError(t, c.RemoveIPAMHost(n1))
	s := c.State()
	require.Len(t, s.Affinities, 2)
	require.Equal(t, "10.0.0.0/30 host:n1 pending", s.Affinities[0].CIDR.String()+" "+s.Affinities[0].Owner.String()+" "+s.Affinities[0].State.String())
	require.Equal(t, "10.0.0.4/30 host:n2 confirmed", s.Affinities[1].CIDR.String()+" "+s.Affinities[1].Owner.String()+" "+s.Affinities[1].State.String())
	_, owner, _ := c.BlockOf(addr("10.0.0.12"))
	require.Equal(t, n1, owner)
}

// §9: "ReleasePoolAffinities(cidr) … taking of several for one block only the
// last by name, and starting over from a new list if any turned out stale"
func TestReleasePoolAffinities(t *testing.T) {
	a, b, z := affinity.HostOwner("a"), affinity.HostOwner("b"), affinity.HostOwner("z")
	cidr := prefix("10.0.0.0/30")
	c := newCluster(t, smallPools)
	c.take("10.0.0.0", "b", "")
	require.NoError(t, c.PutAffinity(a, cidr, affinity.Confirmed))
	require.NoError(t, c.PutAffinity(z, cidr, affinity.Confirmed))
	require.NoError(t, c.PutAffinity(z, prefix("10.0.0.4/30"), affinity.Pending))
	c.take("fd00::", "b", "")
	require.NoError(t, c.ReleasePoolAffinities(prefix("10.0.0.0/24")))
	// z's was stale, so the round began anew with b's, which was true; a's was
	// never the last.
	s := c.State()
	require.Len(t, s.Affinities, 3)
	require.Equal(t, a, s.Affinities[0].Owner)
	require.Equal(t, b, s.Affinities[1].Owner)
	require.Equal(t, "fd00::/126", s.Affinities[1].CIDR.String(), "another pool's")
	require.Equal(t, z, s.Affinities[2].Owner)
	require.Equal(t, "10.0.0.4/30", s.Affinities[2].CIDR.String(), "without a block")
	_, owner, exists := c.BlockOf(addr("10.0.0.0"))
	require.True(t, exists)
	require.True(t, owner.IsZero())
}

// §9: AssignIP: "node selectors, reservations and block limits are not looked
// at", "The node need not exist; an affinity of the block, pending or not, is
// left as it is."
func TestAssignIP(t *testing.T) {
	s := spec("a", "10.0.0.0/28", 30)
	s.NodeSelector = "has(rack)"
	c := newCluster(t, []pool.Spec{s}, "n2")
	c.configure(ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true, MaxBlocksPerHost: 1})
	c.SetReservations([]string{"10.0.0.0/28"})
	n1 := affinity.HostOwner("n1")
	c.take("10.0.0.3", "n1", "h")
	c.take("10.0.0.4", "n1", "h")
	require.Len(t, c.State().Affinities, 2)
	require.Equal(t, []int{0, 1, 2}, c.State().Blocks[0].Free, "it leaves its place in the queue")
	require.NoError(t, c.PutAffinity(n1, prefix("10.0.0.0/30"), affinity.PendingDeletion))
	c.take("10.0.0.1", "n1", "h")
	require.Equal(t, affinity.PendingDeletion, c.State().Affinities[0].State)
	require.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.0"), Host: "n2"}), codes.AffinityMismatch)
	require.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n2"}), codes.AffinityMismatch, "before anything about the address")
	require.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.0"), Host: "n1", Use: pool.LoadBalancer}), codes.UseNotAllowed)
	c.configure(ipam.DefaultConfig())
	c.take("10.0.0.0", "n2", "")
}

// §9: "Reading never writes the default", and what a configuration may be.
func TestConfig(t *testing.T) {
	c := newCluster(t, nil)
	require.Equal(t, ipam.Config{AutoAllocateBlocks: true}, c.GetIPAMConfig())
	for _, ok := range []ipam.Config{
		{StrictAffinity: true}, {StrictAffinity: true, MaxBlocksPerHost: 1 << 30},
		{AutoAllocateBlocks: true, IPCooldownSeconds: ipam.MaxCooldownSeconds},
	} {
		require.NoError(t, c.SetIPAMConfig(ok))
		require.Equal(t, ok, c.GetIPAMConfig())
	}
	require.NoError(t, c.PutIPAMConfig(ipam.Config{MaxBlocksPerHost: 2}), "as an edit may")
}

// What callers are given is theirs.
func TestCallersOwnWhatTheyGet(t *testing.T) {
	labels := map[string]string{"zone": "a"}
	c := newCluster(t, smallPools)
	require.NoError(t, c.SetNode(ipam.Node{Name: "n1", Labels: labels}))
	labels["zone"] = "b"
	c.Nodes()[0].Labels["zone"] = "c"
	require.Equal(t, "a", c.Nodes()[0].Labels["zone"])
	entries := []string{"10.0.0.1"}
	c.SetReservations(entries)
	entries[0] = "10.0.0.2"
	c.Reservations()[0] = "10.0.0.3"
	require.Equal(t, []string{"10.0.0.1"}, c.Reservations())
	c.take("10.0.0.1", "n1", "h")
	was := c.State()
	s := c.State()
	s.Blocks[0].Free[0], s.Blocks[0].Allocations[0].Handle, s.Handles[0].Counts[0].Count = 77, "thief", 9
	s.Affinities[0].State = affinity.Pending
	u := c.GetUtilization()
	u[0].InUse.SetInt64(99)
	u[0].Blocks[0].Capacity.SetInt64(99)
	c.Pools()[0].AllowedUses[0] = pool.LoadBalancer
	require.Equal(t, was, c.State())
	require.NotEqual(t, u, c.GetUtilization())
	require.True(t, c.Pools()[0].AllowedUses[0] == pool.Workload)
}

func TestBlockStateAddr(t *testing.T) {
	for _, cidr := range []string{"10.1.32.0/20", "10.1.2.192/26", "fd00::b000/116", "10.0.0.1/32"} {
		b := ipam.BlockState{CIDR: prefix(cidr)}
		ip := b.CIDR.Addr()
		for ord := range size(b.CIDR) {
			require.Equal(t, ip, b.Addr(ord))
			ip = ip.Next()
		}
	}
	require.Equal(t, netip.MustParseAddr("10.0.0.0"), (&ipam.BlockState{CIDR: prefix("10.0.0.0/26")}).Addr(0))
}

// Into answers that have room nothing is allocated.
func TestAutoAssignInto(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload}
	v4 := ipam.Assignment{IPs: make([]netip.Prefix, 5, 8), Msgs: []string{"old"}}
	var v6 ipam.Assignment
	room := &v4.IPs[:1][0]
	require.NoError(t, c.AutoAssignInto(&r, &v4, &v6))
	require.Equal(t, []string{"10.0.0.0/29", "10.0.0.1/29"}, texts(v4.IPs))
	require.Empty(t, v4.Msgs)
	require.Same(t, room, &v4.IPs[0])
	r.Use = ""
	require.ErrorIs(t, c.AutoAssignInto(&r, &v4, &v6), codes.UseRequired)
	require.Empty(t, v4.IPs, "what stood there is not the answer")
	r.Use, r.Num4 = pool.Workload, 9
	require.NoError(t, c.AutoAssignInto(&r, &v4, &v6))
	require.Len(t, v4.IPs, 6)
	require.Equal(t, []string{"exhausted:10.0.0.0/29"}, v4.Msgs)
}
