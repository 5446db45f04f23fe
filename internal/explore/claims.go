package explore

import (
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// This file compares affinities with blocks.

// affinity notes who wrote an affinity. After is nil if it was deleted.
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
	b := l.run.blockAt(o.CIDR)
	if after == nil && b != nil && b.Owner == o.Owner && !w.struck && !slices.Contains(w.since, o.CIDR) {
		l.violate(Owner, "%s deletes %s's affinity for %s, and the block is still there", w, o.Owner, o.CIDR)
	}
}

// announced checks that the creator of a block has an affinity for it, or had one
// until somebody else deleted it.
func (l *ledger) announced(w *work, b *protocol.Block) {
	key := affinityKey(b.Owner, b.CIDR)
	if wr := l.writings[key]; l.run.store.Look(key) == nil && (wr == nil || wr.by == w) {
		l.violate(Owner, "%s makes block %s for %s, which has no affinity for it", w, b.CIDR, b.Owner)
	}
	for _, c := range l.run.clients {
		if c.work != nil && c.work != w {
			c.work.since = append(c.work.since, b.CIDR)
		}
	}
}

// claims compares the affinities for a block with the block.
func (l *ledger) claims(cidr netip.Prefix) {
	b := l.run.blockAt(cidr)
	for _, o := range l.run.store.LookList(protocol.AffinitiesKey) {
		a := o.(*protocol.Affinity)
		wr := l.writings[a.Key()]
		if a.CIDR != cidr || a.State != affinity.Confirmed || l.overtaken[a.Key()] != nil {
			continue
		}
		if wr == nil || wr.by.struck {
			continue // set up so, or confirmed after a stale read
		}
		switch {
		case b == nil:
			l.violate(Claim, "%s's affinity for %s is confirmed, and there is no block", a.Owner, cidr)
		case b.Owner != a.Owner:
			l.violate(Claim, "%s's affinity for %s is confirmed, and the block is %s's", a.Owner, cidr, owner(b.Owner))
		}
	}
}

// removed notes that an owner lost its block. The client that took it may not have
// seen that the affinity is being confirmed, or has been.
func (l *ledger) removed(w *work, before *protocol.Block) {
	key := affinityKey(before.Owner, before.CIDR)
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
