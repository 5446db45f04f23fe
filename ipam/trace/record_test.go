package trace

import (
	"bytes"
	"compress/gzip"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// cluster is an allocator with a pool of each family and two nodes.
func cluster(t testing.TB) (*ipam.Allocator, *ipam.Clock) {
	t.Helper()
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetPool(pool.Spec{Name: "four", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28}))
	must.NoError(t, a.SetPool(pool.Spec{Name: "six", CIDR: netip.MustParsePrefix("fd00::/120"), BlockSize: 124}))
	must.NoError(t, a.SetNode(ipam.Node{Name: "n1"}))
	must.NoError(t, a.SetNode(ipam.Node{Name: "n2", Labels: map[string]string{"zone": "x"}}))
	return a, clock
}

// recorded is a cluster under a Recorder that writes to the buffer.
func recorded(t testing.TB) (*Recorder, *ipam.Clock, *bytes.Buffer) {
	t.Helper()
	a, clock := cluster(t)
	text := new(bytes.Buffer)
	r, err := NewRecorder(text, a, "name", "about")
	must.NoError(t, err)
	return r, clock, text
}

func pod(host, handle string, n int) ipam.AutoAssignArgs {
	return ipam.AutoAssignArgs{Host: host, Num4: n, Handle: handle, Use: pool.Workload, Attrs: block.MakeAttrs(map[string]string{"node": host, "pod": handle})}
}

// TestRecorderHeader: the header has the present cluster.
func TestRecorderHeader(t *testing.T) {
	a, clock := cluster(t)
	must.NoError(t, a.SetPool(pool.Spec{
		Name: "lb", CIDR: netip.MustParsePrefix("10.1.0.0/24"), AllowedUses: []pool.Use{pool.LoadBalancer}, AssignmentMode: pool.Manual, Disabled: true, NamespaceSelector: "has(x)",
	}))
	a.SetReservations([]string{"10.0.0.0/28", "nonsense"})
	// SetIPAMConfig refuses it, but a datastore may have it.
	must.NoError(t, a.PutIPAMConfig(ipam.Config{MaxBlocksPerHost: 3, IPCooldownSeconds: 60}))
	clock.Advance(1500 * time.Millisecond)
	var text bytes.Buffer
	r, err := NewRecorder(&text, a, "the name", "what it is about")
	must.NoError(t, err)
	r.State()
	must.NoError(t, r.Err())

	h, ops, err := readAll("", bytes.NewReader(text.Bytes()))
	must.NoError(t, err)
	must.Len(t, 1, ops)
	must.Eq(t, Header{
		Version: 1, Name: "the name", About: "what it is about", Start: time.Date(2026, 1, 1, 0, 0, 1, 500_000_000, time.UTC),
		Pools: []Pool{
			{Name: "four", CIDR: "10.0.0.0/24", BlockSize: 28, AllowedUses: []string{"Workload", "Tunnel"}, AssignmentMode: "Automatic"},
			{Name: "lb", CIDR: "10.1.0.0/24", BlockSize: 26, AllowedUses: []string{"LoadBalancer"}, AssignmentMode: "Manual", Disabled: true, NamespaceSelector: "has(x)"},
			{Name: "six", CIDR: "fd00::/120", BlockSize: 124, AllowedUses: []string{"Workload", "Tunnel"}, AssignmentMode: "Automatic"},
		},
		Reservations: []string{"10.0.0.0/28", "nonsense"},
		Nodes:        []ipam.Node{{Name: "n1"}, {Name: "n2", Labels: map[string]string{"zone": "x"}}},
		Config:       &ipam.Config{MaxBlocksPerHost: 3, IPCooldownSeconds: 60},
	}, h)

	p, err := NewPlayer(h)
	must.NoError(t, err)
	must.Eq(t, a.Pools(), allocator(p).Pools())
	must.Eq(t, a.GetIPAMConfig(), allocator(p).GetIPAMConfig())
	must.Eq(t, a.Reservations(), allocator(p).Reservations())
	must.EqOp(t, a.Now(), allocator(p).Now())
	must.Eq(t, compact(a.Nodes()), compact(allocator(p).Nodes()))
}

func TestRecorderRefusesNonEmptyClusters(t *testing.T) {
	cidr := netip.MustParsePrefix("10.0.0.0/28")
	for name, spoil := range map[string]func(*ipam.Allocator){
		"1 blocks, 1 affinities and 1 handles": func(a *ipam.Allocator) { _, _, _ = a.AutoAssign(pod("n1", "h", 1)) },
		"1 blocks, 1 affinities and 0 handles": func(a *ipam.Allocator) { _, _, _ = a.ClaimAffinity(cidr, affinity.HostOwner("n1")) },
		"0 blocks, 1 affinities and 0 handles": func(a *ipam.Allocator) {
			_ = a.PutAffinity(affinity.HostOwner("n1"), cidr, affinity.PendingDeletion)
		},
		"1 blocks, 0 affinities and 0 handles": func(a *ipam.Allocator) {
			_, _, _ = a.ClaimAffinity(cidr, affinity.HostOwner("n1"))
			a.DropAffinity(affinity.HostOwner("n1"), cidr)
		},
		"0 blocks, 0 affinities and 1 handles": func(a *ipam.Allocator) {
			_ = a.AssignIP(ipam.AssignIPArgs{IP: cidr.Addr(), Host: "n1", Handle: "h"})
			a.DropAffinity(affinity.HostOwner("n1"), cidr)
			a.DropBlock(cidr)
		},
	} {
		a, _ := cluster(t)
		spoil(a)
		var text bytes.Buffer
		_, err := NewRecorder(&text, a, "", "")
		must.ErrorIs(t, err, ErrNotRecordable)
		must.ErrorContains(t, err, name)
		must.Zero(t, text.Len())
	}

	// Used before, but empty now.
	a, _ := cluster(t)
	_, _, err := a.AutoAssign(pod("n1", "h", 1))
	must.NoError(t, err)
	must.NoError(t, a.ReleaseByHandle("h"))
	must.NoError(t, a.RemoveIPAMHost(affinity.HostOwner("n1")))
	var text bytes.Buffer
	r, err := NewRecorder(&text, a, "", "")
	must.NoError(t, err)
	_, _, err = r.AutoAssign(pod("n1", "h", 1))
	must.NoError(t, err)
	r.State()
	must.NoError(t, replays("", text.Bytes()))
}

func TestRecorderWritesTheClock(t *testing.T) {
	r, clock, text := recorded(t)
	clock.Advance(90 * time.Second)
	_ = r.ReleaseByHandle("h")
	r.State()
	clock.Advance(time.Second)
	clock.Advance(time.Hour)
	_ = r.AssignIP(ipam.AssignIPArgs{}) // refused, but the clock still moved
	clock.Advance(-time.Minute)
	r.State()
	must.NoError(t, r.Err())
	_, ops, err := readAll("", bytes.NewReader(text.Bytes()))
	must.NoError(t, err)
	var got []string
	for _, op := range ops {
		got = append(got, op.Op+" "+strconv.FormatInt(op.In.Seconds, 10))
	}
	must.Eq(t, []string{"Advance 90", "ReleaseByHandle 0", "State 0", "Advance 3601", "Advance -60", "State 0"}, got)
	must.NoError(t, replays("", text.Bytes()))
}

// TestRecorderRefusesFractions: the format has whole seconds. A recording that
// would not replay ends with an error; its part until then is sound.
func TestRecorderRefusesFractions(t *testing.T) {
	r, clock, text := recorded(t)
	_, _, err := r.AutoAssign(pod("n1", "a", 1))
	must.NoError(t, err)
	written := text.Len()
	clock.Advance(1500 * time.Millisecond)
	must.NoError(t, r.Err(), must.Sprint("nobody has looked yet"))
	v4, _, err := r.AutoAssign(pod("n1", "b", 1))
	must.NoError(t, err, must.Sprint("the operation is done all the same"))
	must.Len(t, 1, v4.IPs)
	must.ErrorIs(t, r.Err(), ErrNotRecordable)
	must.ErrorContains(t, r.Err(), "1.5s")
	clock.Advance(500 * time.Millisecond)
	r.State()
	must.ErrorContains(t, r.Err(), "1.5s", must.Sprint("the first error stays"))
	must.Eq(t, written, text.Len())
	must.NoError(t, replays("", text.Bytes()))

	// A real clock moves during an operation.
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := ipam.New(ipam.Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
	text.Reset()
	r, err = NewRecorder(text, a, "", "")
	must.NoError(t, err)
	must.NoError(t, r.SetNode(ipam.Node{Name: "n"}))
	must.ErrorIs(t, r.Err(), ErrNotRecordable)
	must.ErrorContains(t, r.Err(), "during SetNode")
	must.NoError(t, replays("", text.Bytes()))
}

// TestRecorderSkipsRefusedArguments: invalid arguments are refused as by the
// allocator, and not written.
func TestRecorderSkipsRefusedArguments(t *testing.T) {
	r, _, text := recorded(t)
	n1 := affinity.HostOwner("n1")
	cidr, hostBits := netip.MustParsePrefix("10.0.0.0/28"), netip.MustParsePrefix("10.0.0.1/28")
	_, _, err := r.ClaimAffinity(cidr, n1)
	must.NoError(t, err)
	written := text.Len()
	attrs := block.MakeAttrs(map[string]string{"pod": "p"})
	invalid := map[string]func() error{
		"AutoAssign without a host": func() error { _, _, err := r.AutoAssign(ipam.AutoAssignArgs{Num4: 1, Use: pool.Workload}); return err },
		"AutoAssign of -1":          func() error { _, _, err := r.AutoAssign(pod("n1", "", -1)); return err },
		"AssignIP of no address":    func() error { return r.AssignIP(ipam.AssignIPArgs{Host: "n1"}) },
		"AssignIP with a zone": func() error {
			return r.AssignIP(ipam.AssignIPArgs{Host: "n1", IP: netip.MustParseAddr("fe80::1%eth0")})
		},
		"ReleaseIPs of no address": func() error { _, _, err := r.ReleaseIPs(ipam.Release{IP: cidr.Addr()}, ipam.Release{}); return err },
		"GetAssignmentAttributes":  func() error { _, err := r.GetAssignmentAttributes(netip.Addr{}); return err },
		"SetOwnerAttributes of no one": func() error {
			return r.SetOwnerAttributes(netip.Addr{}, "", ipam.OwnerUpdate{}, ipam.OwnerPreconditions{})
		},
		"SetOwnerAttributes, both at once": func() error {
			return r.SetOwnerAttributes(cidr.Addr(), "", ipam.OwnerUpdate{Active: attrs, ClearActive: true}, ipam.OwnerPreconditions{})
		},
		"ClaimAffinity with host bits":      func() error { _, _, err := r.ClaimAffinity(hostBits, n1); return err },
		"ClaimAffinity of nobody":           func() error { _, _, err := r.ClaimAffinity(cidr, affinity.Owner{}); return err },
		"ReleaseAffinity of no CIDR":        func() error { return r.ReleaseAffinity(netip.Prefix{}, n1, false) },
		"ReleaseHostAffinities of nobody":   func() error { return r.ReleaseHostAffinities(affinity.Owner{}, false) },
		"RemoveIPAMHost of another type":    func() error { return r.RemoveIPAMHost(affinity.Owner{Type: "node", Name: "n1"}) },
		"ReleasePoolAffinities of no CIDR":  func() error { return r.ReleasePoolAffinities(netip.Prefix{}) },
		"ReleaseBlockAffinity of host bits": func() error { return r.ReleaseBlockAffinity(hostBits, false) },
		"EnsureBlock without a host":        func() error { _, _, err := r.EnsureBlock(ipam.EnsureBlockArgs{}); return err },
		"SetIPAMConfig":                     func() error { return r.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: -1}) },
		"PutIPAMConfig":                     func() error { return r.PutIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 1201}) },
		"SetNode without a name":            func() error { return r.SetNode(ipam.Node{}) },
		"PutAffinity in no state":           func() error { return r.PutAffinity(n1, cidr, affinity.None) },
		"PutAffinity of no block":           func() error { return r.PutAffinity(n1, netip.Prefix{}, affinity.Pending) },
	}
	for name, do := range invalid {
		must.ErrorIs(t, do(), codes.InvalidArgument, must.Sprint(name))
		must.Eq(t, written, text.Len(), must.Sprint(name))
	}
	for _, spec := range []pool.Spec{{}, {Name: "p"}, {Name: "p", CIDR: hostBits}, {Name: "p", CIDR: netip.MustParsePrefix("10.1.0.0/24"), NodeSelector: "a="}} {
		must.ErrorIs(t, r.SetPool(spec), pool.ErrInvalid)
		must.Eq(t, written, text.Len())
	}
	for _, what := range [][2]string{{"", ""}, {"nodes", ""}, {"ip", ""}, {"ip", "10.0.0"}} {
		shown, err := r.Show(what[0], what[1])
		must.Error(t, err)
		must.Eq(t, "", shown)
		must.Eq(t, written, text.Len())
	}
	must.False(t, r.DropBlock(netip.Prefix{}))
	must.False(t, r.DropAffinity(n1, netip.Prefix{}))
	must.False(t, r.DropAffinity(affinity.Owner{}, cidr))
	must.False(t, r.DropAffinity(affinity.Owner{Name: "n1"}, cidr), must.Sprint("an owner without a type has no affinity"))
	must.False(t, r.DropAffinity(affinity.Owner{Type: "node", Name: "n1"}, cidr))
	must.Eq(t, written, text.Len())
	must.NoError(t, r.Err())

	// Refused because of the state: this is an outcome, and written.
	must.ErrorIs(t, r.AssignIP(ipam.AssignIPArgs{Host: "n1", IP: netip.MustParseAddr("11.0.0.1")}), codes.NotInPool)
	must.ErrorIs(t, r.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/25")}), pool.ErrOverlap)
	must.False(t, r.DropBlock(netip.MustParsePrefix("10.9.0.0/28")))
	must.Greater(t, written, text.Len())
	r.State()
	must.NoError(t, replays("", text.Bytes()))
}

// TestRecorderNarrowed: what is done for some blocks, pools or a certain owner replays
// so.
func TestRecorderNarrowed(t *testing.T) {
	r, clock, text := recorded(t)
	must.NoError(t, r.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	v4, _, err := r.AutoAssign(pod("n1", "h", 40))
	must.NoError(t, err)
	must.NoError(t, v4.Err())
	must.NoError(t, r.ReleaseByHandle("h"))
	clock.Advance(time.Hour)
	first := r.State().Blocks[0]
	r.GarbageCollectColdIPs(netip.Prefix{})
	r.GarbageCollectColdIPs(first.CIDR, netip.Prefix{})
	state := r.State()
	must.SliceEmpty(t, state.Blocks[0].Allocations)
	must.SliceNotEmpty(t, state.Blocks[1].Allocations)
	must.Len(t, 1, r.GetUtilization(r.Pools()[0].Name))
	must.NoError(t, r.ReleaseBlockAffinityOf(first, true))
	must.NoError(t, r.ReleaseBlockAffinityOf(ipam.BlockState{CIDR: first.CIDR}, true))
	must.Len(t, len(state.Blocks)-1, r.State().Blocks)
	must.NoError(t, r.Err())
	must.NoError(t, replays("", text.Bytes()))
}

// TestRecorderOfRawEdits: the format has no raw edits of blocks, handles and pools.
// One that is refused changes nothing, and the recording goes on.
func TestRecorderOfRawEdits(t *testing.T) {
	cidr := netip.MustParsePrefix("10.0.0.0/30")
	for what, edit := range map[string]func(r *Recorder, cidr netip.Prefix) bool{
		"PutBlock": func(r *Recorder, cidr netip.Prefix) bool {
			return r.PutBlock(ipam.BlockState{CIDR: cidr, Free: []int{0, 1, 2, 3}}) == nil
		},
		"PutHandle": func(r *Recorder, cidr netip.Prefix) bool {
			return r.PutHandle(ipam.HandleState{ID: "h", Counts: []ipam.HandleCount{{Block: cidr, Count: 1}}}) == nil
		},
		"DropHandle": func(r *Recorder, cidr netip.Prefix) bool { return cidr.IsValid() && r.DropHandle("h") },
		"PutPool": func(r *Recorder, cidr netip.Prefix) bool {
			return r.PutPool(pool.Spec{Name: "new", CIDR: netip.PrefixFrom(netip.MustParseAddr("10.77.0.0"), cidr.Bits()), BlockSize: 30}) == nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			r, _, text := recorded(t)
			_, _, err := r.AutoAssign(pod("n1", "h", 1))
			must.NoError(t, err)
			must.False(t, edit(r, netip.Prefix{}))
			must.NoError(t, r.Err())
			must.True(t, edit(r, cidr))
			must.ErrorIs(t, r.Err(), ErrNotRecordable)
			must.ErrorContains(t, r.Err(), what)
			must.NoError(t, replays("", text.Bytes()))
		})
	}
}

// TestRecorderWriteErrors: the first error of the writer stays, and operations
// still work.
func TestRecorderWriteErrors(t *testing.T) {
	a, clock := cluster(t)
	_, err := NewRecorder(&full{}, a, "", "")
	must.ErrorIs(t, err, errFull)

	w := &full{left: 3} // the header and two operations
	r, err := NewRecorder(w, a, "", "")
	must.NoError(t, err)
	for i := range 6 {
		v4, _, err := r.AutoAssign(pod("n1", "h"+strconv.Itoa(i), 1))
		must.NoError(t, err)
		must.Len(t, 1, v4.IPs)
		must.Eq(t, i >= 2, errors.Is(r.Err(), errFull))
		w.left = max(w.left, i-3) // there is room again, but the error stays
	}
	clock.Advance(time.Millisecond)
	r.State()
	must.ErrorIs(t, r.Err(), errFull, must.Sprint("the first error stays"))
	must.False(t, errors.Is(r.Err(), ErrNotRecordable))
	must.Eq(t, 3, bytes.Count(w.Bytes(), []byte("\n")), must.Sprint("nothing after the error"))
	must.NoError(t, replays("", w.Bytes()))
	must.NoError(t, a.Check())
}

func TestRecorderNotUTF8(t *testing.T) {
	r, _, text := recorded(t)
	_, _, err := r.AutoAssign(pod("n1", "\ufffd", 1))
	must.NoError(t, err)
	must.NoError(t, r.Err())
	v4, _, err := r.AutoAssign(pod("n1", "\xff", 1)) // another handle, which JSON would make the same
	must.NoError(t, err)
	must.Len(t, 1, v4.IPs)
	must.ErrorIs(t, r.Err(), ErrNotRecordable)
	must.NoError(t, replays("", text.Bytes()))
}

func TestRecorderPutIPAMConfig(t *testing.T) {
	r, _, text := recorded(t)
	fits := ipam.Config{StrictAffinity: true, MaxBlocksPerHost: 2}
	must.NoError(t, r.PutIPAMConfig(fits))
	must.Eq(t, fits, r.GetIPAMConfig())
	must.NoError(t, r.Err())
	_, ops, err := readAll("", bytes.NewReader(text.Bytes()))
	must.NoError(t, err)
	must.Len(t, 1, ops)
	must.Eq(t, "SetIPAMConfig", ops[0].Op)

	conflicts := ipam.Config{AutoAllocateBlocks: true, MaxBlocksPerHost: 2}
	must.NoError(t, r.PutIPAMConfig(conflicts))
	must.Eq(t, conflicts, r.GetIPAMConfig())
	must.ErrorIs(t, r.Err(), ErrNotRecordable)
	must.NoError(t, replays("", text.Bytes()))
}

// TestRecorderReturns: a Recorder returns what the allocator returns.
func TestRecorderReturns(t *testing.T) {
	r, _, _ := recorded(t)
	plain, _ := cluster(t)
	args := ipam.AutoAssignArgs{Host: "n1", Num4: 2, Num6: 1, Handle: "h", Use: pool.Workload}
	want4, want6, wantErr := plain.AutoAssign(args)
	got4, got6, err := r.AutoAssign(args)
	must.NoError(t, wantErr)
	must.NoError(t, err)
	must.Len(t, 2, got4.IPs)
	must.Eq(t, want4, got4)
	must.Eq(t, want6, got6)
	ips, err := r.IPsByHandle("h")
	must.NoError(t, err)
	must.Eq(t, []netip.Addr{got4.IPs[0].Addr(), got4.IPs[1].Addr(), got6.IPs[0].Addr()}, ips)
	want, err := show(plain, "blocks", "")
	must.NoError(t, err)
	shown, err := r.Show("blocks", "")
	must.NoError(t, err)
	must.Eq(t, want, shown)
	must.Eq(t, plain.State(), r.State())
	must.Eq(t, plain.GetUtilization(), r.GetUtilization())
	unallocated, released, err := r.ReleaseIPs(ipam.Release{IP: ips[1]}, ipam.Release{IP: ips[0].Prev()}, ipam.Release{IP: ips[0]})
	must.NoError(t, err)
	must.Eq(t, []netip.Addr{ips[0].Prev()}, unallocated)
	must.SliceContainsAllOp(t, released, []netip.Addr{ips[0].Prev(), ips[1], ips[0]})
	must.NoError(t, r.Err())
}

// TestRecorderShortForms: with a Recorder the short forms of operations do and
// return the same as without, and are written as the long forms.
func TestRecorderShortForms(t *testing.T) {
	r, _, text := recorded(t)
	plain, _ := cluster(t)
	args := ipam.AutoAssignArgs{Host: "n1", Num4: 3, Num6: 1, Handle: "h", Use: pool.Workload}
	got4, got6, want4, want6 := new(ipam.Assignment), new(ipam.Assignment), new(ipam.Assignment), new(ipam.Assignment)
	for range 2 {
		must.NoError(t, plain.AutoAssignInto(&args, want4, want6))
		must.NoError(t, r.AutoAssignInto(&args, got4, got6))
		must.Eq(t, want4, got4)
		must.Eq(t, want6, got6)
	}
	ip, seq := got4.IPs[0].Addr(), r.SequenceNumber(got4.IPs[0].Addr())
	stale := seq - 1
	for _, release := range []ipam.Release{
		{IP: ip, Handle: "g"}, {IP: ip, Sequence: &stale}, {IP: ip, Handle: "h", Sequence: &seq}, {IP: ip}, {IP: got6.IPs[0].Addr()},
		{IP: netip.MustParseAddr("10.0.0.1")}, {IP: netip.MustParseAddr("11.0.0.1")}, {},
	} {
		want, wantErr := plain.ReleaseIP(release)
		got, err := r.ReleaseIP(release)
		must.Eq(t, want, got, must.Sprintf("%v", release))
		must.Eq(t, codes.Of(wantErr), codes.Of(err), must.Sprintf("%v", release))
	}
	must.Eq(t, plain.State(), r.State())
	must.NoError(t, r.Err())
	must.NoError(t, replays("", text.Bytes()))
	_, ops, err := readAll("", bytes.NewReader(text.Bytes()))
	must.NoError(t, err)
	must.Len(t, 2+7+1, ops)
	must.Eq(t, "AutoAssign", ops[0].Op)
	must.Eq(t, "ReleaseIPs", ops[2].Op)
}

// TestRecorderConcurrently: the order of a recording is the order of the
// operations, from any goroutine.
func TestRecorderConcurrently(t *testing.T) {
	r, _, text := recorded(t)
	rounds := 60
	if property.Long() {
		rounds = 2000
	}
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			host := []string{"n1", "n2"}[g%2]
			handle := "h" + strconv.Itoa(g/2) // two share one
			for i := range rounds {
				v4, _, _ := r.AutoAssign(pod(host, handle, 1+i%3))
				switch i % 6 {
				case 0:
					_ = r.ReleaseByHandle(handle)
				case 1:
					for _, ip := range v4.IPs {
						// The number may be stale by the time it is used.
						seq := r.SequenceNumber(ip.Addr())
						_, _, _ = r.ReleaseIPs(ipam.Release{IP: ip.Addr(), Handle: handle, Sequence: &seq})
					}
				case 2:
					_, _ = r.Show("blocks", "")
					_, _ = r.Show("borrowed", "")
				case 3:
					_ = r.PutIPAMConfig(ipam.Config{AutoAllocateBlocks: true, StrictAffinity: g%2 == 0})
				case 4:
					_ = r.ReleaseHostAffinities(affinity.HostOwner(host), true)
					r.GetUtilization()
				case 5:
					r.State()
				}
			}
		})
	}
	wg.Wait()
	r.State()
	must.NoError(t, r.Err())
	must.NoError(t, r.Check())
	must.NoError(t, replays("concurrent", text.Bytes()))
}

// TestRecorderReleasesAtOneMoment: the recording says whether a sequence number
// was current when the address was released, even if another operation waits in
// between.
func TestRecorderReleasesAtOneMoment(t *testing.T) {
	var onLook func() // called when the allocator reads the clock
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: func() time.Time {
		if f := onLook; f != nil {
			onLook = nil
			f()
		}
		return clock.Now()
	}})
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/31"), BlockSize: 31}))
	must.NoError(t, a.SetNode(ipam.Node{Name: "n1"}))
	var text bytes.Buffer
	r, err := NewRecorder(&text, a, "", "")
	must.NoError(t, err)
	v4, _, err := r.AutoAssign(pod("n1", "h", 2))
	must.NoError(t, err)
	ip := v4.IPs[0].Addr()
	seq := r.SequenceNumber(ip)

	other := make(chan struct{})
	onLook = func() {
		must.False(t, r.mu.TryLock(), must.Sprint("an operation under way keeps others waiting"))
		go func() {
			defer close(other)
			_, _ = r.ReleaseIP(ipam.Release{IP: ip})
			_, _, _ = r.AutoAssign(pod("n1", "g", 1))
		}()
	}
	_, _, _ = r.ReleaseIPs(ipam.Release{IP: ip, Sequence: &seq})
	<-other
	r.State()
	must.NoError(t, r.Err())
	must.NoError(t, replays("", text.Bytes()))
}

// TestRecordGzip goes the way that the documentation of Writer describes.
func TestRecordGzip(t *testing.T) {
	a, _ := cluster(t)
	var text bytes.Buffer
	z := gzip.NewWriter(&text)
	r, err := NewRecorder(z, a, "", "")
	must.NoError(t, err)
	_, _, err = r.AutoAssign(pod("n1", "h", 3))
	must.NoError(t, err)
	must.NoError(t, r.Err())
	must.NoError(t, z.Close())
	result, err := replayText("", text.Bytes())
	must.NoError(t, err)
	must.Eq(t, Result{Operations: 1}, result)
}

// readOnly are the methods of ipam.Allocator that change nothing and need not be
// recorded. A new method belongs here only if it changes nothing: not even what
// a later operation answers.
var readOnly = []string{"Affinities", "BlockOf", "Blocks", "Calico", "Check", "Cluster", "CountBlock", "GetIPAMConfig", "Nodes", "Now", "Pools", "ReadBlock", "Reservations", "SequenceNumber", "Summary", "Watch"}

// notOfTheAllocator are operations that no method of the allocator has, such as
// moving the clock.
var notOfTheAllocator = []string{"Advance", "AddPod", "DeletePod", "Sync"}

// unrecorded returns the methods that are neither recorded nor read-only, and
// the read-only ones that there are not.
func unrecorded(methods, recorded, readOnly []string) (missing, stale []string) {
	for _, m := range methods {
		if !slices.Contains(recorded, m) && !slices.Contains(readOnly, m) {
			missing = append(missing, m)
		}
	}
	for _, m := range readOnly {
		if !slices.Contains(methods, m) || slices.Contains(recorded, m) {
			stale = append(stale, m)
		}
	}
	return missing, stale
}

// TestRecorderOverridesEverything: an embedded method that changes the allocator
// would spoil recordings silently.
func TestRecorderOverridesEverything(t *testing.T) {
	var methods []string
	typ := reflect.TypeFor[*ipam.Allocator]()
	for i := range typ.NumMethod() {
		methods = append(methods, typ.Method(i).Name)
	}
	own := declaredMethods(t, "Recorder")
	missing, stale := unrecorded(methods, own, readOnly)
	must.SliceEmpty(t, missing, must.Sprint("methods of ipam.Allocator that Recorder must record, or readOnly name"))
	must.SliceEmpty(t, stale, must.Sprint("readOnly names methods that there are not, or that are recorded"))

	// A Player must know every operation that is written, and no others.
	for name := range operations {
		must.True(t, slices.Contains(notOfTheAllocator, name) || slices.Contains(own, name), must.Sprintf("operation %s cannot be recorded", name))
	}
	beside := []string{
		"Err",
		"PutIPAMConfig", "AutoAssignInto", "ReleaseIP", "ReleaseBlockAffinityOf", // written as SetIPAMConfig, AutoAssign, ReleaseIPs, ReleaseBlockAffinity
		"PutBlock", "PutHandle", "DropHandle", "PutPool", // end the recording
	}
	for _, name := range own {
		must.True(t, operations[name] != nil || slices.Contains(beside, name), must.Sprintf("%s is recorded as what no Player knows", name))
	}
	// The check itself.
	missing, stale = unrecorded(append(methods, "Defragment"), own, append(slices.Clone(readOnly), "Peek", "AutoAssign"))
	must.Eq(t, []string{"Defragment"}, missing)
	must.Eq(t, []string{"Peek", "AutoAssign"}, stale)
	missing, _ = unrecorded(methods, slices.DeleteFunc(slices.Clone(own), func(m string) bool { return m == "DropBlock" }), readOnly)
	must.Eq(t, []string{"DropBlock"}, missing)
}

// declaredMethods returns the exported methods that this package declares on
// *typ, promoted ones left out.
func declaredMethods(t *testing.T, typ string) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	must.NoError(t, err)
	var methods []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		must.NoError(t, err)
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || !fn.Name.IsExported() {
				continue
			}
			if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok {
				if id, ok := star.X.(*ast.Ident); ok && id.Name == typ {
					methods = append(methods, fn.Name.Name)
				}
			}
		}
	}
	return methods
}
