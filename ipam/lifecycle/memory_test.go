package lifecycle

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// TestReleasedOrphans: what the controller released it forgets, in a block that is gone
// as well, so that nodes that come and go leave nothing in its memory.
func TestReleasedOrphans(t *testing.T) {
	a := ipam.New(ipam.Options{Calico: calico.V3(27)})
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 28}))
	c := NewCluster(a)
	k, err := NewController(c, DefaultPolicy())
	must.NoError(t, err)
	for i := range 20 {
		node := fmt.Sprintf("n%d", i)
		must.NoError(t, c.SetNode(ipam.Node{Name: node}))
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{
			Host: node, Num4: 1, Handle: "h-" + node, Use: pool.Workload,
			Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: node, ipam.AttrPod: node, ipam.AttrNamespace: "ns"}),
		})
		must.NoError(t, err)
		must.Len(t, 1, v4.IPs)
		k.Sync(true)
		c.DeleteNode(node)
		must.Len(t, 1, k.Sync(false).ReleasedIPs)
		must.NoError(t, k.Check())
	}
	must.SliceEmpty(t, a.State().Blocks)
	must.MapEmpty(t, k.memory.orphans, must.Sprint(k.memory.orphans))
	must.MapEmpty(t, k.memory.handles, must.Sprint(k.memory.handles))
}
