package storm

import (
	"math/rand"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// before returns the state of the cluster before the storm.
func before(t testing.TB, c Config) ipam.State {
	t.Helper()
	p, err := c.newPool()
	must.NoError(t, err)
	cluster, err := c.cluster(p, rand.New(rand.NewSource(c.Seed)))
	must.NoError(t, err)
	return cluster.State()
}

func TestFill(t *testing.T) {
	c := of(1, "10.0.0.0/24", 28)
	c.Filled = 90 // 14 of 16
	state := before(t, c)
	must.Len(t, 16, state.Blocks)
	must.Len(t, 16, state.Affinities)
	must.SliceEmpty(t, state.Handles, must.Sprint(state.Handles))
	owners := make(map[affinity.Owner]bool)
	full := 0
	claims := make(map[ipam.AffinityState]bool)
	for _, a := range state.Affinities {
		claims[a] = true
	}
	for _, b := range state.Blocks {
		must.Eq(t, 16, len(b.Free)+len(b.Allocations))
		must.SliceContains(t, []int{1, 16}, len(b.Allocations))
		if len(b.Free) == 0 {
			full++
		}
		for ord, a := range b.Allocations {
			must.Eq(t, ord, a.Ordinal)
			must.NonZero(t, a.Seq)
			must.Less(t, b.Sequence, a.Seq)
		}
		owners[b.Owner] = true
		must.True(t, claims[ipam.AffinityState{Owner: b.Owner, CIDR: b.CIDR, State: affinity.Confirmed, Created: b.Claimed}])
	}
	must.Eq(t, 14, full)
	must.MapLen(t, 16, owners, must.Sprint("an owner each"))

	must.Eq(t, state, before(t, c))
	other := c
	other.Seed++
	must.NotEq(t, state, before(t, other), must.Sprint("other blocks are full"))
}

// Before v3.32 blocks have no claim time.
func TestFillOfRelease(t *testing.T) {
	c := of(1, "10.0.0.0/24", 28)
	c.Filled = 90
	for v, dated := range map[calico.Version]bool{calico.V3(31): false, calico.V3(32): true} {
		c.Calico = v
		for _, b := range before(t, c).Blocks {
			must.Eq(t, dated, !b.Claimed.IsZero(), must.Sprint(v))
		}
	}
}

// Clients can work on a filled pool: all of it can be released and assigned again.
func TestFilledIsSound(t *testing.T) {
	c := of(1, "10.0.0.0/26", 29)
	c.Filled = 60
	p, err := c.newPool()
	must.NoError(t, err)
	cluster, err := c.cluster(p, rand.New(rand.NewSource(1)))
	must.NoError(t, err)
	client := cluster.Client(nil, nil)
	for _, b := range cluster.State().Blocks {
		for _, a := range b.Allocations {
			unallocated, _, err := client.ReleaseIPs(ipam.Release{IP: b.Addr(a.Ordinal), Sequence: &a.Seq})
			must.NoError(t, err)
			must.SliceEmpty(t, unallocated, must.Sprint(unallocated))
		}
	}
	must.NoError(t, client.ReleasePoolAffinities(c.Pool))
	must.Eq(t, ipam.State{}, cluster.State())
	v4, _, err := client.AutoAssign(ipam.AutoAssignArgs{Host: "node-0", Num4: 64, Use: pool.Workload})
	must.NoError(t, err)
	must.Len(t, 64, v4.IPs)
}
