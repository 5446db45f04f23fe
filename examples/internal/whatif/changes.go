package whatif

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A change is what a step did.
type change struct {
	Step    string    `json:"step"`
	Says    []string  `json:"says,omitempty"`    // in sentences
	Moved   []move    `json:"moved,omitempty"`   // pods that have another address now
	Refused []refusal `json:"refused,omitempty"` // who got none
	// Of a pool that is resized: the blocks that stand in the way, and the nodes
	// that must drain, in that order.
	Blocks    []string `json:"blocks,omitempty"`
	Drain     []string `json:"drain,omitempty"`
	Procedure []stage  `json:"procedure,omitempty"` // of a migration, on the real cluster
	// Commands delete handles in the real cluster that hold nothing there.
	Commands []string `json:"commands,omitempty"`

	Before figures `json:"-"`
	After  figures `json:"after"`
}

// move is a pod that went to another node, or asked for an address again.
type move struct {
	Pod      string `json:"pod"`
	From     string `json:"from"`
	To       string `json:"to"`
	IP       string `json:"ip"`
	Borrowed bool   `json:"borrowed,omitempty"`
}

// refusal is who was refused, on which node, and why.
type refusal struct {
	Who  string `json:"who"`
	Node string `json:"node,omitempty"`
	Why  string `json:"why"`
}

func (c *change) say(format string, args ...any) {
	c.Says = append(c.Says, fmt.Sprintf(format, args...))
}

func (c *change) refuse(who, node, why string) {
	c.Refused = append(c.Refused, refusal{who, node, why})
}

// apply makes one change. An error is about what the change names, such as a node
// that does not exist.
func (w *world) apply(s step) (change, error) {
	c := change{Step: s.text, Before: w.last}
	w.clock.Advance(time.Minute)
	clear(w.faulty)
	if err := s.do(w, &c); err != nil {
		return c, err
	}
	for _, name := range slices.Sorted(maps.Keys(w.faulty)) {
		c.say("pod %s does not start on a real cluster until its annotations are right: %s; here it counts as asking for nothing by it", name, w.faulty[name])
	}
	w.last = w.figures()
	c.After = w.last
	return c, nil
}

// configure changes the configuration, and says who would be refused then that is
// not now: the pods that chosen picks if they started again, and one more pod on
// each node.
func (w *world) configure(c *change, edit func(*world) error, which string, chosen func(*world, *pod) bool) error {
	before, err := w.oneMore()
	if err != nil {
		return err
	}
	again := make(map[string]bool) // by handle
	for _, p := range w.pods {
		if chosen(w, p) {
			again[p.handle] = true
		}
	}
	if err := edit(w); err != nil {
		c.refuse("the change itself", "", strings.TrimPrefix(err.Error(), "ipam: "))
		return nil
	}
	t, err := w.trial()
	if err != nil {
		return err
	}
	refused := 0
	for _, p := range t.pods {
		if again[p.handle] {
			t.release(p)
			if why := t.ask(p); why != "" {
				c.refuse(p.label(), p.node, why)
				refused++
			}
		}
	}
	if len(again) > 0 {
		c.say("%s %s; if they started again on their nodes, %s refused", plural(len(again), "pod"), which, areText(refused))
	}
	after, err := w.oneMore()
	if err != nil {
		return err
	}
	fewer := 0
	for _, n := range w.a.Nodes() {
		if why := after[n.Name]; why != "" && before[n.Name] == "" {
			fewer++
			c.refuse("one more pod", n.Name, why)
		}
	}
	c.say("one more pod on each node: %s refused that now would start", areText(fewer))
	return nil
}

// oneMore says of each node why it could not start one more pod, if it could not.
func (w *world) oneMore() (map[string]string, error) {
	t, err := w.trial()
	if err != nil {
		return nil, err
	}
	want4, want6 := t.families()
	why := make(map[string]string)
	for _, n := range t.a.Nodes() {
		if !t.cordoned[n.Name] {
			why[n.Name] = t.ask(&pod{namespace: "whatif", name: "one-more", node: n.Name, want4: want4, want6: want6})
		}
	}
	return why, nil
}

// families says how many addresses of each family a pod wants: one of each that
// most pods have, or that there is a pool for.
func (w *world) families() (want4, want6 int) {
	both := [2]int{}
	for _, p := range w.pods {
		both[0] += min(p.want4, 1)
		both[1] += min(p.want6, 1)
	}
	if len(w.pods) == 0 {
		for _, p := range w.a.Pools() {
			if !p.Disabled && !slices.Contains(p.AllowedUses, pool.LoadBalancer) {
				if p.CIDR.Addr().Is4() {
					both[0] = 1
				} else {
					both[1] = 1
				}
			}
		}
	}
	half := len(w.pods) / 2
	if both[0] > half {
		want4 = 1
	}
	if both[1] > half {
		want6 = 1
	}
	if want4+want6 == 0 {
		want4 = 1
	}
	return want4, want6
}

func (w *world) strict(c *change, on bool) error {
	return w.configure(c, func(w *world) error {
		config := w.a.GetIPAMConfig()
		config.StrictAffinity = on
		return w.a.SetIPAMConfig(config)
	}, "have borrowed addresses", (*world).borrows)
}

func (w *world) limit(c *change, n int) error {
	return w.configure(c, func(w *world) error {
		config := w.a.GetIPAMConfig()
		config.MaxBlocksPerHost = n
		return w.a.SetIPAMConfig(config)
	}, "", func(*world, *pod) bool { return false })
}

func (w *world) cooldown(c *change, seconds int) error {
	before, err := w.restartAll()
	if err != nil {
		return err
	}
	config := w.a.GetIPAMConfig()
	config.IPCooldownSeconds = seconds
	if err := w.a.SetIPAMConfig(config); err != nil {
		c.refuse("the change itself", "", strings.TrimPrefix(err.Error(), "ipam: "))
		return nil
	}
	after, err := w.restartAll()
	if err != nil {
		return err
	}
	for i, p := range w.pods {
		if after[i] != "" && before[i] == "" {
			c.refuse(p.label(), p.node, "all pods starting again at once, "+after[i])
		}
	}
	c.say("if all %s started again at once, %s refused; before the change, %s", plural(len(w.pods), "pod"), areText(refusedIn(after)), areText(refusedIn(before)))
	return nil
}

// restartAll says of each pod why it could not start again at the same time as all
// others, if it could not.
func (w *world) restartAll() ([]string, error) {
	t, err := w.trial()
	if err != nil {
		return nil, err
	}
	for _, p := range t.pods {
		_ = t.a.ReleaseByHandle(p.handle)
	}
	why := make([]string, len(t.pods))
	var waiting []int
	for i, p := range t.pods {
		if t.cools(p) {
			waiting = append(waiting, i)
		} else {
			why[i] = t.ask(p)
		}
	}
	for _, i := range waiting {
		why[i] = t.ask(t.pods[i])
	}
	return why, nil
}

func refusedIn(whys []string) int {
	n := 0
	for _, why := range whys {
		if why != "" {
			n++
		}
	}
	return n
}

func (w *world) disablePool(c *change, name string) error {
	spec, err := w.poolCalled(name)
	if err != nil {
		return err
	}
	return w.configure(c, func(w *world) error {
		spec.Disabled = true
		return w.a.SetPool(spec)
	}, "have addresses of "+name, func(w *world, p *pod) bool {
		return slices.ContainsFunc(p.ips, func(ip netip.Addr) bool { return spec.CIDR.Contains(ip) })
	})
}

func (w *world) addPool(c *change, spec pool.Spec) error {
	if err := w.a.SetPool(spec); err != nil {
		return err
	}
	spec = spec.WithDefaults()
	c.say("pool %s has room for %s of /%d", spec.Name, bigPlural(poolBlocks(spec), "block"), spec.BlockSize)
	return nil
}

// poolCalled returns the pool of that name.
func (w *world) poolCalled(name string) (pool.Spec, error) {
	var names []string
	for _, p := range w.a.Pools() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return pool.Spec{}, fmt.Errorf("no pool is called %q; there are %s", name, listText(names))
}

// nodeCalled fails where no node has that name.
func (w *world) nodeCalled(name string) error {
	var names []string
	for _, n := range w.a.Nodes() {
		if n.Name == name {
			return nil
		}
		names = append(names, n.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("no node is called %q: there are no nodes; add nodes to what kubectl gets", name)
	}
	for _, other := range names {
		if plain(other) == plain(name) {
			return fmt.Errorf("no node is called %q; did you mean %q? There are %s", name, other, listText(names))
		}
	}
	return fmt.Errorf("no node is called %q; there are %s", name, listText(names))
}

func (w *world) addNodes(c *change, n int, format string, labels map[string]string) error {
	exists := make(map[string]bool)
	for _, node := range w.a.Nodes() {
		exists[node.Name] = true
	}
	if !strings.Contains(format, "%d") && exists[format] {
		return fmt.Errorf("node %q exists already", format)
	}
	tunnels := w.tunnels()
	want4, want6 := w.families()
	own := 0
	for i, made := 0, 0; made < n; i++ {
		name := strings.ReplaceAll(format, "%d", fmt.Sprint(i))
		if exists[name] {
			continue
		}
		made++
		if err := w.a.SetNode(ipam.Node{Name: name, Labels: labels}); err != nil {
			return err
		}
		ok := true
		for _, t := range tunnels {
			p := &pod{name: t.kind, node: name, handle: t.handle + name, want4: 1 - t.six, want6: t.six}
			if why := w.request(p, pool.Tunnel, map[string]string{ipam.AttrNode: name, ipam.AttrType: t.kind}); why != "" {
				c.refuse(t.kind, name, why)
				ok = false
			}
		}
		p := &pod{namespace: "whatif", name: "first-pod-" + name, node: name, want4: want4, want6: want6}
		if why := w.ask(p); why != "" {
			c.refuse(p.label(), name, why)
			ok = false
		} else {
			w.pods = append(w.pods, p)
		}
		if ok && !w.borrows(p) {
			own++
		}
	}
	slices.SortStableFunc(w.pods, comparePods)
	c.say("%s came, of which %d live in a block of their own", plural(n, "node"), own)
	return nil
}

// tunnel is a kind of tunnel address that the cluster's nodes have.
type tunnel struct {
	kind   string // the attribute "type"
	handle string // of the allocation, less the node
	six    int    // 1 for IPv6
}

// tunnels returns the kinds that at least half of the nodes have.
func (w *world) tunnels() []tunnel {
	count := make(map[tunnel]int)
	s := w.a.State()
	for i := range s.Blocks {
		b := &s.Blocks[i]
		for _, al := range b.Allocations {
			kind, _ := al.Active.Get(ipam.AttrType)
			node, _ := al.Active.Get(ipam.AttrNode)
			handle, isNodes := strings.CutSuffix(al.Handle, node)
			if !strings.HasSuffix(kind, "TunnelAddress") || node == "" || !isNodes {
				continue
			}
			t := tunnel{kind: kind, handle: handle}
			if b.CIDR.Addr().Is6() {
				t.six = 1
			}
			count[t]++
		}
	}
	var usual []tunnel
	for t, n := range count {
		if 2*n >= len(w.a.Nodes()) {
			usual = append(usual, t)
		}
	}
	slices.SortFunc(usual, func(x, y tunnel) int { return strings.Compare(x.handle, y.handle) })
	return usual
}

// releaseTunnels gives back the tunnel addresses of a node.
func (w *world) releaseTunnels(node string) (n int) {
	s := w.a.State()
	for i := range s.Blocks {
		for _, al := range s.Blocks[i].Allocations {
			kind, _ := al.Active.Get(ipam.AttrType)
			of, _ := al.Active.Get(ipam.AttrNode)
			if of == node && strings.HasSuffix(kind, "TunnelAddress") {
				if _, err := w.a.ReleaseIP(ipam.Release{IP: s.Blocks[i].Addr(al.Ordinal), Handle: al.Handle}); err == nil {
					n++
				}
			}
		}
	}
	return n
}

// owned returns how many blocks a node owns.
func (w *world) owned(node string) int {
	n := 0
	for _, b := range w.a.State().Blocks {
		if b.Owner == affinity.HostOwner(node) {
			n++
		}
	}
	return n
}
