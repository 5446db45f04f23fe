package ipam_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// TestNoReclaim: an empty block changes hands where a pool is full, unless the
// cluster is of those that did not do so.
func TestNoReclaim(t *testing.T) {
	for _, never := range []bool{false, true} {
		clock := ipam.NewClock(time.Unix(0, 0))
		a := ipam.New(ipam.Options{Now: clock.Now, NoReclaim: never})
		require.NoError(t, a.SetIPAMConfig(ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true}))
		require.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 28}))
		for _, host := range []string{"x", "y"} {
			require.NoError(t, a.SetNode(ipam.Node{Name: host}))
			v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 1, Handle: host, Use: pool.Workload})
			require.NoError(t, err)
			if host == "x" || !never {
				require.Len(t, v4.IPs, 1)
				require.NoError(t, a.ReleaseByHandle(host))
			} else {
				require.Empty(t, v4.IPs)
				_, _, err := a.EnsureBlock(ipam.EnsureBlockArgs{Host: host, HostReserved4: &ipam.HostReservation{StartOfBlock: 1}})
				require.ErrorIs(t, err, ipam.ErrNoFreeBlocks)
			}
			clock.Advance(time.Minute)
		}
		require.NoError(t, a.Check())
	}
}
