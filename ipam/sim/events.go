package sim

import (
	"time"

	"github.com/ipamsim/ipamsim/ipam"
)

// live lets churn and events happen. An event comes before churn at one moment.
func (r *runner) live() {
	events := r.scenario.Events
	ticks := 0
	for !r.stopped {
		at, churns := r.scenario.Churn.tick(ticks + 1)
		switch {
		case len(events) > 0 && (!churns || time.Duration(events[0].At) <= at):
			r.moveTo(time.Duration(events[0].At))
			r.happen(&events[0])
			if r.options.Samples >= len(r.scenario.Events) && !r.stopped {
				r.sample()
			}
			events = events[1:]
		case churns:
			r.moveTo(at)
			r.churn()
			ticks++
		default:
			return
		}
	}
}

// tick returns when the nth restart is, from 1, and whether there is one.
func (c *Churn) tick(n int) (at time.Duration, ok bool) {
	if c == nil {
		return 0, false
	}
	at = time.Duration(float64(n) / c.PerSecond * float64(time.Second))
	return at, at <= time.Duration(c.For)
}

// moveTo moves the clock on.
func (r *runner) moveTo(at time.Duration) {
	r.clock.Advance(at - r.at)
	r.at = at
}

// happen does what an event says.
func (r *runner) happen(e *Event) {
	switch e.Do {
	case Drain:
		r.drain(e.Nodes)
	case RemoveNodes:
		r.remove(e.Nodes)
	case AddNodes:
		g := r.scenario.added(e)
		for _, pods := range g.podCounts() {
			r.join(r.bringUp(&g, pods))
		}
	case SetLabels:
		for _, name := range e.Nodes {
			r.node(name).labels = e.Labels
			_ = r.engine.SetNode(ipam.Node{Name: name, Labels: e.Labels}) // it exists
		}
	case SetStrictAffinity:
		r.config.StrictAffinity = e.Strict
		_ = r.configure() // was validated
	case SetCooldown:
		r.config.IPCooldownSeconds = e.Seconds
		_ = r.configure() // was validated
	}
}

// join has a node that came up later ask for what it needs.
func (r *runner) join(n *node) {
	if r.scenario.TunnelIPPerNode {
		r.tunnel(n)
	}
	r.startPods(n)
}

// node returns the node of that name, which exists.
func (r *runner) node(name string) *node {
	if r.named == nil {
		r.named = make(map[string]*node)
	}
	for _, n := range r.nodes[len(r.named):] {
		r.named[n.name] = n
	}
	return r.named[name]
}
