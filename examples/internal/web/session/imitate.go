package session

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// This file finds operations, each done as a whole, that lead to the state that clients
// side by side have made: recordings have no single calls.

// mostOrders is how many orders of the clients' operations are tried.
const mostOrders = 500

// A job is what a client did about one pod.
type job struct {
	op     trace.Op
	client int
	begun  int // the step of the schedule in which it made its first call
	ended  int // and its last one
}

// jobs are the operations that were done to their ends.
func (s *slow) jobs() (jobs []job) {
	for i, c := range s.clients {
		for k := range c.answers {
			p := c.pods[k]
			j := job{client: i, begun: c.begun[k], ended: c.ended[k]}
			if c.adds() {
				_, in := s.world.request(p)
				j.op = trace.Op{Op: "AutoAssign", In: in}
			} else {
				j.op = trace.Op{Op: "ReleaseByHandle", In: trace.In{Handle: p.handle}}
			}
			jobs = append(jobs, j)
			if a := c.answers[k]; c.adds() && short(a.v4, a.v6, a.err) != "" && len(a.v4.IPs)+len(a.v6.IPs) > 0 {
				jobs = append(jobs, job{client: i, begun: j.begun, ended: j.ended, op: trace.Op{Op: "ReleaseByHandle", In: trace.In{Handle: p.handle}}})
			}
		}
	}
	return jobs
}

// orders are orders in which the operations may have happened, the likeliest first: as
// they ended, as they began, and then others.
func (s *slow) orders() (orders [][]trace.Op) {
	jobs := s.jobs()
	ops := func(jobs []job) (ops []trace.Op) {
		for _, j := range jobs {
			ops = append(ops, j.op)
		}
		return ops
	}
	for _, key := range []func(job) int{func(j job) int { return j.ended }, func(j job) int { return j.begun }} {
		sorted := slices.Clone(jobs)
		slices.SortStableFunc(sorted, func(a, b job) int { return cmp.Compare(key(a), key(b)) })
		orders = append(orders, ops(sorted))
	}
	perClient := make([][]trace.Op, len(s.clients))
	for _, j := range jobs {
		perClient[j.client] = append(perClient[j.client], j.op)
	}
	var all func(done []trace.Op)
	all = func(done []trace.Op) {
		if len(orders) >= mostOrders {
			return
		}
		if len(done) == len(jobs) {
			orders = append(orders, slices.Clone(done))
			return
		}
		for i, left := range perClient {
			if len(left) > 0 {
				perClient[i] = left[1:]
				all(append(done, left[0]))
				perClient[i] = left
			}
		}
	}
	all(nil)
	return orders
}

// imitate does operations on a copy of the allocator, then writes by hand what clients
// that died have left, and returns the operations if that leads to the state.
func (w *world) imitate(order []trace.Op, after ipam.State, want *trace.State) ([]trace.Op, error) {
	a, err := ipam.Restore(w.ipam.Cluster(), ipam.Options{Now: w.clock.Now, Calico: w.ipam.Calico()})
	if err != nil {
		return nil, err
	}
	try := &imitation{player: trace.PlayOn(a, w.clock), a: a}
	for _, op := range order {
		try.do(op.Op, op.In)
	}
	try.mend(after)
	if key, _, _ := want.Compare(trace.StateOf(a.State(), "")); key != "" {
		return nil, nil
	}
	return append([]trace.Op{}, try.ops...), nil
}

// An imitation is a copy of the allocator with what was done to it.
type imitation struct {
	player *trace.Player
	a      *ipam.Allocator
	ops    []trace.Op
}

func (t *imitation) do(name string, in trace.In) {
	op := trace.Op{Op: name, In: in}
	_, _ = t.player.Do(op) // whatever comes of it shows in the state
	t.ops = append(t.ops, op)
}

// mend writes by hand what differs from the state, as far as recordings can: claims,
// empty blocks, and handles that count addresses in those.
func (t *imitation) mend(after ipam.State) {
	now := t.a.State()
	has := make(map[netip.Prefix]bool)
	for _, b := range now.Blocks {
		has[b.CIDR] = true
	}
	wanted := make(map[netip.Prefix]bool)
	for i := range after.Blocks {
		b := &after.Blocks[i]
		wanted[b.CIDR] = true
		if len(b.Allocations) > 0 || b.Owner.IsZero() {
			continue
		}
		in := trace.In{CIDR: b.CIDR.String(), Host: b.Owner.Name, Type: ownerType(b.Owner)}
		surplus := t.surplus(b.CIDR, after)
		for i, id := range surplus { // a block that is dropped leaves what handles count in it
			if i < 1<<(b.CIDR.Addr().BitLen()-b.CIDR.Bits()) {
				t.do("AssignIP", trace.In{IP: b.Addr(i).String(), Host: b.Owner.Name, Handle: id})
			}
		}
		if len(surplus) > 0 {
			t.do("DropBlock", trace.In{CIDR: in.CIDR})
		}
		if len(surplus) > 0 || !has[b.CIDR] {
			t.do("ClaimAffinity", in)
		}
	}
	for _, b := range now.Blocks {
		if !wanted[b.CIDR] {
			t.do("DropBlock", trace.In{CIDR: b.CIDR.String()})
		}
	}
	t.mendClaims(after)
}

// surplus are the handles that count an address in an empty block, and do not do so yet.
func (t *imitation) surplus(cidr netip.Prefix, after ipam.State) (ids []string) {
	counts := make(map[string]bool)
	for _, h := range t.a.State().Handles {
		for _, n := range h.Counts {
			counts[strings.ToLower(h.ID)] = counts[strings.ToLower(h.ID)] || n.Block == cidr
		}
	}
	for _, h := range after.Handles {
		for _, n := range h.Counts {
			if n.Block == cidr && n.Count == 1 && !counts[strings.ToLower(h.ID)] {
				ids = append(ids, h.ID)
			}
		}
	}
	return ids
}

// mendClaims writes the claims.
func (t *imitation) mendClaims(after ipam.State) {
	claims := make(map[claim]affinity.State)
	for _, a := range t.a.State().Affinities {
		claims[claim{a.Owner, a.CIDR}] = a.State
	}
	for _, a := range after.Affinities {
		if claims[claim{a.Owner, a.CIDR}] != a.State {
			t.do("PutAffinity", trace.In{CIDR: a.CIDR.String(), Host: a.Owner.Name, Type: ownerType(a.Owner), State: a.State.String()})
		}
		delete(claims, claim{a.Owner, a.CIDR})
	}
	for _, a := range t.a.State().Affinities {
		if _, left := claims[claim{a.Owner, a.CIDR}]; left {
			t.do("DropAffinity", trace.In{CIDR: a.CIDR.String(), Host: a.Owner.Name, Type: ownerType(a.Owner)})
		}
	}
}

// ownerType is the type of an owner as recordings write it.
func ownerType(o affinity.Owner) string {
	if o.Type == affinity.Host {
		return ""
	}
	return string(o.Type)
}
