package whatif

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// drain moves the pods of a node to others.
func (w *world) drain(c *change, node string) error {
	if err := w.nodeCalled(node); err != nil {
		return err
	}
	if w.Cordoned(node) {
		return fmt.Errorf("node %q was drained already", node)
	}
	moves, err := w.Drain(node)
	w.sayMoved(c, node, moves)
	return err
}

// sayMoved says what became of the pods of a node that was drained.
func (w *world) sayMoved(c *change, node string, moves []snapshot.Move) {
	refused := w.asked(moves)
	var waiting, unbooked []string
	for i := range moves {
		m := &moves[i]
		label := m.Pod.Label()
		switch {
		case m.Unbooked:
			unbooked = append(unbooked, fmt.Sprintf("%s (%s)", label, m.Pod.IPs[0]))
			continue
		case m.Err != nil:
			c.refuse(label, m.Pod.Node, m.Why())
		default:
			c.Moved = append(c.Moved, move{label, node, m.Pod.Node, m.Pod.IPs[0].String(), m.Borrowed})
		}
		if m.Waited {
			waiting = append(waiting, label)
		}
	}
	c.say("%s moved from %s to other nodes, %d could not", plural(len(moves)-refused-len(unbooked), "pod"), node, refused)
	if len(waiting) > 0 {
		c.say("%s asked for the very address that it gave back, and waited until it had cooled down: %s", plural(len(waiting), "pod"), listText(waiting))
	}
	if len(unbooked) > 0 {
		c.say("%s moved and kept what IPAM does not book: %s", plural(len(unbooked), "more pod"), listText(unbooked))
	}
}

// removeNode drains a node that may be drained already, and deletes it with what
// it has, as kube-controllers does. Of one that is gone already it clears what it left.
func (w *world) removeNode(c *change, node string) error {
	dead, drained := w.IsGone(node), w.Cordoned(node)
	if !dead {
		if err := w.nodeCalled(node); err != nil {
			return err
		}
	}
	gone, err := w.RemoveNode(node)
	if err != nil {
		return err
	}
	if len(gone.Moves) > 0 || !dead && !drained {
		w.sayMoved(c, node, gone.Moves)
	}
	if dead {
		sayCleared(c, node, gone)
		return nil
	}
	c.say("node %s is gone, with %s and %s", node, plural(gone.Addresses, "tunnel address"), plural(gone.Blocks, "block"))
	if gone.BlocksLeft > 0 {
		c.say("%s of it stay: other nodes have borrowed addresses there, or addresses there have leaked", plural(gone.BlocksLeft, "block"))
	}
	return nil
}

// sayCleared says what was cleared of a node that was gone already.
func sayCleared(c *change, node string, gone snapshot.Cleared) {
	c.say("node %s was gone already: %s and %s that it had left are given back", node, plural(gone.Addresses, "address", "addresses"), plural(gone.Blocks, "block"))
	sayLost(c, gone.Lost)
	if gone.AddressesLeft > 0 {
		c.say("%s, and its blocks too: pods of those names live, nobody knows whose they are, or their handles hold more elsewhere", plural(gone.AddressesLeft, "address of it stays", "addresses of it stay"))
	} else if gone.BlocksLeft > 0 {
		c.say("%s: other nodes have addresses there", plural(gone.BlocksLeft, "block of it stays", "blocks of it stay"))
	}
	if n := gone.AffinitiesLeft - gone.BlocksLeft; n > 0 {
		c.say("%s without a block: -gc clears that", plural(n, "affinity of it stays", "affinities of it stay"))
	}
}

// sayLost says which addresses pods that live have lost, and returns how many.
func sayLost(c *change, lost []snapshot.LivePod) int {
	var names []string
	for i := range lost {
		for _, ip := range lost[i].IPs {
			names = append(names, fmt.Sprintf("%s (%s)", lost[i].Label(), ip))
		}
	}
	if len(names) > 0 {
		c.say("so %s of pods that live: %s", areSo(len(names)), listText(names))
	}
	return len(names)
}

// scale gives every node that many pods.
func (w *world) scale(c *change, want int) error {
	started, ended := w.Scale(want)
	refused := w.asked(started)
	for i := range started {
		if m := &started[i]; m.Err != nil {
			c.refuse(m.Pod.Label(), m.Pod.Node, m.Why())
		}
	}
	c.say("%s started, %d ended, %d could not start", plural(len(started)-refused, "pod"), len(ended), refused)
	return nil
}

// byCount orders names by a count, then by name.
func byCount(count map[string]int) []string {
	names := make([]string, 0, len(count))
	for name := range count {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(count[x], count[y]), strings.Compare(x, y)) })
	return names
}
