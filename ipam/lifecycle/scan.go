package lifecycle

import (
	"cmp"
	"slices"
	"time"
)

// scan judges the allocations of all nodes, or of the dirty ones, node by node
// (§12, "A scan"). It leaves the nodes to be released in k.leaving.
func (k *Controller) scan(full bool) {
	m := &k.memory
	k.leaving = k.leaving[:0]
	todo := m.dirty
	m.dirty = nil
	k.soiled = append(k.soiled[:0], todo...)
	if full {
		var all []*node
		for _, n := range m.nodes {
			if n.dirty || !n.settled && (len(n.allocations) > 0 || len(n.blocks) > 0) {
				all = append(all, n)
			}
		}
		todo = all
	}
	slices.SortFunc(todo, func(x, y *node) int { return cmp.Compare(x.name, y.name) })
	for _, n := range todo {
		if k.judge(n) {
			k.leaving = append(k.leaving, n)
			continue // clean once it has been released
		}
		n.dirty = false
		m.forgetIdle(n)
	}
}

// keepLeaving has the nodes to be released, which will not be in this sync, stay as
// dirty as they were.
func (k *Controller) keepLeaving() {
	for _, n := range k.leaving {
		if n.dirty {
			k.memory.dirty = append(k.memory.dirty, n)
		}
	}
}

// soilAgain makes dirty again what was so when the sync began.
func (k *Controller) soilAgain() {
	m := &k.memory
	for _, n := range k.soiled {
		if !n.dirty && m.nodes[n.name] == n { // else it is idle, or already dirty
			n.dirty = true
			m.dirty = append(m.dirty, n)
		}
	}
}

// judge looks at every allocation of the node and reports whether the node is to
// be released: it is gone, and nothing in use is left of it.
//
// A node is settled if it exists and all its pods hold what they have, on it, and no
// virtual machine has anything. To
// judge it again would find the same until it is told otherwise: an allocation comes
// or goes, one of these pods is deleted or replaced, or the node is deleted. Time
// changes nothing, for there is no suspect.
func (k *Controller) judge(n *node) bool {
	exists := k.cluster.HasNode(n.name)
	leaves := !exists
	n.settled = exists
	for _, al := range n.allocations {
		al.nodeExisted = exists
		switch al.holder.kind {
		case ofWindows, ofTunnel:
		case foreign:
			leaves = false
		case ofPod:
			if k.holds(al, exists) {
				k.memory.trust(al)
				leaves = false
				if al.holder.isMachine || al.holder.listed.Node != n.name {
					n.settled = false
				}
			} else {
				n.settled = false
				k.suspect(al, exists)
			}
		}
	}
	if !leaves {
		return false
	}
	for _, al := range n.allocations {
		if al.holder.kind == ofTunnel {
			k.memory.confirm(al)
		}
	}
	return true
}

// suspect deals with an address that no pod holds.
func (k *Controller) suspect(al *allocation, nodeExists bool) {
	if !nodeExists {
		k.memory.confirm(al)
		return
	}
	if !al.suspect {
		al.suspect, al.since = true, k.now
	}
	if !k.guards.patient(al) {
		k.memory.confirm(al)
	}
}

// patient reports whether a suspect of a node that exists stays one for now.
func (k *Controller) patient(al *allocation) bool {
	wait := k.policy.GracePeriod
	if al.holder.machine != "" {
		wait = max(wait, kubeVirtWait) // without a grace period too
	}
	if wait == 0 {
		return true
	}
	return !k.elapsed(al.since, wait)
}

// elapsed reports whether that much time has passed since. On a clock that went
// backwards none has.
func (k *Controller) elapsed(since time.Time, wait time.Duration) bool {
	return k.now.Sub(since) >= wait
}
