package ipam

import (
	"errors"
	"maps"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/pool"
)

// TestCheckRejects breaks what Check looks at, one thing at a time.
func TestCheckRejects(t *testing.T) {
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	n1 := affinity.HostOwner("n1")
	first := func(a *Allocator) *ipamBlock { return a.block(cidr) }
	for what, damage := range map[string]func(a *Allocator){
		"pool of another":            func(a *Allocator) { a.poolBlocks["a"].pool = a.poolBlocks["b"].pool },
		"blocks without a pool":      func(a *Allocator) { a.poolBlocks["c"] = a.poolBlocks["b"] },
		"summary of the index":       func(a *Allocator) { first(a).leaf.MayBeEmpty = !first(a).leaf.MayBeEmpty },
		"number of a block":          func(a *Allocator) { first(a).leaf.At = pool.MakeIndex(0, 3) },
		"block without its pool":     func(a *Allocator) { first(a).pool = nil },
		"summary of a block":         func(a *Allocator) { first(a).leaf.MayBeFree = false },
		"sequence number":            func(a *Allocator) { a.lastSeq = 1 },
		"owner without the block":    func(a *Allocator) { a.known(n1).blocks = nil },
		"owner unknown":              func(a *Allocator) { delete(a.hosts, "n1") },
		"owner of another name":      func(a *Allocator) { a.known(n1).id.Name = "n2" },
		"owner of blocks not there":  func(a *Allocator) { o := a.known(n1); o.blocks = append(o.blocks, o.blocks[0]) },
		"reservations not looked at": func(a *Allocator) { a.reservations, _ = pool.ParseReservations([]string{"10.0.0.1"}) },
		"reserved whole":             func(a *Allocator) { first(a).whole = true },
		"claims of another":          func(a *Allocator) { a.known(n1).claims = a.claims.Open(affinity.HostOwner("n2")) },
		"a claim without its state":  func(a *Allocator) { a.known(n1).claims.Get(cidr).State = 77 },
		"orphan unknown": func(a *Allocator) {
			a.DeletePool("a")
			clear(a.strays)
			a.strays[netip.MustParsePrefix("10.9.0.0/30")] = a.known(n1).blocks[0]
		},
		"handle lost":              func(a *Allocator) { clear(a.handles.index) },
		"handle without counts":    func(a *Allocator) { a.handles.find("h").n = 0 },
		"handles miscounted":       func(a *Allocator) { a.handles.live++ },
		"handle of several blocks": func(a *Allocator) { a.handles.find("h").n = several },
		"handle with a list to itself": func(a *Allocator) {
			a.handles.several[a.handles.find("h")] = []count{{first(a), 1}, {first(a), 1}}
		},
		"handle with a block twice": func(a *Allocator) {
			h := a.handles.find("h")
			h.set(count{n: several})
			a.handles.several[h] = []count{{first(a), 1}, {first(a), 1}}
		},
	} {
		t.Run(what, func(t *testing.T) {
			a := New(Options{Now: NewClock(time.Unix(1e9, 0)).Now})
			for _, s := range []pool.Spec{{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}, {Name: "b", CIDR: netip.MustParsePrefix("10.1.0.0/28"), BlockSize: 30}} {
				must.NoError(t, a.SetPool(s))
			}
			must.NoError(t, a.AssignIP(AssignIPArgs{IP: cidr.Addr(), Host: "n1", Handle: "h"}))
			must.NoError(t, a.Check())
			damage(a)
			must.ErrorIs(t, a.Check(), ErrStructure)
		})
	}
}

// TestCheckTruth lists what raw edits can do to the truth, all at once and in
// the same order every time.
func TestCheckTruth(t *testing.T) {
	a := New(Options{Now: NewClock(time.Unix(1e9, 0)).Now})
	must.NoError(t, a.SetPool(pool.Spec{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}))
	for _, ip := range []string{"10.0.0.0", "10.0.0.4", "10.0.0.8"} {
		must.NoError(t, a.AssignIP(AssignIPArgs{IP: netip.MustParseAddr(ip), Host: "n1", Handle: "h"}))
	}
	n1, n2 := affinity.HostOwner("n1"), affinity.HostOwner("n2")
	must.True(t, a.DropBlock(netip.MustParsePrefix("10.0.0.0/30")))
	must.True(t, a.DropAffinity(n1, netip.MustParsePrefix("10.0.0.4/30")))
	must.NoError(t, a.PutAffinity(n2, netip.MustParsePrefix("10.0.0.8/30"), affinity.Confirmed))
	must.NoError(t, a.PutAffinity(n2, netip.MustParsePrefix("10.0.0.12/30"), affinity.Pending), must.Sprint("no violation"))
	err := a.Check()
	must.ErrorIs(t, err, ErrTruth)
	must.False(t, errors.Is(err, ErrStructure), must.Sprint(err))
	must.Eq(t, "ipam: objects contradict each other: host:n1 has a confirmed affinity on 10.0.0.0/30, which does not exist\n"+
		"ipam: objects contradict each other: host:n2 has a confirmed affinity on 10.0.0.8/30, which is host:n1's\n"+
		"ipam: objects contradict each other: block 10.0.0.4/30 is host:n1's, which has no affinity on it", err.Error())
	must.True(t, slices.IsSorted(slices.Sorted(maps.Keys(a.hosts))))

	must.NoError(t, a.ReleaseBlockAffinity(netip.MustParsePrefix("10.0.0.8/30"), false))
	must.ErrorContains(t, a.Check(), "which is nobody's")
	a.handles.find("h").block, a.handles.find("h").n = nil, 0
	a.handles = newHandleTable()
	must.ErrorContains(t, a.Check(), "handle h holds 1 addresses in 10.0.0.4/30 but counts 0")
}

// TestDeletedPoolIsForgotten: nothing that a host remembers keeps a pool that was
// deleted, or its blocks, in memory.
func TestDeletedPoolIsForgotten(t *testing.T) {
	a := New(Options{})
	for _, s := range []pool.Spec{{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/30"), BlockSize: 30}, {Name: "b", CIDR: netip.MustParsePrefix("10.1.0.0/28"), BlockSize: 30}} {
		must.NoError(t, a.SetPool(s))
	}
	must.NoError(t, a.SetNode(Node{Name: "n1"}))
	v4, _, err := a.AutoAssign(AutoAssignArgs{Host: "n1", Num4: 5, Use: pool.Workload})
	must.NoError(t, err)
	must.Len(t, 5, v4.IPs, must.Sprint("from both"))
	gone := weak.Make(a.poolBlocks["a"])
	must.True(t, a.DeletePool("a"))
	runtime.GC()
	must.Nil(t, gone.Value())
	must.NoError(t, a.Check())
}

// TestOwnersOfNothingAreForgotten: an owner is known while it has a block or a claim.
func TestOwnersOfNothingAreForgotten(t *testing.T) {
	a := New(Options{})
	cidr, n1 := netip.MustParsePrefix("10.0.0.0/30"), affinity.HostOwner("n1")
	must.NoError(t, a.SetPool(pool.Spec{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}))
	claim := func() {
		_, _, err := a.ClaimAffinity(cidr, n1)
		must.NoError(t, err)
		must.NotNil(t, a.known(n1))
	}
	claim()
	must.NoError(t, a.RemoveIPAMHost(n1))
	must.Nil(t, a.known(n1))
	claim()
	must.True(t, a.DropAffinity(n1, cidr))
	must.NotNil(t, a.known(n1), must.Sprint("it owns the block yet"))
	must.True(t, a.DropBlock(cidr))
	must.Nil(t, a.known(n1))
	must.NoError(t, a.Check())
}
