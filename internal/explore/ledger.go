package explore

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// ledger checks a run against the invariants. It sees every write with the object
// before and after, and keeps what objects do not show: who was given an address,
// who wrote an affinity last, which numbers were used.
type ledger struct {
	run    *run
	rules  calico.Rules // of the release that the clients are of
	broken *Violation   // the first

	reserved *pool.Reservations
	grants   map[netip.Addr]*grant    // who holds what is allocated and not cooling
	last     map[netip.Addr]string    // the handle that an address was last given to
	begun    map[netip.Prefix][]int64 // the first number of a block, each time that it was made
	highest  uint64                   // the highest number of a block so far
	writings map[protocol.Key]*writing
	// overtaken are the claims that lost their block to a release that had begun
	// before, by affinity.
	overtaken map[protocol.Key]*work
	surplus   map[string]bool // handles that may count more than they hold
	deficit   map[share]bool  // and that may count less
}

// grant is one allocation of an address, from its assignment to its release.
type grant struct {
	ip     netip.Addr
	handle string
	to     *work // nil for what the setup did
}

// writing is the last write of an affinity.
type writing struct {
	cidr netip.Prefix
	by   *work
	kept bool // by could not go on
}

// share names the addresses of a handle in a block.
type share struct {
	handle string
	cidr   netip.Prefix
}

// open returns the ledger of a cluster before any client works on it. What is
// wrong already is no violation.
func open(r *run) *ledger {
	l := &ledger{
		run: r, rules: r.cluster.Calico().Rules(), grants: make(map[netip.Addr]*grant), last: make(map[netip.Addr]string), begun: make(map[netip.Prefix][]int64), writings: make(map[protocol.Key]*writing),
		overtaken: make(map[protocol.Key]*work), surplus: make(map[string]bool), deficit: make(map[share]bool),
	}
	entries := r.program.Setting.Reservations
	for _, s := range r.program.Before {
		if s.Op == "SetReservations" {
			entries = s.In.Reservations
		}
	}
	l.reserved, _ = pool.ParseReservations(entries)
	for _, o := range r.store.LookList(protocol.BlocksKey) {
		b := o.(*protocol.Block)
		for ord := range b.Index {
			if r := held(b, ord); r != nil {
				ip := addr(b, ord)
				l.grants[ip], l.last[ip] = &grant{ip: ip, handle: r.Handle}, r.Handle
			}
		}
		l.highest = max(l.highest, b.Sequence)
		l.begun[b.CIDR] = []int64{int64(b.Sequence)}
	}
	for _, o := range r.store.LookList(protocol.HandlesKey) {
		h := o.(*protocol.Handle)
		for cidr, n := range h.Counts {
			switch have := l.holds(h.ID, cidr); {
			case n > have:
				l.surplus[h.ID] = true
			case n < have:
				l.deficit[share{h.ID, cidr}] = true
			}
		}
	}
	return l
}

// violate notes that an invariant does not hold. Only the first call counts.
func (l *ledger) violate(i Invariant, format string, args ...any) {
	if l.broken == nil {
		l.broken = &Violation{i, fmt.Sprintf(format, args...), l.run.steps}
	}
}

// began notes that a client begins an operation.
func (l *ledger) began(c *client, s *race.Step) *work {
	w := &work{client: c.number, life: c.life, number: c.finished, step: s}
	w.handle, _, _ = strings.Cut(s.In.Handle, "\r")
	for _, r := range s.In.Releases {
		if r.Seq != "" && w.entitled == nil {
			w.entitled = make(map[string]*grant)
		}
		if r.Seq == "current" {
			if ip, err := netip.ParseAddr(r.IP); err == nil {
				w.entitled[r.IP] = l.grants[ip]
			}
		}
	}
	return w
}

// String says whose work it is: a's AutoAssign.
func (w *work) String() string {
	switch {
	case w == nil:
		return "what was done beforehand"
	case w.client == recovering:
		return "a recovering host's " + w.step.Op
	}
	return fmt.Sprintf("%s's %s", name(w.client), w.step.Op)
}

// strike notes that a client died at work or was not answered, and excuses what it
// leaves behind.
func (l *ledger) strike(w *work) {
	w.struck = true
	l.excuse(w)
}

// excuse lets the handles of a work count more than they hold.
func (l *ledger) excuse(w *work) {
	if w.handle != "" {
		l.surplus[w.handle] = true
	}
	for _, g := range w.taken {
		l.surplus[g.handle] = true
	}
}

// wrote checks a write, or an attempt at one, against the invariants. Before and
// after are the object in the datastore, nil for none.
func (l *ledger) wrote(w *work, request protocol.Request, result protocol.Result, before, after protocol.Object, fate Fate) {
	if result != protocol.OK {
		l.refused(w, request, result)
		return
	}
	switch o := request.Object.(type) {
	case *protocol.Block:
		b, _ := before.(*protocol.Block)
		a, _ := after.(*protocol.Block)
		l.block(w, b, a, fate == Lost)
		l.claims(o.CIDR)
	case *protocol.Affinity:
		a, _ := after.(*protocol.Affinity)
		l.affinity(w, o, a)
		l.claims(o.CIDR)
	case *protocol.Handle:
		b, _ := before.(*protocol.Handle)
		a, _ := after.(*protocol.Handle)
		l.handle(w, o.ID, b, a)
	}
	if w.struck {
		l.excuse(w)
	}
}

// refused notes that another client was faster.
func (l *ledger) refused(w *work, request protocol.Request, result protocol.Result) {
	if result == protocol.Conflict {
		w.conflicts++
	}
	var cidr netip.Prefix
	switch o := request.Object.(type) {
	case *protocol.Block:
		if cidr = o.CIDR; result == protocol.Conflict && w.step.Op == "AssignIP" {
			w.surplus = true // it begins again without lowering the handle
		}
	case *protocol.Affinity:
		cidr = o.CIDR
	}
	for _, o := range w.open {
		if o.cidr == cidr {
			o.kept = true
		}
	}
}
