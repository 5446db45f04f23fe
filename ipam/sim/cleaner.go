package sim

import (
	"fmt"
	"time"

	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// defaultReaction is [Cleaner.Reaction] where it is 0.
const defaultReaction = 10 * time.Second

// cleaner is the controller of a run. Its zero value is none.
type cleaner struct {
	pace
	controller *lifecycle.Controller // nil while it is down
	outages    int                   // that keep it down
	changed    bool                  // something may have, since it looked last
	shadows    []shadow
}

// shadow is a cleaner of another grace period, of [Options].Graces.
type shadow struct {
	pace
	of    int // the number of its shadow
	apart bool
}

// pace says when a cleaner looks.
type pace struct {
	policy           lifecycle.Policy
	nextFull         time.Duration
	syncs, fullSyncs int // as in [Cleaned]
}

// begin sets the timer for the first full look.
func (p *pace) begin(at time.Duration) { p.nextFull = at + p.policy.FullEvery() }

// look reports whether the cleaner looks at this moment, as it does if its timer is due or
// something changed, and counts it.
func (p *pace) look(at time.Duration, changed bool) (looks, full bool) {
	if full = at >= p.nextFull; full {
		p.begin(at)
		p.fullSyncs++
	}
	if looks = full || changed; looks {
		p.syncs++
	}
	return looks, full
}

// cleans reports whether the scenario has a cleaner that does something.
func (s *Scenario) cleans() bool { return s.Cleaner != nil && !s.Cleaner.Off }

// startController starts a controller, which knows nothing yet.
func (r *runner) startController() {
	c := &r.cleaner
	c.controller, _ = lifecycle.NewController(r.cluster, c.policy) // was validated
	c.controller.Matters(r.options.others.matters())
	c.changed = true
	c.begin(r.at)
	for i := range c.shadows {
		s := &c.shadows[i]
		s.begin(r.at)
		if !s.apart {
			s.of = c.controller.AddShadow()
		}
	}
}

// addShadows adds a shadow for each grace period that somebody wants to know of.
func (r *runner) addShadows() error {
	for i, grace := range r.options.Graces {
		p := r.cleaner.policy
		p.GracePeriod = time.Duration(grace)
		if err := p.Validate(); err != nil {
			return &InvalidError{fmt.Sprintf("graces[%d]", i), err.Error()}
		}
		r.cleaner.shadows = append(r.cleaner.shadows, shadow{pace: pace{policy: p}})
	}
	return nil
}

// tell tells the shadows how they look at this moment.
func (r *runner) tell() {
	c := &r.cleaner
	for i := range c.shadows {
		s := &c.shadows[i]
		if !s.apart {
			looks, full := s.look(r.at, c.changed)
			c.controller.ShadowLooks(s.of, looks, full)
		}
	}
}

// result returns what the shadow did, where the cleaner did this; nil if it went another
// way.
func (s *shadow) result(c *Cleaned) *Cleaned {
	if s.apart {
		return nil
	}
	return &Cleaned{Addresses: c.Addresses, Blocks: c.Blocks, Syncs: s.syncs, FullSyncs: s.fullSyncs}
}

// part takes note of the shadows that have gone another way.
func (r *runner) part() {
	for i := range r.cleaner.shadows {
		s := &r.cleaner.shadows[i]
		if s.apart || !r.cleaner.controller.Apart(s.of) {
			continue
		}
		s.apart = true
		if r.options.Apart != nil {
			r.options.Apart(i)
		}
	}
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
	defer r.part()
	r.tell()
	looks, full := c.look(r.at, c.changed)
	if !looks {
		c.controller.Pass()
		return
	}
	done := c.controller.Sync(full)
	r.result.Cleaned.Blocks += len(done.ReleasedBlocks)
	for _, ip := range done.ReleasedIPs {
		if r.left != nil && !r.left[ip] {
			continue // a Windows host's, gone with its block
		}
		r.result.Cleaned.Addresses++
		r.settle(ip)
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
