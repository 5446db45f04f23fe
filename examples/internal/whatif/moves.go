package whatif

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// targets are the nodes that pods can move to, with the number of pods on each.
type targets struct {
	nodes []ipam.Node
	count map[string]int
}

// targets returns the nodes that take pods: not those that were drained, and those
// of the control plane only where there are no others.
func (w *world) targets() *targets {
	t := &targets{count: make(map[string]int)}
	for _, p := range w.pods {
		t.count[p.node]++
	}
	for _, control := range []bool{false, true} {
		for _, n := range w.a.Nodes() {
			_, isControl := n.Labels["node-role.kubernetes.io/control-plane"]
			if isControl == control && !w.cordoned[n.Name] {
				t.nodes = append(t.nodes, n)
			}
		}
		if len(t.nodes) > 0 {
			break
		}
	}
	return t
}

// next returns the node with the fewest pods, the first by name of several, among
// those of the same operating system; "" if there is none.
func (t *targets) next(os string) string {
	best := ""
	for _, n := range t.nodes {
		if its := n.Labels["kubernetes.io/os"]; os != "" && its != "" && its != os {
			continue
		}
		if best == "" || t.count[n.Name] < t.count[best] {
			best = n.Name
		}
	}
	if best != "" {
		t.count[best]++
	}
	return best
}

// drain moves the pods of a node to others.
func (w *world) drain(c *change, node string) error {
	if err := w.nodeCalled(node); err != nil {
		return err
	}
	if w.cordoned[node] {
		return fmt.Errorf("node %q was drained already", node)
	}
	w.evict(c, node)
	return nil
}

// evict moves the pods of a node that takes none any more.
func (w *world) evict(c *change, node string) {
	w.cordoned[node] = true
	os := ""
	for _, n := range w.a.Nodes() {
		if n.Name == node {
			os = n.Labels["kubernetes.io/os"]
		}
	}
	t := w.targets()
	gone := make(map[*pod]bool)
	moved := 0
	var waiting []*pod // for their address to cool down; the others do not wait for them
	start := func(p *pod) {
		if why := w.ask(p); why != "" {
			c.refuse(p.label(), p.node, why)
			gone[p] = true
			return
		}
		moved++
		c.Moved = append(c.Moved, move{p.label(), node, p.node, p.ips[0].String(), w.borrows(p)})
	}
	for _, p := range w.pods {
		if p.node != node {
			continue
		}
		w.release(p)
		if p.node = t.next(os); p.node == "" {
			c.refuse(p.label(), "", "there is no node left to move to")
			gone[p] = true
		} else if w.cools(p) {
			waiting = append(waiting, p)
		} else {
			start(p)
		}
	}
	for _, p := range waiting {
		start(p)
	}
	w.remove(gone)
	c.say("%s moved from %s to other nodes, %d could not", plural(moved, "pod"), node, len(gone))
	if len(waiting) > 0 {
		c.say("%s asked for the very address that it gave back, and waited until it had cooled down: %s", plural(len(waiting), "pod"), labels(waiting))
	}
	w.moveOutside(c, node, t, os)
}

// removeNode drains a node that may be drained already, and deletes it with what
// it has, as kube-controllers does. Of one that is gone already it clears what it left.
func (w *world) removeNode(c *change, node string) error {
	if w.isDead(node) {
		return w.clearDead(c, node)
	}
	if !w.cordoned[node] {
		if err := w.drain(c, node); err != nil {
			return err
		}
	} else if err := w.nodeCalled(node); err != nil {
		return err
	}
	tunnels, before := w.releaseTunnels(node), w.owned(node)
	w.a.DeleteNode(node)
	delete(w.cordoned, node)
	// The controller comes back when what cools down is cold.
	w.clock.Advance(time.Duration(w.a.GetIPAMConfig().IPCooldownSeconds) * time.Second)
	_ = w.a.ReleaseHostAffinities(affinity.HostOwner(node), true) // what is not empty stays
	left := w.owned(node)
	c.say("node %s is gone, with %s and %s", node, plural(tunnels, "tunnel address"), plural(before-left, "block"))
	if left > 0 {
		c.say("%s of it stay: other nodes have borrowed addresses there, or addresses there have leaked", plural(left, "block"))
	}
	return nil
}

// scale gives every node that many pods.
func (w *world) scale(c *change, want int) error {
	on := make(map[string][]*pod)
	for _, p := range w.pods {
		on[p.node] = append(on[p.node], p)
	}
	gone := make(map[*pod]bool)
	for _, pods := range on {
		for _, p := range pods[min(want, len(pods)):] {
			gone[p] = true
		}
	}
	for _, p := range w.pods { // in their order, not that of the map
		if gone[p] {
			w.release(p)
		}
	}
	w.remove(gone)
	want4, want6 := w.families()
	started, refused := 0, 0
	given := w.targets().nodes
	for round := range want {
		for _, n := range given {
			if len(on[n.Name]) > round {
				continue
			}
			p := &pod{namespace: "whatif", name: fmt.Sprintf("%s-%d", n.Name, round), node: n.Name, want4: want4, want6: want6}
			if why := w.ask(p); why != "" {
				c.refuse(p.label(), n.Name, why)
				refused++
				continue
			}
			started++
			w.pods = append(w.pods, p)
		}
	}
	slices.SortStableFunc(w.pods, comparePods)
	c.say("%s started, %d ended, %d could not start", plural(started, "pod"), len(gone), refused)
	return nil
}

// dropEmptyHandles deletes the handles that hold no address.
func (w *world) dropEmptyHandles() (dropped int, err error) {
	cluster := w.a.Cluster()
	held := cluster.Held()
	had := len(cluster.Handles)
	cluster.Handles = slices.DeleteFunc(cluster.Handles, func(h ipam.HandleState) bool { return held[strings.ToLower(h.ID)] == nil })
	if len(cluster.Handles) == had {
		return 0, nil
	}
	a, err := ipam.Restore(cluster, ipam.Options{Now: w.clock.Now, Calico: w.a.Calico()})
	if err != nil {
		return 0, err
	}
	w.a = a
	return had - len(cluster.Handles), nil
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
