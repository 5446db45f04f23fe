package explore

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// rest checks the invariants of a cluster whose clients are all at rest, and lets
// every host recover. The cluster must not be used afterwards.
func (r *run) rest() {
	l := r.ledger
	for _, o := range r.store.LookList(protocol.AffinitiesKey) {
		a := o.(*protocol.Affinity)
		w := l.writings[a.Key()]
		if a.State != affinity.Confirmed && w != nil && !w.kept && !w.by.struck {
			l.violate(Pending, "%s is done, and left %s's affinity for %s %s", w.by, a.Owner, a.CIDR, a.State)
		}
	}
	for _, o := range r.store.LookList(protocol.HandlesKey) {
		h := o.(*protocol.Handle)
		for _, cidr := range slices.SortedFunc(maps.Keys(h.Counts), affinity.CompareCIDRNames) {
			if have := l.holds(h.ID, cidr); h.Counts[cidr] > have && !l.surplus[h.ID] {
				l.violate(Surplus, "handle %s counts %d in %s and holds %d", h.ID, h.Counts[cidr], cidr, have)
			}
		}
	}
	for _, n := range r.program.Setting.Nodes {
		if r.broken() == nil {
			r.recover(n.Name)
		}
	}
}

// everything is more addresses than a host can get: asking for them makes it try
// all its blocks, and claim others up to the limit.
const everything = 1 << 12

// recover makes a host ask for more addresses than there are, so that it tries all
// of its affinities, and then checks these.
func (r *run) recover(host string) {
	usable := make(map[bool][]pool.Spec)
	for _, p := range r.cluster.Pools() {
		// A pool that may not be for this host, or not always, proves nothing.
		if !p.Disabled && p.AssignmentMode != pool.Manual && p.NodeSelector == "" && p.NamespaceSelector == "" {
			is4 := p.CIDR.Addr().Is4()
			usable[is4] = append(usable[is4], p)
		}
	}
	for _, is4 := range []bool{true, false} {
		if len(usable[is4]) == 0 {
			continue
		}
		ask := race.Step{Op: "AutoAssign", In: trace.In{Host: host, Num4: everything, Use: string(pool.Workload)}}
		if !is4 {
			ask.In.Num4, ask.In.Num6 = 0, everything
		}
		blocks := r.found(host, is4)
		r.alone(host, ask)
		for _, cidr := range blocks {
			if a := r.store.Look(affinityKey(affinity.HostOwner(host), cidr)); a == nil {
				r.ledger.violate(Recovery, "%s has gone through its blocks, and has no affinity for %s", host, cidr)
			}
		}
		for _, o := range r.store.LookList(protocol.OwnerKey(affinity.HostOwner(host), is4)) {
			a := o.(*protocol.Affinity)
			if slices.ContainsFunc(usable[is4], func(p pool.Spec) bool { return p.CIDR.Contains(a.CIDR.Addr()) }) {
				r.recovered(a)
			}
		}
	}
}

// found returns the blocks that a host finds although they have no affinity: those
// with a free address, if it may claim any block.
func (r *run) found(host string, is4 bool) (cidrs []netip.Prefix) {
	if o, ok := r.store.Look(configKey).(*protocol.Config); ok && (!o.AutoAllocateBlocks || o.MaxBlocksPerHost > 0) {
		return nil
	}
	for _, o := range r.store.LookList(protocol.BlocksKey) {
		b := o.(*protocol.Block)
		free := slices.ContainsFunc(b.Queue, func(ord int) bool { return !r.ledger.reserved.Contains(addr(b, ord)) })
		if b.Owner == affinity.HostOwner(host) && b.CIDR.Addr().Is4() == is4 && free {
			cidrs = append(cidrs, b.CIDR)
		}
	}
	return cidrs
}

// recovering is the client number of a host that recovers.
const recovering = -1

// alone does an operation while all others are at rest.
func (r *run) alone(host string, s race.Step) {
	c := &client{run: r, number: recovering, spec: &Client{Host: host}}
	if err := c.begin([]race.Step{s}); err != nil {
		r.ledger.violate(Recovery, "%s cannot recover: %v", host, err)
	}
	defer func() { c.process.Kill() }()
	for c.waiting() && r.broken() == nil {
		request, _ := c.process.Request()
		before := r.store.Look(request.Key)
		answer := r.store.Do(request)
		if request.Verb != protocol.Get && request.Verb != protocol.List {
			r.ledger.wrote(c.work, request, answer.Result, before, r.store.Look(request.Key), Answered)
		}
		c.process.Answer(answer)
	}
}

// recovered checks an affinity that its host has tried.
func (r *run) recovered(a *protocol.Affinity) {
	if a.State != affinity.Confirmed {
		r.ledger.violate(Recovery, "%s has gone through its affinities, and that for %s is %s", a.Owner, a.CIDR, a.State)
	}
	if b := r.blockAt(a.CIDR); b == nil || b.Owner != a.Owner {
		r.ledger.violate(Recovery, "%s has gone through its affinities, and %s is not its own", a.Owner, a.CIDR)
	}
}
