package lifecycle

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// world is a cluster in which anything may happen, and a model of it.
type world struct {
	source     property.Source
	breakIt    func(*Controller) // what is wrong with each controller; nil for nothing
	clock      *ipam.Clock
	cluster    *Cluster
	controller *Controller
	policy     Policy
	patience   time.Duration   // how long an outage is
	looking    func(full bool) // called before each sync; nil for nothing
	alive      map[PodName]*living
	names      []PodName // of those alive, in their order
	lost       []lost    // pods that went without a release
	tunnels    bool
	handles    int
	fault      error
}

// living is a pod that lives and reports addresses that it holds.
type living struct {
	node, handle string
	ips          []netip.Addr // allocated
	reported     []netip.Addr
	evicted      bool
}

type lost struct {
	name PodName
	pod  *living
}

const places = 4

// everyRelease is a release for each set of rules that the controller has had.
var everyRelease = versions("v3.24", "v3.26", "v3.28", "v3.29", "v3.30", "v3.31.4", "v3.31.5", "v3.31", "v3.32", "v3.33")

func versions(texts ...string) (list []calico.Version) {
	for _, text := range texts {
		v, err := calico.Parse(text)
		succeed(err)
		list = append(list, v)
	}
	return list
}

func newWorld(s property.Source, breakIt func(*Controller)) *world {
	w := &world{source: s, breakIt: breakIt, clock: ipam.NewClock(time.Unix(1e9, 0)), alive: make(map[PodName]*living)}
	release := everyRelease[len(everyRelease)-1-s.Pick("release", len(everyRelease))]
	a := ipam.New(ipam.Options{Now: w.clock.Now, Calico: release})
	w.tunnels = s.Pick("tunnels", 2) == 1
	cooldown := 0
	if release.Rules().Cooldown {
		cooldown = []int{0, 30}[s.Pick("cooldown", 2)]
	}
	succeed(a.PutIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: cooldown}))
	succeed(a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 30}))
	w.cluster = NewCluster(a)
	for i := range places {
		w.setNode(i)
	}
	w.policy = Policy{
		GracePeriod: []time.Duration{time.Minute, 10 * time.Minute, 0}[s.Pick("grace", 3)],
		BatchLimit:  []int{0, 1, 2}[s.Pick("batch", 3)],
	}
	w.patience = w.policy.GracePeriod
	w.restart()
	return w
}

func succeed(err error) {
	if err != nil {
		panic(err)
	}
}

func place(i int) string { return fmt.Sprintf("n%d", i) }

func (w *world) setNode(i int) {
	succeed(w.cluster.SetNode(ipam.Node{Name: place(i)}))
	if !w.tunnels {
		return
	}
	_, _, err := w.cluster.allocator.AutoAssign(ipam.AutoAssignArgs{
		Host: place(i), Num4: 1, Handle: "tunnel-" + place(i), Use: pool.Tunnel,
		Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: place(i), ipam.AttrType: "vxlanTunnelAddress"}),
	})
	succeed(err)
}

// restart ends the controller, whose memory is lost, and starts another.
func (w *world) restart() {
	if w.controller != nil {
		w.controller.Stop()
	}
	var err error
	w.controller, err = NewController(w.cluster, w.policy)
	succeed(err)
	if w.breakIt != nil {
		w.breakIt(w.controller)
	}
}

// step does one thing that can happen.
func (w *world) step() {
	switch w.source.Pick("what", 15) {
	case 0, 1, 2:
		w.start(PodName{"ns", fmt.Sprintf("p%d", w.source.Pick("pod", 8))})
	case 3, 4:
		if name, ok := w.any(); ok {
			w.stop(name, w.source.Pick("release is lost", 2) == 0)
		}
	case 5:
		if name, ok := w.any(); ok { // evicted: it has no address any more
			p := w.alive[name]
			p.evicted = true
			w.show(name, p)
		}
	case 6:
		w.cluster.DeleteNode(place(w.source.Pick("node", places)))
	case 7:
		if i := w.source.Pick("node", places); !w.cluster.HasNode(place(i)) {
			w.setNode(i)
		}
	case 8:
		jumps := []time.Duration{time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, -time.Hour, 24 * time.Hour}
		w.clock.Advance(jumps[w.source.Pick("jump", len(jumps))])
	case 9, 10:
		w.sync(w.source.Pick("full", 2) == 0)
	case 11:
		w.restart()
	case 12, 13:
		w.reappear()
	case 14:
		w.outage()
	}
}

// outage makes pods of all nodes vanish until their addresses count as leaked. Then
// one comes back, perhaps while its address waits for the next batch.
func (w *world) outage() {
	for _, name := range slices.Clone(w.names) {
		if w.source.Pick("vanishes", 4) > 0 {
			w.stop(name, true)
		}
	}
	w.sync(true)
	w.clock.Advance(w.patience)
	w.sync(true)
	w.reappear()
	w.sync(false)
}

// reappear brings back a pod that only seemed to be gone, as static pods do, with the
// addresses that it had.
func (w *world) reappear() {
	if len(w.lost) == 0 {
		return
	}
	l := w.lost[len(w.lost)-1-w.source.Pick("who comes back", len(w.lost))]
	ips, _ := w.cluster.allocator.IPsByHandle(l.pod.handle)
	if w.alive[l.name] == nil && !l.pod.evicted && w.cluster.HasNode(l.pod.node) && len(ips) == len(l.pod.ips) {
		w.show(l.name, l.pod)
	}
}

func (w *world) show(name PodName, p *living) {
	if w.alive[name] == nil {
		w.alive[name] = p
		w.names = append(w.names, name)
	}
	succeed(w.cluster.SetPod(Pod{PodName: name, Node: p.node, IPs: p.reported, Evicted: p.evicted}))
}

func (w *world) any() (PodName, bool) {
	if len(w.names) == 0 {
		return PodName{}, false
	}
	return w.names[w.source.Pick("which", len(w.names))], true
}

// start starts a pod of that name; one that runs moves. The controller may sync
// after the pod has its address and before Kubernetes shows the pod.
func (w *world) start(name PodName) {
	node := place(w.source.Pick("node", places))
	if !w.cluster.HasNode(node) {
		return
	}
	if w.alive[name] != nil {
		w.stop(name, w.source.Pick("release is lost", 2) == 0)
	}
	w.handles++
	p := &living{node: node, handle: fmt.Sprintf("h%d", w.handles)}
	attrs := block.MakeAttrs(map[string]string{ipam.AttrNode: node, ipam.AttrPod: name.Name, ipam.AttrNamespace: name.Namespace})
	v4, _, err := w.cluster.allocator.AutoAssign(ipam.AutoAssignArgs{
		Host: node, Num4: 1 + w.source.Pick("second address", 2), Handle: p.handle, Attrs: attrs, Use: pool.Workload,
	})
	if err != nil || len(v4.IPs) == 0 {
		return
	}
	for _, ip := range v4.IPs {
		p.ips = append(p.ips, ip.Addr())
	}
	p.reported = p.ips
	w.alive[name] = p
	w.names = append(w.names, name)
	if w.source.Pick("a look before it is shown", 2) == 0 {
		w.sync(false)
	}
	if w.source.Pick("reports", 3) == 1 {
		p.reported = p.ips[:1]
	}
	w.show(name, p)
}

func (w *world) stop(name PodName, isLost bool) {
	p := w.alive[name]
	delete(w.alive, name)
	w.names = slices.DeleteFunc(w.names, func(x PodName) bool { return x == name })
	w.cluster.DeletePod(name)
	if isLost {
		w.lost = append(w.lost, lost{name, p})
	} else {
		_ = w.cluster.allocator.ReleaseByHandle(p.handle) // the controller may have been faster
	}
}

// sync runs a sync of the controller and checks what it did.
func (w *world) sync(full bool) {
	a := w.cluster.allocator
	before := a.State()
	heldBefore := make(map[string]int)
	for _, h := range before.Handles {
		ips, _ := a.IPsByHandle(h.ID)
		heldBefore[h.ID] = len(ips)
	}
	owned := w.blocksOfNodes()
	if w.looking != nil {
		w.looking(full)
	}
	result := w.controller.Sync(full)

	for name, p := range w.alive {
		for _, ip := range p.reported {
			if !p.evicted && slices.Contains(result.ReleasedIPs, ip) {
				w.fail("%s of the living pod %s on %s was released", ip, name, p.node)
			}
		}
	}
	for id, n := range heldBefore {
		if ips, _ := a.IPsByHandle(id); len(ips) != n && len(ips) != 0 {
			w.fail("handle %s was released in part: %d of %d", id, n-len(ips), n)
		}
	}
	for node, n := range w.blocksOfNodes() {
		owned[node] -= n // what it lost
		if n == 0 && owned[node] > 0 && w.cluster.HasNode(node) {
			w.fail("node %s lost its last block", node)
		}
	}
	if err := w.controller.Check(); err != nil {
		w.fail("%w", err)
	}
	if err := a.Check(); err != nil {
		w.fail("%w", err)
	}
}

func (w *world) blocksOfNodes() map[string]int {
	owned := make(map[string]int)
	for i := range places {
		owned[place(i)] = 0
	}
	for _, b := range w.cluster.allocator.State().Blocks {
		if b.Owner.Type == affinity.Host {
			owned[b.Owner.Name]++
		}
	}
	return owned
}

func (w *world) fail(format string, args ...any) {
	if w.fault == nil {
		w.fault = fmt.Errorf(format, args...)
	}
}

// finish gives the controller all the time that it needs, and checks that every
// leak was released.
func (w *world) finish() {
	rules := w.cluster.allocator.Calico().Rules()
	if w.policy.GracePeriod == 0 || !rules.DeletedBlockForgets {
		return // some leaks are never released
	}
	// Kubernetes' own collector deletes pods whose node is gone. As long as there
	// is one, the node is not clean, and keeps its tunnel address.
	for _, name := range slices.Clone(w.names) {
		if !w.cluster.HasNode(w.alive[name].node) {
			w.stop(name, true)
		}
	}
	w.clock.Advance(1000 * time.Hour) // more than it ever went back
	for range 3 + w.handles {
		w.clock.Advance(w.policy.GracePeriod)
		w.sync(true)
	}
	keeps := make(map[string]bool)
	for _, p := range w.alive {
		keeps[p.handle] = !p.evicted || !rules.EvictedLoseAddresses
	}
	for i := range places {
		keeps["tunnel-"+place(i)] = w.cluster.HasNode(place(i))
	}
	for _, b := range w.cluster.allocator.State().Blocks {
		for _, al := range b.Allocations {
			if al.Handle != "" && !keeps[al.Handle] {
				w.fail("%s of %s, which leaked, is still allocated", b.Addr(al.Ordinal), al.Handle)
			}
		}
	}
}

// safe is the property: whatever happens, the controller keeps its promises.
func safe(s property.Source, breakIt func(*Controller)) error {
	w := newWorld(s, breakIt)
	for range 80 {
		w.step()
		if w.fault != nil {
			return w.fault
		}
	}
	w.finish()
	return w.fault
}

// TestSafe: in whatever order things happen, no address of a living pod is released,
// every leak is in the end, handles go whole, and a node keeps its last block.
func TestSafe(t *testing.T) {
	property.Slow(t)
	rapid.Check(t, func(t *rapid.T) {
		must.NoError(t, safe(property.Rapid(t), nil))
	})
}

func FuzzSafe(f *testing.F) {
	property.Corpus(f, 8, 400)
	f.Fuzz(func(t *testing.T, data []byte) {
		must.NoError(t, safe(property.Bytes(data), nil))
	})
}

// TestSafeRejects: without any one of the guards the property fails.
func TestSafeRejects(t *testing.T) {
	for name, breakIt := range map[string]func(*Controller){
		"skip the last look":          func(k *Controller) { k.guards.held = func(*allocation) bool { return false } },
		"release at first sight":      func(k *Controller) { k.guards.mustWait = func(*allocation) bool { return false } },
		"ignore the handle rule":      func(k *Controller) { k.guards.whole = func(*handle) bool { return true } },
		"release a node's last block": func(k *Controller) { k.guards.others = func(*knownBlock, int) int { return 1 } },
		"never release anything":      func(k *Controller) { k.policy.Off = true },
		"wait for ever":               func(k *Controller) { k.guards.mustWait = func(*allocation) bool { return true } },
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(s property.Source) error { return safe(s, breakIt) })
		})
	}
}
