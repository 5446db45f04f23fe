package storm

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// before returns the state of the cluster before the storm.
func before(t testing.TB, c Config) ipam.State {
	t.Helper()
	p, err := c.newPool()
	require.NoError(t, err)
	cluster, err := c.cluster(p, rand.New(rand.NewSource(c.Seed)))
	require.NoError(t, err)
	return cluster.State()
}

func TestFill(t *testing.T) {
	c := of(1, "10.0.0.0/24", 28)
	c.Filled = 90 // 14 of 16
	state := before(t, c)
	require.Len(t, state.Blocks, 16)
	require.Len(t, state.Affinities, 16)
	require.Empty(t, state.Handles)
	owners := make(map[affinity.Owner]bool)
	full := 0
	claims := make(map[ipam.AffinityState]bool)
	for _, a := range state.Affinities {
		claims[a] = true
	}
	for _, b := range state.Blocks {
		require.Equal(t, 16, len(b.Free)+len(b.Allocations))
		require.Contains(t, []int{1, 16}, len(b.Allocations))
		if len(b.Free) == 0 {
			full++
		}
		for ord, a := range b.Allocations {
			require.Equal(t, ord, a.Ordinal)
			require.NotZero(t, a.Seq)
			require.Less(t, a.Seq, b.Sequence)
		}
		owners[b.Owner] = true
		require.True(t, claims[ipam.AffinityState{Owner: b.Owner, CIDR: b.CIDR, State: affinity.Confirmed, Created: b.Claimed}])
	}
	require.Equal(t, 14, full)
	require.Len(t, owners, 16, "an owner each")

	require.Equal(t, state, before(t, c))
	other := c
	other.Seed++
	require.NotEqual(t, state, before(t, other), "other blocks are full")
}

// Before v3.32 blocks have no claim time.
func TestFillOfRelease(t *testing.T) {
	c := of(1, "10.0.0.0/24", 28)
	c.Filled = 90
	for v, dated := range map[calico.Version]bool{calico.V3(31): false, calico.V3(32): true} {
		c.Calico = v
		for _, b := range before(t, c).Blocks {
			require.Equal(t, dated, !b.Claimed.IsZero(), v)
		}
	}
}

// Clients can work on a filled pool: all of it can be released and assigned again.
func TestFilledIsSound(t *testing.T) {
	c := of(1, "10.0.0.0/26", 29)
	c.Filled = 60
	p, err := c.newPool()
	require.NoError(t, err)
	cluster, err := c.cluster(p, rand.New(rand.NewSource(1)))
	require.NoError(t, err)
	client := cluster.Client(nil, nil)
	for _, b := range cluster.State().Blocks {
		for _, a := range b.Allocations {
			unallocated, _, err := client.ReleaseIPs(ipam.Release{IP: b.Addr(a.Ordinal), Sequence: &a.Seq})
			require.NoError(t, err)
			require.Empty(t, unallocated)
		}
	}
	require.NoError(t, client.ReleasePoolAffinities(c.Pool))
	require.Equal(t, ipam.State{}, cluster.State())
	v4, _, err := client.AutoAssign(ipam.AutoAssignArgs{Host: "node-0", Num4: 64, Use: pool.Workload})
	require.NoError(t, err)
	require.Len(t, v4.IPs, 64)
}
