package whatif

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
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
	w.Clock().Advance(time.Minute)
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
func (w *world) configure(c *change, edit func(*world) error, which string, chosen func(*snapshot.LivePod) bool) error {
	before, err := w.oneMore()
	if err != nil {
		return err
	}
	again := make(map[string]bool) // by handle
	for _, p := range w.Pods() {
		if chosen(&p) {
			again[p.Handle] = true
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
	moves := t.Restart(slices.DeleteFunc(t.Pods(), func(p snapshot.LivePod) bool { return !again[p.Handle] })...)
	refused := w.asked(moves)
	for i := range moves {
		if m := &moves[i]; m.Err != nil {
			c.refuse(m.Pod.Label(), m.Pod.Node, m.Why())
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
	want4, want6 := t.Usual()
	why := make(map[string]string)
	for _, n := range t.a.Nodes() {
		if !t.Cordoned(n.Name) {
			why[n.Name] = t.start(snapshot.LivePod{Namespace: "whatif", Name: "one-more-" + n.Name, Node: n.Name, Num4: want4, Num6: want6})
		}
	}
	return why, nil
}

func (w *world) strict(c *change, on bool) error {
	return w.configure(c, func(w *world) error {
		config := w.a.GetIPAMConfig()
		config.StrictAffinity = on
		return w.a.SetIPAMConfig(config)
	}, "have borrowed addresses", w.Borrows)
}

func (w *world) limit(c *change, n int) error {
	return w.configure(c, func(w *world) error {
		config := w.a.GetIPAMConfig()
		config.MaxBlocksPerHost = n
		return w.a.SetIPAMConfig(config)
	}, "", func(*snapshot.LivePod) bool { return false })
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
	for i := range after {
		if m := &after[i]; m.Err != nil && before[i].Err == nil {
			c.refuse(m.Pod.Label(), m.Pod.Node, "all pods starting again at once, "+m.Why())
		}
	}
	c.say("if all %s started again at once, %s refused; before the change, %s", plural(len(after), "pod"), areText(w.asked(after)), areText(w.asked(before)))
	return nil
}

// restartAll says what becomes of the pods if all start again at one moment.
func (w *world) restartAll() ([]snapshot.Move, error) {
	t, err := w.Copy()
	if err != nil {
		return nil, err
	}
	return t.RestartAll(), nil
}

func (w *world) disablePool(c *change, name string) error {
	spec, err := w.poolCalled(name)
	if err != nil {
		return err
	}
	return w.configure(c, func(w *world) error {
		spec.Disabled = true
		return w.a.SetPool(spec)
	}, "have addresses of "+name, func(p *snapshot.LivePod) bool { return p.Uses(spec.CIDR) })
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
	tunnels := w.Tunnels()
	want4, want6 := w.Usual()
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
			t.Node = name
			t.Handle += name
			if why := w.start(t); why != "" {
				c.refuse(t.Label(), name, why)
				ok = false
			}
		}
		p := snapshot.LivePod{Namespace: "whatif", Name: "first-pod-" + name, Node: name, Num4: want4, Num6: want6}
		for again := 2; w.Has(p.Label()); again++ { // as where that of a drained node lives on elsewhere
			p.Name = fmt.Sprintf("first-pod-%s-%d", name, again)
		}
		m := &w.Start(p)[0]
		if m.Err != nil {
			c.refuse(m.Pod.Label(), name, m.Why())
		} else if ok && !m.Borrowed {
			own++
		}
	}
	c.say("%s came, of which %d live in a block of their own", plural(n, "node"), own)
	return nil
}
