package ipam_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

func watched(t *testing.T) (*ipam.Allocator, func(host, handle string) netip.Prefix) {
	t.Helper()
	a := ipam.New(ipam.Options{})
	require.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28}))
	t.Cleanup(func() { require.NoError(t, a.Check()) })
	return a, func(host, handle string) netip.Prefix {
		require.NoError(t, a.SetNode(ipam.Node{Name: host}))
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 1, Handle: handle, Use: pool.Workload})
		require.NoError(t, err)
		require.Len(t, v4.IPs, 1)
		return v4.IPs[0]
	}
}

func TestWatch(t *testing.T) {
	a, assign := watched(t)
	x := assign("x", "hx")
	w := a.Watch()
	require.Equal(t, []netip.Prefix{x.Masked()}, w.AppendChanged(nil), "what is there counts as changed")
	require.Empty(t, w.AppendChanged(nil), "each change once")

	y := assign("y", "hy")
	other := a.Watch()
	require.Equal(t, []netip.Prefix{y.Masked()}, w.AppendChanged(nil), "a new block")
	require.Len(t, other.AppendChanged(nil), 2)
	assign("x", "hx2")
	require.NoError(t, a.ReleaseByHandle("hx2"))
	kept := []netip.Prefix{{}}
	require.Equal(t, []netip.Prefix{{}, x.Masked()}, w.AppendChanged(kept), "written twice, appended once")
	require.Equal(t, []netip.Prefix{x.Masked()}, other.AppendChanged(nil), "each watch has its own")

	a.GetUtilization()
	require.NoError(t, a.AssignIP(ipam.AssignIPArgs{IP: y.Addr().Next(), Host: "y"}))
	require.ErrorIs(t, a.AssignIP(ipam.AssignIPArgs{IP: x.Addr(), Host: "y"}), codes.AlreadyExists)
	require.Equal(t, []netip.Prefix{y.Masked()}, w.AppendChanged(nil), "what is refused changes nothing")
	require.NoError(t, a.RemoveIPAMHost(affinity.HostOwner("y")))
	require.Equal(t, []netip.Prefix{y.Masked()}, w.AppendChanged(nil), "an owner lost")
	require.True(t, a.DropBlock(y.Masked()))
	require.NoError(t, a.ReleaseByHandle("hx"))
	require.NoError(t, a.ReleaseAffinity(x.Masked(), affinity.HostOwner("x"), true))
	require.ElementsMatch(t, []netip.Prefix{x.Masked(), y.Masked()}, w.AppendChanged(nil), "blocks deleted")

	assign("x", "hx")
	w.Stop()
	w.Stop()
	assign("z", "hz")
	require.Empty(t, w.AppendChanged(nil), "stopped")
	require.Len(t, other.AppendChanged(nil), 3, "another watch is not")
}

// TestWatchCounts: each block that changed is counted once, as CountBlock does, also if it
// is gone or was made again.
func TestWatchCounts(t *testing.T) {
	a, assign := watched(t)
	seen := func(w *ipam.Watch) map[netip.Prefix]bool {
		all := make(map[netip.Prefix]ipam.BlockCount)
		exist := make(map[netip.Prefix]bool)
		pending := w.Pending()
		w.Count(func(cidr netip.Prefix, c ipam.BlockCount, exists bool) {
			require.NotContains(t, all, cidr)
			all[cidr], exist[cidr] = c, exists
		})
		require.Len(t, all, pending)
		require.Zero(t, w.Pending())
		for cidr, c := range all {
			want, exists := a.CountBlock(cidr)
			require.Equal(t, want, c)
			require.Equal(t, exists, exist[cidr])
		}
		return exist
	}
	x, y := assign("x", "hx").Masked(), assign("y", "hy").Masked()
	w, late := a.Watch(), a.Watch()
	require.Equal(t, map[netip.Prefix]bool{x: true, y: true}, seen(w))
	require.Empty(t, seen(w))

	require.NoError(t, a.ReleaseByHandle("hx"))
	require.NoError(t, a.ReleaseAffinity(x, affinity.HostOwner("x"), true))
	require.Equal(t, map[netip.Prefix]bool{x: false}, seen(w), "written, then deleted")
	require.True(t, a.DropBlock(y))
	require.NoError(t, a.AssignIP(ipam.AssignIPArgs{IP: y.Addr(), Host: "y"}))
	require.Equal(t, map[netip.Prefix]bool{y: true}, seen(w), "deleted, then made again")
	require.Equal(t, map[netip.Prefix]bool{x: false, y: true}, seen(late), "all of that before the first look")
}

func TestReadBlock(t *testing.T) {
	a, assign := watched(t)
	x := assign("x", "hx")
	var b ipam.BlockState
	require.True(t, a.ReadBlock(x.Masked(), &b))
	require.Equal(t, a.State().Blocks[0], b)
	assign("x", "hx2")
	require.True(t, a.ReadBlock(x.Masked(), &b))
	require.Equal(t, a.State().Blocks[0], b, "in the memory of the last")
	for _, cidr := range []netip.Prefix{{}, netip.MustParsePrefix("10.0.0.0/24"), netip.PrefixFrom(x.Addr(), 29).Masked(), netip.MustParsePrefix("fd00::/122")} {
		require.False(t, a.ReadBlock(cidr, &b), "%v", cidr)
	}
	require.Len(t, b.Allocations, 2, "left alone")
}

func TestCountBlock(t *testing.T) {
	clock := ipam.NewClock(start)
	a := ipam.New(ipam.Options{Now: clock.Now})
	require.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/29"), BlockSize: 29}))
	require.NoError(t, a.PutIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	cidr := netip.MustParsePrefix("10.0.0.0/29")
	_, exists := a.CountBlock(cidr)
	require.False(t, exists)
	_, exists = a.CountBlock(netip.Prefix{})
	require.False(t, exists)

	for i, host := range []string{"owner", "guest", "owner", "guest", "guest"} {
		require.NoError(t, a.SetNode(ipam.Node{Name: host}))
		_, _, err := a.AutoAssign(ipam.AutoAssignArgs{
			Host: host, Num4: 1, Handle: fmt.Sprint(i), Use: pool.Workload, Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: host}),
		})
		require.NoError(t, err)
	}
	require.NoError(t, a.ReleaseByHandle("0"))
	require.NoError(t, a.ReleaseByHandle("1"))
	a.SetReservations([]string{"10.0.0.7"})
	c, exists := a.CountBlock(cidr)
	require.True(t, exists)
	require.Equal(t, ipam.BlockCount{Owner: affinity.HostOwner("owner"), InUse: 3, Cooling: 2, Free: 2, Borrowed: 2}, c)

	require.NoError(t, a.RemoveIPAMHost(affinity.HostOwner("owner")))
	c, exists = a.CountBlock(cidr)
	require.True(t, exists)
	require.Equal(t, ipam.BlockCount{InUse: 3, Cooling: 2, Free: 2, Borrowed: 3}, c, "nobody's")

	require.NoError(t, a.SetPool(pool.Spec{Name: "w", CIDR: netip.MustParsePrefix("10.0.1.0/28"), BlockSize: 28}))
	kept := &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1, Handle: block.HostReservedHandle, Note: "windows"}
	_, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "guest", Num4: 1, Use: pool.Workload, HostReserved4: kept, Pools4: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/28")}})
	require.NoError(t, err)
	c, _ = a.CountBlock(netip.MustParsePrefix("10.0.1.0/28"))
	require.Equal(t, ipam.BlockCount{Owner: affinity.HostOwner("guest"), InUse: 5, HostReserved: 4, Free: 11, Borrowed: 5}, c, "the host's have no attributes of a node")
}
