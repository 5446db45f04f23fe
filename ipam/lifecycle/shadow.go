package lifecycle

import "slices"

// This file tells whether a controller of another grace period would have done the
// same, so that nobody needs to run it to find out.

// shadow is a controller of another grace period beside a [Controller], on a cluster
// of its own where all goes as in the controller's, for as long as that can be shown. It
// does nothing.
//
// They go apart, for good, where the grace period matters or may: when an address of a
// node that exists becomes suspect, when an empty block of a node with others is marked,
// and when one of the two looks at more than the other, and that is more than nothing.
type shadow struct {
	looks, full bool // when the controller looks next, or passes
	apart       bool
	// once are nodes that one of the two has looked at and the other has still to: they
	// must be settled then, too.
	once []*node
}

// AddShadow gives a controller that has not looked yet a shadow, and returns its number,
// from 0. A shadow stands for a controller of another grace period, on a cluster where
// all goes the same: as long as the two are not apart ([Controller.Apart]), the other
// would have done what this one did. The caller says before each look of the controller,
// or [Controller.Pass], whether the shadow would look ([Controller.ShadowLooks]).
func (k *Controller) AddShadow() int {
	k.shadows = append(k.shadows, new(shadow))
	return len(k.shadows) - 1
}

// ShadowLooks says whether a shadow looks when the controller looks next or passes, and
// whether that is a full look (see [Controller.Sync]).
func (k *Controller) ShadowLooks(i int, looks, full bool) {
	k.shadows[i].looks, k.shadows[i].full = looks, full
}

// Apart reports whether a shadow may have gone another way than its controller.
func (k *Controller) Apart(i int) bool { return k.shadows[i].apart }

// Pass is for a moment at which the controller does not look, and shadows may.
func (k *Controller) Pass() {
	looks := func(s *shadow) bool { return s.looks && !s.apart }
	if !slices.ContainsFunc(k.shadows, looks) {
		return
	}
	k.now = k.allocator.Now()
	nothing := k.watch.Pending() == 0 && k.idle(true) && !k.mayMark()
	for _, s := range k.shadows {
		if !looks(s) {
			continue
		}
		if s.apart = !nothing; nothing {
			s.once = append(s.once, k.memory.dirty...)
		}
	}
}

// compare parts from the controller, which is about to scan, the shadows that would do
// something else.
func (k *Controller) compare(full bool) {
	always := k.nodeDeleted || !k.rules.ScansDirtyNodes
	for _, s := range k.shadows {
		switch other := s.full || always; {
		case s.apart:
		case !s.looks:
			if s.apart = len(k.memory.changed) > 0 || !k.idle(full); !s.apart {
				s.once = append(s.once, k.memory.dirty...)
			}
		case full && other:
			s.once = s.once[:0]
		default:
			s.apart = full != other && !k.othersSettled() || !k.settledAll(s.once)
			s.once = s.once[:0]
		}
	}
}

// part parts all shadows from the controller: the grace period matters.
func (k *Controller) part() {
	for _, s := range k.shadows {
		s.apart = true
	}
}

// idle reports whether a look changes nothing but what the controller remembers of
// nodes that are settled, apart from blocks that it marks.
func (k *Controller) idle(full bool) bool {
	m := &k.memory
	return !k.nodeDeleted && len(m.leaks) == 0 && !k.guards.coldDue() && k.settledAll(m.dirty) && (!full || k.othersSettled())
}

// coldDue reports whether cold addresses would be collected.
func (k *Controller) coldDue() bool {
	if !k.rules.CollectsCold {
		return false
	}
	b := k.nextCold(k.coldSince())
	if b == nil {
		return false
	}
	b.cools = true
	k.memory.cooling.add(b, b.oldest)
	return true
}

// mayMark reports whether a look would mark blocks as empty.
func (k *Controller) mayMark() bool {
	for _, n := range k.memory.review {
		if len(n.blocks) > 1 && len(n.appendEmpty(nil)) > 0 {
			return true
		}
	}
	return false
}

// othersSettled reports whether a full scan does no more than one of the dirty nodes.
func (k *Controller) othersSettled() bool {
	for _, n := range k.memory.nodes {
		if !n.dirty && !n.skippable && !k.guards.settled(n) {
			return false
		}
	}
	return true
}

func (k *Controller) settledAll(nodes []*node) bool {
	for _, n := range nodes {
		if !k.guards.settled(n) {
			return false
		}
	}
	return true
}

// settled reports whether to judge the node changes nothing: it exists, and all that
// is on it is valid and was; or it is gone and has left nothing.
func (k *Controller) settled(n *node) bool {
	switch {
	case n.skippable: // so it exists
		return true
	case !k.cluster.HasNode(n.name):
		return len(n.allocations) == 0 && len(n.blocks) == 0
	}
	for _, al := range n.allocations {
		if al.suspect || al.confirmed || al.holder.kind == ofPod && !k.holds(al, true) {
			return false
		}
	}
	return true
}
