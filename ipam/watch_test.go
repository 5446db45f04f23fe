package ipam_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

func watched(t *testing.T) (*ipam.Allocator, func(host, handle string) netip.Prefix) {
	t.Helper()
	a := ipam.New(ipam.Options{})
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28}))
	t.Cleanup(func() { must.NoError(t, a.Check()) })
	return a, func(host, handle string) netip.Prefix {
		must.NoError(t, a.SetNode(ipam.Node{Name: host}))
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 1, Handle: handle, Use: pool.Workload})
		must.NoError(t, err)
		must.Len(t, 1, v4.IPs)
		return v4.IPs[0]
	}
}

func TestWatch(t *testing.T) {
	a, assign := watched(t)
	x := assign("x", "hx")
	w := a.Watch()
	must.Eq(t, []netip.Prefix{x.Masked()}, w.AppendChanged(nil), must.Sprint("what is there counts as changed"))
	must.SliceEmpty(t, w.AppendChanged(nil), must.Sprint("each change once"))

	y := assign("y", "hy")
	other := a.Watch()
	must.Eq(t, []netip.Prefix{y.Masked()}, w.AppendChanged(nil), must.Sprint("a new block"))
	must.Len(t, 2, other.AppendChanged(nil))
	assign("x", "hx2")
	must.NoError(t, a.ReleaseByHandle("hx2"))
	kept := []netip.Prefix{{}}
	must.Eq(t, []netip.Prefix{{}, x.Masked()}, w.AppendChanged(kept), must.Sprint("written twice, appended once"))
	must.Eq(t, []netip.Prefix{x.Masked()}, other.AppendChanged(nil), must.Sprint("each watch has its own"))

	a.GetUtilization()
	must.NoError(t, a.AssignIP(ipam.AssignIPArgs{IP: y.Addr().Next(), Host: "y"}))
	must.ErrorIs(t, a.AssignIP(ipam.AssignIPArgs{IP: x.Addr(), Host: "y"}), codes.AlreadyExists)
	must.Eq(t, []netip.Prefix{y.Masked()}, w.AppendChanged(nil), must.Sprint("what is refused changes nothing"))
	must.NoError(t, a.RemoveIPAMHost(affinity.HostOwner("y")))
	must.Eq(t, []netip.Prefix{y.Masked()}, w.AppendChanged(nil), must.Sprint("an owner lost"))
	must.True(t, a.DropBlock(y.Masked()))
	must.NoError(t, a.ReleaseByHandle("hx"))
	must.NoError(t, a.ReleaseAffinity(x.Masked(), affinity.HostOwner("x"), true))
	must.SliceContainsAllOp(t, w.AppendChanged(nil), []netip.Prefix{x.Masked(), y.Masked()}, must.Sprint("blocks deleted"))

	assign("x", "hx")
	w.Stop()
	w.Stop()
	assign("z", "hz")
	must.SliceEmpty(t, w.AppendChanged(nil), must.Sprint("stopped"))
	must.Len(t, 3, other.AppendChanged(nil), must.Sprint("another watch is not"))
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
			must.MapNotContainsKey(t, all, cidr)
			all[cidr], exist[cidr] = c, exists
		})
		must.MapLen(t, pending, all)
		must.Zero(t, w.Pending())
		for cidr, c := range all {
			want, exists := a.CountBlock(cidr)
			must.Eq(t, want, c)
			must.Eq(t, exists, exist[cidr])
		}
		return exist
	}
	x, y := assign("x", "hx").Masked(), assign("y", "hy").Masked()
	w, late := a.Watch(), a.Watch()
	must.Eq(t, map[netip.Prefix]bool{x: true, y: true}, seen(w))
	must.MapEmpty(t, seen(w))

	must.NoError(t, a.ReleaseByHandle("hx"))
	must.NoError(t, a.ReleaseAffinity(x, affinity.HostOwner("x"), true))
	must.Eq(t, map[netip.Prefix]bool{x: false}, seen(w), must.Sprint("written, then deleted"))
	must.True(t, a.DropBlock(y))
	must.NoError(t, a.AssignIP(ipam.AssignIPArgs{IP: y.Addr(), Host: "y"}))
	must.Eq(t, map[netip.Prefix]bool{y: true}, seen(w), must.Sprint("deleted, then made again"))
	must.Eq(t, map[netip.Prefix]bool{x: false, y: true}, seen(late), must.Sprint("all of that before the first look"))
}

func TestReadBlock(t *testing.T) {
	a, assign := watched(t)
	x := assign("x", "hx")
	var b ipam.BlockState
	must.True(t, a.ReadBlock(x.Masked(), &b))
	must.Eq(t, a.State().Blocks[0], b)
	assign("x", "hx2")
	must.True(t, a.ReadBlock(x.Masked(), &b))
	must.Eq(t, a.State().Blocks[0], b, must.Sprint("in the memory of the last"))
	for _, cidr := range []netip.Prefix{{}, netip.MustParsePrefix("10.0.0.0/24"), netip.PrefixFrom(x.Addr(), 29).Masked(), netip.MustParsePrefix("fd00::/122")} {
		must.False(t, a.ReadBlock(cidr, &b), must.Sprintf("%v", cidr))
	}
	must.Len(t, 2, b.Allocations, must.Sprint("left alone"))
}

func TestCountBlock(t *testing.T) {
	clock := ipam.NewClock(start)
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/29"), BlockSize: 29}))
	must.NoError(t, a.PutIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	cidr := netip.MustParsePrefix("10.0.0.0/29")
	_, exists := a.CountBlock(cidr)
	must.False(t, exists)
	_, exists = a.CountBlock(netip.Prefix{})
	must.False(t, exists)

	for i, host := range []string{"owner", "guest", "owner", "guest", "guest"} {
		must.NoError(t, a.SetNode(ipam.Node{Name: host}))
		_, _, err := a.AutoAssign(ipam.AutoAssignArgs{
			Host: host, Num4: 1, Handle: fmt.Sprint(i), Use: pool.Workload, Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: host}),
		})
		must.NoError(t, err)
	}
	must.NoError(t, a.ReleaseByHandle("0"))
	must.NoError(t, a.ReleaseByHandle("1"))
	a.SetReservations([]string{"10.0.0.7"})
	c, exists := a.CountBlock(cidr)
	must.True(t, exists)
	must.Eq(t, ipam.BlockCount{Owner: affinity.HostOwner("owner"), InUse: 3, Cooling: 2, Free: 2, Borrowed: 2}, c)

	must.NoError(t, a.RemoveIPAMHost(affinity.HostOwner("owner")))
	c, exists = a.CountBlock(cidr)
	must.True(t, exists)
	must.Eq(t, ipam.BlockCount{InUse: 3, Cooling: 2, Free: 2, Borrowed: 3}, c, must.Sprint("nobody's"))

	must.NoError(t, a.SetPool(pool.Spec{Name: "w", CIDR: netip.MustParsePrefix("10.0.1.0/28"), BlockSize: 28}))
	kept := &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1, Handle: block.HostReservedHandle, Note: "windows"}
	_, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "guest", Num4: 1, Use: pool.Workload, HostReserved4: kept, Pools4: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/28")}})
	must.NoError(t, err)
	c, _ = a.CountBlock(netip.MustParsePrefix("10.0.1.0/28"))
	must.Eq(t, ipam.BlockCount{Owner: affinity.HostOwner("guest"), InUse: 5, HostReserved: 4, Free: 11, Borrowed: 5}, c, must.Sprint("the host's have no attributes of a node"))
}
