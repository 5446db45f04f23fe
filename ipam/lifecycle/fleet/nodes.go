package fleet

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/pool"
)

// node is one life of a place.
type node struct {
	name      string
	pods      []*pod
	ever      int // pods without a name of their own
	hasTunnel bool
}

// pod is one pod, or of those that StartPod started, all its lives.
type pod struct {
	name    lifecycle.PodName
	node    *node // nil once it is gone
	handle  string
	attrs   block.Attrs
	address netip.Addr // asked for; invalid for any
	ips     [1]netip.Addr
	has     bool // ips is its address
	stays   bool // comes back under its name
	refused bool // at least once
	queued  bool // to ask again
}

// bringUp starts a node in the place, without pods yet.
func (r *runner) bringUp(place int) {
	r.result.NodeLives++
	n := &node{name: fmt.Sprintf("node-%06d", r.result.NodeLives)}
	r.places[place] = n
	_ = r.cluster.SetNode(ipam.Node{Name: n.name}) // the name is in order
	r.changed = true
	if r.scenario.Tunnel {
		r.tunnel(n)
	}
}

// populate starts the pods of the node in the place: those that come back from the
// one before it, nil for none, and new ones.
func (r *runner) populate(place int, before *node) {
	n := r.places[place]
	if before != nil {
		for _, p := range before.pods {
			r.run(p, n)
		}
	}
	for range r.scenario.PodsPerNode {
		r.newPod(n)
	}
}

// newPod starts a pod on the node, under a name that none had before.
func (r *runner) newPod(n *node) {
	name := lifecycle.PodName{Namespace: "default", Name: n.name + "-" + strconv.Itoa(n.ever)}
	n.ever++
	r.run(&pod{name: name}, n)
}

// tunnel asks for the node's tunnel address.
func (r *runner) tunnel(n *node) {
	r.result.Tunnels++
	attrs := block.MakeAttrs(map[string]string{ipam.AttrNode: n.name, ipam.AttrType: "vxlanTunnelAddress"})
	err := r.assign(n, "vxlan-tunnel-addr-"+n.name, attrs, pool.Tunnel)
	if n.hasTunnel = len(r.got()) > 0; !n.hasTunnel {
		r.result.RefusedTunnels++
		r.refuse(n, nil, err)
		return
	}
	r.allocated++
	r.held++
}

// run starts a pod on the node, and asks for its address.
func (r *runner) run(p *pod, n *node) {
	r.result.PodLives++
	p.node, p.has, p.refused = n, false, false
	p.handle = "k8s-pod-network." + p.name.Name
	if p.stays { // a new sandbox
		p.handle += "-" + strconv.Itoa(r.result.PodLives)
	}
	p.attrs = block.MakeAttrs(map[string]string{ipam.AttrNode: n.name, ipam.AttrPod: p.name.Name, ipam.AttrNamespace: p.name.Namespace})
	n.pods = append(n.pods, p)
	r.show(p)
	if !r.ask(p) {
		r.waiting++
		r.wait(p)
	}
}

// wait has the pod ask again.
func (r *runner) wait(p *pod) {
	if !p.queued {
		p.queued = true
		r.queue = append(r.queue, p)
	}
}

// show tells Kubernetes of the pod.
func (r *runner) show(p *pod) {
	shown := lifecycle.Pod{PodName: p.name, Node: p.node.name}
	if p.has {
		shown.IPs = p.ips[:]
	}
	_ = r.cluster.SetPod(shown) // it has a name
}

// ask asks for the pod's address and reports whether it has one.
func (r *runner) ask(p *pod) bool {
	n := p.node
	var err error
	if p.address.IsValid() {
		err = r.allocator.AssignIP(ipam.AssignIPArgs{IP: p.address, Host: n.name, Handle: p.handle, Attrs: p.attrs, Use: pool.Workload})
		p.ips[0], p.has = p.address, err == nil
	} else {
		err = r.assign(n, p.handle, p.attrs, pool.Workload)
		if got := r.got(); len(got) > 0 {
			p.ips[0], p.has = got[0].Addr(), true
		}
	}
	if !p.has {
		if !p.refused {
			p.refused = true
			r.result.RefusedPods++
		}
		r.refuse(n, p, err)
		return false
	}
	r.allocated++
	r.held++
	r.changed = true
	r.show(p)
	return true
}

// assign asks for one address of the pool's family.
func (r *runner) assign(n *node, handle string, attrs block.Attrs, use pool.Use) error {
	args := ipam.AutoAssignArgs{Host: n.name, Handle: handle, Attrs: attrs, Use: use}
	if r.scenario.Pool.Addr().Is4() {
		args.Num4 = 1
	} else {
		args.Num6 = 1
	}
	return r.allocator.AutoAssignInto(&args, &r.v4, &r.v6)
}

// got returns what the last assign gave.
func (r *runner) got() []netip.Prefix {
	if r.scenario.Pool.Addr().Is4() {
		return r.v4.IPs
	}
	return r.v6.IPs
}

// refuse writes down the first refusal; p is nil for a tunnel address.
func (r *runner) refuse(n *node, p *pod, err error) {
	if r.result.FirstRefusal != nil {
		return
	}
	f := &Refusal{At: r.at, Node: n.name, Reason: ipam.Code(err)}
	if p != nil {
		f.Pod = p.name.Name
	}
	if err == nil {
		f.Reason = "no address left in the pool"
		if r.scenario.Strict {
			f.Reason = "no block left in the pool"
		}
	}
	r.result.FirstRefusal = f
}

// askAgain asks for the addresses of the pods that wait.
func (r *runner) askAgain() {
	queue := r.queue
	r.queue = nil
	for _, p := range queue {
		p.queued = false
		switch {
		case p.node == nil || p.has: // gone, or back with an address
		case r.ask(p):
			r.waiting--
		default:
			r.wait(p)
		}
	}
}

// stop takes the pod from Kubernetes. Whether the allocator is told is another
// matter.
func (r *runner) stop(p *pod, told bool) {
	r.cluster.DeletePod(p.name)
	r.changed = true
	if !p.has {
		r.waiting--
	} else {
		r.held--
		if told && r.allocator.ReleaseByHandle(p.handle) == nil {
			r.allocated--
		}
	}
	p.node, p.has = nil, false
}

// takeDown ends a node, drained or not. The pods that come back in its place are
// those that it has then.
func (r *runner) takeDown(n *node, drained bool) {
	for _, p := range n.pods {
		if p.node == n {
			r.stop(p, drained && !r.lost())
		}
	}
	if n.hasTunnel {
		r.held--
	}
	r.cluster.DeleteNode(n.name)
	r.ledger.nodeChanged(n.name)
	n.pods = slices.DeleteFunc(n.pods, func(p *pod) bool { return !p.stays })
}

// lost says of a release whether the allocator never hears of it.
func (r *runner) lost() bool {
	return r.scenario.Leaks > 0 && r.random.Float64() < r.scenario.Leaks
}
