package ipam_test

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// Faults that this package once had.

// A request whose plan could not be made must not spoil the plan of requests
// for another use.
func TestPlanOfAnotherUse(t *testing.T) {
	tunnels := spec("a-tunnels", "10.0.0.0/28", 30)
	tunnels.AllowedUses = []pool.Use{pool.Tunnel}
	c := newCluster(t, []pool.Spec{tunnels, spec("b-both", "10.2.0.0/28", 30)}, "n1")
	n1 := affinity.HostOwner("n1")
	for _, cidr := range []string{"10.0.0.0/30", "10.2.0.0/30"} {
		_, _, err := c.ClaimAffinity(prefix(cidr), n1)
		must.NoError(t, err)
	}
	must.NoError(t, c.PutAffinity(n1, prefix("10.0.0.4/30"), affinity.Pending))
	ask := func(use pool.Use) []string {
		v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: use})
		must.NoError(t, err)
		return texts(v4.IPs)
	}
	must.Eq(t, []string{"10.2.0.0/30"}, ask(pool.Workload))
	must.Eq(t, []string{"10.0.0.0/30"}, ask(pool.Tunnel))
	must.Eq(t, []string{"10.2.0.1/30"}, ask(pool.Workload), must.Sprint("not from the pool for tunnels"))
}

// "[codes.InvalidArgument] before anything happens", also in the second family.
func TestBadSecondFamilyChangesNothing(t *testing.T) {

	bad := []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/124")}
	t.Run("AutoAssign", func(t *testing.T) {
		c := newCluster(t, smallPools, "n1")
		_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Num6: 1, Use: pool.Workload, Pools6: bad})
		must.ErrorIs(t, err, codes.InvalidArgument)
		must.SliceEmpty(t, c.State().Blocks)
	})
	t.Run("EnsureBlock", func(t *testing.T) {
		c := newCluster(t, smallPools, "n1")
		one := &ipam.HostReservation{StartOfBlock: 1}
		_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved4: one, HostReserved6: one, Pools6: bad})
		must.ErrorIs(t, err, codes.InvalidArgument)
		must.SliceEmpty(t, c.State().Blocks)
	})
}

// An invalid host is refused, also if no lookup needs it.
func TestBadHostOfNoAddresses(t *testing.T) {
	c := newCluster(t, smallPools, "n1")
	six := []netip.Prefix{prefix("fd00::/124")}
	for _, args := range []ipam.AutoAssignArgs{{}, {Num4: 1, Pools4: six}, {Num6: 1, Pools6: []netip.Prefix{prefix("10.0.0.0/28")}}} {
		args.Host, args.Use = "no host", pool.Workload
		_, _, err := c.AutoAssign(args)
		must.ErrorIs(t, err, codes.InvalidArgument)
		args.Host = "n1"
		_, _, err = c.AutoAssign(args)
		must.False(t, errors.Is(err, codes.InvalidArgument), must.Sprint(err))
	}
}

// An invalid owner has no affinity to drop.
func TestDropAffinityOfNoOwner(t *testing.T) {

	c := newCluster(t, smallPools, "n1")
	c.take("10.0.0.1", "n1", "h")
	must.False(t, c.DropAffinity(affinity.Owner{Type: "ghost", Name: "n1"}, prefix("10.0.0.0/30")))
	must.False(t, c.DropAffinity(affinity.Owner{Name: "n1"}, prefix("10.0.0.0/30")))
	must.NoError(t, c.Check())
}

// An address with a zone is in no block, in no pool's either.
func TestZonesInOrphans(t *testing.T) {

	c := newCluster(t, smallPools, "n1")
	c.take("fd00::", "n1", "h")
	c.DeletePool("v6")
	zoned := netip.MustParseAddr("fd00::1%eth0")
	must.Zero(t, c.SequenceNumber(zoned), must.Sprint("not that of fd00::"))
	_, _, exists := c.BlockOf(zoned)
	must.False(t, exists)
}

// §10: "longest allowed prefix = 32 … minus bits.Len(S+E); … a result <= 0 is
// bad-host-reservation". 5000 addresses give 19: no pool has such blocks.
func TestReservationLargerThanAnyBlock(t *testing.T) {

	c := newCluster(t, smallPools, "n1")
	_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload, HostReserved4: &ipam.HostReservation{StartOfBlock: 5000}})
	must.ErrorIs(t, err, codes.NoQualifiedPool)
}

// A request whose handle may hold no more finds the host's own block again and
// again, up to the limit of blocks: without a stop that takes all the time that a
// test may take.
func TestHugeLimitOfBlocks(t *testing.T) {

	c := newCluster(t, smallPools, "n1")
	_, _, err := c.AutoAssign(ipam.AutoAssignArgs{
		Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload, MaxAllocPerHandle: 1, MaxBlocksPerHost: math.MaxInt32,
	})
	must.ErrorIs(t, err, codes.BlockLimit)
}

// "Operations keep both" kinds of invariants, with any handle that holds what is
// reserved for the host.
func TestReservationOfAnyHandle(t *testing.T) {

	c := newCluster(t, smallPools, "n1")
	_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload, Handle: "h",
		HostReserved4: &ipam.HostReservation{StartOfBlock: 1, Handle: "mine"}})
	if err == nil {
		must.NoError(t, c.Check())
	}
}

// Numbers do not repeat on a clock that stands before 1970 either.
func TestClockBefore1970(t *testing.T) {

	clock := ipam.NewClock(time.Unix(0, -1))
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetPool(spec("a", "10.0.0.0/28", 30)))
	seen := make(map[uint64]bool)
	for i := range 6 {
		ip := addr("10.0.0.0")
		must.NoError(t, a.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n1", Handle: "h"}))
		number := a.SequenceNumber(ip)
		must.NonZero(t, number, must.Sprintf("%d", i))
		must.False(t, seen[number], must.Sprintf("%d again", number))
		seen[number] = true
		must.NoError(t, a.ReleaseByHandle("h"))
		must.NoError(t, a.RemoveIPAMHost(affinity.HostOwner("n1")))
	}
}

// A request that is refused because its reservation does not fit must not have
// reclaimed a block for it.
func TestRefusedAfterReclaim(t *testing.T) {

	c := newCluster(t, []pool.Spec{spec("a-small", "10.0.0.0/30", 30), spec("b-large", "10.0.1.0/26", 26)}, "n1")
	for _, cidr := range []string{"10.0.0.0/30", "10.0.1.0/26"} {
		_, _, err := c.ClaimAffinity(prefix(cidr), affinity.HostOwner("n2"))
		must.NoError(t, err)
	}
	c.clock.Advance(time.Hour)
	was := c.State()
	_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload, HostReserved4: &ipam.HostReservation{StartOfBlock: 5}})
	must.ErrorIs(t, err, codes.BadHostReservation)
	must.Eq(t, was, c.State())
}

// The names of a host's affinities end in a hash where they would be longer
// than Kubernetes allows, and then sort unlike those of its blocks. What is
// remembered must keep the order of the affinities.
func TestPlanOfLongName(t *testing.T) {
	for _, length := range []int{10, 250} {
		var given [2][]string
		for i, namespace := range []map[string]string{nil, {}} { // only the first is remembered
			host := strings.Repeat("x", length)
			c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/24", 30)}, host)
			ask := func(n int) {
				for range n {
					v4, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 1, Use: pool.Workload, Namespace: namespace})
					must.NoError(t, err)
					given[i] = append(given[i], texts(v4.IPs)...)
				}
			}
			ask(32)
			for _, b := range c.State().Blocks {
				c.free(b.Addr(1).String())
			}
			ask(8)
		}
		must.Eq(t, given[1], given[0], must.Sprintf("a name of %d bytes", length))
	}
}
