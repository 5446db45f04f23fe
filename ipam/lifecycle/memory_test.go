package lifecycle

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// TestReleasedOrphans: what the controller released it forgets, in a block that is gone
// as well, so that nodes that come and go leave nothing in its memory.
func TestReleasedOrphans(t *testing.T) {
	a := ipam.New(ipam.Options{Calico: calico.V3(27)})
	require.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 28}))
	c := NewCluster(a)
	k, err := NewController(c, DefaultPolicy())
	require.NoError(t, err)
	for i := range 20 {
		node := fmt.Sprintf("n%d", i)
		require.NoError(t, c.SetNode(ipam.Node{Name: node}))
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{
			Host: node, Num4: 1, Handle: "h-" + node, Use: pool.Workload,
			Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: node, ipam.AttrPod: node, ipam.AttrNamespace: "ns"}),
		})
		require.NoError(t, err)
		require.Len(t, v4.IPs, 1)
		k.Sync(true)
		c.DeleteNode(node)
		require.Len(t, k.Sync(false).ReleasedIPs, 1)
		require.NoError(t, k.Check())
	}
	require.Empty(t, a.State().Blocks)
	require.Empty(t, k.memory.orphans)
	require.Empty(t, k.memory.handles)
}
