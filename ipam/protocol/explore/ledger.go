package explore

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/protocol/race"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// ledger holds a run against the invariants. It sees every write with the object
// before and after, and keeps what objects do not show: to whom an address was
// given, who wrote an affinity last, which numbers were used.
type ledger struct {
	run    *run
	broken *Violation // the first

	reserved *pool.Reservations
	grants   map[netip.Addr]*grant    // who holds what is allocated and not cooling
	last     map[netip.Addr]string    // to which handle an address was given last
	begun    map[netip.Prefix][]int64 // with which numbers a block began, each time that it was made
	highest  uint64                   // the highest number of a block so far
	writings map[protocol.Key]*writing
	// overtaken are the claims whose block a release has taken that was on its way
	// already, by affinity.
	overtaken map[protocol.Key]*work
	surplus   map[string]bool // handles that may count more than they hold
	deficit   map[share]bool  // and that may count less
}

// grant is one allocation of an address, from its being given to its being taken
// back.
type grant struct {
	ip     netip.Addr
	handle string
	to     *work // nil for what was done beforehand
}

// writing is the last write of an affinity.
type writing struct {
	cidr netip.Prefix
	by   *work
	kept bool // whether by was kept from going on
}

// share is what a handle has in a block.
type share struct {
	handle string
	cidr   netip.Prefix
}

// open returns the ledger of a cluster at which nobody is at work yet. Whatever is
// amiss in it is nobody's fault.
func open(r *run) *ledger {
	l := &ledger{
		run: r, grants: make(map[netip.Addr]*grant), last: make(map[netip.Addr]string), begun: make(map[netip.Prefix][]int64), writings: make(map[protocol.Key]*writing),
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

// violate notes that an invariant does not hold. The first counts.
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
	if w == nil {
		return "what was done beforehand"
	}
	return fmt.Sprintf("%s's %s", name(w.client), w.step.Op)
}

// strike notes that somebody died at work, or was not answered. What it leaves is
// excused.
func (l *ledger) strike(w *work) {
	w.struck = true
	l.excuse(w)
}

// excuse lets the handles that a work had to do with count more than they hold.
func (l *ledger) excuse(w *work) {
	if w.handle != "" {
		l.surplus[w.handle] = true
	}
	for _, g := range w.taken {
		l.surplus[g.handle] = true
	}
}

// wrote holds a write, or an attempt at one, against the invariants. Before and
// after are the object as the datastore has it, nil for none.
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

// refused notes that somebody was faster.
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

// affinity notes who wrote an affinity. After is nil where it was deleted.
func (l *ledger) affinity(w *work, o, after *protocol.Affinity) {
	wr := &writing{cidr: o.CIDR, by: w}
	l.writings[o.Key()] = wr
	if l.overtaken[o.Key()] != w || after == nil || after.State != affinity.Confirmed {
		delete(l.overtaken, o.Key())
	}
	if after != nil && after.State == affinity.PendingDeletion {
		w.released = append(w.released, o.Key())
	}
	if after != nil && after.State != affinity.Confirmed {
		w.open = append(w.open, wr)
	}
	b, _ := l.run.store.Look(protocol.BlockKey(o.CIDR)).(*protocol.Block)
	if after == nil && b != nil && b.Owner == o.Owner && !w.struck && !slices.Contains(w.since, o.CIDR) {
		l.violate(Owner, "%s deletes %s's affinity for %s, and the block is still there", w, o.Owner, o.CIDR)
	}
}

// announced checks that whoever makes a block has an affinity for it, or had one
// until somebody else deleted it.
func (l *ledger) announced(w *work, b *protocol.Block) {
	key := protocol.AffinityKey(b.Owner, b.CIDR)
	if wr := l.writings[key]; l.run.store.Look(key) == nil && (wr == nil || wr.by == w) {
		l.violate(Owner, "%s makes block %s for %s, which has no affinity for it", w, b.CIDR, b.Owner)
	}
	for _, c := range l.run.clients {
		if c.work != nil && c.work != w {
			c.work.since = append(c.work.since, b.CIDR)
		}
	}
}

// claims holds the affinities for a block against the block.
func (l *ledger) claims(cidr netip.Prefix) {
	b, _ := l.run.store.Look(protocol.BlockKey(cidr)).(*protocol.Block)
	for _, o := range l.run.store.LookList(protocol.AffinitiesKey) {
		a := o.(*protocol.Affinity)
		if a.CIDR != cidr {
			continue
		}
		if a.State != affinity.Confirmed || l.writings[a.Key()] == nil || l.overtaken[a.Key()] != nil {
			continue // or it was so beforehand
		}
		switch {
		case b == nil:
			l.violate(Claim, "%s's affinity for %s is confirmed, and there is no block", a.Owner, cidr)
		case b.Owner != a.Owner:
			l.violate(Claim, "%s's affinity for %s is confirmed, and the block is %s's", a.Owner, cidr, owner(b.Owner))
		}
	}
}

// removed notes that a block is no more its owner's. Whoever did it may not have
// seen that the affinity is being confirmed, or is by now.
func (l *ledger) removed(w *work, before *protocol.Block) {
	key := protocol.AffinityKey(before.Owner, before.CIDR)
	wr := l.writings[key]
	if l.run.store.Look(key) != nil && wr != nil && wr.by != w && slices.Contains(w.released, key) {
		l.overtaken[key] = wr.by
	}
}

// owner returns who owns a block, in words.
func owner(o affinity.Owner) string {
	if o.IsZero() {
		return "nobody"
	}
	return o.String()
}

// handle holds a handle against the blocks.
func (l *ledger) handle(w *work, id string, before, after *protocol.Handle) {
	for _, o := range l.run.store.LookList(protocol.BlocksKey) {
		b := o.(*protocol.Block)
		had, has := countOf(before, b.CIDR), countOf(after, b.CIDR)
		if has > had {
			w.raised = has - had
		}
		if have := l.holds(id, b.CIDR); has < have && had != has && !l.deficit[share{id, b.CIDR}] {
			l.violate(Count, "handle %s counts %d in %s and holds %d", id, has, b.CIDR, have)
		}
	}
}

func countOf(h *protocol.Handle, cidr netip.Prefix) int {
	if h == nil {
		return 0
	}
	return h.Counts[cidr]
}

// holds returns how many addresses of the block the handle holds.
func (l *ledger) holds(id string, cidr netip.Prefix) int {
	b, _ := l.run.store.Look(protocol.BlockKey(cidr)).(*protocol.Block)
	n := 0
	if b != nil {
		for ord := range b.Index {
			if r := held(b, ord); r != nil && r.Handle == id && b.Sequences[ord] != 0 {
				n++
			}
		}
	}
	return n
}

// told holds what a client is told against what it has got.
func (l *ledger) told(w *work, out *trace.Out) {
	switch w.step.Op {
	case "AutoAssign":
		l.toldAddresses(w, slices.Concat(out.IPs4, out.IPs6), out.Err)
	case "AssignIP":
		if out.Err == "" {
			l.toldAddresses(w, []string{w.step.In.IP}, "")
		}
	case "ReleaseIPs":
		for _, text := range out.Released {
			if ip, err := netip.ParseAddr(text); err == nil && !slices.Contains(out.Unallocated, text) && !has(w.taken, ip) {
				l.violate(Answers, "%s is told that it has released %s, and has not", w, ip)
			}
		}
	}
	if w.surplus {
		l.excuse(w)
	}
}

func (l *ledger) toldAddresses(w *work, texts []string, code string) {
	var ips []netip.Addr
	for _, text := range texts {
		ip, err := netip.ParseAddr(strings.SplitN(text, "/", 2)[0])
		if err != nil {
			l.violate(Answers, "%s is told of %q", w, text)
			return
		}
		ips = append(ips, ip)
		// What the handle holds anyway may be given as well (CALICO.md §7), and may
		// be released while the rest is read.
		if again := w.step.In.MaxAllocPerHandle > 0 && l.last[ip] == w.handle; !has(w.granted, ip) && !again {
			l.violate(Answers, "%s is told that it has %s, and has not", w, ip)
		}
	}
	for _, g := range w.granted {
		if code == "" && !w.struck && !slices.Contains(ips, g.ip) {
			l.violate(Answers, "%s has got %s and is not told so", w, g.ip)
		}
	}
}

// has reports whether the address is among those given or taken.
func has(grants []grant, ip netip.Addr) bool {
	return slices.ContainsFunc(grants, func(g grant) bool { return g.ip == ip })
}

// held returns the record of an ordinal that somebody has: not free and not
// cooling down.
func held(b *protocol.Block, ord int) *protocol.Record {
	if r := record(b, ord); r != nil && r.ReleasedAt.IsZero() {
		return r
	}
	return nil
}

// record returns the record of an ordinal, nil for a free one.
func record(b *protocol.Block, ord int) *protocol.Record {
	if i := b.Index[ord]; i >= 0 && i < len(b.Records) {
		return &b.Records[i]
	}
	return nil
}

// addr returns the address of an ordinal.
func addr(b *protocol.Block, ord int) netip.Addr {
	s := ipam.BlockState{CIDR: b.CIDR}
	return s.Addr(ord)
}
