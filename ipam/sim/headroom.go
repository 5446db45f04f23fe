package sim

import "fmt"

// headroom goes on from where the scenario ended until something is refused: with
// more pods here, and with more nodes where it has run once more.
func (r *runner) headroom() (*Headroom, error) {
	if r.result.Refused() > 0 {
		return &Headroom{}, nil
	}
	h := &Headroom{}
	h.PodsPerNode, h.PodsFit, h.PodsAtLeast = r.search(r.morePods())
	if r.stopped {
		return nil, ErrStopped
	}
	again, err := begin(r.scenario, Options{Engine: r.options.Engine, Progress: r.options.Progress, HeadroomRequests: r.options.HeadroomRequests})
	if err != nil {
		return nil, err
	}
	h.Nodes, h.NodesFit, h.NodesAtLeast = again.search(again.moreNodes())
	if again.stopped {
		return nil, ErrStopped
	}
	return h, nil
}

// search takes steps until one is refused something, and returns how many were not,
// how many of those came before anybody borrowed, and whether it ended early. A step
// reports whether it is of any use to go on when nothing was asked for.
func (r *runner) search(step func() (askedEnough bool)) (steps, fit int, atLeast bool) {
	r.options.Each, r.options.Samples = nil, 0 // these requests are not the scenario's
	r.pods.kept = false
	from := r.result.Requests
	for {
		if !step() {
			return NoEnd, NoEnd, false
		}
		if r.result.Refused() > 0 || r.stopped {
			return steps, fit, false
		}
		steps++
		if r.result.Borrowed == 0 {
			fit = steps
		}
		if most := r.options.HeadroomRequests; most > 0 && r.result.Requests-from >= most {
			return steps, fit, true
		}
	}
}

// morePods returns a step that starts a pod on every node.
func (r *runner) morePods() func() bool {
	return func() (some bool) {
		for _, n := range r.present() {
			if n.cordoned || n.idle() {
				continue
			}
			some = true
			if r.startPod(n); r.result.Refused() > 0 || r.stopped {
				break
			}
		}
		return some
	}
}

// moreNodes returns a step that adds a node like those of the first group. Names that
// other nodes have are passed over.
func (r *runner) moreNodes() func() bool {
	g := r.scenario.Group
	counts, m := g.podCounts(), r.mixOf(&g)
	asks := r.scenario.asks(&g) > 0
	next := 0
	return func() bool {
		for r.byName()[fmt.Sprintf(g.NodeFormat, r.count[g.NodeFormat])] != nil {
			r.count[g.NodeFormat]++
		}
		r.join(r.bringUp(&g, counts[next%len(counts)], m))
		next++
		return asks
	}
}
