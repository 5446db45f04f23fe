package sim

import "fmt"

// headroom goes on from where the scenario ended until something is refused: with
// more pods, and with more nodes. What cannot be counted is tried: then the nodes come
// after another run of the scenario. It is nil where nothing is to be tried.
func (r *runner) headroom() (*Headroom, error) {
	if r.result.Refused() > 0 {
		return &Headroom{}, nil
	}
	other, asked := r, r.result.Requests
	pods := r.search(r.morePods())
	if r.stopped {
		return nil, ErrStopped
	}
	if pods.unknown {
		return nil, nil
	}
	if r.result.Requests > asked {
		again, err := begin(r.scenario, Options{Engine: r.options.Engine, Progress: r.options.Progress, HeadroomRequests: r.options.HeadroomRequests})
		if err != nil {
			return nil, err
		}
		again.searchesAll = r.searchesAll
		other = again
	}
	nodes := other.search(other.moreNodes())
	if other.stopped {
		return nil, ErrStopped
	}
	if nodes.unknown {
		return nil, nil
	}
	return &Headroom{
		Nodes: nodes.steps, NodesFit: nodes.fit, NodesAtLeast: nodes.atLeast,
		PodsPerNode: pods.steps, PodsFit: pods.fit, PodsAtLeast: pods.atLeast,
	}, nil
}

// step is one of a search for headroom.
type step struct {
	take  func()                       // asks for addresses
	count func(t *tally, nth int) bool // counts what the nth of the steps asks for, from 0, up to a refusal, of which it reports whether there was none
	some  bool                         // any of them asks for something
}

// found is what a search for headroom has found.
type found struct {
	steps   int  // without a refusal
	fit     int  // of those, before anybody borrowed
	atLeast bool // it ended at [Options].HeadroomRequests
	unknown bool // it cannot be counted, and nothing was to be tried
}

// search takes steps until one is refused something. Where it can count what is left it
// asks for nothing.
func (r *runner) search(s step) (f found) {
	if !s.some {
		return found{steps: NoEnd, fit: NoEnd}
	}
	r.options.Each, r.options.Samples = nil, 0 // these requests are not the scenario's
	r.pods.kept = false
	from, most := r.result.Requests, r.options.HeadroomRequests
	for nextLook := 0; ; {
		if f.steps == 0 || r.result.Borrowed > 0 && f.steps >= nextLook {
			if t := r.tally(); t != nil {
				t.asked = r.result.Requests - from
				if all, ok := t.search(s, f, most); ok {
					return all
				}
			}
			nextLook = 2 * max(f.steps, 1)
		}
		if r.options.HeadroomCounted {
			return found{unknown: true}
		}
		s.take()
		if r.result.Refused() > 0 || r.stopped {
			return f
		}
		f.steps++
		if r.result.Borrowed == 0 {
			f.fit = f.steps
		}
		if f.atLeast = most > 0 && r.result.Requests-from >= most; f.atLeast {
			return f
		}
	}
}

// morePods returns the step that starts a pod on every node.
func (r *runner) morePods() step {
	var on []*node
	for _, n := range r.present() {
		if !n.cordoned && !n.idle() {
			on = append(on, n)
		}
	}
	take := func() {
		for _, n := range on {
			if r.startPod(n); r.result.Refused() > 0 || r.stopped {
				break
			}
		}
	}
	count := func(t *tally, _ int) bool {
		for _, n := range on {
			if !t.ask(&t.nodes[n.number]) {
				return false
			}
		}
		return true
	}
	return step{take, count, len(on) > 0}
}

// moreNodes returns the step that adds a node like those of the first group. Names that
// other nodes have are passed over.
func (r *runner) moreNodes() step {
	g := r.scenario.Group
	counts, m := g.podCounts(), r.mixOf(&g)
	next := 0
	take := func() {
		for r.byName()[fmt.Sprintf(g.NodeFormat, r.count[g.NodeFormat])] != nil {
			r.count[g.NodeFormat]++
		}
		r.join(r.bringUp(&g, counts[next%len(counts)], m))
		next++
	}
	count := func(t *tally, nth int) bool {
		asks := counts[nth%len(counts)]
		if r.scenario.TunnelIPPerNode {
			asks++
		}
		n := new(ownership)
		for range asks {
			if !t.ask(n) {
				return false
			}
		}
		return true
	}
	return step{take, count, r.scenario.asks(&g) > 0}
}
