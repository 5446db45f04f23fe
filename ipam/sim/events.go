package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
)

// The kinds of events.
const (
	drainNodes        = "drain"
	undrainNodes      = "undrain"
	removeNodes       = "remove-nodes"
	addNodes          = "add-nodes"
	replaceNodes      = "replace-nodes"
	interruptNodes    = "interrupt"
	upgradeNodes      = "upgrade"
	replacePods       = "replace-pods"
	scalePods         = "scale"
	startPod          = "start-pod"
	stopPod           = "stop-pod"
	setLabels         = "set-labels"
	addPool           = "add-pool"
	disablePool       = "disable-pool"
	setStrictAffinity = "set-strict-affinity"
	setCooldown       = "set-cooldown"
	setBlockLimit     = "set-block-limit"
)

// Event is something that happens to a cluster. What Do can be is listed here; in
// brackets are the other fields that go with it, and the rest must be empty.
//
//	drain                keeps pods from [nodes] and evicts those that run there, one
//	                     after the other: each gives its address back and starts again
//	                     on the node with the fewest pods, the first of several.
//	                     Drained nodes stay, without pods
//	undrain              lets pods on [nodes] again; those that a drain evicted and no
//	                     node took start there
//	remove-nodes         drains [nodes] and deletes them: tunnel addresses and
//	                     affinities go
//	add-nodes            adds a [group], with its pods, one node after the other. What
//	                     the group leaves empty is as in the scenario's first
//	replace-nodes        drains and deletes [nodes], or [count] of them in turn, and
//	                     leaves tunnel addresses and affinities behind; a successor
//	                     comes up in the place of each. The pods that run there end.
//	                     [every] repeats it, [over] spreads it evenly over that time
//	interrupt            is replace-nodes without a drain, as a spot market does it:
//	                     pods leave their addresses behind too. [every, over]
//	upgrade              replaces every node once, as replace-nodes does, [count] (the
//	                     surge) at a time: so many successors come up before the old
//	                     ones go. [every] is the time between two steps
//	replace-pods         ends [count] pods, whichever, and starts others on the same
//	                     nodes instead. [every, over]
//	scale                starts pods on the nodes with the fewest, or ends the last of
//	                     those with the most, until as many [pods] run in the cluster,
//	                     or of a [podGroup]
//	start-pod            starts a [pod] on the node in [nodes], with an [address] if it
//	                     asks for one. It comes back under its name when its node is
//	                     replaced, and neither replace-pods nor scale takes it
//	stop-pod             ends a [pod] that start-pod started
//	set-labels           replaces the [labels] of [nodes]
//	add-pool             adds a [pool]
//	disable-pool         disables the [pool] of that name: nobody gets an address of it
//	                     any more, and nobody loses one
//	set-strict-affinity  sets it to [strict]
//	set-cooldown         sets the cooldown of addresses to [seconds]
//	set-block-limit      sets how many blocks a node may have to [limit], 0 for 20
type Event struct {
	At      Duration          `json:"at"` // since the start
	Do      string            `json:"do"`
	Nodes   []string          `json:"nodes,omitempty"` // by name
	Group   *Group            `json:"group,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	Strict  bool              `json:"strict,omitempty"`
	Seconds int               `json:"seconds,omitempty"`
	Limit   int               `json:"limit,omitempty"`
	Pool    *Pool             `json:"pool,omitempty"` // of disable-pool only the name

	Count int      `json:"count,omitempty"` // of nodes or pods
	Every Duration `json:"every,omitempty"` // a second or more; 0 for once
	Over  Duration `json:"over,omitempty"`

	Pod     string     `json:"pod,omitempty"` // namespace/name
	Address netip.Addr `json:"address,omitzero"`
	Pods    int        `json:"pods,omitempty"`
	// PodGroup is the name of the pod group that scale is about, where there are any.
	PodGroup string `json:"podGroup,omitempty"`
}

// happen begins an event.
func (r *runner) happen(e *Event) {
	switch e.Do {
	case drainNodes:
		r.drain(e.Nodes)
	case undrainNodes:
		r.undrain(e.Nodes)
	case removeNodes:
		r.remove(e.Nodes)
	case addNodes:
		g := r.scenario.added(e)
		m := r.mixOf(&g)
		for _, pods := range g.podCounts() {
			r.join(r.bringUp(&g, pods, m))
		}
	case replaceNodes, interruptNodes, replacePods:
		r.replace(e)
	case upgradeNodes:
		r.upgrade(e)
	case scalePods:
		r.scale(e.Pods, r.scenario.groupNamed(e.PodGroup))
	case startPod:
		r.startNamed(e)
	case stopPod:
		r.stopNamed(e.Pod)
	case setLabels:
		for _, name := range e.Nodes {
			if n := r.node(name); !n.gone {
				n.labels = e.Labels
				r.setNode(n)
			}
		}
	case addPool:
		spec := e.Pool.spec()
		_ = r.engine.SetPool(spec) // was validated
		r.addSpace(spec)
	case disablePool:
		r.disableSpace(e.Pool.Name)
	default:
		r.set(e)
	}
}

// set changes the configuration. What it becomes was validated.
func (r *runner) set(e *Event) {
	switch e.Do {
	case setStrictAffinity:
		r.config.StrictAffinity = e.Strict
	case setCooldown:
		r.config.IPCooldownSeconds = e.Seconds
	case setBlockLimit:
		r.config.MaxBlocksPerHost = e.Limit
	}
	_ = r.configure()
}

// replace takes nodes or pods, and comes back for more if the event repeats.
func (r *runner) replace(e *Event) {
	count := max(e.Count, len(e.Nodes))
	for i := range count {
		share := float64(i) / float64(count)
		r.agenda.file(r.at+time.Duration(share*float64(e.Over)), func() {
			switch {
			case e.Do == replacePods:
				r.replacePod()
			case len(e.Nodes) > 0:
				r.replaceNode(r.node(e.Nodes[i]), e.Do == replaceNodes)
			default:
				r.replaceNode(r.nextNode(), e.Do == replaceNodes)
			}
		})
	}
	if e.Every > 0 {
		r.agenda.file(r.at+time.Duration(e.Every), func() { r.replace(e) })
	}
}

// upgrade replaces every node, a surge at a time: the new ones come up first.
func (r *runner) upgrade(e *Event) {
	at := r.at
	for places := range slices.Chunk(r.turns(), e.Count) {
		r.agenda.file(at, func() { r.replaceTogether(places) })
		at += time.Duration(e.Every)
	}
}

// configure sets the configuration. Calico refuses a block limit without strict
// affinity, but an edit of the resource does not.
func (r *runner) configure() error {
	if r.config.MaxBlocksPerHost > 0 && !r.config.StrictAffinity {
		return r.engine.PutIPAMConfig(r.config)
	}
	return r.engine.SetIPAMConfig(r.config)
}

// setNode tells the engine, and Kubernetes where a cleaner looks at it, of a node.
func (r *runner) setNode(n *node) {
	r.moves++
	of := ipam.Node{Name: n.name, Labels: n.labels}
	if r.cluster != nil {
		_ = r.cluster.SetNode(of) // the name is in order
		return
	}
	_ = r.engine.SetNode(of)
}
