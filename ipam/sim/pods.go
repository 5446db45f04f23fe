package sim

import (
	"container/heap"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/pool"
)

// pod is one that asked for an address. So is a node's tunnel.
type pod struct {
	number   int        // of those that were ever kept
	node     *node      // nil while it runs nowhere
	turn     int        // of the pods that its node started, from 0; not of named ones
	handle   string     // empty in an anonymous run
	address  netip.Addr // invalid if it was refused
	borrowed bool
	queued   bool  // to ask again
	group    int32 // its pod group, from 1; 0 for none
	named    *named
}

// named is what only a pod has that a start-pod event started, or a virtual machine.
type named struct {
	name    lifecycle.PodName
	address netip.Addr // asked for; invalid for any
	machine *machine   // nil for a pod that a start-pod event started
}

// pods are those that run, if anything can happen to them: otherwise nobody asks,
// and millions of them would be kept for nothing.
type pods struct {
	kept   bool
	number int  // that were ever kept
	spare  pod  // the one in hand where they are not kept
	listed bool // whether somebody asks for all of them
	all    []*pod
	gone   bool // some of all run nowhere

	named   map[string]*pod // by namespace/name
	pending []*pod          // that no node took
	waiting int             // that run and have no address
	queue   []*pod          // that ask again

	givenBack givenBack
}

// add returns room for one more.
func (p *pods) add() *pod {
	if !p.kept {
		p.spare = pod{}
		return &p.spare
	}
	p.number++
	added := &pod{number: p.number}
	p.list(added)
	return added
}

// list adds a pod to all of them.
func (p *pods) list(added *pod) {
	if p.listed {
		p.all = append(p.all, added)
	}
}

// running returns all that run.
func (p *pods) running() []*pod {
	if p.gone {
		p.gone = false
		p.all = slices.DeleteFunc(p.all, func(p *pod) bool { return p.node == nil })
	}
	return p.all
}

const podHandle = "k8s-pod-network."

// nameOf returns the pod's name in Kubernetes.
func (r *runner) nameOf(p *pod) lifecycle.PodName {
	if p.named != nil {
		return p.named.name
	}
	namespace := r.namespaceOf(p)
	if p.handle == "" {
		return lifecycle.PodName{Namespace: namespace, Name: p.node.name + "-" + strconv.Itoa(p.turn)}
	}
	return lifecycle.PodName{Namespace: namespace, Name: p.handle[len(podHandle):]}
}

// namespaceOf returns the name of the namespace that a pod is in.
func (r *runner) namespaceOf(p *pod) string {
	switch {
	case p.group > 0:
		return r.scenario.PodGroups[p.group-1].namespace()
	case p.named != nil:
		return p.named.name.Namespace
	}
	return defaultNamespace
}

// attrsOf returns the attributes of a pod's or a tunnel's address. Only a cleaner
// looks at whose it is.
func (r *runner) attrsOf(n *node, use pool.Use, p *pod) block.Attrs {
	if r.cluster == nil {
		return n.attrs
	}
	if use == pool.Tunnel {
		return block.MakeAttrs(map[string]string{ipam.AttrNode: n.name, ipam.AttrType: "vxlanTunnelAddress"})
	}
	if p.isMachine() {
		return r.machineAttrs(n, p)
	}
	name := r.nameOf(p)
	if n.namespace != name.Namespace {
		n.namespace, n.attrs = name.Namespace, block.MakeAttrs(map[string]string{ipam.AttrNode: n.name, ipam.AttrNamespace: name.Namespace})
	}
	return n.attrs.With(ipam.AttrPod, name.Name)
}

// startPods starts the pods that a node comes up with.
func (r *runner) startPods(n *node) {
	for range n.firstPods {
		r.startPod(n)
	}
}

// startPod starts one more pod on a node, of the group whose turn it is.
func (r *runner) startPod(n *node) { r.startPodOf(n.groupOf(), n) }

// startPodOf starts one more pod of a group on a node.
func (r *runner) startPodOf(group int32, n *node) { r.start(r.newPod(group), n) }

// newPod returns one more pod of a group, which has not started.
func (r *runner) newPod(group int32) *pod {
	p := r.pods.add()
	p.group = group
	if group > 0 && r.scenario.PodGroups[group-1].VirtualMachines {
		r.makeMachine(p)
	}
	return p
}

// start starts a pod on a node, and asks for its address.
func (r *runner) start(p *pod, on *node) {
	p.node = on
	r.result.PodsStarted++
	if p.isMachine() {
		p.launch()
		on.started++
	} else if p.named != nil { // a new sandbox
		p.handle = r.handle(podHandle, p.named.name.Name, "-", strconv.Itoa(r.result.PodsStarted))
	} else {
		p.turn = on.started
		on.started++
		if !r.anonymous {
			p.handle = r.handle(podHandle, on.name, "-", strconv.Itoa(p.turn))
		}
	}
	on.running++
	if c := r.countOf(p); c != nil {
		c.running++
	}
	if r.pods.kept {
		on.pods = append(on.pods, p)
	}
	r.request(on, pool.Workload, p)
	if !p.address.IsValid() {
		r.result.PodsRefused++
		r.pods.waiting++
		r.wait(p)
	}
	r.show(p)
}

// place starts a pod on the emptiest of the nodes.
func (r *runner) place(p *pod, free *byPods) {
	if len(free.nodes) == 0 {
		r.pods.pending = append(r.pods.pending, p)
		r.pods.gone = true
		r.result.Unscheduled++
		return
	}
	r.start(p, free.nodes[0])
	heap.Fix(free, 0)
}

// stop ends a pod, which its node is to forget. Whether the allocator is told is
// another matter.
func (r *runner) stop(p *pod, told bool) {
	if r.cluster != nil {
		r.cluster.DeletePod(r.nameOf(p))
		r.cleaner.changed = true
	}
	if !p.address.IsValid() {
		r.pods.waiting--
	}
	if c := r.countOf(p); c != nil {
		c.running--
	}
	r.release(p, told)
	p.node = nil
}

// release takes a pod's or a tunnel's address, if it has one. Unless the allocator is
// told, it stays allocated and nobody holds it.
func (r *runner) release(p *pod, told bool) {
	ip := p.address
	if !ip.IsValid() {
		return
	}
	r.moves++
	r.inUse--
	p.node.inUse--
	if p.borrowed {
		r.borrowed--
	}
	if r.groups.counts != nil {
		r.spaceOf(ip).by[r.holder(p, p == &p.node.tunnel)]--
	}
	p.address, p.borrowed = netip.Addr{}, false
	if p.isMachine() && !p.named.machine.ended {
		r.park(p, ip)
		return
	}
	if !told || r.engine.ReleaseByHandle(p.handle) != nil {
		r.abandon(ip)
		return
	}
	r.result.Released++
	r.givenBack(ip)
}

// abandon takes note of an address that stays allocated and nobody holds.
func (r *runner) abandon(ip netip.Addr) {
	r.unheld++
	if r.left != nil {
		r.left[ip] = true
	}
}

// settle takes note that somebody holds such an address again, or that it is free.
func (r *runner) settle(ip netip.Addr) {
	r.unheld--
	delete(r.left, ip)
}

// givenBack takes note of an address that nobody has any more.
func (r *runner) givenBack(ip netip.Addr) {
	r.spaceOf(ip).inUse--
	r.pods.givenBack.add(ip, r.at)
}

// reused looks at an address that was given out for whether it was before.
func (r *runner) reused(ip netip.Addr) {
	at, ok := r.pods.givenBack.take(ip)
	if !ok {
		return
	}
	if gap := Duration(r.at - at); r.result.ReuseGap == nil || gap < *r.result.ReuseGap {
		least := gap // another variable, which is made only here
		r.result.ReuseGap = &least
	}
}

// wait has the pod ask again, if the scenario's do.
func (r *runner) wait(p *pod) {
	if r.scenario.RetryEvery > 0 && r.pods.kept && !p.queued {
		p.queued = true
		r.pods.queue = append(r.pods.queue, p)
	}
}

// askAgain asks for the addresses of the pods that wait.
func (r *runner) askAgain() {
	queue := r.pods.queue
	r.pods.queue = nil
	for _, p := range queue {
		p.queued = false
		if p.node == nil || p.address.IsValid() {
			continue // gone, or back with an address
		}
		r.result.Retries++
		if r.request(p.node, pool.Workload, p); !p.address.IsValid() {
			r.wait(p)
			continue
		}
		r.pods.waiting--
		r.show(p)
	}
}

// forget takes a pod from its node.
func (n *node) forget(p *pod) {
	n.running--
	i := slices.Index(n.pods, p)
	n.pods = slices.Delete(n.pods, i, i+1)
}

// churn restarts one pod on its node, whichever.
func (r *runner) churn() {
	all := r.pods.running()
	if len(all) == 0 {
		return
	}
	p := all[r.random.Intn(len(all))]
	r.restart(p, !r.lost())
}

// restart ends a pod and starts it again on its node.
func (r *runner) restart(p *pod, told bool) {
	n := p.node
	n.forget(p)
	r.stop(p, told)
	r.start(p, n)
}

// replacePod replaces a pod, any but the named ones, on its node.
func (r *runner) replacePod() {
	there := r.present()
	if len(there) == 0 {
		return
	}
	n := there[r.random.Intn(len(there))]
	if len(n.pods) == 0 {
		return
	}
	p := n.pods[r.random.Intn(len(n.pods))]
	if p.isMachine() {
		r.restart(p, true)
		return
	}
	if p.named != nil {
		return
	}
	r.end(p)
	r.startPodOf(p.group, n)
}

// end ends a pod for good. Its release may be lost.
func (r *runner) end(p *pod) {
	p.node.forget(p)
	told := !r.lost()
	if p.isMachine() {
		r.delete(p, told)
	}
	r.stop(p, told)
	r.pods.gone = true
}

// present returns the nodes that are there, by place.
func (r *runner) present() []*node {
	if r.absent == 0 {
		return r.places
	}
	return slices.DeleteFunc(slices.Clone(r.places), func(n *node) bool { return n == nil })
}

// scales reports whether scale is about the pod: one of the group if there are groups,
// and any but the named ones if not.
func (p *pod) scales(group int32) bool {
	if group > 0 {
		return p.group == group
	}
	return p.named == nil
}

// toScale returns how many pods there are that scale is about, pending ones too.
func (r *runner) toScale(group int32) (pods int) {
	if group > 0 {
		pods = r.groups.counts[group-1].running
		for _, p := range r.pods.pending {
			if p.group == group {
				pods++
			}
		}
		return pods
	}
	pods = len(r.pods.pending) - len(r.pods.named)
	for _, n := range r.present() {
		pods += n.running
	}
	return pods
}

// scale starts or ends pods, those of a group if there are groups, until so many run,
// named ones aside.
func (r *runner) scale(to int, group int32) {
	have := r.toScale(group)
	for i := len(r.pods.pending) - 1; i >= 0 && have > to; i-- {
		p := r.pods.pending[i]
		if !p.scales(group) {
			continue
		}
		if p.isMachine() {
			r.delete(p, !r.lost())
		}
		r.pods.pending = slices.Delete(r.pods.pending, i, i+1)
		r.result.Unscheduled--
		have--
	}
	if have > to {
		r.scaleDown(have-to, group)
	}
	for free := r.takers(false); have < to; have++ {
		r.place(r.newPod(group), free)
	}
}

// scaleDown ends so many pods that scale is about, the last started of the nodes that
// run the most.
func (r *runner) scaleDown(by int, group int32) {
	full := r.takers(true)
	for by > 0 {
		n := full.nodes[0]
		last := (*pod)(nil)
		for _, p := range n.pods {
			if p.scales(group) && (last == nil || p.number > last.number) {
				last = p
			}
		}
		if last == nil { // only others
			heap.Pop(full)
			continue
		}
		r.end(last)
		heap.Fix(full, 0)
		by--
	}
}

// startNamed starts the pod of an event.
func (r *runner) startNamed(e *Event) {
	namespace, name, _ := strings.Cut(e.Pod, "/")
	p := r.pods.add()
	p.named = &named{lifecycle.PodName{Namespace: namespace, Name: name}, e.Address, nil}
	if r.pods.named == nil {
		r.pods.named = make(map[string]*pod)
	}
	r.pods.named[e.Pod] = p
	r.start(p, r.node(e.Nodes[0]))
}

// stopNamed ends a pod that startNamed started.
func (r *runner) stopNamed(name string) {
	p := r.pods.named[name]
	delete(r.pods.named, name)
	if p.node == nil {
		r.pods.pending = slices.DeleteFunc(r.pods.pending, func(x *pod) bool { return x == p })
		r.result.Unscheduled--
		return
	}
	r.end(p)
}

// takers returns the nodes that take pods, as a heap: the one with the fewest pods
// first; or all nodes, the one with the most first.
func (r *runner) takers(most bool) *byPods {
	h := &byPods{most: most}
	for _, n := range r.present() {
		if most || !n.cordoned {
			h.nodes = append(h.nodes, n)
		}
	}
	heap.Init(h)
	return h
}

// byPods is a heap of nodes: the one with the fewest, or the most, pods, and the first
// of several, comes first.
type byPods struct {
	nodes []*node
	most  bool
}

// Len, Less, Swap, Push and Pop are the heap's.
func (h *byPods) Len() int { return len(h.nodes) }
func (h *byPods) Less(i, j int) bool {
	a, b := h.nodes[i], h.nodes[j]
	if a.running != b.running {
		return a.running < b.running != h.most
	}
	return a.number < b.number
}
func (h *byPods) Swap(i, j int) { h.nodes[i], h.nodes[j] = h.nodes[j], h.nodes[i] }
func (h *byPods) Push(x any)    { h.nodes = append(h.nodes, x.(*node)) }
func (h *byPods) Pop() any {
	last := h.nodes[len(h.nodes)-1]
	h.nodes = h.nodes[:len(h.nodes)-1]
	return last
}
