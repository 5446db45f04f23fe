package workload

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

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

// drain evicts the pods of a node, and keeps others from it.
func (r *runner) drain(n *node) {
	n.cordoned = true
	for i := 0; i < len(r.pods.all); i++ {
		p := r.pods.all[i]
		if p.node != n {
			continue
		}
		if on := r.emptiest(); on != nil {
			r.restart(p, on)
			continue
		}
		r.release(p)
		n.pods--
		r.result.Unscheduled++
		r.pods.all = slices.Delete(r.pods.all, i, i+1)
		i--
	}
}

// emptiest returns the node that takes a pod: of those with the fewest the first;
// nil if none takes any.
func (r *runner) emptiest() (best *node) {
	for _, n := range r.nodes {
		if !n.cordoned && (best == nil || n.pods < best.pods) {
			best = n
		}
	}
	return best
}

// remove drains a node and takes it from the cluster.
func (r *runner) remove(n *node) {
	r.drain(n)
	r.release(&n.tunnel)
	n.gone = true
	r.removeHost(n)
}
