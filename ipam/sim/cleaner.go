package sim

import (
	"time"

	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// defaultReaction is [Cleaner.Reaction] where it is 0.
const defaultReaction = 10 * time.Second

// cleaner is the controller of a run. Its zero value is none.
type cleaner struct {
	policy     lifecycle.Policy
	controller *lifecycle.Controller // nil while it is down
	outages    int                   // that keep it down
	changed    bool                  // something may have, since it looked last
	nextFull   time.Duration
}

// cleans reports whether the scenario has a cleaner that does something.
func (s *Scenario) cleans() bool { return s.Cleaner != nil && !s.Cleaner.Off }

// startController starts a controller, which knows nothing yet.
func (r *runner) startController() {
	c := &r.cleaner
	c.controller, _ = lifecycle.NewController(r.cluster, c.policy) // was validated
	c.changed = true
	c.nextFull = r.at + c.policy.FullEvery()
}

// fail stops the controller until a moment; the last of several outages ends it.
func (r *runner) fail(upTo time.Duration) {
	c := &r.cleaner
	if c.controller != nil {
		c.controller.Stop()
		c.controller = nil
	}
	c.outages++
	r.agenda.file(upTo, func() {
		if c.outages--; c.outages == 0 {
			r.startController()
		}
	})
}

// sync has the controller look, if it is up and there is something to see.
func (r *runner) sync() {
	c := &r.cleaner
	if c.controller == nil {
		return
	}
	full := r.at >= c.nextFull
	if full {
		c.nextFull = r.at + c.policy.FullEvery()
		r.result.Cleaned.FullSyncs++
	} else if !c.changed {
		return
	}
	done := c.controller.Sync(full)
	r.result.Cleaned.Syncs++
	r.result.Cleaned.Addresses += len(done.ReleasedIPs)
	r.result.Cleaned.Blocks += len(done.ReleasedBlocks)
	for _, ip := range done.ReleasedIPs {
		r.unheld--
		r.givenBack(ip)
	}
	c.changed = done.WorkRemaining
}

// show tells Kubernetes of the pod, if a cleaner looks at it.
func (r *runner) show(p *pod) {
	if r.cluster == nil {
		return
	}
	shown := lifecycle.Pod{PodName: r.nameOf(p), Node: p.node.name}
	if p.address.IsValid() {
		r.shown[0] = p.address
		shown.IPs = r.shown[:]
		r.cleaner.changed = true
	}
	_ = r.cluster.SetPod(shown) // it has a name
}
