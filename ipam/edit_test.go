package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// editable returns an allocator with two pools and three nodes.
func editable(clock *ipam.Clock) (*ipam.Allocator, error) {
	a := ipam.New(ipam.Options{Now: clock.Now})
	errs := []error{
		a.SetPool(spec("p", "10.0.0.0/26", 29)), a.SetPool(spec("q", "10.0.1.0/28", 30)),
		a.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}),
	}
	for _, host := range []string{"n1", "n2", "n3"} {
		errs = append(errs, a.SetNode(ipam.Node{Name: host}))
	}
	a.SetReservations([]string{"10.0.0.9"})
	return a, errors.Join(errs...)
}

// structure returns what is wrong with the structures of the allocators. That objects
// contradict each other is what raw edits do.
func structure(as ...*ipam.Allocator) error {
	var errs []error
	for _, a := range as {
		if err := a.Check(); errors.Is(err, ipam.ErrStructure) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// use does one operation on the allocator, raw edits included, and returns what it
// said.
func use(src property.Source, a *ipam.Allocator) string {
	host := fmt.Sprint("n", 1+src.Pick("host", 3))
	handle := fmt.Sprint([]string{"h", "H"}[src.Pick("letters", 2)], src.Pick("handle", 4))
	ip := netip.MustParseAddr("10.0.0.0").As4()
	ip[3] = byte(src.Pick("address", 64))
	cidr := netip.PrefixFrom(netip.AddrFrom4(ip), 29).Masked()
	switch src.Pick("operation", 12) {
	case 0, 1, 2:
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 1 + src.Pick("addresses", 4), Handle: handle, Use: pool.Workload})
		return fmt.Sprint(v4, err)
	case 3:
		return fmt.Sprint(a.ReleaseByHandle(handle))
	case 4:
		free, released, err := a.ReleaseIPs(ipam.Release{IP: netip.AddrFrom4(ip)})
		return fmt.Sprint(free, released, err)
	case 5:
		return fmt.Sprint(a.AssignIP(ipam.AssignIPArgs{IP: netip.AddrFrom4(ip), Host: host, Handle: handle}))
	case 6:
		return fmt.Sprint(a.ReleaseHostAffinities(affinity.HostOwner(host), src.Pick("empty", 2) == 0))
	case 7:
		return fmt.Sprint(a.PutAffinity(affinity.HostOwner(host), cidr, affinity.Pending))
	case 8:
		return fmt.Sprint(a.DropHandle(handle), a.DropBlock(cidr))
	case 9:
		return fmt.Sprint(a.PutHandle(ipam.HandleState{ID: handle, Counts: []ipam.HandleCount{{Block: cidr, Count: 1 + src.Pick("count", 3)}}}))
	case 10:
		state := ipam.BlockState{CIDR: cidr, Owner: affinity.HostOwner(host), Free: []int{7, 6, 5, 4, 3, 2, 1, 0}}
		return fmt.Sprint(a.PutBlock(state))
	default:
		return fmt.Sprint(a.PutPool(pool.Spec{Name: "q", CIDR: netip.MustParsePrefix("10.0.1.0/28"), BlockSize: 29 + src.Pick("size", 3)}))
	}
}

// copyByEdits writes the objects of one allocator into another, some twice and the
// first time wrong, and returns how the two differ then, or later.
func copyByEdits(src property.Source, put func(*ipam.Allocator, ipam.BlockState) error) error {
	clock := ipam.NewClock(start)
	a, err := editable(clock)
	if err != nil {
		return err
	}
	for range 12 {
		use(src, a)
	}
	b, err := editable(clock)
	if err != nil {
		return err
	}
	c := a.Cluster()
	errs := []error{b.PutPool(c.Pools[1])}
	for _, s := range c.Blocks {
		if src.Pick("wrong first", 3) == 0 {
			wrong := ipam.BlockState{CIDR: s.CIDR, Owner: affinity.HostOwner("other")}
			for i := range 1 << (32 - s.CIDR.Bits()) {
				wrong.Free = append(wrong.Free, i)
			}
			errs = append(errs, put(b, wrong))
		}
		errs = append(errs, put(b, s))
	}
	for _, s := range c.Affinities {
		errs = append(errs, b.PutAffinity(s.Owner, s.CIDR, s.State))
	}
	for _, s := range c.Handles {
		if src.Pick("wrong first", 3) == 0 {
			errs = append(errs, b.PutHandle(ipam.HandleState{ID: strings.ToUpper(s.ID), Counts: []ipam.HandleCount{
				{Block: netip.MustParsePrefix("10.9.0.0/30"), Count: 3}, {Block: netip.MustParsePrefix("10.0.0.0/29"), Count: 1},
			}}))
		}
		errs = append(errs, b.PutHandle(s))
	}
	if err := errors.Join(append(errs, structure(b))...); err != nil {
		return err
	}
	seed := uint64(src.Pick("seed", 1<<20))
	again := [2]property.Source{property.Seeded(seed), property.Seeded(seed)}
	clock.Advance(time.Minute) // new blocks are numbered by the clock, not by what was there before
	for range 6 {
		was, is := a.State(), b.State()
		if !reflect.DeepEqual(was, is) {
			return fmt.Errorf("state %+v, want %+v", is, was)
		}
		if said, want := use(again[1], b), use(again[0], a); said != want {
			return fmt.Errorf("said %s, want %s", said, want)
		}
	}
	return structure(a, b)
}

// TestEditsCopyAnAllocator: objects that are written one at a time make an allocator
// that is equal, and goes on in the same way.
func TestEditsCopyAnAllocator(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := copyByEdits(property.Rapid(t), (*ipam.Allocator).PutBlock); err != nil {
			t.Fatal(err)
		}
	})
	for what, put := range map[string]func(*ipam.Allocator, ipam.BlockState) error{
		"forgets the owner": func(a *ipam.Allocator, s ipam.BlockState) error {
			s.Owner = affinity.Owner{}
			return a.PutBlock(s)
		},
		"keeps the first": func(a *ipam.Allocator, s ipam.BlockState) error {
			if a.ReadBlock(s.CIDR, new(ipam.BlockState)) {
				return nil
			}
			return a.PutBlock(s)
		},
		"forgets the order of the queue": func(a *ipam.Allocator, s ipam.BlockState) error {
			s.Free = slices.Sorted(slices.Values(s.Free))
			return a.PutBlock(s)
		},
	} {
		t.Run(what, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error { return copyByEdits(src, put) })
		})
	}
}

// TestEditsRefuse: what contradicts itself is refused, and nothing changes.
func TestEditsRefuse(t *testing.T) {
	a, err := editable(ipam.NewClock(start))
	must.NoError(t, err)
	_, _, err = a.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload})
	must.NoError(t, err)
	before := a.Cluster()
	four := netip.MustParsePrefix("10.0.0.0/30")
	for what, c := range map[string]struct {
		err  error
		edit func() error
	}{
		"a block with host bits": {codes.InvalidArgument, func() error {
			return a.PutBlock(ipam.BlockState{CIDR: netip.MustParsePrefix("10.0.0.1/30")})
		}},
		"a block with an ordinal nowhere": {block.ErrState, func() error { return a.PutBlock(ipam.BlockState{CIDR: four, Free: []int{0, 1, 2}}) }},
		"a block of no owner that can be": {codes.InvalidArgument, func() error {
			return a.PutBlock(ipam.BlockState{CIDR: four, Free: []int{0, 1, 2, 3}, Owner: affinity.Owner{Type: "pod", Name: "x"}})
		}},
		"a handle without an id":      {codes.InvalidArgument, func() error { return a.PutHandle(ipam.HandleState{ID: "\rh"}) }},
		"a handle that counts 0":      {codes.InvalidArgument, func() error { return a.PutHandle(handleState("h", four, 0)) }},
		"a handle that counts twice":  {codes.InvalidArgument, func() error { return a.PutHandle(handleState("h", four, 1, four, 1)) }},
		"a handle of an invalid CIDR": {codes.InvalidArgument, func() error { return a.PutHandle(handleState("h", netip.Prefix{}, 1)) }},
		"a pool without a CIDR":       {pool.ErrInvalid, func() error { return a.PutPool(pool.Spec{Name: "p"}) }},
		"a pool over another":         {pool.ErrOverlap, func() error { return a.PutPool(spec("p", "10.0.0.0/23", 29)) }},
	} {
		must.ErrorIs(t, c.edit(), c.err, must.Sprint(what))
		must.Eq(t, before, a.Cluster(), must.Sprint(what))
	}
	must.False(t, a.DropHandle("g"))
	must.True(t, a.DropHandle("H"), must.Sprint("whatever its letters"))
	must.NoError(t, a.PutHandle(ipam.HandleState{ID: "h"}), must.Sprint("a handle without counts is none"))
	must.SliceEmpty(t, a.State().Handles)
}

// handleState returns a handle with these counts: blocks and numbers in turns.
func handleState(id string, counts ...any) ipam.HandleState {
	s := ipam.HandleState{ID: id}
	for i := 0; i < len(counts); i += 2 {
		s.Counts = append(s.Counts, ipam.HandleCount{Block: counts[i].(netip.Prefix), Count: counts[i+1].(int)})
	}
	return s
}

// TestPutPool: the block size of a pool in use changes, as by a raw edit. Its blocks
// stay and are in no pool; changed back, they are its blocks again.
func TestPutPool(t *testing.T) {
	a, err := editable(ipam.NewClock(start))
	must.NoError(t, err)
	v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 2, Handle: "h", Use: pool.Workload})
	must.NoError(t, err)
	first := v4.IPs[0].Masked()
	must.ErrorIs(t, a.SetPool(spec("p", "10.0.0.0/26", 28)), pool.ErrImmutable)
	must.NoError(t, a.PutPool(spec("p", "10.0.0.0/26", 28)))
	must.NoError(t, structure(a))
	must.Eq(t, 28, a.Pools()[0].BlockSize)
	v4, _, err = a.AutoAssign(ipam.AutoAssignArgs{Host: "n2", Num4: 1, Use: pool.Workload})
	must.NoError(t, err)
	must.Eq(t, 28, v4.IPs[0].Bits())
	must.NoError(t, a.PutPool(spec("p", "10.0.0.0/26", 29)))
	must.NoError(t, structure(a))
	v4, _, err = a.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload})
	must.NoError(t, err)
	must.EqOp(t, first, v4.IPs[0].Masked(), must.Sprint("n1's block"))
}

// mirror keeps a copy of an allocator's objects by a watch, and returns how it differs
// from the objects.
func mirror(src property.Source, lose func(*ipam.Watch)) error {
	a, err := editable(ipam.NewClock(start))
	if err != nil {
		return err
	}
	for range 3 {
		use(src, a)
	}
	w := a.Watch(ipam.BlockObject, ipam.AffinityObject, ipam.HandleObject)
	blocks := make(map[netip.Prefix]ipam.BlockState)
	affinities := make(map[string]ipam.AffinityState)
	handles := make(map[string]ipam.HandleState)
	for range 10 {
		use(src, a)
		if src.Pick("lose", 3) == 0 {
			lose(w)
		}
		for _, cidr := range w.AppendChanged(nil) {
			var s ipam.BlockState
			if delete(blocks, cidr); a.ReadBlock(cidr, &s) {
				blocks[cidr] = s
			}
		}
		for _, s := range w.AppendAffinities(nil) {
			key := fmt.Sprint(s.Owner, s.CIDR)
			if delete(affinities, key); s.State != affinity.None {
				affinities[key] = s
			}
		}
		for _, s := range w.AppendHandles(nil) {
			key := strings.ToLower(s.ID)
			if delete(handles, key); len(s.Counts) > 0 {
				handles[key] = s
			}
		}
	}
	if err := structure(a); err != nil {
		return err
	}
	state := a.State()
	for _, s := range state.Blocks {
		if !reflect.DeepEqual(blocks[s.CIDR], s) {
			return fmt.Errorf("block %+v, want %+v", blocks[s.CIDR], s)
		}
	}
	for _, s := range state.Affinities {
		if affinities[fmt.Sprint(s.Owner, s.CIDR)] != s {
			return fmt.Errorf("affinity %+v is unknown", s)
		}
	}
	for _, s := range state.Handles {
		if !reflect.DeepEqual(handles[strings.ToLower(s.ID)], s) {
			return fmt.Errorf("handle %+v, want %+v", handles[s.ID], s)
		}
	}
	want := [3]int{len(state.Blocks), len(state.Affinities), len(state.Handles)}
	if got := [3]int{len(blocks), len(affinities), len(handles)}; got != want {
		return fmt.Errorf("%d blocks, affinities and handles, want %d", got, want)
	}
	return nil
}

// TestWatchMirrors: who watches everything knows everything.
func TestWatchMirrors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := mirror(property.Rapid(t), func(*ipam.Watch) {}); err != nil {
			t.Fatal(err)
		}
	})
	for what, lose := range map[string]func(*ipam.Watch){
		"blocks":     func(w *ipam.Watch) { w.AppendChanged(nil) },
		"affinities": func(w *ipam.Watch) { w.AppendAffinities(nil) },
		"handles":    func(w *ipam.Watch) { w.AppendHandles(nil) },
	} {
		t.Run("loses "+what, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error { return mirror(src, lose) })
		})
	}
}

// TestWatchOfKinds: a watch has what it was made for, and after Stop nothing.
func TestWatchOfKinds(t *testing.T) {
	a, err := editable(ipam.NewClock(start))
	must.NoError(t, err)
	of := func(kinds ...ipam.ObjectKind) *ipam.Watch { return a.Watch(kinds...) }
	plain, claims, handles := of(), of(ipam.AffinityObject), of(ipam.HandleObject, ipam.PoolObject)
	count := func(w *ipam.Watch) [3]int {
		return [3]int{len(w.AppendChanged(nil)), len(w.AppendAffinities(nil)), len(w.AppendHandles(nil))}
	}
	assign := func() {
		_, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Handle: "h", Use: pool.Workload})
		must.NoError(t, err)
	}
	assign()
	must.Eq(t, [3]int{1, 0, 0}, count(plain))
	must.Eq(t, [3]int{0, 1, 0}, count(claims))
	must.Eq(t, [3]int{0, 0, 1}, count(handles))
	must.Eq(t, [3]int{0, 1, 1}, count(of(ipam.HandleObject, ipam.AffinityObject)), must.Sprint("what is there counts as changed"))
	assign()
	must.Eq(t, [3]int{}, count(claims), must.Sprint("a second address changes no affinity"))
	claims.Stop()
	handles.Stop()
	must.NoError(t, a.RemoveIPAMHost(affinity.HostOwner("n1")))
	must.NoError(t, a.ReleaseByHandle("h"))
	must.Eq(t, [3]int{}, count(claims))
	must.Eq(t, [3]int{}, count(handles))
	must.Eq(t, [3]int{1, 0, 0}, count(plain))
}

// TestAffinitiesInOrder: affinities come in the order of their names, also where the
// names are so long that Calico cuts them.
func TestAffinitiesInOrder(t *testing.T) {
	a, err := editable(ipam.NewClock(start))
	must.NoError(t, err)
	for _, owner := range []affinity.Owner{affinity.HostOwner(strings.Repeat("n", 250)), affinity.VirtualOwner("a"), affinity.HostOwner("z")} {
		for _, cidr := range []string{"10.0.0.0/29", "10.0.0.8/29", "10.0.0.16/29", "10.0.0.32/29"} {
			must.NoError(t, a.PutAffinity(owner, netip.MustParsePrefix(cidr), affinity.Pending))
		}
	}
	must.Eq(t, a.State().Affinities, a.Watch(ipam.AffinityObject).AppendAffinities(nil))
}
