package protocol

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/program"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// faulty is an engine with some operations replaced.
type faulty struct {
	trace.Engine

	autoAssign  func(ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error)
	assignIP    func(ipam.AssignIPArgs) error
	ensureBlock func(ipam.EnsureBlockArgs) (block4, block6 netip.Prefix, err error)
	releaseIPs  func(...ipam.Release) (unallocated, released []netip.Addr, err error)
	releaseHost func(affinity.Owner, bool) error
	setOwner    func(netip.Addr, string, ipam.OwnerUpdate, ipam.OwnerPreconditions) error
	collect     func(...netip.Prefix)
	reserve     func([]string) []pool.Warning
	dropBlock   func(netip.Prefix) bool
	claim       func(netip.Prefix, affinity.Owner) (claimed, failed []netip.Prefix, err error)
	releasePool func(netip.Prefix) error
}

func (f *faulty) AutoAssign(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
	return f.autoAssign(args)
}
func (f *faulty) AssignIP(args ipam.AssignIPArgs) error { return f.assignIP(args) }
func (f *faulty) EnsureBlock(args ipam.EnsureBlockArgs) (block4, block6 netip.Prefix, err error) {
	return f.ensureBlock(args)
}
func (f *faulty) ReleaseIPs(r ...ipam.Release) (unallocated, released []netip.Addr, err error) {
	return f.releaseIPs(r...)
}
func (f *faulty) ReleaseHostAffinities(o affinity.Owner, mustBeEmpty bool) error {
	return f.releaseHost(o, mustBeEmpty)
}
func (f *faulty) SetOwnerAttributes(ip netip.Addr, handle string, u ipam.OwnerUpdate, pre ipam.OwnerPreconditions) error {
	return f.setOwner(ip, handle, u, pre)
}
func (f *faulty) GarbageCollectColdIPs(blocks ...netip.Prefix) { f.collect(blocks...) }
func (f *faulty) SetReservations(e []string) []pool.Warning    { return f.reserve(e) }
func (f *faulty) DropBlock(cidr netip.Prefix) bool             { return f.dropBlock(cidr) }
func (f *faulty) ClaimAffinity(cidr netip.Prefix, o affinity.Owner) (claimed, failed []netip.Prefix, err error) {
	return f.claim(cidr, o)
}
func (f *faulty) ReleasePoolAffinities(cidr netip.Prefix) error { return f.releasePool(cidr) }

// spoilt makes engines with a fault, from those that make makes.
func spoilt(make makeEngine, spoil func(f *faulty)) makeEngine {
	return func(o ipam.Options) trace.Engine {
		e := make(o)
		f := &faulty{
			e, e.AutoAssign, e.AssignIP, e.EnsureBlock, e.ReleaseIPs, e.ReleaseHostAffinities, e.SetOwnerAttributes,
			e.GarbageCollectColdIPs, e.SetReservations, e.DropBlock, e.ClaimAffinity, e.ReleasePoolAffinities,
		}
		spoil(f)
		return f
	}
}

// handful is the greatest length to which a program that shows a fault may shrink.
const handful = 5

// calls are faults of either engine in its operations.
var calls = map[string]func(f *faulty){
	"attributes are lost": func(f *faulty) {
		f.autoAssign = func(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
			args.Attrs = block.Attrs{}
			return f.Engine.AutoAssign(args)
		}
	},
	"one address in four is not given": func(f *faulty) {
		f.autoAssign = func(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
			if args.Num4 > 3 {
				args.Num4--
			}
			return f.Engine.AutoAssign(args)
		}
	},
	"a host reservation is forgotten": func(f *faulty) {
		f.ensureBlock = func(args ipam.EnsureBlockArgs) (block4, block6 netip.Prefix, err error) {
			if r := args.HostReserved4; r != nil && r.EndOfBlock == 1 {
				args.HostReserved4 = &ipam.HostReservation{StartOfBlock: r.StartOfBlock + 1, Handle: r.Handle, Note: r.Note}
			}
			return f.Engine.EnsureBlock(args)
		}
	},
	"sequence numbers are not looked at": func(f *faulty) {
		f.releaseIPs = func(r ...ipam.Release) (unallocated, released []netip.Addr, err error) {
			for i := range r {
				r[i].Sequence = nil
			}
			return f.Engine.ReleaseIPs(r...)
		}
	},
	"blocks in use are given back": func(f *faulty) {
		f.releaseHost = func(o affinity.Owner, _ bool) error { return f.Engine.ReleaseHostAffinities(o, false) }
	},
	"owners are changed on no condition": func(f *faulty) {
		f.setOwner = func(ip netip.Addr, handle string, u ipam.OwnerUpdate, _ ipam.OwnerPreconditions) error {
			return f.Engine.SetOwnerAttributes(ip, handle, u, ipam.OwnerPreconditions{})
		}
	},
	"cold addresses are not collected": func(f *faulty) { f.collect = func(...netip.Prefix) {} },
	"reservations are only added to": func(f *faulty) {
		var all []string
		f.reserve = func(e []string) []pool.Warning {
			all = append(all, e...)
			return f.Engine.SetReservations(all)
		}
	},
	"blocks do not get lost": func(f *faulty) { f.dropBlock = func(netip.Prefix) bool { return false } },
}

// rareCalls are faults that take long to show.
var rareCalls = map[string]func(f *faulty){
	"the limit of a handle is ignored": func(f *faulty) {
		f.assignIP = func(args ipam.AssignIPArgs) error {
			args.MaxAllocPerHandle = 0
			return f.Engine.AssignIP(args)
		}
	},
	"of an address given twice the first counts": func(f *faulty) {
		f.releaseIPs = func(r ...ipam.Release) (unallocated, released []netip.Addr, err error) {
			r = slices.Clone(r)
			slices.Reverse(r)
			return f.Engine.ReleaseIPs(r...)
		}
	},
}

// oddCalls are faults that only show if blocks have any size, claims are wider
// than pools, and owners of both types have the same name.
var oddCalls = map[string]func(f *faulty){
	"claims end with the pool": func(f *faulty) {
		f.claim = func(cidr netip.Prefix, o affinity.Owner) (claimed, failed []netip.Prefix, err error) {
			for _, p := range f.GetUtilization() {
				if cidr.Contains(p.CIDR.Addr()) && cidr.Bits() < p.CIDR.Bits() {
					cidr = p.CIDR
				}
			}
			return f.Engine.ClaimAffinity(cidr, o)
		}
	},
	"a larger block is not in the CIDR": func(f *faulty) {
		f.releasePool = func(cidr netip.Prefix) error {
			for _, a := range f.State().Affinities {
				if cidr.Contains(a.CIDR.Addr()) && a.CIDR.Bits() < cidr.Bits() {
					return nil
				}
			}
			return f.Engine.ReleasePoolAffinities(cidr)
		}
	},
	"a namesake's claim is left alone": func(f *faulty) {
		f.claim = func(cidr netip.Prefix, o affinity.Owner) (claimed, failed []netip.Prefix, err error) {
			for _, a := range f.State().Affinities {
				if a.CIDR == cidr && a.Owner.Name == o.Name && a.Owner != o {
					return nil, []netip.Prefix{cidr}, nil
				}
			}
			return f.Engine.ClaimAffinity(cidr, o)
		}
	},
}

// writes are faults of the client in its writes.
var writes = map[string]func(s *Store, r *Request){
	"the queue loses its order": func(_ *Store, r *Request) {
		if b, ok := r.Object.(*Block); ok {
			slices.Sort(b.Queue)
		}
	},
	"a sequence number is used again": func(_ *Store, r *Request) {
		if b, ok := r.Object.(*Block); ok && r.Verb == Update {
			b.Sequence--
		}
	},
	"claims are not confirmed": func(_ *Store, r *Request) {
		if a, ok := r.Object.(*Affinity); ok && a.State == affinity.Confirmed {
			a.State = affinity.Pending
		}
	},
	"claim times are lost": func(_ *Store, r *Request) {
		if b, ok := r.Object.(*Block); ok {
			b.Claimed = time.Time{}
		}
	},
	"handles stay when they count nothing": func(_ *Store, r *Request) {
		if h, ok := r.Object.(*Handle); ok && r.Verb == Delete {
			*r = Request{Verb: Update, Key: r.Key, Object: h}
		}
	},
	"the surplus of handles is lost": func(s *Store, r *Request) {
		if h, ok := r.Object.(*Handle); ok && r.Verb == Create {
			for cidr, n := range h.Counts {
				h.Counts[cidr] = min(n, 16)
			}
		}
	},
	"attributes are not shared": func(_ *Store, r *Request) {
		if b, ok := r.Object.(*Block); ok {
			var own []Record
			for ord, i := range b.Index {
				if i != free {
					own = append(own, b.Records[i])
					b.Index[ord] = len(own) - 1
				}
			}
			b.Records = own
		}
	},
	"blocks outlive their last address": func(_ *Store, r *Request) {
		if b, ok := r.Object.(*Block); ok && r.Verb == Delete {
			*r = Request{Verb: Update, Key: r.Key, Object: b}
		}
	},
}

// TestBothEnginesReject: a fault of either engine is found, and the program
// shrinks to a few operations. A long run tries every fault.
func TestBothEnginesReject(t *testing.T) {
	alone(t)
	faults := maps.Clone(calls)
	if property.Long() {
		maps.Copy(faults, rareCalls)
	}
	for _, name := range property.Some(slices.Sorted(maps.Keys(faults))) {
		t.Run("allocator: "+name, func(t *testing.T) { found(t, client, spoilt(allocator, faults[name])) })
		if property.Long() {
			t.Run("client: "+name, func(t *testing.T) { found(t, spoilt(client, faults[name]), allocator) })
		}
	}
	if property.Long() { // programs that show them are rare
		for name, fault := range oddCalls {
			t.Run("allocator: "+name, func(t *testing.T) { foundIn(t, "odd", client, spoilt(allocator, fault)) })
		}
	}
	for _, name := range property.Some(slices.Sorted(maps.Keys(writes))) {
		t.Run("client writes: "+name, func(t *testing.T) { found(t, writing(writes[name]), allocator) })
	}
}

// alone skips a test under the race detector, which would make it ten times slower
// and find nothing in its only goroutine.
func alone(t *testing.T) {
	t.Helper()
	if property.UnderRace {
		t.Skip("one goroutine")
	}
}

// tamper is a datastore that changes requests before they are carried out.
type tamper struct {
	*Store
	with func(s *Store, r *Request)
}

func (x tamper) Do(r Request) Response {
	x.with(x.Store, &r)
	return x.Store.Do(r)
}

// writing makes clients with a fault in their writes.
func writing(fault func(s *Store, r *Request)) makeEngine {
	return func(o ipam.Options) trace.Engine {
		cluster := clusterOf(o.Calico)
		return cluster.Client(tamper{cluster.Store(), fault}, o.Now)
	}
}

// found returns the shortest program in which the engines differ.
func found(t *testing.T, ref, other makeEngine) *pair {
	t.Helper()
	return foundIn(t, program.Worlds[0].Name, ref, other)
}

// foundIn is found for the programs of one world.
func foundIn(t *testing.T, world string, ref, other makeEngine) *pair {
	t.Helper()
	w := program.Worlds[slices.IndexFunc(program.Worlds, func(w *program.World) bool { return w.Name == world })]
	var last *pair
	var seen program.Coverage
	must.True(t, property.Shrinks(t, 5000, 8, func(rt *rapid.T) {
		prog := program.New(w, property.Rapid(rt))
		last = pairOf(rt, prog, ref, other)
		last.play(rt, prog, &seen)
	}), must.Sprint("no program shows the fault"))
	must.LessEq(t, handful, len(last.ops), must.Sprintf("%+v", last.ops))
	return last
}
