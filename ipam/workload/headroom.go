package workload

// headroom goes on from where the scenario ended until something is refused: with
// more pods here, and with more nodes where it has run once more.
func (r *runner) headroom() (*Headroom, error) {
	if r.result.Refused() > 0 {
		return &Headroom{}, nil
	}
	h := &Headroom{PodsPerNode: r.morePods()}
	if r.stopped {
		return nil, ErrStopped
	}
	again, err := runOwn(r.scenario, Options{Progress: r.options.Progress})
	if err != nil {
		return nil, err
	}
	h.Nodes = again.moreNodes()
	if again.stopped {
		return nil, ErrStopped
	}
	return h, nil
}

// morePods starts a pod on every node, again and again, and returns how often that
// worked.
func (r *runner) morePods() (rounds int) {
	r.quiet()
	for {
		some := false
		for _, n := range r.nodes {
			if n.cordoned {
				continue
			}
			some = true
			if r.startPod(n); r.result.Refused() > 0 || r.stopped {
				return rounds
			}
		}
		if !some {
			return NoEnd
		}
		rounds++
	}
}

// moreNodes adds nodes like those of the first group, and returns how many got all
// they asked for.
func (r *runner) moreNodes() (nodes int) {
	r.quiet()
	g := r.scenario.Group
	counts := g.podCounts()
	for ; ; nodes++ {
		before := r.result.Requests
		r.join(r.bringUp(&g, counts[nodes%len(counts)]))
		if r.result.Refused() > 0 || r.stopped {
			return nodes
		}
		if r.result.Requests == before {
			return NoEnd
		}
	}
}

// quiet ends what is told of requests: these are not the scenario's.
func (r *runner) quiet() {
	r.options.Each, r.options.Samples = nil, 0
	r.pods.kept = false
}
