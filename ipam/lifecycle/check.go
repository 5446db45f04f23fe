package lifecycle

import (
	"errors"
	"fmt"
	"slices"
)

// Check returns every inconsistency in the controller's memory, joined, or nil. An
// error is a bug of this package; leaks are none.
func (k *Controller) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("lifecycle: "+format, args...)) }
	m := &k.memory
	held, confirmed := make(map[*handle]int), make(map[*handle]int)
	placed, owned := 0, 0
	for cidr, b := range m.blocks {
		if b.cidr != cidr || b.marked && !b.empty && m.rules.UseForgetsEmpty || b.empty && (b.node == nil || len(b.allocations) > 0) {
			wrong("block %s: known as %s, empty %t, marked %t", cidr, b.cidr, b.empty, b.marked)
		}
		if b.node != nil {
			owned++
			if m.nodes[b.node.name] != b.node || !slices.Contains(b.node.blocks, b) {
				wrong("block %s is not among those of %s", cidr, b.node.name)
			}
		}
		for i, al := range b.allocations {
			held[al.handle]++
			if al.confirmed {
				confirmed[al.handle]++
			}
			if i > 0 && b.allocations[i-1].ordinal >= al.ordinal || al.block != b || m.handles[al.handle.id] != al.handle {
				wrong("%s is out of place in its block", al.ip)
			}
			if al.leak > 0 && (al.leak > len(m.leaks) || m.leaks[al.leak-1] != al) {
				wrong("%s is not among the leaks", al.ip)
			}
			if (al.node == nil) != (al.holder.node == "") {
				wrong("%s is filed under no node, or should be", al.ip)
			}
			if n := al.node; n != nil {
				placed++
				if m.nodes[n.name] != n || al.at >= len(n.allocations) || n.allocations[al.at] != al {
					wrong("%s is not among those of %s", al.ip, n.name)
				}
			}
		}
	}
	for key, al := range m.orphans {
		held[al.handle]++
		if al.confirmed {
			confirmed[al.handle]++
		}
		if al.handle != m.handles[key.handle] || al.ip != key.ip || al.node != nil {
			wrong("%s of a deleted block is out of place", al.ip)
		}
	}
	for i, al := range m.leaks {
		if al.leak != i+1 || !al.confirmed {
			wrong("%s is a leak, and is not confirmed", al.ip)
		}
	}
	for id, h := range m.handles {
		if h.held != held[h] || h.confirmed != confirmed[h] || h.held == 0 {
			wrong("handle %s counts %d and %d leaks, has %d and %d", id, h.held, h.confirmed, held[h], confirmed[h])
		}
	}
	for name, n := range m.nodes {
		placed -= len(n.allocations)
		owned -= len(n.blocks)
		for _, al := range n.allocations {
			if n.skippable && (!k.cluster.HasNode(name) || al.holder.kind == ofPod && (al.suspect || !k.holds(al, true))) {
				wrong("scans skip node %s, and %s may have leaked", name, al.ip)
			}
		}
		if n.dirty != slices.Contains(m.dirty, n) || n.review != slices.Contains(m.review, n) {
			wrong("node %s: dirty %t, to be reviewed %t", name, n.dirty, n.review)
		}
	}
	if placed != 0 || owned != 0 {
		wrong("nodes know of %d allocations and %d blocks that are not there", -placed, -owned)
	}
	return errors.Join(errs...)
}
