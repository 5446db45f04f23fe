package sim

import "fmt"

// headroom goes on from where the scenario ended until something is refused: with
// more pods here, and with more nodes where it has run once more. Where it ended with
// nothing left to claim, both are counted.
func (r *runner) headroom() (*Headroom, error) {
	if r.result.Refused() > 0 {
		return &Headroom{}, nil
	}
	h, other := &Headroom{}, r
	counts := r.onlyBorrows()
	h.PodsPerNode, h.PodsFit, h.PodsAtLeast = r.search(r.morePods())
	if r.stopped {
		return nil, ErrStopped
	}
	if !counts {
		again, err := begin(r.scenario, Options{Engine: r.options.Engine, Progress: r.options.Progress, HeadroomRequests: r.options.HeadroomRequests})
		if err != nil {
			return nil, err
		}
		again.searchesAll = r.searchesAll
		other = again
	}
	h.Nodes, h.NodesFit, h.NodesAtLeast = other.search(other.moreNodes())
	if other.stopped {
		return nil, ErrStopped
	}
	return h, nil
}

// A step of a search for headroom.
type step struct {
	take func()            // asks for addresses
	asks func(nth int) int // how many the nth of the steps asks for, from 0
	some bool              // any of them asks for something
}

// search takes steps until one is refused something, and returns how many were not,
// how many of those came before anybody borrowed, and whether it ended early. From
// where nothing but borrowing is left it only counts.
func (r *runner) search(s step) (steps, fit int, atLeast bool) {
	if !s.some {
		return NoEnd, NoEnd, false
	}
	r.options.Each, r.options.Samples = nil, 0 // these requests are not the scenario's
	r.pods.kept = false
	from := r.result.Requests
	for nextLook := 0; ; {
		if r.result.Borrowed > 0 && steps >= nextLook {
			if r.onlyBorrows() {
				steps, atLeast = r.countOn(s, steps, from)
				return steps, fit, atLeast
			}
			nextLook = 2 * max(steps, 1)
		}
		s.take()
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

// onlyBorrows reports whether all that can become of a request is that it takes any of
// the free addresses, until there are none: one pool serves everybody, all its blocks
// exist, no node comes to the limit of blocks even if it takes over all that are empty,
// and nothing is given back. Somebody has borrowed already.
func (r *runner) onlyBorrows() bool {
	s := &r.scenario
	if !r.anonymous || r.searchesAll || r.result.Borrowed == 0 || s.StrictAffinity || len(s.PodGroups) > 0 || len(r.spaces) > 1 {
		return false
	}
	of := &r.spaces[0].spec
	if of.NodeSelector != "" || of.NamespaceSelector != "" || len(of.AllowedUses) > 0 {
		return false
	}
	r.look()
	return r.ledger.room() == 0 && r.ledger.mostOwned()+r.ledger.empty() < r.blockLimit()
}

// countOn is search where only borrowing is left: so many steps were taken, the first of
// them after so many requests.
func (r *runner) countOn(s step, steps, from int) (all int, atLeast bool) {
	free := 0
	r.ledger.blocks.all(func(b *account) { free += b.free })
	requests := r.result.Requests - from
	for {
		asks := s.asks(steps)
		if asks > free {
			return steps, false
		}
		free -= asks
		requests += asks
		steps++
		if most := r.options.HeadroomRequests; most > 0 && requests >= most {
			return steps, true
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
	return step{take, func(int) int { return len(on) }, len(on) > 0}
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
	asks := func(nth int) int {
		n := counts[nth%len(counts)]
		if r.scenario.TunnelIPPerNode {
			n++
		}
		return n
	}
	return step{take, asks, r.scenario.asks(&g) > 0}
}
