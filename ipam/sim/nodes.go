package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// node is a node that came up. Those that have gone keep their counts.
type node struct {
	number int // of those that ever came up
	place  int
	name   string
	group  *Group
	labels map[string]string
	// attrs are those of all its addresses, where somebody but no cleaner looks at whose
	// they are; where a cleaner does, what those of its pods in the namespace have in common.
	attrs          block.Attrs
	namespace      string
	pods           []*pod       // that it runs, in no order, if pods are kept
	running        int          // pods
	started        int          // pods ever
	mine           netip.Prefix // in an anonymous run, the last block known to be its own
	tunnel         pod
	cordoned, gone bool
	own, borrowed  int // requests
	kept           int
	refused, inUse int
	refusal        refusal
	firstPods      int  // that it comes up with
	mix            *mix // which those are; nil without pod groups
}

// bringUp adds a node of the group that is to run so many pods, or a mix of pod groups
// where there are any, in a place of its own and without any yet.
func (r *runner) bringUp(g *Group, pods int, m *mix) *node {
	number, known := r.count[g.NodeFormat]
	if !known {
		number = g.NumberFrom
	}
	r.count[g.NodeFormat] = number + 1
	n := r.addNode(g, fmt.Sprintf(g.NodeFormat, number), len(r.places))
	n.firstPods = pods
	if n.mix = m; m != nil {
		n.firstPods = len(m.turns)
	}
	r.places = append(r.places, n)
	return n
}

// addNode adds a node.
func (r *runner) addNode(g *Group, name string, place int) *node {
	n := &node{number: len(r.nodes), place: place, name: name, group: g, labels: g.Labels}
	if r.cluster == nil && (!r.anonymous || r.options.Map) {
		n.attrs = block.MakeAttrs(map[string]string{ipam.AttrNode: name})
	}
	r.setNode(n)
	r.cleaner.changed = true
	r.result.NodesStarted++
	r.nodes = append(r.nodes, n)
	return n
}

// join has a node that came up later ask for what it needs.
func (r *runner) join(n *node) {
	if r.scenario.TunnelIPPerNode {
		r.tunnel(n)
	}
	r.startPods(n)
}

// node returns the node of that name, or the one in its place.
func (r *runner) node(name string) *node {
	n := r.byName()[name]
	if n.gone && r.places[n.place] != nil {
		return r.places[n.place]
	}
	return n
}

// byName returns the nodes by name.
func (r *runner) byName() map[string]*node {
	if r.named == nil {
		r.named = make(map[string]*node)
	}
	for _, n := range r.nodes[len(r.named):] {
		r.named[n.name] = n
	}
	return r.named
}

// remove drains nodes and takes them from the cluster, with all that is theirs.
func (r *runner) remove(names []string) {
	r.drain(names)
	for _, name := range names {
		n := r.node(name)
		if n.gone {
			continue
		}
		r.release(&n.tunnel, true)
		_ = r.engine.RemoveIPAMHost(affinity.HostOwner(n.name)) // nothing competes for them
		r.places[n.place] = nil
		r.absent++
		r.deleteNode(n)
	}
}

// deleteNode takes a node from the cluster; its pods are gone already.
func (r *runner) deleteNode(n *node) {
	n.gone = true
	r.moves++
	n.tunnel = pod{} // whose handle keeps many others in memory
	if r.cluster != nil {
		r.cluster.DeleteNode(n.name)
		r.cleaner.changed = true
	} else {
		r.engine.DeleteNode(n.name)
	}
	if r.ledger != nil {
		r.ledger.leave(n)
	}
}

// nextNode returns the node whose turn it is to be replaced; nil if there is none.
func (r *runner) nextNode() *node {
	order := r.turns()
	for range order {
		place := order[r.turn%len(order)]
		r.turn++
		if n := r.places[place]; n != nil {
			return n
		}
	}
	return nil
}

// turns returns the order in which places lose their nodes. Those that came up later
// come last.
func (r *runner) turns() []int {
	for place := len(r.order); place < len(r.places); place++ {
		r.order = append(r.order, place)
	}
	return r.order
}

// replaceNode replaces a node that is there, drained or not.
func (r *runner) replaceNode(old *node, drained bool) {
	if old == nil || old.gone {
		return
	}
	stay, others := r.takeDown(old, drained)
	r.populate(r.succeed(old), stay, others)
}

// replaceTogether drains and replaces the nodes in these places. Their successors come
// up first.
func (r *runner) replaceTogether(places []int) {
	var old, new []*node
	for _, place := range places {
		if n := r.places[place]; n != nil {
			old = append(old, n)
			new = append(new, r.succeed(n))
		}
	}
	stay, others := make([][]*pod, len(old)), make([][]int32, len(old))
	for i, n := range old {
		stay[i], others[i] = r.takeDown(n, true)
	}
	for i, n := range new {
		r.populate(n, stay[i], others[i])
	}
}

// succeed brings up a node in the place of another, without pods yet.
func (r *runner) succeed(old *node) *node {
	format := old.group.NodeFormat
	if r.successors == nil {
		r.successors = r.scenario.named()
	}
	taken := r.byName()
	name := ""
	for {
		name = fmt.Sprintf(format, r.successors[format])
		r.successors[format]++
		if taken[name] == nil {
			break
		}
	}
	n := r.addNode(old.group, name, old.place)
	n.mix = old.mix
	r.places[n.place] = n
	if r.scenario.TunnelIPPerNode {
		r.tunnel(n)
	}
	return n
}

// named returns the number after the last node that the scenario names, by format.
func (s *Scenario) named() map[string]int {
	next := make(map[string]int)
	count := func(g *Group) {
		if _, known := next[g.NodeFormat]; !known {
			next[g.NodeFormat] = g.NumberFrom
		}
		next[g.NodeFormat] += g.Nodes
	}
	for _, g := range s.groups() {
		count(&g)
	}
	for i := range s.Events {
		if e := &s.Events[i]; e.Do == addNodes {
			g := s.added(e)
			count(&g)
		}
	}
	return next
}

// takeDown ends a node, drained or not, and returns the pods that come back in its
// place, and the pod group of each of the others, 0 for none. What is the node's own it
// leaves behind.
func (r *runner) takeDown(n *node, drained bool) (stay []*pod, others []int32) {
	for _, p := range n.pods {
		r.stop(p, drained && !r.lost())
		if p.named != nil {
			stay = append(stay, p)
		} else {
			others = append(others, p.group)
		}
	}
	n.pods, n.running = nil, 0
	r.pods.gone = true
	r.release(&n.tunnel, false)
	r.deleteNode(n)
	return stay, others
}

// populate starts the pods of a successor: those that come back, and new ones of the
// same groups as the others.
func (r *runner) populate(n *node, back []*pod, others []int32) {
	for _, p := range back {
		r.start(p, n)
	}
	for _, group := range others {
		r.startPodOf(group, n)
	}
}

// lost says of a release whether the allocator never hears of it.
func (r *runner) lost() bool {
	return r.scenario.Leaks > 0 && r.random.Float64() < r.scenario.Leaks
}

// drain keeps pods from the nodes, and evicts those that they run.
func (r *runner) drain(names []string) {
	drained := make([]*node, 0, len(names))
	for _, name := range names {
		if n := r.node(name); !n.gone {
			n.cordoned = true
			drained = append(drained, n)
		}
	}
	free := r.takers(false)
	for _, n := range drained {
		evicted := n.pods
		n.pods, n.running = nil, 0
		slices.SortFunc(evicted, func(a, b *pod) int { return a.number - b.number })
		for _, p := range evicted {
			r.stop(p, !r.lost())
			r.place(p, free)
		}
	}
}

// undrain lets pods on the nodes again.
func (r *runner) undrain(names []string) {
	for _, name := range names {
		r.node(name).cordoned = false
	}
	free := r.takers(false)
	if len(free.nodes) == 0 {
		return
	}
	r.pods.running() // from which those that are pending drop out
	pending := r.pods.pending
	r.pods.pending = nil
	r.result.Unscheduled -= len(pending)
	for _, p := range pending {
		r.pods.list(p)
		r.place(p, free)
	}
}
