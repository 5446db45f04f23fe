package explore

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// This file compares a block before and after one write.

// block checks the invariants of a write of a block: a creation if before is nil,
// a deletion if after is nil.
func (l *ledger) block(w *work, before, after *protocol.Block, lost bool) {
	if after != nil && !l.sound(after) {
		return
	}
	switch {
	case before == nil:
		l.created(w, after)
	case after == nil:
		l.deleted(w, before)
	default:
		l.updated(w, before, after, lost)
	}
}

// sound checks that queue and allocations of a block agree.
func (l *ledger) sound(b *protocol.Block) bool {
	size := 1 << (b.CIDR.Addr().BitLen() - b.CIDR.Bits())
	if len(b.Index) != size || len(b.Sequences) != size {
		l.violate(Queue, "block %s has %d ordinals and %d numbers, and room for %d", b.CIDR, len(b.Index), len(b.Sequences), size)
		return false
	}
	queued := make([]int, size)
	for _, ord := range b.Queue {
		if ord < 0 || ord >= size {
			l.violate(Queue, "block %s has ordinal %d in its queue", b.CIDR, ord)
			return false
		}
		queued[ord]++
	}
	for ord, times := range queued {
		switch r := record(b, ord); {
		case r == nil && times != 1:
			l.violate(Queue, "%s is free and %d times in the queue", addr(b, ord), times)
			return false
		case r != nil && times != 0:
			l.violate(Queue, "%s is allocated and in the queue", addr(b, ord))
			return false
		}
	}
	return true
}

// reserved reports whether an ordinal is reserved for the host: allocated from the
// beginning, and without a number.
func reserved(b *protocol.Block, ord int) bool { return record(b, ord) != nil && b.Sequences[ord] == 0 }

func (l *ledger) created(w *work, b *protocol.Block) {
	var free []int
	for ord := range b.Index {
		switch {
		case record(b, ord) == nil:
			free = append(free, ord)
		case !reserved(b, ord):
			l.violate(Holder, "%s makes block %s with %s allocated", w, b.CIDR, addr(b, ord))
		}
	}
	if !slices.Equal(b.Queue, free) {
		l.violate(Queue, "%s makes block %s with the queue %v", w, b.CIDR, b.Queue)
	}
	if b.Owner.IsZero() {
		l.violate(Owner, "%s makes block %s for nobody", w, b.CIDR)
	} else {
		l.announced(w, b)
	}
	if b.Sequence <= l.highest {
		l.violate(Sequence, "%s makes block %s with number %d, and %d was used", w, b.CIDR, b.Sequence, l.highest)
	}
	l.highest = max(l.highest, b.Sequence)
	l.begun[b.CIDR] = append(l.begun[b.CIDR], int64(b.Sequence))
}

func (l *ledger) deleted(w *work, b *protocol.Block) {
	if !b.Owner.IsZero() {
		l.removed(w, b)
	}
	for ord := range b.Index {
		switch r := record(b, ord); {
		case r == nil, reserved(b, ord), block.IsHostReserved(r.Handle):
		case !r.ReleasedAt.IsZero():
			l.cooled(w, b, ord)
		default:
			l.take(w, b, ord)
		}
	}
}

// updated checks what an update has changed, ordinal by ordinal and then in the
// queue.
func (l *ledger) updated(w *work, before, after *protocol.Block, lost bool) {
	if after.Sequence != before.Sequence+1 {
		l.violate(Sequence, "%s writes block %s with number %d after %d", w, after.CIDR, after.Sequence, before.Sequence)
	}
	l.highest = max(l.highest, after.Sequence)
	if after.Owner != before.Owner && !after.Owner.IsZero() {
		l.violate(Owner, "%s makes block %s %s's, which was %s's", w, after.CIDR, after.Owner, owner(before.Owner))
	}
	if after.Owner.IsZero() && !before.Owner.IsZero() {
		l.removed(w, before)
	}
	var cooled, given, released []int
	for ord := range after.Index {
		was, is := record(before, ord), record(after, ord)
		switch {
		case was != nil && !was.ReleasedAt.IsZero() && !same(before, after, ord):
			l.cooled(w, before, ord)
			cooled = append(cooled, ord)
			was = nil
		case reserved(before, ord):
			if !same(before, after, ord) {
				l.violate(Holder, "%s takes %s, which is reserved for the host", w, addr(before, ord))
			}
			continue
		}
		switch {
		case was == nil && is != nil && is.ReleasedAt.IsZero():
			l.give(w, before, after, ord, lost)
			given = append(given, ord)
		case was == nil && is != nil:
			l.violate(Holder, "%s lets %s cool down, which was free", w, addr(after, ord))
		case was == nil, same(before, after, ord):
		default:
			l.take(w, before, ord)
			if is == nil {
				released = append(released, ord)
			} else if is.ReleasedAt.IsZero() {
				l.violate(Holder, "%s passes %s from one to another", w, addr(after, ord))
			}
		}
	}
	if len(given) > 0 && w.step.Op == "AutoAssign" && w.handle != "" && w.raised > len(given) {
		w.surplus = true // at the sequence number that the request named
	}
	l.queue(w, before, after, cooled, given, released)
	for ord := range after.Index {
		if r := held(after, ord); r != nil && after.Sequences[ord] != 0 && r.Handle != "" {
			l.counted(r.Handle, after.CIDR)
		}
	}
}

// same reports whether the allocation of an ordinal is unchanged.
func same(before, after *protocol.Block, ord int) bool {
	was, is := record(before, ord), record(after, ord)
	return was != nil && is != nil && was.Handle == is.Handle && was.ReleasedAt.Equal(is.ReleasedAt) && before.Sequences[ord] == after.Sequences[ord]
}

// queue checks which ordinals left the queue, and where, and which joined it.
func (l *ledger) queue(w *work, before, after *protocol.Block, cooled, given, released []int) {
	want := slices.Concat(before.Queue, cooled)
	if w.step.Op == "AutoAssign" {
		var first []int
		for _, ord := range want {
			if len(first) < len(given) && !l.reserved.Contains(addr(after, ord)) {
				first = append(first, ord)
			}
		}
		if slices.Sort(first); !slices.Equal(first, given) {
			l.violate(Queue, "%s takes ordinals %v of block %s, whose queue is %v", w, given, after.CIDR, want)
		}
	}
	want = slices.DeleteFunc(want, func(ord int) bool { return slices.Contains(given, ord) })
	got := after.Queue
	if n := len(want); len(got) == n+len(released) && w.step.Op == "ReleaseIPs" && !l.rules.QueueByOrdinal {
		got = slices.Clone(got)
		slices.Sort(got[n:]) // sorted by address as text
	}
	if want = append(want, released...); !slices.Equal(want, got) {
		l.violate(Queue, "%s leaves block %s with the queue %v, want %v", w, after.CIDR, after.Queue, want)
	}
}

// give notes that an address was given.
func (l *ledger) give(w *work, before, after *protocol.Block, ord int, lost bool) {
	ip, r := addr(after, ord), record(after, ord)
	switch in := &w.step.In; {
	case w.step.Op == "AutoAssign":
	case w.step.Op == "AssignIP" && sameAddr(in.IP, ip):
	default:
		l.violate(Holder, "%s assigns %s, of which nobody asked it", w, ip)
	}
	if r.Handle != w.handle {
		l.violate(Holder, "%s assigns %s to handle %q", w, ip, r.Handle)
	}
	if after.Sequences[ord] != before.Sequence {
		l.violate(Sequence, "%s assigns %s with number %d, the block having %d", w, ip, after.Sequences[ord], before.Sequence)
	}
	g := &grant{ip, r.Handle, w}
	l.grants[ip], l.last[ip] = g, r.Handle
	w.granted = append(w.granted, *g)
	if lost {
		// If AutoAssign gets no answer to a write, it assumes that the write was
		// not made, and lowers the handle (§15).
		l.deficit[share{r.Handle, after.CIDR}] = true
	}
}

// take notes that an address was released.
func (l *ledger) take(w *work, before *protocol.Block, ord int) {
	ip := addr(before, ord)
	g := l.grants[ip]
	if g == nil {
		l.violate(Holder, "%s releases %s, which is nobody's", w, ip)
		return
	}
	if !l.mayTake(w, g) {
		l.violate(Holder, "%s takes %s from %s", w, ip, g.to)
	}
	delete(l.grants, ip)
	if w.step.Op == "ReleaseIPs" && !l.rules.LowerByReleased && slices.ContainsFunc(w.taken, func(other grant) bool {
		return other.handle == g.handle && before.CIDR.Contains(other.ip)
	}) {
		w.surplus = true // the handle is lowered by one, whatever else was released
	}
	w.taken = append(w.taken, *g)
}

// mayTake reports whether the work is a release of that allocation.
func (l *ledger) mayTake(w *work, g *grant) bool {
	switch w.step.Op {
	case "ReleaseByHandle":
		return g.handle != "" && g.handle == w.handle
	case "ReleaseIPs":
		may := false
		for _, r := range w.step.In.Releases {
			if sameAddr(r.IP, g.ip) { // of several the last counts
				may = (r.Handle == "" || r.Handle == g.handle) && (r.Seq == "" || w.entitled[r.IP] == g)
			}
		}
		return may
	}
	return false
}

// sameAddr reports whether the text is that of the address.
func sameAddr(text string, ip netip.Addr) bool {
	parsed, err := netip.ParseAddr(text)
	return err == nil && parsed == ip
}

// cooled checks that an address which becomes free has cooled down.
func (l *ledger) cooled(w *work, before *protocol.Block, ord int) {
	config := ipam.DefaultConfig()
	if o, ok := l.run.store.Look(configKey).(*protocol.Config); ok {
		config = o.Config
	}
	over := record(before, ord).ReleasedAt.Add(time.Duration(config.IPCooldownSeconds) * time.Second)
	if now := l.run.clock.Now(); now.Before(over) {
		l.violate(Holder, "%s frees %s, which is cooling down until %s", w, addr(before, ord), over.Format(time.TimeOnly))
	}
}

// counted checks that a handle counts at least what a block holds for it.
func (l *ledger) counted(id string, cidr netip.Prefix) {
	h, _ := l.run.store.Look((&protocol.Handle{ID: id}).Key()).(*protocol.Handle)
	if n, have := countOf(h, cidr), l.holds(id, cidr); n < have && !l.deficit[share{id, cidr}] {
		l.violate(Count, "handle %s counts %d in %s and holds %d", id, n, cidr, have)
	}
}

// held returns the record of an ordinal that is neither free nor cooling down.
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
