package ipam_test

import (
	"errors"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

var restoreTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// someCluster returns a small cluster with most of what a cluster can have.
func someCluster(t *testing.T, clock *ipam.Clock) *ipam.Allocator {
	t.Helper()
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 29}))
	must.NoError(t, a.SetPool(pool.Spec{Name: "q", CIDR: netip.MustParsePrefix("10.0.1.0/24"), BlockSize: 30}))
	a.SetReservations([]string{"10.0.0.1", "not an address"})
	for _, name := range []string{"a", "b"} {
		must.NoError(t, a.SetNode(ipam.Node{Name: name, Labels: map[string]string{"zone": name}}))
		_, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: name, Num4: 10, Handle: "h-" + name, Use: pool.Workload})
		must.NoError(t, err)
	}
	must.NoError(t, a.ReleaseByHandle("h-a"))
	must.NoError(t, a.PutAffinity(affinity.HostOwner("a"), netip.MustParsePrefix("10.0.0.248/29"), affinity.Pending))
	_, _, err := a.ClaimAffinity(netip.MustParsePrefix("10.0.1.0/30"), affinity.VirtualOwner("lb"))
	must.NoError(t, err)
	must.True(t, a.DeletePool("q"))
	return a
}

func TestRestoreIsEqual(t *testing.T) {
	clock := ipam.NewClock(restoreTime)
	a := someCluster(t, clock)
	c := a.Cluster()
	b, err := ipam.Restore(c, ipam.Options{Now: clock.Now})
	must.NoError(t, err)
	must.Eq(t, c, b.Cluster())
	must.NoError(t, b.Check())

	// The two share no memory.
	for _, x := range []*ipam.Allocator{a, b} {
		clock.Advance(time.Minute)
		_, _, err = x.AutoAssign(ipam.AutoAssignArgs{Host: "a", Num4: 3, Handle: "new", Use: pool.Workload})
		must.NoError(t, err)
		clock.Advance(-time.Minute)
	}
	must.Eq(t, a.Cluster(), b.Cluster())
	must.NotEq(t, c, b.Cluster())
}

// TestRestoreSequence: a block made again never repeats a number, though the one
// that had it is gone and the clock stands still.
func TestRestoreSequence(t *testing.T) {
	clock := ipam.NewClock(restoreTime)
	a := someCluster(t, clock)
	must.True(t, a.DropBlock(netip.MustParsePrefix("10.0.1.0/30")))
	last := a.Cluster().LastSequence
	b, err := ipam.Restore(a.Cluster(), ipam.Options{Now: clock.Now})
	must.NoError(t, err)
	claimed, _, err := b.ClaimAffinity(netip.MustParsePrefix("10.0.0.240/29"), affinity.HostOwner("a"))
	must.NoError(t, err)
	must.Len(t, 1, claimed)
	must.Eq(t, last+1, b.Cluster().LastSequence)
}

// TestRestoreOldBlocks: old blocks have no sequence numbers and claim times, and
// count as claimed long ago.
func TestRestoreOldBlocks(t *testing.T) {
	clock := ipam.NewClock(time.Unix(5, 0))
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	c := ipam.Cluster{
		Config: ipam.DefaultConfig(),
		Pools:  []pool.Spec{{Name: "p", CIDR: cidr, BlockSize: 30}},
		Nodes:  []ipam.Node{{Name: "a"}, {Name: "b"}},
	}
	c.Blocks = []ipam.BlockState{{CIDR: cidr, Owner: affinity.HostOwner("a"), Free: []int{3, 0, 1, 2}}}
	c.Affinities = []ipam.AffinityState{{Owner: affinity.HostOwner("a"), CIDR: cidr, State: affinity.Confirmed}}
	a, err := ipam.Restore(c, ipam.Options{Now: clock.Now})
	must.NoError(t, err)
	must.True(t, a.State().Blocks[0].Claimed.IsZero())
	v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "b", Num4: 1, Use: pool.Workload})
	must.NoError(t, err)
	must.Len(t, 1, v4.IPs)
	must.Eq(t, affinity.HostOwner("b"), a.State().Blocks[0].Owner, must.Sprint("reclaimed, the claim being old"))
}

// TestRestoreRefuses: each contradiction alone, and then all that go together.
func TestRestoreRefuses(t *testing.T) {
	clock := ipam.NewClock(restoreTime)
	good := someCluster(t, clock).Cluster()
	cidr := netip.MustParsePrefix
	addBlock := func(c *ipam.Cluster, at string, change func(*ipam.BlockState)) {
		b := ipam.BlockState{CIDR: cidr(at), Free: []int{0, 1, 2, 3}, Sequence: 7}
		if change != nil {
			change(&b)
		}
		c.Blocks = append(c.Blocks, b)
	}
	faults := []struct {
		name  string
		fault func(c *ipam.Cluster)
		kind  ipam.ObjectKind
		want  string
	}{
		{"config", func(c *ipam.Cluster) { c.Config.MaxBlocksPerHost = -1 }, ipam.ConfigObject, "maxBlocksPerHost"},
		{"invalid pool", func(c *ipam.Cluster) { c.Pools = append(c.Pools, pool.Spec{Name: "bad"}) }, ipam.PoolObject, "pool bad: "},
		{"overlapping pool", func(c *ipam.Cluster) {
			c.Pools = append(c.Pools, pool.Spec{Name: "over", CIDR: cidr("10.0.0.0/25"), BlockSize: 29})
		}, ipam.PoolObject, "overlaps another pool"},
		{"pool twice", func(c *ipam.Cluster) { c.Pools = append(c.Pools, c.Pools[0]) }, ipam.PoolObject, "pool p: is given twice"},
		{"node without a name", func(c *ipam.Cluster) { c.Nodes = append(c.Nodes, ipam.Node{}) }, ipam.NodeObject, "empty"},
		{"node twice", func(c *ipam.Cluster) { c.Nodes = append(c.Nodes, c.Nodes[1]) }, ipam.NodeObject, "node b: is given twice"},
		{"block without a CIDR", func(c *ipam.Cluster) { c.Blocks = append(c.Blocks, ipam.BlockState{}) }, ipam.BlockObject, "not an IP address"},
		{"block with host bits", func(c *ipam.Cluster) { addBlock(c, "10.9.0.1/30", nil) }, ipam.BlockObject, "host bits"},
		{"block twice", func(c *ipam.Cluster) { c.Blocks = append(c.Blocks, c.Blocks[0]) }, ipam.BlockObject, "is given twice"},
		{"huge block", func(c *ipam.Cluster) { addBlock(c, "10.16.0.0/12", nil) }, ipam.BlockObject, "invalid CIDR"},
		{"owner of no type", func(c *ipam.Cluster) {
			addBlock(c, "10.9.0.0/30", func(b *ipam.BlockState) { b.Owner.Name = "x" })
		}, ipam.BlockObject, "owner"},
		{"queue twice", func(c *ipam.Cluster) {
			addBlock(c, "10.9.0.0/30", func(b *ipam.BlockState) { b.Free = []int{0, 1, 2, 3, 1} })
		}, ipam.BlockObject, "ordinal 1 twice"},
		{"neither free nor allocated", func(c *ipam.Cluster) {
			addBlock(c, "10.9.0.0/30", func(b *ipam.BlockState) { b.Free = b.Free[1:] })
		}, ipam.BlockObject, "ordinal 0: neither"},
		{"free and allocated", func(c *ipam.Cluster) {
			addBlock(c, "10.9.0.0/30", func(b *ipam.BlockState) { b.Allocations = []block.Allocation{{Ordinal: 2}} })
		}, ipam.BlockObject, "ordinal 2: in the queue, but allocated"},
		{"ordinal out of range", func(c *ipam.Cluster) {
			addBlock(c, "10.9.0.0/30", func(b *ipam.BlockState) { b.Allocations = []block.Allocation{{Ordinal: 4}} })
		}, ipam.BlockObject, "ordinal 4"},
		{"allocated twice", func(c *ipam.Cluster) {
			addBlock(c, "10.9.0.0/30", func(b *ipam.BlockState) {
				b.Free, b.Allocations = b.Free[1:], []block.Allocation{{Handle: "x"}, {Handle: "y", Record: 1}}
			})
		}, ipam.BlockObject, "ordinal 0 is allocated twice"},
		{"records differ", func(c *ipam.Cluster) {
			addBlock(c, "10.9.0.0/30", func(b *ipam.BlockState) {
				b.Free, b.Allocations = b.Free[2:], []block.Allocation{{Handle: "x"}, {Ordinal: 1, Handle: "y"}}
			})
		}, ipam.BlockObject, "record 0 differs"},
		{"cooling with a handle", func(c *ipam.Cluster) {
			addBlock(c, "10.9.0.0/30", func(b *ipam.BlockState) {
				b.Free, b.Allocations = b.Free[1:], []block.Allocation{{Handle: "x", ReleasedAt: restoreTime}}
			})
		}, ipam.BlockObject, "cooling with an owner"},
		{"affinity of nobody", func(c *ipam.Cluster) {
			c.Affinities = append(c.Affinities, ipam.AffinityState{CIDR: cidr("10.0.0.0/29"), State: affinity.Pending})
		}, ipam.AffinityObject, "owner"},
		{"affinity in no state", func(c *ipam.Cluster) {
			c.Affinities = append(c.Affinities, ipam.AffinityState{Owner: affinity.HostOwner("z"), CIDR: cidr("10.0.0.0/29")})
		}, ipam.AffinityObject, "cannot be stored"},
		{"affinity twice", func(c *ipam.Cluster) { c.Affinities = append(c.Affinities, c.Affinities[0]) }, ipam.AffinityObject, "is given twice"},
		{"handle without an id", func(c *ipam.Cluster) {
			c.Handles = append(c.Handles, ipam.HandleState{Counts: []ipam.HandleCount{{Block: cidr("10.0.0.0/29"), Count: 1}}})
		}, ipam.HandleObject, "has no id"},
		{"handle twice", func(c *ipam.Cluster) { c.Handles = append(c.Handles, c.Handles[0]) }, ipam.HandleObject, "is given twice"},
		{"handle counts nothing in a block", func(c *ipam.Cluster) {
			c.Handles = append(c.Handles, ipam.HandleState{ID: "x", Counts: []ipam.HandleCount{{Block: cidr("10.0.0.0/29")}}})
		}, ipam.HandleObject, "counts 0 addresses"},
		{"handle counts in no CIDR", func(c *ipam.Cluster) {
			c.Handles = append(c.Handles, ipam.HandleState{ID: "x", Counts: []ipam.HandleCount{{Count: 1}}})
		}, ipam.HandleObject, "cidr"},
		{"handle counts in a block twice", func(c *ipam.Cluster) {
			n := ipam.HandleCount{Block: cidr("10.7.0.0/29"), Count: 1}
			c.Handles = append(c.Handles, ipam.HandleState{ID: "x", Counts: []ipam.HandleCount{n, n}})
		}, ipam.HandleObject, "counts in 10.7.0.0/29 twice"},
	}
	copied := func() ipam.Cluster {
		c := good
		c.Pools, c.Nodes = slices.Clip(c.Pools), slices.Clip(c.Nodes)
		c.Blocks, c.Affinities, c.Handles = slices.Clip(c.Blocks), slices.Clip(c.Affinities), slices.Clip(c.Handles)
		return c
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			c := copied()
			f.fault(&c)
			_, err := ipam.Restore(c, ipam.Options{Now: clock.Now})
			must.ErrorIs(t, err, ipam.ErrContradiction)
			must.ErrorContains(t, err, f.want)
			var all *ipam.RestoreError
			must.ErrorAs[*ipam.RestoreError](t, err, &all)
			must.Len(t, 1, all.Refusals)
			must.Eq(t, f.kind, all.Refusals[0].Kind)
		})
	}
	c := copied()
	for _, f := range faults[:10] {
		f.fault(&c)
	}
	_, err := ipam.Restore(c, ipam.Options{Now: clock.Now})
	for _, f := range faults[:10] {
		must.ErrorContains(t, err, f.want, must.Sprint("all of it at once"))
	}
	_, err = ipam.Restore(copied(), ipam.Options{Now: clock.Now})
	must.NoError(t, err)
}

// TestRestoreHalfTruths: inconsistent objects as in live clusters are accepted.
func TestRestoreHalfTruths(t *testing.T) {
	clock := ipam.NewClock(restoreTime)
	c := someCluster(t, clock).Cluster()
	gone := netip.MustParsePrefix("10.0.0.128/29")
	c.Handles = append(c.Handles, ipam.HandleState{ID: "h-z", Counts: []ipam.HandleCount{{Block: gone, Count: 3}, {Block: netip.MustParsePrefix("10.77.0.0/30"), Count: 1}}})
	c.Affinities = append(c.Affinities, ipam.AffinityState{Owner: affinity.VirtualOwner("zz"), CIDR: c.Blocks[0].CIDR, State: affinity.PendingDeletion})
	a, err := ipam.Restore(c, ipam.Options{Now: clock.Now})
	must.NoError(t, err)
	slices.SortFunc(c.Handles[len(c.Handles)-1].Counts, func(x, y ipam.HandleCount) int { return affinity.CompareCIDRNames(x.Block, y.Block) })
	must.Eq(t, c, a.Cluster())

	// A count for a block that is made later counts there.
	must.NoError(t, a.AssignIP(ipam.AssignIPArgs{IP: gone.Addr(), Host: "a", Handle: "h-z"}))
	must.NoError(t, a.ReleaseByHandle("h-z"))
	ips, err := a.IPsByHandle("h-z")
	must.NoError(t, err)
	must.SliceEmpty(t, ips, must.Sprint(ips))
	must.False(t, errors.Is(a.Check(), ipam.ErrStructure))
}

// TestRestoreHandleThatCountsLess: a release that would lower a handle's count
// below 0 does not lower it, with any number of the handle's addresses.
func TestRestoreHandleThatCountsLess(t *testing.T) {
	clock := ipam.NewClock(restoreTime)
	c := someCluster(t, clock).Cluster()
	i := slices.IndexFunc(c.Handles, func(h ipam.HandleState) bool { return h.ID == "h-b" })
	at := c.Handles[i].Counts[0].Block
	c.Handles[i].Counts = []ipam.HandleCount{{Block: at, Count: 1}}
	a, err := ipam.Restore(c, ipam.Options{Now: clock.Now})
	must.NoError(t, err)
	ips, err := a.IPsByHandle("h-b")
	must.NoError(t, err)
	_, released, err := a.ReleaseIPs(ipam.Release{IP: ips[0]}, ipam.Release{IP: ips[1]})
	must.NoError(t, err)
	must.Len(t, 2, released)
	must.Eq(t, c.Handles[i], a.State().Handles[i])
}

// TestRestoreLargestBlock: a block may have 4096 addresses, and a count 2^31-1.
func TestRestoreLargestBlock(t *testing.T) {
	c := ipam.Cluster{Config: ipam.DefaultConfig()}
	b := ipam.BlockState{CIDR: netip.MustParsePrefix("10.0.0.0/20"), Sequence: 7}
	for ord := range block.MaxSize - 1 {
		b.Free = append(b.Free, ord)
	}
	b.Allocations = []block.Allocation{{Ordinal: block.MaxSize - 1, Handle: "h", Seq: 5}}
	c.Blocks, c.LastSequence = []ipam.BlockState{b}, 7
	c.Handles = []ipam.HandleState{{ID: "h", Counts: []ipam.HandleCount{{Block: b.CIDR, Count: math.MaxInt32}}}}
	a, err := ipam.Restore(c, ipam.Options{})
	must.NoError(t, err)
	must.Eq(t, c, a.Cluster())
	cidr, _, _ := a.BlockOf(netip.MustParseAddr("10.0.15.255"))
	must.EqOp(t, b.CIDR, cidr, must.Sprint("found, though in no pool"))
	must.NoError(t, a.Check())
}

// TestRestoreOddSizes: blocks of another size than their pool's survive a restore,
// overlapping ones too.
func TestRestoreOddSizes(t *testing.T) {
	a := ipam.New(ipam.Options{})
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}))
	must.NoError(t, a.SetNode(ipam.Node{Name: "n1"}))
	for _, cidr := range []string{"10.0.0.0/29", "10.0.0.4/30", "10.0.0.6/31"} {
		must.NoError(t, a.PutAffinity(affinity.HostOwner("n1"), netip.MustParsePrefix(cidr), affinity.Pending))
	}
	v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 14, Handle: "h", Use: pool.Workload})
	must.NoError(t, err)
	must.Len(t, 14, v4.IPs)
	must.Len(t, 3, a.State().Blocks)
	again, err := ipam.Restore(a.Cluster(), ipam.Options{})
	must.NoError(t, err)
	must.Eq(t, a.Cluster(), again.Cluster())
	must.NoError(t, again.Check())
	for _, x := range []*ipam.Allocator{a, again} {
		_, released, err := x.ReleaseIPs(ipam.Release{IP: netip.MustParseAddr("10.0.0.7")})
		must.NoError(t, err)
		must.Len(t, 1, released)
	}
	must.Eq(t, a.State(), again.State())
}
