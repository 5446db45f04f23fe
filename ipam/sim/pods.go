package sim

import (
	"container/heap"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/pool"
)

// pod is one that asked for an address. So is a node's tunnel.
type pod struct {
	node     *node
	handle   string
	address  netip.Addr // invalid if it was refused
	borrowed bool
}

// pods are those that run, if anything can happen to them: otherwise nobody asks,
// and millions of them would be kept for nothing.
type pods struct {
	kept  bool
	all   []*pod
	spare pod // the one in hand where they are not kept

	released map[netip.Addr]time.Duration // addresses given back and not given out again, and when
}

// add returns room for one more.
func (p *pods) add() *pod {
	if !p.kept {
		p.spare = pod{}
		return &p.spare
	}
	added := new(pod)
	p.all = append(p.all, added)
	return added
}

// release gives back a pod's address, if it has one.
func (r *runner) release(p *pod) {
	if !p.address.IsValid() || r.engine.ReleaseByHandle(p.handle) != nil {
		return
	}
	r.result.Released++
	r.spaceOf(p.address).inUse--
	r.inUse--
	p.node.inUse--
	if p.borrowed {
		r.borrowed--
	}
	if r.pods.released == nil {
		r.pods.released = make(map[netip.Addr]time.Duration)
	}
	r.pods.released[p.address] = r.at
	p.address, p.borrowed = netip.Addr{}, false
}

// reused looks at an address that was given out for whether it was before.
func (r *runner) reused(ip netip.Addr) {
	at, ok := r.pods.released[ip]
	if !ok {
		return
	}
	delete(r.pods.released, ip)
	if gap := Duration(r.at - at); r.result.ReuseGap == nil || gap < *r.result.ReuseGap {
		r.result.ReuseGap = &gap
	}
}

// restart ends a pod and starts another in its place, on a node that may be
// another.
func (r *runner) restart(p *pod, on *node) {
	r.release(p)
	p.node.pods--
	p.node = on
	p.handle = r.handle("k8s-pod-network.", on.name, "-", strconv.Itoa(on.started))
	on.started++
	on.pods++
	r.request(on, pool.Workload, p)
}

// churn restarts one pod, whichever.
func (r *runner) churn() {
	if n := len(r.pods.all); n > 0 {
		p := r.pods.all[r.random.Intn(n)]
		r.restart(p, p.node)
	}
}

// drain keeps pods from the nodes, and evicts those that they run.
func (r *runner) drain(names []string) {
	drained := make([]*node, 0, len(names))
	for _, name := range names {
		n := r.node(name)
		n.cordoned = true
		drained = append(drained, n)
	}
	running := make(map[*node][]*pod, len(drained))
	for _, p := range r.pods.all {
		if p.node.cordoned {
			running[p.node] = append(running[p.node], p)
		}
	}
	free := r.emptiest()
	for _, n := range drained {
		for _, p := range running[n] {
			if len(free) > 0 {
				r.restart(p, free[0])
				heap.Fix(&free, 0)
				continue
			}
			r.release(p)
			n.pods--
			p.node = nil
			r.result.Unscheduled++
		}
	}
	r.pods.all = slices.DeleteFunc(r.pods.all, func(p *pod) bool { return p.node == nil })
}

// emptiest returns the nodes that take pods, as a heap.
func (r *runner) emptiest() byPods {
	var free byPods
	for _, n := range r.nodes {
		if !n.cordoned {
			free = append(free, n)
		}
	}
	heap.Init(&free)
	return free
}

// byPods is a heap of nodes: the one with the fewest pods, and the first of several,
// comes first.
type byPods []*node

// Len, Less, Swap, Push and Pop are the heap's.
func (h byPods) Len() int { return len(h) }
func (h byPods) Less(i, j int) bool {
	return h[i].pods < h[j].pods || h[i].pods == h[j].pods && h[i].number < h[j].number
}
func (h byPods) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byPods) Push(x any)   { *h = append(*h, x.(*node)) }
func (h *byPods) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// remove drains nodes and takes them from the cluster.
func (r *runner) remove(names []string) {
	r.drain(names)
	for _, name := range names {
		n := r.node(name)
		r.release(&n.tunnel)
		n.gone = true
		_ = r.engine.RemoveIPAMHost(affinity.HostOwner(n.name)) // nothing competes for them
		r.engine.DeleteNode(n.name)
	}
}
