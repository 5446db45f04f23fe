package lifecycle

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// TestLeakError: where a leak cannot be released, the sync ends: what else leaked
// goes, and the rest waits (§12, "Leaks").
func TestLeakError(t *testing.T) {
	c, k, clock := small(t, Policy{GracePeriod: time.Minute})
	leaked := give(t, c, "a", "n1", 1, false)
	kept := give(t, c, "b", "n2", 1, false)
	k.Sync(true)
	clock.Advance(time.Minute)
	for _, al := range k.memory.handles["h-b"].allocations(&k.memory) {
		al.seq++ // as if it had been given out anew since the controller looked
	}
	r := k.Sync(true)
	must.ErrorIs(t, r.Err, codes.BadSequenceNumber)
	must.Eq(t, leaked, r.ReleasedIPs)
	must.True(t, r.WorkRemaining)
	must.NoError(t, c.Allocator().ReleaseByHandle("h-b"))
	r = k.Sync(true)
	must.NoError(t, r.Err)
	must.SliceEmpty(t, r.ReleasedIPs, must.Sprintf("%s is known to be free", kept))
}

// TestErrorEndsSync: after an error of the leaks no empty block and no node is
// released.
func TestErrorEndsSync(t *testing.T) {
	for _, fails := range []bool{false, true} {
		c, k, clock := small(t, Policy{GracePeriod: time.Minute})
		_, _, err := c.Allocator().ClaimAffinity(netip.MustParsePrefix("10.0.0.0/29"), affinity.HostOwner("n2"))
		must.NoError(t, err)
		give(t, c, "a", "n1", 1, false)
		k.Sync(true)
		if fails {
			for _, al := range k.memory.handles["h-a"].allocations(&k.memory) {
				al.seq++
			}
		}
		clock.Advance(time.Minute)
		c.DeleteNode("n2")
		r := k.Sync(false)
		must.Eq(t, fails, r.Err != nil)
		must.Eq(t, fails, len(r.ReleasedBlocks) == 0)
	}
}

// TestTunnelLastLook: a tunnel address that was found to have leaked goes though its
// node is back, as long as no scan has seen that.
func TestTunnelLastLook(t *testing.T) {
	for _, scanned := range []bool{false, true} {
		c, k, _ := small(t, Policy{GracePeriod: time.Minute})
		_, _, err := c.Allocator().AutoAssign(ipam.AutoAssignArgs{
			Host: "n1", Num4: 1, Handle: "h", Use: pool.Tunnel,
			Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: "n1", ipam.AttrType: "vxlanTunnelAddress"}),
		})
		must.NoError(t, err)
		sibling := giveSibling(t, c)
		k.Sync(true)
		c.DeleteNode("n1")
		must.True(t, k.Sync(false).WorkRemaining)
		must.NoError(t, c.SetNode(ipam.Node{Name: "n1"}))
		if scanned {
			must.False(t, k.Sync(true).WorkRemaining)
		}
		c.DeletePod(sibling)
		c.DeleteNode("n2")
		k.nodeDeleted = false // or everything would be scanned
		must.Len(t, map[bool]int{false: 2, true: 0}[scanned], k.Sync(false).ReleasedIPs)
	}
}

// allocations returns those of the handle.
func (h *handle) allocations(m *memory) (list []*allocation) {
	for _, b := range m.blocks {
		for _, al := range b.allocations {
			if al.handle == h {
				list = append(list, al)
			}
		}
	}
	return list
}
