package ipam

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/pool"
)

// TestLacks: each field is told by the releases before the first one with it, and
// by no other.
func TestLacks(t *testing.T) {
	b := netip.MustParsePrefix("10.0.0.0/29")
	moment := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		plant func(*Cluster)
		last  Version // the last line without it
		want  string
	}{
		{func(c *Cluster) { c.Pools[0].AllowedUses = []pool.Use{pool.LoadBalancer} }, V3_29, "IPPool p has allowedUses LoadBalancer; Calico v3.30 is"},
		{func(c *Cluster) { c.Pools[0].AssignmentMode = pool.Manual }, V3_29, "IPPool p has assignmentMode Manual; Calico v3.30 is"},
		{func(c *Cluster) { c.Blocks[0].Owner = affinity.VirtualOwner("lb") }, V3_29, "IPAMBlock 10-0-0-0-29 has affinity virtual:lb; Calico v3.30 is"},
		{func(c *Cluster) { c.Affinities[0].Owner = affinity.VirtualOwner("lb") }, V3_29, "BlockAffinity lb-10-0-0-0-29 has type virtual; Calico v3.30 is"},
		{func(c *Cluster) { c.Pools[0].NamespaceSelector = "has(x)" }, V3_30, `IPPool p has namespaceSelector "has(x)"; Calico v3.31 is`},
		{func(c *Cluster) { c.Blocks[0].Claimed = moment }, V3_31, "IPAMBlock 10-0-0-0-29 has affinityClaimTime 2026-01-01T00:00:00Z; Calico v3.32 is"},
		{func(c *Cluster) {
			c.Blocks[0].Allocations[0].Alternate = block.MakeAttrs(map[string]string{"pod": "x"})
		}, V3_31, "IPAMBlock 10-0-0-0-29 has alternateOwnerAttrs of 10.0.0.3; Calico v3.32 is"},
		{func(c *Cluster) { c.Config.IPCooldownSeconds = 5 }, V3_32, "IPAMConfig default has ipCooldownSeconds 5; Calico v3.33 is"},
		{func(c *Cluster) { c.Blocks[0].Allocations[0].ReleasedAt = moment }, V3_32, "IPAMBlock 10-0-0-0-29 has releasedAt 2026-01-01T00:00:00Z; Calico v3.33 is"},
	} {
		cluster := Cluster{Config: DefaultConfig(), Pools: []pool.Spec{{Name: "p", CIDR: b, NamespaceSelector: "all()"}}, State: State{
			Blocks:     []BlockState{{CIDR: b, Owner: affinity.HostOwner("n"), Allocations: []block.Allocation{{Ordinal: 3}}}},
			Affinities: []AffinityState{{Owner: affinity.HostOwner("n"), CIDR: b}},
		}}
		for _, v := range []Version{V3_22, V3_33, 0} {
			require.Empty(t, v.Lacks(&cluster), "nothing planted yet")
		}
		c.plant(&cluster)
		lacks := c.last.Lacks(&cluster)
		require.Len(t, lacks, 1, c.want)
		require.True(t, strings.HasPrefix(lacks[0].String(), c.want+" the first release with that"), lacks[0].String())
		require.Greater(t, lacks[0].First, c.last)
		require.Empty(t, lacks[0].First.Lacks(&cluster), "the first release has it")
		require.Empty(t, (c.last + 1).Lacks(&cluster), "from its first patch on")
		require.Len(t, V3_22.Lacks(&cluster), 1)
	}
}

// TestLacksInOrder: the last lack names a release that lacks nothing, and every
// field is told once.
func TestLacksInOrder(t *testing.T) {
	c := Cluster{Config: Config{AutoAllocateBlocks: true, IPCooldownSeconds: 1}, Pools: []pool.Spec{
		{Name: "a", NamespaceSelector: "has(x)"}, {Name: "b", NamespaceSelector: "has(y)"}, {Name: "c", AssignmentMode: pool.Manual},
	}}
	lacks := V3_28.Lacks(&c)
	require.Len(t, lacks, 3)
	require.Equal(t, "IPPool a", lacks[1].Object)
	require.True(t, slices.IsSortedFunc(lacks, func(x, y Lack) int { return int(x.First - y.First) }))
	require.Empty(t, lacks[2].First.Lacks(&c))
}
