package fleet

import (
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// happen begins an event.
func (r *runner) happen(e *Event) {
	switch e.Kind {
	case ReplaceNodes, Interrupt, ReplacePods:
		r.replace(e)
	case Upgrade:
		r.upgrade(e)
	case ControllerDown:
		r.controllerDown(e.For)
	case StartPod:
		p := &pod{name: e.Pod, address: e.Address, stays: true}
		r.pods[e.Pod] = p
		r.run(p, r.places[e.Place])
	case StopPod:
		r.stopPod(e.Pod)
	}
}

// replace takes nodes or pods, and comes back for more if the event repeats.
func (r *runner) replace(e *Event) {
	for i := range e.Count {
		share := float64(i) / float64(e.Count)
		r.file(r.at+time.Duration(share*float64(e.Over)), func() {
			if e.Kind == ReplacePods {
				r.replacePod()
				return
			}
			place := r.order[r.turn%len(r.order)]
			r.turn++
			old := r.places[place]
			r.takeDown(old, e.Kind == ReplaceNodes)
			r.bringUp(place)
			r.populate(place, old)
		})
	}
	if e.Every > 0 {
		r.file(r.at+e.Every, func() { r.replace(e) })
	}
}

// replacePod replaces a pod, any but the named ones, on its node.
func (r *runner) replacePod() {
	n := r.places[r.random.Intn(len(r.places))]
	if len(n.pods) == 0 {
		return
	}
	i := r.random.Intn(len(n.pods))
	p := n.pods[i]
	if p.stays {
		return
	}
	r.stop(p, !r.lost())
	n.pods = slices.Delete(n.pods, i, i+1)
	r.newPod(n)
}

// upgrade replaces every node, a surge at a time: the new ones come up first.
func (r *runner) upgrade(e *Event) {
	at := r.at
	for places := range slices.Chunk(r.order, e.Count) {
		r.file(at, func() {
			old := make([]*node, len(places))
			for i, place := range places {
				old[i] = r.places[place]
				r.bringUp(place)
			}
			for _, n := range old {
				r.takeDown(n, true)
			}
			for i, place := range places {
				r.populate(place, old[i])
			}
		})
		at += e.Every
	}
}

// controllerDown stops the controller; the last of several such events ends it.
func (r *runner) controllerDown(d time.Duration) {
	if r.controller != nil {
		r.controller.Stop()
		r.controller = nil
	}
	r.downs++
	r.file(r.at+d, func() {
		if r.downs--; r.downs == 0 {
			r.startController()
		}
	})
}

// stopPod ends a pod that StartPod started, with its release lost at the rate of
// the scenario.
func (r *runner) stopPod(name lifecycle.PodName) {
	p := r.pods[name]
	delete(r.pods, name)
	n := p.node
	r.stop(p, !r.lost())
	n.pods = slices.DeleteFunc(n.pods, func(x *pod) bool { return x == p })
}
