package ipam_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam"
)

// TestHeld: by handle in small letters and by block; without a handle, under none.
func TestHeld(t *testing.T) {
	c := newCluster(t, smallPools, "n1")
	for ip, handle := range map[string]string{"10.0.0.0": "h", "10.0.0.1": "H", "10.0.0.4": "h", "10.0.0.5": ""} {
		c.take(ip, "n1", handle)
	}
	s := c.State()
	require.Equal(t, map[string]map[netip.Prefix]int{
		"h": {prefix("10.0.0.0/30"): 2, prefix("10.0.0.4/30"): 1},
		"":  {prefix("10.0.0.4/30"): 1},
	}, s.Held())
	var none ipam.State
	require.Empty(t, none.Held())
}

// TestStateInParts: blocks and affinities by themselves are those of the state, in its order.
func TestStateInParts(t *testing.T) {
	c := newCluster(t, smallPools, "n2", "n1")
	for ip, host := range map[string]string{"10.0.0.8": "n2", "10.0.0.0": "n1", "10.0.0.12": "n2"} {
		c.take(ip, host, "h")
	}
	s := c.State()
	require.Len(t, s.Blocks, 3)
	var b ipam.BlockState
	for i, cidr := range c.Blocks() {
		require.True(t, c.ReadBlock(cidr, &b))
		require.Equal(t, s.Blocks[i].CIDR, cidr)
		require.Equal(t, s.Blocks[i].Allocations, b.Allocations)
	}
	require.Len(t, c.Blocks(), 3)
	require.Equal(t, s.Affinities, c.Affinities())
}
