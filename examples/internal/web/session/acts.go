package session

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// controlPlane marks the nodes of the control plane.
const controlPlane = "node-role.kubernetes.io/control-plane"

// poolName is how the first pool is called.
func poolName(is4 bool) string {
	if is4 {
		return "default-ipv4-ippool"
	}
	return "default-ipv6-ippool"
}

// orElse is a number or, where there is none, another.
func orElse(n *int, other int) int {
	if n == nil {
		return other
	}
	return *n
}

// setup makes the cluster of the text lab: a control plane and workers, as Kind calls
// them.
func (w *world) setup(op *Op) error {
	text := op.Pool
	if text == "" {
		text = "192.168.0.0/16"
	}
	cidr, err := prefix("pool", text)
	if err != nil {
		return err
	}
	spec := pool.Spec{Name: poolName(cidr.Addr().Is4()), CIDR: cidr, BlockSize: op.BlockSize}
	if err := checkPool(spec); err != nil {
		return err
	}
	if err := w.putPool(spec); err != nil {
		return err
	}
	lab := op.Pods != "none"
	w.tunnels = lab
	n := orElse(op.Nodes, 3)
	for i := range n {
		if _, err := w.join(w.nextName(), nil, i == 0); err != nil {
			return err
		}
		if i == 0 {
			w.clock.Advance(20 * time.Second) // workers join a control plane that is up
		}
	}
	w.clock.Advance(3 * time.Minute) // until Calico is installed
	p := w.pools[0]
	blocks := 1 << p.BlockBits()
	w.say("%s, and the pool %s in %s of /%d: %s each.", count(n, "node"), p.CIDR(), count(blocks, "block"), p.BlockSize(), count(1<<(cidr.Addr().BitLen()-p.BlockSize()), "address"))
	if !lab {
		w.say("Nobody has asked for an address yet, so no block exists.")
		w.clock.Advance(time.Second)
		return nil
	}
	var events []event
	for i, n := range w.order { // at the moments of the text lab, which makes the first claim by hand
		if i > 0 {
			w.clock.Advance(time.Second)
		}
		events = append(events, w.startTunnel(n)...)
		w.clock.Advance(time.Second)
		if i == 0 {
			w.clock.Advance(time.Second)
		}
	}
	w.clock.Advance(20 * time.Second)
	workers := w.takers()
	put := func(namespace, name string, n *node, daemon bool) {
		p := newPod(namespace, name, n)
		p.daemon = daemon
		w.enter(p)
		events = append(events, w.ask(p)...)
		w.clock.Advance(time.Second)
	}
	for i, name := range []string{"kube-system/coredns-1", "kube-system/coredns-2", "local-path-storage/local-path-provisioner", "calico-system/calico-kube-controllers"} {
		namespace, name, _ := strings.Cut(name, "/")
		put(namespace, name, workers[i%len(workers)], false)
	}
	for i, n := range w.order {
		put("calico-system", fmt.Sprintf("csi-node-driver-%d", i+1), n, true)
	}
	w.clock.Advance(12 * time.Minute)
	w.tell(events)
	return nil
}

// nextName is the name of the next node, as Kind numbers them.
func (w *world) nextName() string {
	for i := w.joined; ; i++ {
		name := "calico-ipam-worker"
		switch {
		case i == 0:
			name = "calico-ipam-control-plane"
		case i > 1:
			name += fmt.Sprint(i)
		}
		if w.nodes[name] == nil {
			return name
		}
	}
}

// join adds a node to the cluster.
func (w *world) join(name string, labels map[string]string, control bool) (*node, error) {
	all := map[string]string{"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
	maps.Copy(all, labels)
	if control {
		all[controlPlane] = ""
	}
	_, control = all[controlPlane]
	if err := w.putNode(name, all); err != nil {
		return nil, err
	}
	w.joined++
	n := w.nodes[name]
	if n == nil {
		n = &node{name: name, place: len(w.order), blocks: make(map[netip.Prefix]bool)}
		w.nodes[name] = n
		w.order = append(w.order, n)
	}
	n.labelText = nil
	n.labels, n.joined, n.control, n.gone, n.cordoned = all, w.clock.Now(), control, false, false
	w.affected[name] = true
	for cidr := range w.blocks { // of a node of that name that is gone
		w.belongs(n.owner(), cidr)
	}
	return n, nil
}

// putNode writes a node.
func (w *world) putNode(name string, labels map[string]string) error {
	n := ipam.Node{Name: name, Labels: labels}
	if err := w.kubernetes.SetNode(n); err != nil {
		return errors.New(plain(err))
	}
	w.note("SetNode", trace.In{Node: &n})
	return nil
}

// startTunnel gives the node the address of its tunnel device.
func (w *world) startTunnel(n *node) []event {
	p := newPod("", tunnelName, n)
	w.enter(p)
	return w.ask(p)
}

func (w *world) addNode(op *Op) error {
	alive := 0
	for _, n := range w.order {
		if !n.gone {
			alive++
		}
	}
	if alive >= maxNodes {
		return fmt.Errorf("there are %s nodes already, and no more can be", thousands(alive))
	}
	name := op.Name
	if name == "" {
		name = w.nextName()
	}
	if n := w.nodes[name]; n != nil && !n.gone {
		return fmt.Errorf("name: there is a node %s already", name)
	}
	if !nodeName(name) {
		return fmt.Errorf("name: %q is no name of a node: use small letters, digits, - and ., at most 253", name)
	}
	back := w.nodes[name] != nil
	labels := make(map[string]string)
	for key, value := range op.Labels {
		if value != nil {
			labels[key] = *value
		}
	}
	n, err := w.join(name, labels, false)
	if err != nil {
		return err
	}
	if back {
		w.say("%s is back, and so is its name: the blocks that it left are its own again.", name)
	} else {
		w.say("%s joins.", name)
	}
	if op.Tunnel == nil && w.tunnels || op.Tunnel != nil && *op.Tunnel {
		if n.tunnel == nil {
			w.tell(w.startTunnel(n))
		}
	} else {
		w.say("It has no block: it claims one when its first pod asks for an address.")
	}
	return nil
}

// nodeName reports whether a node can be called so.
func nodeName(name string) bool {
	if name == "" || len(name) > 253 || strings.Trim(name, "-.") != name {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}

func (w *world) labelNode(op *Op) error {
	n, err := w.node("node", op.Node)
	if err != nil {
		return err
	}
	all := maps.Clone(n.labels)
	var words []string
	for _, key := range slices.Sorted(maps.Keys(op.Labels)) {
		value := op.Labels[key]
		switch {
		case key == "":
			return errors.New("labels: a label needs a name")
		case value == nil: // as kubectl label key- does
			delete(all, key)
			words = append(words, key+" is gone")
		case *value == "":
			all[key] = ""
			words = append(words, key+" is set")
		default:
			all[key] = *value
			words = append(words, fmt.Sprintf("%s is %q", key, *value))
		}
	}
	if len(words) == 0 {
		return errors.New("labels: give one at least, such as zone=a")
	}
	if err := w.putNode(n.name, all); err != nil {
		return err
	}
	n.labels, n.labelText = all, nil
	_, n.control = all[controlPlane]
	w.affected[n.name] = true
	w.say("The labels of %s: %s.", n.name, list(words))
	for _, p := range w.pools {
		if p.Spec().NodeSelector != "" && !p.SelectsNode(all) {
			w.say("Pool %s does not select it any more: its pods get no new addresses there.", p.Name())
		}
	}
	return nil
}

func (w *world) addPods(op *Op) error {
	if !op.Fill {
		return w.start(orElse(op.Count, 1), op.Node)
	}
	var n *node
	if op.Node == "" {
		takers := w.takers()
		if len(takers) == 0 {
			return errNobody
		}
		n = slices.MinFunc(takers, less)
	} else {
		var err error
		if n, err = w.node("node", op.Node); err != nil {
			return err
		}
	}
	free := 0
	for _, b := range n.owned(w) {
		free += b.count.Free
	}
	if free == 0 { // so the next block is filled
		free = 1
		if len(w.pools) > 0 {
			free = 1 << min(12, w.pools[0].CIDR().Addr().BitLen()-w.pools[0].BlockSize())
		}
	}
	return w.start(free, n.name)
}

var errNobody = errors.New("no node takes pods: add one, or undrain one")

// start starts pods of the deployment web, on a node or where there are the fewest.
func (w *world) start(n int, on string) error {
	if len(w.pods)+n > maxPods {
		return fmt.Errorf("count: there would be %s pods, and at most %s can be", thousands(len(w.pods)+n), thousands(maxPods))
	}
	queue := &byPods{sign: 1}
	if on != "" {
		one, err := w.node("node", on)
		if err != nil {
			return err
		}
		if one.cordoned {
			return fmt.Errorf("node: %s is drained and takes no pods; undrain it first", on)
		}
		queue.of = []nodeLoad{{one, one.pods}}
	} else {
		for _, n := range w.takers() {
			queue.of = append(queue.of, nodeLoad{n, n.pods})
		}
		if len(queue.of) == 0 {
			return errNobody
		}
	}
	heap.Init(queue)
	var events []event
	for range n {
		w.started++
		for w.pods[fmt.Sprintf("default/web-%d", w.started)] != nil {
			w.started++
		}
		p := newPod("default", fmt.Sprintf("web-%d", w.started), queue.of[0].node)
		w.enter(p)
		queue.of[0].pods = p.node.pods
		heap.Fix(queue, 0)
		events = append(events, w.ask(p)...)
	}
	w.tell(events)
	return nil
}

// nodeLoad is a node with the pods that count.
type nodeLoad struct {
	node *node
	pods []*pod
}

// byPods is a heap of nodes, the one with the fewest pods first, or with the most.
type byPods struct {
	of   []nodeLoad
	sign int
}

func (q *byPods) Len() int { return len(q.of) }
func (q *byPods) Less(i, j int) bool {
	a, b := &q.of[i], &q.of[j]
	return cmp.Or(q.sign*cmp.Compare(len(a.pods), len(b.pods)), q.sign*cmp.Compare(a.node.place, b.node.place)) < 0
}
func (q *byPods) Swap(i, j int) { q.of[i], q.of[j] = q.of[j], q.of[i] }
func (q *byPods) Push(any)      { panic("nodes stay") }
func (q *byPods) Pop() any      { panic("nodes stay") }

// stop ends pods, which give their addresses back.
func (w *world) stop(pods []*pod) {
	var back []returned
	for _, p := range pods {
		back = append(back, w.giveBack(p)...)
		w.leave(p)
	}
	w.tellBack(back, len(pods))
}

// deployed are the pods of the deployment web, and those of a file, of a node or of all, the newest last.
func deployed(pods []*pod) (web []*pod) {
	for _, p := range pods {
		if p.namespace == "default" || p.asks != nil {
			web = append(web, p)
		}
	}
	return web
}

func (w *world) removePods(op *Op) error {
	n, err := w.node("node", op.Node)
	if err != nil {
		return err
	}
	web, want := deployed(n.pods), orElse(op.Count, 1)
	if len(web) < want {
		return fmt.Errorf("count: %s has only %s to remove (others are the cluster's own: remove them by name)", n.name, count(len(web), "pod"))
	}
	last := slices.Clone(web[len(web)-want:])
	slices.Reverse(last)
	w.stop(last)
	return nil
}

func (w *world) removePod(op *Op) error {
	p, err := w.pod(op.Pod)
	if err != nil {
		return err
	}
	w.stop([]*pod{p})
	return nil
}

func (w *world) scale(op *Op) error {
	web, fullest := 0, &byPods{sign: -1}
	for _, n := range w.order {
		if pods := deployed(n.pods); len(pods) > 0 {
			fullest.of = append(fullest.of, nodeLoad{n, pods})
			web += len(pods)
		}
	}
	want := *op.Count
	switch {
	case want > web:
		return w.start(want-web, "")
	case want == web:
		w.say("There are %s already.", count(want, "pod"))
		return nil
	}
	heap.Init(fullest)
	var last []*pod
	for range web - want {
		first := &fullest.of[0]
		newest := len(first.pods) - 1
		last = append(last, first.pods[newest])
		first.pods = first.pods[:newest]
		heap.Fix(fullest, 0)
	}
	w.stop(last)
	return nil
}

func (w *world) restart(op *Op) error {
	p, err := w.pod(op.Pod)
	if err != nil {
		return err
	}
	if op.Back {
		return w.restartUntilBack(p)
	}
	back := w.giveBack(p)
	w.tellPod(p)
	events := w.ask(p)
	w.say("%s restarts on %s.", p.label(), p.node.name)
	w.tellBack(back, 0)
	w.tell(events)
	return nil
}

// restartUntilBack restarts a pod until it gets the address that it had. It has made a
// whole turn of the queue then.
func (w *world) restartUntilBack(p *pod) error {
	switch {
	case p.waits():
		return fmt.Errorf("pod: %s has no address that could return", p.label())
	case w.ipam.GetIPAMConfig().IPCooldownSeconds > 0:
		return errors.New("back: a released address cools down, and the clock stands still while pods restart: set the cooldown to 0s first")
	}
	first, others := p.ips[0], make(map[netip.Addr]bool)
	for {
		w.giveBack(p)
		w.tellPod(p)
		w.ask(p)
		restarts := count(len(others)+1, "time")
		switch {
		case p.waits():
			w.say("%s restarts %s on %s, and then gets no address: %s.", p.label(), restarts, p.node.name, w.reason(p))
			return nil
		case p.ips[0] == first:
			if len(others) == 0 {
				w.say("%s restarts on %s, and gets %s again: no other address is in the queue.", p.label(), p.node.name, first)
				return nil
			}
			w.say("%s restarts %s on %s. Each time its address goes to the end of the queue, and it gets the head.", p.label(), restarts, p.node.name)
			w.say("So it has the other %s of the queue first, and then %s returns.", count(len(others), "address"), first)
			return nil
		case others[p.ips[0]]:
			w.say("%s restarts %s on %s, and %s does not return: the node takes addresses of another block first.", p.label(), restarts, p.node.name, first)
			return nil
		}
		others[p.ips[0]] = true
	}
}
