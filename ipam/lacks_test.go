package ipam

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// TestLacks: each field is told by the releases before the first one with it, and
// by no other.
func TestLacks(t *testing.T) {
	b := netip.MustParsePrefix("10.0.0.0/29")
	moment := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		plant func(*Cluster)
		last  calico.Version // the last line without it
		want  string
	}{
		{func(c *Cluster) { c.Pools[0].AllowedUses = []pool.Use{pool.LoadBalancer} }, calico.V3(29), "IPPool p has allowedUses LoadBalancer; Calico v3.30 is"},
		{func(c *Cluster) { c.Pools[0].AssignmentMode = pool.Manual }, calico.V3(29), "IPPool p has assignmentMode Manual; Calico v3.30 is"},
		{func(c *Cluster) { c.Blocks[0].Owner = affinity.VirtualOwner("lb") }, calico.V3(29), "IPAMBlock 10-0-0-0-29 has affinity virtual:lb; Calico v3.30 is"},
		{func(c *Cluster) { c.Affinities[0].Owner = affinity.VirtualOwner("lb") }, calico.V3(29), "BlockAffinity lb-10-0-0-0-29 has type virtual; Calico v3.30 is"},
		{func(c *Cluster) { c.Pools[0].NamespaceSelector = "has(x)" }, calico.V3(30), `IPPool p has namespaceSelector "has(x)"; Calico v3.31 is`},
		{func(c *Cluster) { c.Blocks[0].Claimed = moment }, calico.V3(31), "IPAMBlock 10-0-0-0-29 has affinityClaimTime 2026-01-01T00:00:00Z; Calico v3.32 is"},
		{func(c *Cluster) {
			c.Blocks[0].Allocations[0].Alternate = block.MakeAttrs(map[string]string{"pod": "x"})
		}, calico.V3(31), "IPAMBlock 10-0-0-0-29 has alternateOwnerAttrs of 10.0.0.3; Calico v3.32 is"},
		{func(c *Cluster) { c.Config.IPCooldownSeconds = 5 }, calico.V3(32), "IPAMConfig default has ipCooldownSeconds 5; Calico v3.33 is"},
		{func(c *Cluster) { c.Blocks[0].Allocations[0].ReleasedAt = moment }, calico.V3(32), "IPAMBlock 10-0-0-0-29 has releasedAt 2026-01-01T00:00:00Z; Calico v3.33 is"},
	} {
		cluster := Cluster{Config: DefaultConfig(), Pools: []pool.Spec{{Name: "p", CIDR: b, NamespaceSelector: "all()"}}, State: State{
			Blocks:     []BlockState{{CIDR: b, Owner: affinity.HostOwner("n"), Allocations: []block.Allocation{{Ordinal: 3}}}},
			Affinities: []AffinityState{{Owner: affinity.HostOwner("n"), CIDR: b}},
		}}
		for _, v := range []calico.Version{calico.V3(22), calico.V3(33), 0} {
			must.SliceEmpty(t, cluster.Lacks(v), must.Sprint("nothing planted yet"))
		}
		c.plant(&cluster)
		lacks := cluster.Lacks(c.last)
		must.Len(t, 1, lacks, must.Sprint(c.want))
		must.True(t, strings.HasPrefix(lacks[0].String(), c.want+" the first release with that"), must.Sprint(lacks[0].String()))
		must.Greater(t, c.last, lacks[0].First)
		must.SliceEmpty(t, cluster.Lacks(lacks[0].First), must.Sprint("the first release has it"))
		must.SliceEmpty(t, cluster.Lacks(c.last+1), must.Sprint("from its first patch on"))
		must.Len(t, 1, cluster.Lacks(calico.V3(22)))
	}
}

// TestLacksInOrder: the last lack names a release that lacks nothing, and every
// field is told once.
func TestLacksInOrder(t *testing.T) {
	c := Cluster{Config: Config{AutoAllocateBlocks: true, IPCooldownSeconds: 1}, Pools: []pool.Spec{
		{Name: "a", NamespaceSelector: "has(x)"}, {Name: "b", NamespaceSelector: "has(y)"}, {Name: "c", AssignmentMode: pool.Manual},
	}}
	lacks := c.Lacks(calico.V3(28))
	must.Len(t, 3, lacks)
	must.Eq(t, "IPPool a", lacks[1].Object)
	must.True(t, slices.IsSortedFunc(lacks, func(x, y Lack) int { return int(x.First - y.First) }))
	must.SliceEmpty(t, c.Lacks(lacks[2].First))
}
