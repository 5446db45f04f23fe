package explore

import (
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// memory is what a client can know. A client is a coroutine, whose state is
// hidden; its behaviour follows from the answers since its operation began.
type memory struct {
	answers digest
	// revisions are the latest of each object that it has seen. Writes with an
	// older one fail, so it only matters whether a revision is still the
	// datastore's.
	revisions map[protocol.Key]uint64
}

// forget begins the memory of an operation.
func (m *memory) forget(w *work) {
	*m = memory{}
	for _, r := range w.step.In.Releases {
		m.answers.digest(w.entitled[r.IP].digest())
	}
}

// learn adds an answer.
func (m *memory) learn(r *run, request protocol.Request, answer protocol.Response) {
	d := &m.answers
	d.text(string(answer.Result))
	d.word(uint64(r.clock.Now().UnixNano()))
	if answer.Object != nil {
		r.ledger.sum(d, answer.Object)
		m.see(answer.Object)
	}
	d.word(uint64(len(answer.List)))
	for _, o := range answer.List {
		r.ledger.sum(d, o)
		m.see(o)
	}
}

func (m *memory) see(o protocol.Object) {
	if m.revisions == nil {
		m.revisions = make(map[protocol.Key]uint64)
	}
	key := o.Key()
	m.revisions[key] = max(m.revisions[key], revision(o))
}

// digest returns a digest of all that distinguishes two memories.
func (m *memory) digest(s *protocol.Store) digest {
	var all bag
	for key, seen := range m.revisions {
		var d digest
		d.text(string(key))
		now := s.Look(key)
		d.flag(now != nil && revision(now) == seen)
		all.add(d)
	}
	d := m.answers
	d.word(all.hi)
	d.word(all.lo)
	return d
}

// revision returns the revision of an object.
func revision(o protocol.Object) uint64 {
	switch o := o.(type) {
	case *protocol.Block:
		return o.Revision
	case *protocol.Affinity:
		return o.Revision
	case *protocol.Handle:
		return o.Revision
	case *protocol.Config:
		return o.Revision
	case *protocol.Node:
		return o.Revision
	}
	return 0
}

// identity returns a digest of all that distinguishes two states of a run: the
// datastore, what each client can know and has left to do, the ledger, and the
// faults that may still happen.
func (r *run) identity() digest {
	var d digest
	l := r.ledger
	d.word(uint64(r.clock.Now().UnixNano()))
	d.word(uint64(r.deaths)<<40 | uint64(r.failures)<<20 | uint64(r.stale))
	for _, key := range []protocol.Key{protocol.BlocksKey, protocol.AffinitiesKey, protocol.HandlesKey} {
		objects := r.store.LookList(key)
		d.word(uint64(len(objects)))
		for _, o := range objects {
			l.sum(&d, o)
			if w := l.writings[o.Key()]; w != nil {
				d.digest(w.by.digest())
				d.flag(w.kept || w.by.struck)
			}
		}
	}
	for _, c := range r.clients {
		d.word(uint64(c.life)<<32 | uint64(c.finished))
		d.flag(c.waiting())
		if c.work != nil && c.waiting() {
			d.digest(c.memory.digest(r.store))
			d.digest(c.work.state())
		}
	}
	var known bag
	for _, g := range l.grants {
		known.add(g.digest())
	}
	for id := range l.surplus {
		known.add(share{handle: id}.digest())
	}
	for s := range l.deficit {
		known.add(s.digest())
	}
	for key, w := range l.overtaken {
		of := w.digest()
		of.text(string(key))
		known.add(of)
	}
	d.word(known.hi)
	d.word(known.lo)
	return d
}

// digest returns a digest of all that distinguishes two allocations.
func (g *grant) digest() digest {
	var d digest
	if g != nil {
		d.addr(g.ip)
		d.text(g.handle)
		d.digest(g.to.digest())
	}
	return d
}

func (s share) digest() digest {
	var d digest
	d.text(s.handle)
	d.cidr(s.cidr)
	return d
}

// digest returns a digest of all that distinguishes two operations.
func (w *work) digest() digest {
	var d digest
	if w != nil {
		d.word(uint64(w.client)<<40 | uint64(w.life)<<20 | uint64(w.number))
		d.word(1)
	}
	return d
}

// state returns a digest of all that distinguishes two moments of one operation,
// beyond its answers.
func (w *work) state() digest {
	var d digest
	d.flag(w.struck)
	d.flag(w.surplus)
	d.word(uint64(w.raised))
	var since bag
	for _, cidr := range w.since {
		var c digest
		c.cidr(cidr)
		since.add(c)
	}
	d.word(since.hi)
	d.word(since.lo)
	for _, grants := range [][]grant{w.granted, w.taken} {
		d.word(uint64(len(grants)))
		for _, g := range grants {
			d.addr(g.ip)
		}
	}
	return d
}

// sum adds an object without its revision. Of a sequence number it adds how often
// the block was made, and the distance from the block's first number. The number
// itself comes from one count for all blocks, and would distinguish states that no
// client can.
func (l *ledger) sum(d *digest, o protocol.Object) {
	switch o := o.(type) {
	case *protocol.Block:
		d.cidr(o.CIDR)
		d.text(string(o.Owner.Type))
		d.text(o.Owner.Name)
		sumTime(d, o.Claimed)
		l.sumSequence(d, o, o.Sequence)
		for _, ord := range o.Queue {
			d.word(uint64(ord))
		}
		for ord, i := range o.Index {
			d.word(uint64(i))
			l.sumSequence(d, o, o.Sequences[ord])
		}
		for _, r := range o.Records {
			d.text(r.Handle)
			sumTime(d, r.ReleasedAt)
			sumAttrs(d, r.Active)
			sumAttrs(d, r.Alternate)
		}
	case *protocol.Affinity:
		d.cidr(o.CIDR)
		d.text(string(o.Owner.Type))
		d.text(o.Owner.Name)
		d.word(uint64(o.State))
		sumTime(d, o.Created)
	case *protocol.Handle:
		d.text(o.ID)
		var counts bag
		for cidr, n := range o.Counts {
			var c digest
			c.cidr(cidr)
			c.word(uint64(n))
			counts.add(c)
		}
		d.word(counts.hi)
		d.word(counts.lo)
	}
	// Nobody writes configuration or nodes.
}

func (l *ledger) sumSequence(d *digest, b *protocol.Block, seq uint64) {
	if seq == 0 {
		d.word(0)
		return
	}
	made, began := 0, int64(0)
	for i, first := range l.begun[b.CIDR] {
		if i == 0 || first <= int64(seq) {
			made, began = i+1, first
		}
	}
	d.word(uint64(made))
	d.word(uint64(int64(seq) - began))
}

func sumTime(d *digest, t time.Time) {
	if t.IsZero() {
		d.word(0)
	} else {
		d.word(uint64(t.UnixNano()))
	}
}

func sumAttrs(d *digest, a block.Attrs) {
	if a.Len() > 0 {
		d.text(a.String())
	} else {
		d.word(0)
	}
}
