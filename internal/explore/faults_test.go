package explore

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// tampered is a client's access to the datastore with a planted fault.
type tampered struct {
	access protocol.Access
	store  *protocol.Store
	do     func(*tampered, protocol.Request) protocol.Response
	done   map[protocol.Key]bool // the fault's own state
}

func (x *tampered) Do(r protocol.Request) protocol.Response { return x.do(x, r) }

// planting returns options for clients with the fault.
func planting(do func(*tampered, protocol.Request) protocol.Response) Options {
	return Options{Engine: func(c *protocol.Cluster, access protocol.Access, now func() time.Time) trace.Engine {
		return c.Client(&tampered{access, c.Store(), do, make(map[protocol.Key]bool)}, now)
	}}
}

// asking is a fault in the requests.
func asking(change func(x *tampered, r *protocol.Request)) Options {
	return planting(func(x *tampered, r protocol.Request) protocol.Response {
		change(x, &r)
		return x.access.Do(r)
	})
}

// hearing is a fault in the answers.
func hearing(change func(r protocol.Request, a *protocol.Response)) Options {
	return planting(func(x *tampered, r protocol.Request) protocol.Response {
		a := x.access.Do(r)
		change(r, &a)
		return a
	})
}

// careless is a client that ignores sequence numbers.
type careless struct{ trace.Engine }

func (c careless) ReleaseIPs(releases ...ipam.Release) (unallocated, released []netip.Addr, err error) {
	releases = slices.Clone(releases)
	for i := range releases {
		releases[i].Sequence = nil
	}
	return c.Engine.ReleaseIPs(releases...)
}

// lowersFirst lowers the handle before it writes the released block.
func lowersFirst(x *tampered, r protocol.Request) protocol.Response {
	if h, ok := x.store.Look(r.Key).(*protocol.Handle); ok && r.Verb == protocol.Get && x.done[r.Key] {
		delete(x.done, h.Key())
		return protocol.Response{Result: protocol.Missing} // it is lowered already
	}
	was, _ := x.store.Look(r.Key).(*protocol.Block)
	if b, ok := r.Object.(*protocol.Block); ok && was != nil && r.Verb != protocol.Create {
		for ord := range was.Index {
			gone := held(was, ord) != nil && (held(b, ord) == nil || r.Verb == protocol.Delete)
			if !gone || was.Revision != b.Revision {
				continue
			}
			key := (&protocol.Handle{ID: held(was, ord).Handle}).Key()
			if a := x.access.Do(protocol.Request{Verb: protocol.Get, Key: key}); a.Result == protocol.OK {
				h := a.Object.(*protocol.Handle)
				h.Counts[b.CIDR]--
				x.access.Do(protocol.Request{Verb: protocol.Update, Key: key, Object: h})
				x.done[key] = true
			}
		}
	}
	return x.access.Do(r)
}

// faults are the faults that an exploration must find, with the invariant that
// each breaks.
var faults = []struct {
	name    string
	options Options
	by      []Invariant
}{
	{"confirmed before the block is created", asking(func(_ *tampered, r *protocol.Request) {
		if a, ok := r.Object.(*protocol.Affinity); ok && r.Verb == protocol.Create {
			a.State = affinity.Confirmed
		}
	}), []Invariant{Claim}},
	{"no revision is checked", asking(func(x *tampered, r *protocol.Request) {
		if r.Verb == protocol.Update && x.store.Look(r.Key) != nil {
			r.Verb = protocol.Apply
		}
	}), []Invariant{Sequence, Holder, Claim, Count, Queue}},
	{"a write does not raise the sequence number", asking(func(_ *tampered, r *protocol.Request) {
		if b, ok := r.Object.(*protocol.Block); ok && r.Verb == protocol.Update {
			b.Sequence--
		}
	}), []Invariant{Sequence}},
	{"a block made anew has an old sequence number", asking(func(x *tampered, r *protocol.Request) {
		if b, ok := r.Object.(*protocol.Block); ok && r.Verb == protocol.Create && x.store.Look(r.Key) == nil {
			r.Verb, b.Sequence = protocol.Apply, 1
		}
	}), []Invariant{Sequence}},
	{"a release does not look at sequence numbers", Options{Engine: func(c *protocol.Cluster, access protocol.Access, now func() time.Time) trace.Engine {
		return careless{c.Client(access, now)}
	}}, []Invariant{Holder}},
	{"the queue loses its order", asking(func(_ *tampered, r *protocol.Request) {
		if b, ok := r.Object.(*protocol.Block); ok {
			slices.Sort(b.Queue)
		}
	}), []Invariant{Queue}},
	{"handles are lowered before the release", planting(lowersFirst), []Invariant{Count}},
	{"pending counts as owned", hearing(func(_ protocol.Request, a *protocol.Response) {
		if a, ok := a.Object.(*protocol.Affinity); ok && a.State == affinity.Pending {
			a.State = affinity.Confirmed
		}
	}), []Invariant{Pending, Recovery}},
	{"a create overwrites", asking(func(_ *tampered, r *protocol.Request) {
		if r.Verb == protocol.Create {
			r.Verb = protocol.Apply
		}
	}), []Invariant{Owner, Sequence, Holder, Count}},
	{"handles are never lowered", asking(func(_ *tampered, r *protocol.Request) {
		if strings.HasPrefix(string(r.Key), "handle/") && r.Verb == protocol.Delete {
			*r = protocol.Request{Verb: protocol.Get, Key: r.Key}
		}
	}), []Invariant{Surplus}},
	{"handles are never raised", planting(func(x *tampered, r protocol.Request) protocol.Response {
		if strings.HasPrefix(string(r.Key), "handle/") && r.Verb == protocol.Create {
			return protocol.Response{Result: protocol.OK, Object: r.Object}
		}
		return x.access.Do(r)
	}), []Invariant{Count}},
	{"a block is given without being written", planting(func(x *tampered, r protocol.Request) protocol.Response {
		if strings.HasPrefix(string(r.Key), "block/") && r.Verb == protocol.Update {
			return protocol.Response{Result: protocol.OK, Object: r.Object}
		}
		return x.access.Do(r)
	}), []Invariant{Answers}},
	{"a taken block counts as one's own", hearing(func(r protocol.Request, a *protocol.Response) {
		if b, ok := a.Object.(*protocol.Block); ok && r.Verb == protocol.Get {
			b.Owner = affinity.HostOwner("n2")
		}
	}), []Invariant{Claim, Owner}},
	{"claims are given up by deleting them first", planting(func(x *tampered, r protocol.Request) protocol.Response {
		if a, ok := r.Object.(*protocol.Affinity); ok && a.State == affinity.PendingDeletion && r.Verb == protocol.Update {
			x.access.Do(protocol.Request{Verb: protocol.Delete, Key: r.Key, Object: a})
			return protocol.Response{Result: protocol.OK, Object: a}
		}
		return x.access.Do(r)
	}), []Invariant{Owner}},
	{"what cools down is free", asking(func(_ *tampered, r *protocol.Request) {
		if b, ok := r.Object.(*protocol.Block); ok && r.Verb == protocol.Update {
			for ord := range b.Index {
				if rec := record(b, ord); rec != nil && !rec.ReleasedAt.IsZero() {
					b.Index[ord], b.Sequences[ord] = -1, 0
					b.Queue = append(b.Queue, ord)
				}
			}
		}
	}), []Invariant{Holder, Queue}},
}

// TestFaults: the exploration finds each planted fault, in some program.
func TestFaults(t *testing.T) {
	property.Broken(t)
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			for _, p := range programs {
				r, err := Exhaustive(&p, Bounds{States: 300, Deaths: 1}, fault.options, nil)
				must.NoError(t, err)
				if len(r.Findings) == 0 {
					continue
				}
				f := r.Findings[0]
				t.Logf("%s: %v, by %s", p.Name, &f.Violation, f.Schedule)
				must.SliceContains(t, fault.by, f.Invariant)
				again, err := Run(&p, f.Schedule, fault.options)
				must.NoError(t, err)
				must.NotNil(t, again.Violation, must.Sprint("the schedule leads there again"))
				must.Eq(t, f.Violation, *again.Violation)
				return
			}
			t.Error("no exploration finds it")
		})
	}
}
