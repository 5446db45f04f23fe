package lifecycle

import (
	"slices"
	"strings"
	"time"
)

// collectCold collects cold addresses if there are any: if some block's oldest
// release is a cooldown or more ago (§12, "Cold addresses").
func (k *Controller) collectCold() {
	if len(k.memory.cooling) == 0 {
		return
	}
	since := k.coldSince()
	if k.nextCold(since) == nil {
		return
	}
	for k.nextCold(since) != nil {
	}
	k.allocator.GarbageCollectColdIPs()
}

// coldSince returns since when addresses must have been released to be cold.
func (k *Controller) coldSince() time.Time {
	return k.now.Add(-time.Duration(k.allocator.GetIPAMConfig().IPCooldownSeconds) * time.Second)
}

// nextCold removes from those that cool a block whose oldest release is that long ago
// or longer, and returns it; nil if there is none.
func (k *Controller) nextCold(since time.Time) *knownBlock {
	m := &k.memory
	for b := m.cooling.next(since); b != nil; b = m.cooling.next(since) {
		b.cools = false
		switch {
		case b.oldest.IsZero():
		case b.oldest.After(since): // others were released later
			b.cools = true
			m.cooling.add(b, b.oldest)
		default:
			return b
		}
	}
	return nil
}

// releaseEmpty releases blocks that have been empty for the grace period, of
// nodes that have other blocks (§12, "Empty blocks"). It looks only at blocks
// whose time has come, and at nodes where a block came, went or became empty.
func (k *Controller) releaseEmpty() {
	m := &k.memory
	var todo []*knownBlock
	for _, n := range m.review {
		todo = n.appendEmpty(todo)
		n.review = false
		m.forgetIdle(n)
	}
	m.review = m.review[:0]
	grace := k.policy.GracePeriod
	if grace > 0 {
		due := k.now.Add(-grace)
		for b := m.empty.next(due); b != nil; b = m.empty.next(due) {
			b.queued = false
			switch {
			case !b.empty:
			case k.rules.ReleasesAnyEmpty:
				todo = append(todo, b)
			default: // a block that goes leaves fewer free addresses to the others
				todo = b.node.appendEmpty(todo)
			}
		}
	}
	slices.SortFunc(todo, func(x, y *knownBlock) int { return strings.Compare(x.text, y.text) })
	gone := make(map[*node][]*knownBlock) // blocks released so far
	for _, b := range slices.Compact(todo) {
		if k.guards.others(b, len(gone[b.node])) < 1 {
			continue
		}
		m.tell(releasesAny)
		if !k.rules.ReleasesAnyEmpty && b.freeElsewhere(gone[b.node]) < spareNeeded {
			b.marked = false
			continue
		}
		if !b.marked {
			m.tell(useForgets)
			b.marked, b.since = true, k.now
			k.guards.part()
		}
		if grace > 0 && k.elapsed(b.since, grace) && k.allocator.ReleaseBlockAffinity(b.cidr, true) == nil {
			gone[b.node] = append(gone[b.node], b)
			continue
		}
		if grace > 0 && !b.queued {
			b.queued = true
			m.empty.add(b, b.since)
		}
	}
}

// appendEmpty appends the node's empty blocks to list and returns it.
func (n *node) appendEmpty(list []*knownBlock) []*knownBlock {
	for _, b := range n.blocks {
		if b.empty {
			list = append(list, b)
		}
	}
	return list
}

// others returns how many other blocks the owner has, after it released gone
// blocks in this sync.
func (b *knownBlock) others(gone int) int { return len(b.node.blocks) - gone - 1 }

// freeElsewhere returns how many addresses are free in the owner's other blocks,
// without the gone ones, by the lengths of their queues.
func (b *knownBlock) freeElsewhere(gone []*knownBlock) (free int) {
	for _, x := range b.node.blocks {
		if x != b && !slices.Contains(gone, x) {
			free += x.free
		}
	}
	return free
}
