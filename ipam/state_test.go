package ipam_test

import (
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
)

// TestHeld: by handle in small letters and by block; without a handle, under none.
func TestHeld(t *testing.T) {
	c := newCluster(t, smallPools, "n1")
	for ip, handle := range map[string]string{"10.0.0.0": "h", "10.0.0.1": "H", "10.0.0.4": "h", "10.0.0.5": ""} {
		c.take(ip, "n1", handle)
	}
	s := c.State()
	must.Eq(t, map[string]map[netip.Prefix]int{
		"h": {prefix("10.0.0.0/30"): 2, prefix("10.0.0.4/30"): 1},
		"":  {prefix("10.0.0.4/30"): 1},
	}, s.Held())
	var none ipam.State
	must.MapEmpty(t, none.Held())
}

// TestStateInParts: blocks and affinities by themselves are those of the state, in its order.
func TestStateInParts(t *testing.T) {
	c := newCluster(t, smallPools, "n2", "n1")
	for ip, host := range map[string]string{"10.0.0.8": "n2", "10.0.0.0": "n1", "10.0.0.12": "n2"} {
		c.take(ip, host, "h")
	}
	s := c.State()
	must.Len(t, 3, s.Blocks)
	var b ipam.BlockState
	for i, cidr := range c.Blocks() {
		must.True(t, c.ReadBlock(cidr, &b))
		must.EqOp(t, s.Blocks[i].CIDR, cidr)
		must.Eq(t, s.Blocks[i].Allocations, b.Allocations)
	}
	must.Len(t, 3, c.Blocks())
	must.Eq(t, s.Affinities, c.Affinities())
}
