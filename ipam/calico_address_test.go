package ipam_test

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"

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
	must.Eq(t, []string{"10.0.0.0/29", "10.0.0.1/29", "10.0.0.2/29", "10.0.0.3/29"}, c.ask("n1", 4, "h"))
	c.free("10.0.0.2")
	c.free("10.0.0.0")
	c.take("10.0.0.6", "n1", "h")
	must.Eq(t, []int{4, 5, 7, 2, 0}, c.State().Blocks[0].Free)
	must.Eq(t, []string{"10.0.0.4/29", "10.0.0.5/29", "10.0.0.7/29", "10.0.0.2/29", "10.0.0.0/29"}, c.ask("n1", 5, "h"))
}

// §6: "The block is deleted when it is empty and has no affinity."
func TestNobodysBlock(t *testing.T) {
	c := newCluster(t, onePool, "n1", "n2")
	c.ask("n1", 2, "h1")
	must.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("n1")))
	s := c.State()
	must.Len(t, 1, s.Blocks)
	must.True(t, s.Blocks[0].Owner.IsZero())
	must.True(t, s.Blocks[0].Claimed.IsZero())
	must.SliceEmpty(t, s.Affinities, must.Sprint(s.Affinities))

	// §9: "Addresses in such a block stay allocated, belong to nobody's block,
	// and can be borrowed from when not strict."
	must.Eq(t, []string{"10.0.0.2/29"}, c.ask("n2", 1, "h2"))
	_, owner, _ := c.BlockOf(addr("10.0.0.2"))
	must.True(t, owner.IsZero())
	_, failed, err := c.ClaimAffinity(prefix("10.0.0.0/29"), affinity.HostOwner("n1"))
	must.NoError(t, err)
	must.Len(t, 1, failed)

	must.NoError(t, c.ReleaseByHandle("h1"))
	must.Len(t, 1, c.State().Blocks)
	must.NoError(t, c.ReleaseByHandle("h2"))
	must.SliceEmpty(t, c.State().Blocks)
}

// A cooling address keeps a block that nobody owns, and so does its collection:
// only a release deletes a block. It cannot be claimed, only borrowed from (§5, §6).
func TestNobodysBlockCools(t *testing.T) {
	c := newCluster(t, onePool, "n1", "n2")
	c.configure(cooled)
	c.ask("n1", 1, "h")
	must.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("n1")))
	must.NoError(t, c.ReleaseByHandle("h"))
	c.clock.Advance(time.Minute)
	must.Len(t, 1, c.State().Blocks)
	c.GarbageCollectColdIPs()
	left := c.State().Blocks
	must.Len(t, 1, left)
	must.SliceEmpty(t, left[0].Allocations)

	claimed, failed, err := c.ClaimAffinity(left[0].CIDR, affinity.HostOwner("n2"))
	must.NoError(t, err)
	must.SliceEmpty(t, claimed, must.Sprint(claimed))
	must.Eq(t, []netip.Prefix{left[0].CIDR}, failed)
	must.NoError(t, c.AssignIP(ipam.AssignIPArgs{IP: left[0].CIDR.Addr(), Host: "n2"}), must.Sprint("borrowed"))
	must.True(t, c.State().Blocks[0].Owner.IsZero())
	c.configure(ipam.DefaultConfig())
	c.free(left[0].CIDR.Addr().String())
	must.SliceEmpty(t, c.State().Blocks)
}

// §6: "a new block starts at the clock's UnixNano …; every write of the block
// adds one; an allocation … remembers the block's number at that moment"; on a
// clock that stands still numbers never repeat either.
func TestSequenceNumbers(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	begin := uint64(c.clock.Now().UnixNano())
	c.ask("n1", 1, "h")
	must.Eq(t, begin, c.SequenceNumber(addr("10.0.0.0")))
	c.ask("n1", 1, "h")
	must.Eq(t, begin+1, c.SequenceNumber(addr("10.0.0.1")))
	must.Eq(t, begin+2, c.State().Blocks[0].Sequence)
	must.Zero(t, c.SequenceNumber(addr("10.0.0.2")))

	must.NoError(t, c.ReleaseByHandle("h"))
	must.NoError(t, c.RemoveIPAMHost(affinity.HostOwner("n1")))
	must.SliceEmpty(t, c.State().Blocks)
	c.ask("n1", 1, "h")
	must.Greater(t, begin+2, c.SequenceNumber(addr("10.0.0.0")), must.Sprint("the clock stands still"))
}

// §7: "the handle's count for this block is raised … by the number asked of this
// block, not by the number it gave … the surplus stays after release"
func TestSurplus(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/29", 30)}, "n1")
	must.Len(t, 6, c.ask("n1", 6, "h"))
	var counts []int
	for _, n := range c.State().Handles[0].Counts {
		counts = append(counts, n.Count)
	}
	must.SliceContainsAll(t, counts, []int{6, 2}, must.Sprint("6 were asked of the first, 2 of the second"))
	must.NoError(t, c.ReleaseByHandle("h"))
	must.Eq(t, 2, c.State().Handles[0].Counts[0].Count, must.Sprint("6 less the 4 that were released"))
	ips, err := c.IPsByHandle("h")
	must.NoError(t, err, must.Sprint("the handle stays"))
	must.SliceEmpty(t, ips, must.Sprint(ips))
	was := c.State()
	must.NoError(t, c.ReleaseByHandle("h"), must.Sprint("and knows nothing to release"))
	must.Eq(t, was, c.State(), must.Sprint("so nothing is written"))

	c.ask("n1", math.MaxInt32, "much")
	c.free("10.0.0.0")
	must.Len(t, 1, c.ask("n1", math.MaxInt32, "much"))
	must.Eq(t, math.MaxInt32, slices.MaxFunc(c.State().Handles[1].Counts, func(x, y ipam.HandleCount) int { return x.Count - y.Count }).Count, must.Sprint("no more"))
}

// §7: "a block that has none to give raises nothing"
func TestNoSurplusOfFullBlocks(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30)}, "n1", "n2")
	c.ask("n1", 4, "h1")
	must.SliceEmpty(t, c.ask("n2", 3, "h2"))
	must.Len(t, 1, c.State().Handles)
}

// §7: what a handle that may hold no more is told: what it has, if that is
// enough.
func TestMaxAllocPerHandle(t *testing.T) {
	c := newCluster(t, append(onePool, spec("v6", "fd00::/124", 126)), "n1")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload, MaxAllocPerHandle: 2}
	v4, _, err := c.AutoAssign(r)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.0/29", "10.0.0.1/29"}, texts(v4.IPs))
	was := c.State()
	v4, _, err = c.AutoAssign(r)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.0/32", "10.0.0.1/32"}, texts(v4.IPs), must.Sprint("the same, with full masks"))
	must.SliceEmpty(t, v4.Msgs, must.Sprint(v4.Msgs))
	must.Eq(t, was, c.State())
	r.Num4, r.Num6 = 1, 2
	v4, v6, err := c.AutoAssign(r)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.0/32"}, texts(v4.IPs))
	must.Len(t, 2, v6.IPs, must.Sprint("per family"))
	must.False(t, v6.IPs[0].IsSingleIP())

	// AssignIP: "the same address already held by the same handle is success"
	a := ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n1", Handle: "h", MaxAllocPerHandle: 2}
	must.NoError(t, c.AssignIP(a))
	a.MaxAllocPerHandle = 0
	must.ErrorIs(t, c.AssignIP(a), codes.AlreadyExists, must.Sprint("only where there is a limit"))
	a.IP, a.MaxAllocPerHandle = addr("10.0.0.5"), 2
	must.ErrorIs(t, c.AssignIP(a), codes.MaxAlloc)
}

// §7: "while borrowing, this ends the request at once, without messages"
func TestMaxAllocWhileBorrowing(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30), spec("b", "10.0.1.0/30", 30)}, "n1", "n2")
	c.ask("n2", 4, "full")
	c.take("10.0.1.0", "n2", "h")
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Handle: "h", Use: pool.Workload, MaxAllocPerHandle: 1})
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.1.0/32"}, texts(v4.IPs))
	must.SliceEmpty(t, v4.Msgs, must.Sprint("a was exhausted, but nobody says so"))
}

// §7: "If it has fewer, the block gives nothing and the loop goes on"
func TestMaxAllocTooFew(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/28", 30)}, "n1")
	c.take("10.0.0.0", "n1", "h")
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload, MaxAllocPerHandle: 2})
	must.ErrorIs(t, err, codes.BlockLimit)
	must.SliceEmpty(t, v4.IPs, must.Sprint(v4.IPs))
	must.Eq(t, []string{"block-limit:20"}, v4.Msgs)
}

// §7: "Two allocations of a block share one attribute record if handle and
// attributes are the same and it has no alternate owner", and §9: "a change
// shows on all of them".
func TestSharedRecords(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Attrs: worldAttrs[0], Use: pool.Workload}
	_, _, err := c.AutoAssign(r)
	must.NoError(t, err)
	must.NoError(t, c.SetOwnerAttributes(addr("10.0.0.0"), "h", ipam.OwnerUpdate{Alternate: worldAttrs[1]},
		ipam.OwnerPreconditions{AlternateEmpty: true, Active: &ipam.OwnerRef{Namespace: "another", Name: "but not changed"}}))
	r.Num4 = 1
	_, _, err = c.AutoAssign(r)
	must.NoError(t, err)
	of := func(ip string) ipam.Attributes {
		a, err := c.GetAssignmentAttributes(addr(ip))
		must.NoError(t, err)
		return a
	}
	must.EqOp(t, worldAttrs[1], of("10.0.0.1").Alternate, must.Sprint("shared"))
	must.EqOp(t, block.Attrs{}, of("10.0.0.2").Alternate, must.Sprint("made after, so of its own"))
	number := c.State().Blocks[0].Sequence

	// Live migration: the target becomes the active owner, in one step.
	must.NoError(t, c.SetOwnerAttributes(addr("10.0.0.1"), "h\rold", ipam.OwnerUpdate{Active: worldAttrs[1], ClearAlternate: true},
		ipam.OwnerPreconditions{Active: &ipam.OwnerRef{Namespace: "ns", Name: "p1"}, Alternate: &ipam.OwnerRef{Namespace: "ns", Name: "p2"}}))
	must.EqOp(t, worldAttrs[1], of("10.0.0.0").Active)
	must.EqOp(t, block.Attrs{}, of("10.0.0.0").Alternate)
	must.Eq(t, number+1, c.State().Blocks[0].Sequence, must.Sprint("one write (§6)"))
	was := c.State()
	must.NoError(t, c.SetOwnerAttributes(addr("10.0.0.1"), "h", ipam.OwnerUpdate{}, ipam.OwnerPreconditions{ActiveEmpty: true}))
	is := c.State()
	must.Eq(t, number+2, is.Blocks[0].Sequence, must.Sprint("nothing is changed, so nothing is expected, but the block is written"))
	is.Blocks[0].Sequence--
	must.Eq(t, was, is)
}

// §8: "Each pool walked to its end without satisfying the request is named in
// one message …, also when a later pool then satisfies it."
func TestBorrow(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/30", 30), spec("b", "10.0.1.0/30", 30)}, "n1", "n2")
	c.ask("n2", 2, "h2")
	c.take("10.0.1.0", "n2", "h2")
	must.SliceEmpty(t, c.SetReservations([]string{"10.0.0.3"}))
	v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h1", Use: pool.Workload})
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.2/30", "10.0.1.1/30"}, texts(v4.IPs))
	must.Eq(t, []string{"exhausted:10.0.0.0/30"}, v4.Msgs)
	for _, ip := range v4.IPs {
		_, owner, _ := c.BlockOf(ip.Addr())
		must.Eq(t, affinity.HostOwner("n2"), owner)
	}
	was := c.State()
	c.SetReservations([]string{"10.0.0.0/8"})
	must.SliceEmpty(t, c.ask("n1", 1, "h1"))
	must.Eq(t, was, c.State(), must.Sprint("passed over without a write"))
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
	must.Eq(t, []int{7}, was.Blocks[0].Free)
	_, err := c.GetAssignmentAttributes(addr("10.0.0.5"))
	must.ErrorIs(t, err, codes.DoesNotExist, must.Sprint("looked at as if collected"))
	_, err = c.GetAssignmentAttributes(addr("10.0.0.1"))
	must.ErrorIs(t, err, codes.IPInCooldown)
	number := c.SequenceNumber(addr("10.0.0.5"))
	must.NonZero(t, number, must.Sprint("as last written"))
	_, _, err = c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.5"), Sequence: &number})
	must.ErrorIs(t, err, codes.BadSequenceNumber, must.Sprint("a free address has number 0"))
	must.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.0"), Host: "n1"}), codes.AlreadyExists)
	must.Eq(t, was, c.State(), must.Sprint("only an operation that ends by writing keeps what it collected"))
	must.Eq(t, "8", c.GetUtilization()[0].InUse.Add(c.GetUtilization()[0].InUse, c.GetUtilization()[0].Available).String())

	c.clock.Advance(time.Minute)
	c.free("10.0.0.0") // collects, on its way
	must.Eq(t, []int{7, 1, 3, 5}, c.State().Blocks[0].Free, must.Sprint("ascending, though 5 was released first"))
	c.configure(ipam.DefaultConfig())
	c.free("10.0.0.6")
	must.Eq(t, []int{7, 1, 3, 5, 0, 6}, c.State().Blocks[0].Free, must.Sprint("two passes: what had cooled, then what it released"))
	was = c.State()
	c.GarbageCollectColdIPs()
	must.Eq(t, was, c.State(), must.Sprint("nothing to collect, so nothing is written"))
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
	must.ErrorIs(t, err, codes.BadSequenceNumber)
	must.ErrorContains(t, err, "10.0.0.4")
	must.Eq(t, []string{"192.0.2.1", "10.0.0.18", "10.0.0.200"}, texts(unallocated), must.Sprint("in no block, then by block"))
	must.Eq(t, []string{"10.0.0.16", "10.0.0.18", "10.0.0.200"}, texts(released))
	_, err = c.GetAssignmentAttributes(addr("10.0.0.5"))
	must.NoError(t, err, must.Sprint("kept"))

	// "Of an address given twice the last counts; released names it as often as
	// it was given, unallocated once, or as often as given where the block does
	// not exist."
	unallocated, released, err = c.ReleaseIPs(
		ipam.Release{IP: addr("10.0.0.4"), Handle: "somebody else"}, ipam.Release{IP: addr("10.0.0.4"), Sequence: number("10.0.0.4")},
		ipam.Release{IP: addr("10.0.0.6")}, ipam.Release{IP: addr("10.0.0.6")},
		ipam.Release{IP: addr("10.0.0.200")}, ipam.Release{IP: addr("10.0.0.200")},
	)
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.200", "10.0.0.200", "10.0.0.6"}, texts(unallocated))
	must.Eq(t, []string{"10.0.0.200", "10.0.0.200", "10.0.0.4", "10.0.0.4", "10.0.0.6", "10.0.0.6"}, texts(released))

	// "the error is the first failing block's, by name": 10-0-0-16 before 10-0-0-4
	_, _, err = c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.5"), Sequence: &stale}, ipam.Release{IP: addr("10.0.0.17"), Handle: "another"})
	must.ErrorIs(t, err, codes.BadHandle)
	must.ErrorContains(t, err, "10.0.0.17")

	c.take("10.0.0.8", "n1", "h8")
	c.take("10.0.0.9", "n1", "h9")
	_, _, err = c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.8")}, ipam.Release{IP: addr("10.0.0.9")})
	must.NoError(t, err)
	must.Len(t, 1, c.State().Handles, must.Sprint("each is lowered by what it held"))

	// "An address in no pool is looked for in the blocks themselves".
	c.DeletePool("a")
	unallocated, released, err = c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.5")}, ipam.Release{IP: addr("10.0.0.200")})
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.200"}, texts(unallocated))
	must.Eq(t, []string{"10.0.0.5"}, texts(released))
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
		must.Eq(t, r.allocated, allocated, must.Sprintf("%+v", r))
		must.ErrorIs(t, err, r.err)
	}
	must.SliceEmpty(t, c.State().Handles)
}

// §9: "Handle ids are cut at the first carriage return (a fault of old
// migrations)."
func TestHandlesAreCut(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	c.ask("n1", 1, "h\rand more")
	c.take("10.0.0.7", "n1", "h\r")
	must.Len(t, 1, c.State().Handles)
	ips, err := c.IPsByHandle("h\rsomething else")
	must.NoError(t, err)
	must.Eq(t, []string{"10.0.0.0", "10.0.0.7"}, texts(ips))
	must.NoError(t, c.ReleaseByHandle("h\r\r"))
	c.ask("n1", 1, "\rnothing is left of it")
	must.SliceEmpty(t, c.State().Handles)
}

// §9: "GetAssignmentAttributes(ip) answers from the enabled pools only", while
// addresses of disabled pools, or of none, are released all the same.
func TestDisabledPool(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	c.ask("n1", 1, "h")
	s := onePool[0]
	s.Disabled = true
	must.NoError(t, c.SetPool(s))
	_, err := c.GetAssignmentAttributes(addr("10.0.0.0"))
	must.ErrorIs(t, err, codes.DoesNotExist)
	ips, err := c.IPsByHandle("h")
	must.NoError(t, err)
	must.Len(t, 1, ips)
	must.Len(t, 1, c.GetUtilization()[0].Blocks, must.Sprint("disabled ones too"))
	must.NoError(t, c.ReleaseByHandle("h"))
	must.Len(t, 1, c.State().Blocks)
}

// §9: "the blocks that no pool covers", and §1: "A pool whose blockSize differs
// from that of blocks already lying in its CIDR is refused."
func TestOrphans(t *testing.T) {
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/28", 30)}, "n1")
	c.ask("n1", 1, "h")
	was := c.State()
	must.True(t, c.DeletePool("a"))
	must.False(t, c.DeletePool("a"))
	must.Eq(t, was, c.State())
	u := c.GetUtilization()
	must.Len(t, 1, u)
	must.Eq(t, "0.0.0.0/0", u[0].CIDR.String())
	must.Eq(t, "0", u[0].InUse.String(), must.Sprint("no totals"))
	must.Eq(t, "1", u[0].Blocks[0].InUse.String())
	must.ErrorIs(t, c.SetPool(spec("a", "10.0.0.0/16", 26)), pool.ErrBlockSize)
	must.ErrorIs(t, c.SetPool(spec("a", "10.0.0.0/28", 31)), pool.ErrBlockSize)
	must.NoError(t, c.SetPool(spec("other", "10.0.0.0/16", 30)))
	must.Eq(t, was, c.State())
	must.Len(t, 1, c.GetUtilization()[0].Blocks)
	must.Len(t, 1, c.ask("n1", 1, "h"))
	must.Len(t, 1, c.State().Blocks, must.Sprint("it is the host's still"))
}

// §9: "ReleaseAffinity … stops at the first error; ReleaseHostAffinities … goes
// on, reports the last error at the end".
func TestReleaseAffinities(t *testing.T) {
	n1 := affinity.HostOwner("n1")
	setUp := func(t *testing.T) *cluster {
		c := newCluster(t, append(smallPools, spec("b", "10.0.0.16/28", 28)), "n1")
		for _, cidr := range []string{"10.0.0.0/28", "10.0.0.16/28", "fd00::/124"} {
			_, failed, err := c.ClaimAffinity(prefix(cidr), n1)
			must.NoError(t, err)
			must.SliceEmpty(t, failed, must.Sprint(failed))
		}
		c.take("10.0.0.5", "n1", "h")
		c.take("fd00::5", "n1", "h")
		return c
	}
	c := setUp(t)
	err := c.ReleaseAffinity(prefix("10.0.0.0/28"), n1, true)
	must.ErrorIs(t, err, codes.BlockNotEmpty)
	must.ErrorContains(t, err, "10.0.0.4/30")
	_, _, first := c.BlockOf(addr("10.0.0.0"))
	_, _, last := c.BlockOf(addr("10.0.0.12"))
	must.False(t, first, must.Sprint("before it"))
	must.True(t, last, must.Sprint("after it"))
	must.NoError(t, c.ReleaseAffinity(prefix("10.0.0.0/28"), n1, false))
	_, owner, exists := c.BlockOf(addr("10.0.0.5"))
	must.True(t, exists)
	must.True(t, owner.IsZero())

	c = setUp(t)
	err = c.ReleaseHostAffinities(n1, true)
	must.ErrorIs(t, err, codes.BlockNotEmpty)
	must.ErrorContains(t, err, "fd00::4/126", must.Sprint("the last"))
	must.Len(t, 2, c.State().Blocks)
	must.NoError(t, c.RemoveIPAMHost(n1))
	must.SliceEmpty(t, c.State().Affinities)
	must.Len(t, 2, c.State().Blocks)
}

// §9: "no affinity object of this owner, or no block: nothing to do, and what
// there is stays as it is"; "somebody else's: delete our stale affinity"; "a
// block with no owner is not stale here".
func TestReleaseStaleAffinities(t *testing.T) {
	n1, n2 := affinity.HostOwner("n1"), affinity.HostOwner("n2")
	c := newCluster(t, smallPools, "n1", "n2")
	must.NoError(t, c.PutAffinity(n1, prefix("10.0.0.0/30"), affinity.Pending)) // no block
	c.take("10.0.0.4", "n2", "")
	must.NoError(t, c.PutAffinity(n1, prefix("10.0.0.4/30"), affinity.Confirmed)) // n2's
	c.take("10.0.0.8", "n2", "")
	must.NoError(t, c.ReleaseAffinity(prefix("10.0.0.8/30"), n2, false))
	must.NoError(t, c.PutAffinity(n1, prefix("10.0.0.8/30"), affinity.Confirmed)) // nobody's
	c.take("10.0.0.12", "n1", "")
	c.DropAffinity(n1, prefix("10.0.0.12/30")) // n1's without an affinity

	must.NoError(t, c.RemoveIPAMHost(n1))
	s := c.State()
	must.Len(t, 2, s.Affinities)
	must.Eq(t, "10.0.0.0/30 host:n1 pending", s.Affinities[0].CIDR.String()+" "+s.Affinities[0].Owner.String()+" "+s.Affinities[0].State.String())
	must.Eq(t, "10.0.0.4/30 host:n2 confirmed", s.Affinities[1].CIDR.String()+" "+s.Affinities[1].Owner.String()+" "+s.Affinities[1].State.String())
	_, owner, _ := c.BlockOf(addr("10.0.0.12"))
	must.Eq(t, n1, owner)
}

// §9: "ReleasePoolAffinities(cidr) … taking of several for one block only the
// last by name, and starting over from a new list if any turned out stale"
func TestReleasePoolAffinities(t *testing.T) {
	a, b, z := affinity.HostOwner("a"), affinity.HostOwner("b"), affinity.HostOwner("z")
	cidr := prefix("10.0.0.0/30")
	c := newCluster(t, smallPools)
	c.take("10.0.0.0", "b", "")
	must.NoError(t, c.PutAffinity(a, cidr, affinity.Confirmed))
	must.NoError(t, c.PutAffinity(z, cidr, affinity.Confirmed))
	must.NoError(t, c.PutAffinity(z, prefix("10.0.0.4/30"), affinity.Pending))
	c.take("fd00::", "b", "")
	must.NoError(t, c.ReleasePoolAffinities(prefix("10.0.0.0/24")))
	// z's was stale, so the round began anew with b's, which was true; a's was
	// never the last.
	s := c.State()
	must.Len(t, 3, s.Affinities)
	must.Eq(t, a, s.Affinities[0].Owner)
	must.Eq(t, b, s.Affinities[1].Owner)
	must.Eq(t, "fd00::/126", s.Affinities[1].CIDR.String(), must.Sprint("another pool's"))
	must.Eq(t, z, s.Affinities[2].Owner)
	must.Eq(t, "10.0.0.4/30", s.Affinities[2].CIDR.String(), must.Sprint("without a block"))
	_, owner, exists := c.BlockOf(addr("10.0.0.0"))
	must.True(t, exists)
	must.True(t, owner.IsZero())
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
	must.Len(t, 2, c.State().Affinities)
	must.Eq(t, []int{0, 1, 2}, c.State().Blocks[0].Free, must.Sprint("it leaves its place in the queue"))
	must.NoError(t, c.PutAffinity(n1, prefix("10.0.0.0/30"), affinity.PendingDeletion))
	c.take("10.0.0.1", "n1", "h")
	must.Eq(t, affinity.PendingDeletion, c.State().Affinities[0].State)
	must.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.0"), Host: "n2"}), codes.AffinityMismatch)
	must.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n2"}), codes.AffinityMismatch, must.Sprint("before anything about the address"))
	must.ErrorIs(t, c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.0"), Host: "n1", Use: pool.LoadBalancer}), codes.UseNotAllowed)
	c.configure(ipam.DefaultConfig())
	c.take("10.0.0.0", "n2", "")
}

// §9: "Reading never writes the default", and what a configuration may be.
func TestConfig(t *testing.T) {
	c := newCluster(t, nil)
	must.Eq(t, ipam.Config{AutoAllocateBlocks: true}, c.GetIPAMConfig())
	for _, ok := range []ipam.Config{
		{StrictAffinity: true}, {StrictAffinity: true, MaxBlocksPerHost: 1 << 30},
		{AutoAllocateBlocks: true, IPCooldownSeconds: ipam.MaxCooldownSeconds},
	} {
		must.NoError(t, c.SetIPAMConfig(ok))
		must.Eq(t, ok, c.GetIPAMConfig())
	}
	must.NoError(t, c.PutIPAMConfig(ipam.Config{MaxBlocksPerHost: 2}), must.Sprint("as an edit may"))
}

// What callers are given is theirs.
func TestCallersOwnWhatTheyGet(t *testing.T) {
	labels := map[string]string{"zone": "a"}
	c := newCluster(t, smallPools)
	must.NoError(t, c.SetNode(ipam.Node{Name: "n1", Labels: labels}))
	labels["zone"] = "b"
	c.Nodes()[0].Labels["zone"] = "c"
	must.Eq(t, "a", c.Nodes()[0].Labels["zone"])
	entries := []string{"10.0.0.1"}
	c.SetReservations(entries)
	entries[0] = "10.0.0.2"
	c.Reservations()[0] = "10.0.0.3"
	must.Eq(t, []string{"10.0.0.1"}, c.Reservations())
	c.take("10.0.0.1", "n1", "h")
	was := c.State()
	s := c.State()
	s.Blocks[0].Free[0], s.Blocks[0].Allocations[0].Handle, s.Handles[0].Counts[0].Count = 77, "thief", 9
	s.Affinities[0].State = affinity.Pending
	u := c.GetUtilization()
	u[0].InUse.SetInt64(99)
	u[0].Blocks[0].Capacity.SetInt64(99)
	c.Pools()[0].AllowedUses[0] = pool.LoadBalancer
	must.Eq(t, was, c.State())
	must.NotEq(t, u, c.GetUtilization())
	must.True(t, c.Pools()[0].AllowedUses[0] == pool.Workload)
}

func TestBlockStateAddr(t *testing.T) {
	for _, cidr := range []string{"10.1.32.0/20", "10.1.2.192/26", "fd00::b000/116", "10.0.0.1/32"} {
		b := ipam.BlockState{CIDR: prefix(cidr)}
		ip := b.CIDR.Addr()
		for ord := range size(b.CIDR) {
			must.EqOp(t, ip, b.Addr(ord))
			ip = ip.Next()
		}
	}
	must.EqOp(t, netip.MustParseAddr("10.0.0.0"), (&ipam.BlockState{CIDR: prefix("10.0.0.0/26")}).Addr(0))
}

// Into answers that have room nothing is allocated.
func TestAutoAssignInto(t *testing.T) {
	c := newCluster(t, onePool, "n1")
	r := ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload}
	v4 := ipam.Assignment{IPs: make([]netip.Prefix, 5, 8), Msgs: []string{"old"}}
	var v6 ipam.Assignment
	room := &v4.IPs[:1][0]
	must.NoError(t, c.AutoAssignInto(&r, &v4, &v6))
	must.Eq(t, []string{"10.0.0.0/29", "10.0.0.1/29"}, texts(v4.IPs))
	must.SliceEmpty(t, v4.Msgs, must.Sprint(v4.Msgs))
	must.EqOp(t, room, &v4.IPs[0])
	r.Use = ""
	must.ErrorIs(t, c.AutoAssignInto(&r, &v4, &v6), codes.UseRequired)
	must.SliceEmpty(t, v4.IPs, must.Sprint("what stood there is not the answer"))
	r.Use, r.Num4 = pool.Workload, 9
	must.NoError(t, c.AutoAssignInto(&r, &v4, &v6))
	must.Len(t, 6, v4.IPs)
	must.Eq(t, []string{"exhausted:10.0.0.0/29"}, v4.Msgs)
}
