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
	k.wasDirty = append(k.wasDirty[:0], todo...)
	if full {
		var all []*node
		for _, n := range m.nodes {
			if n.dirty || !n.skippable && (len(n.allocations) > 0 || len(n.blocks) > 0) {
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

// keepLeaving keeps the nodes to be released dirty if they were: this sync does not
// release them.
func (k *Controller) keepLeaving() {
	for _, n := range k.leaving {
		if n.dirty {
			k.memory.dirty = append(k.memory.dirty, n)
		}
	}
}

// restoreDirty makes nodes dirty again that were when the sync began. The sync may have
// forgotten one that has nothing left: it is dirty all the same, for a block may come to
// it before the next.
func (k *Controller) restoreDirty() {
	m := &k.memory
	for _, n := range k.wasDirty {
		m.markDirty(m.node(n.name))
	}
}

// judge looks at every allocation of the node and reports whether the node is to
// be released: it is gone, and nothing in use is left of it.
//
// A full scan may skip a node that exists if every allocation of a pod there is
// valid, the pod is on this node and no virtual machine holds any. The result would
// be the same until an allocation comes or goes, one of these pods is deleted or
// replaced, or the node is deleted. Time changes nothing, as there is no suspect.
func (k *Controller) judge(n *node) bool {
	exists := k.cluster.HasNode(n.name)
	leaves := !exists
	n.skippable = exists
	for _, al := range n.allocations {
		al.nodeExisted = exists
		switch al.holder.kind {
		case ofWindows, ofTunnel:
		case foreign:
			leaves = false
		case ofPod:
			if k.holds(al, exists) {
				k.memory.clearSuspicion(al)
				leaves = false
				if al.holder.isMachine || al.holder.listed.Node != n.name {
					n.skippable = false
				}
			} else {
				n.skippable = false
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

// suspect makes an address that no pod holds suspect, or confirms that it leaked.
func (k *Controller) suspect(al *allocation, nodeExists bool) {
	if !nodeExists {
		k.memory.confirm(al)
		return
	}
	if !al.suspect {
		al.suspect, al.since = true, k.now
		k.guards.part()
	}
	if !k.guards.mustWait(al) {
		k.memory.confirm(al)
	}
}

// mustWait reports whether a suspect of a node that exists stays one for now.
func (k *Controller) mustWait(al *allocation) bool {
	wait := k.policy.GracePeriod
	if al.holder.machine != "" {
		wait = max(wait, kubeVirtWait) // even if the grace period is 0
	}
	if wait == 0 {
		return true
	}
	return !k.elapsed(al.since, wait)
}

// elapsed reports whether that much time has passed since then: none if the clock
// went backwards.
func (k *Controller) elapsed(since time.Time, wait time.Duration) bool {
	return k.now.Sub(since) >= wait
}
