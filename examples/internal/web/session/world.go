package session

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// start is when every cluster of setup begins.
var start = time.Date(2026, time.January, 1, 9, 0, 0, 0, time.UTC)

// A world is a cluster after some operations: the allocator, and what asks it for
// addresses. Every change of the allocator goes through the world's methods, so that
// it can be journaled.
type world struct {
	clock      *ipam.Clock
	ipam       *ipam.Allocator
	kubernetes *lifecycle.Cluster
	controller *lifecycle.Controller
	journal    *journal // nil unless somebody exports
	dump       *dump    // the file that it is from; nil for none
	live       *snapshot.Live

	nodes   map[string]*node
	order   []*node // as they joined, also those that are gone and left something
	joined  int     // nodes ever
	pods    map[string]*pod
	started int  // pods of the deployment web, ever
	tunnels bool // new nodes have a tunnel

	pools  []*pool.Pool // by name
	watch  *ipam.Watch
	claims *ipam.Watch
	blocks map[netip.Prefix]*blockInfo
	// claimed are the claims of all owners, confirmed or not.
	claimed map[claim]affinity.State

	told         // by the act that is under way
	touched bool // whether the act has changed anything
}

// told is what an act says.
type told struct {
	says      []string
	addresses map[netip.Addr]bool
	changed   map[netip.Prefix]bool
	affected  map[string]bool // nodes
}

// claim names an affinity.
type claim struct {
	owner affinity.Owner
	cidr  netip.Prefix
}

// A node of the cluster.
type node struct {
	name      string
	labels    map[string]string
	labelText []byte // as JSON; nil where it must be made anew
	joined    time.Time
	cordoned  bool
	gone      bool // Kubernetes has no such node any more
	control   bool
	tunnel    *pod
	pods      []*pod // as they came
	waiting   int    // pods without an address
	place     int    // in the order

	blocks map[netip.Prefix]bool // that it has a claim on, or owns
	sorted []netip.Prefix        // the same by address; nil where it must be sorted anew
}

// A pod, or the tunnel of a node.
type pod struct {
	namespace, name string // namespace is empty for a tunnel
	node            *node
	handle          string
	ips             []netip.Addr      // none while it waits
	why             string            // it has none
	daemon          bool              // every node has one: a drain leaves it alone
	life            int               // how often it was started
	asks            *snapshot.LivePod // what one of a file asks for
}

// label is how a pod is called.
func (p *pod) label() string {
	if p.namespace == "" {
		return p.name
	}
	return p.namespace + "/" + p.name
}

// waits reports whether the pod has no address.
func (p *pod) waits() bool { return len(p.ips) == 0 }

// blockInfo is what is known of a block without reading it again.
type blockInfo struct {
	cidr    netip.Prefix
	owner   affinity.Owner
	count   ipam.BlockCount
	holders map[*node]int // how many of its addresses pods of a node have
}

// newWorld returns a cluster without anything.
func newWorld(v calico.Version, at time.Time) *world {
	clock := ipam.NewClock(at)
	w := &world{clock: clock, nodes: make(map[string]*node), pods: make(map[string]*pod)}
	w.use(ipam.New(ipam.Options{Now: clock.Now, Calico: v}))
	return w
}

// use makes the world work on an allocator: a new one, or one that goes on where the
// last one stood.
func (w *world) use(a *ipam.Allocator) {
	w.ipam = a
	w.kubernetes = lifecycle.NewCluster(a)
	for _, p := range w.pods {
		w.tellPod(p)
	}
	policy := lifecycle.DefaultPolicy()
	if w.dump != nil {
		policy = w.dump.oversee(w)
	}
	w.controller, _ = lifecycle.NewController(w.kubernetes, policy) // all policies are valid
	w.watch, w.claims = a.Watch(), a.Watch(ipam.AffinityObject)
	w.blocks, w.claimed = make(map[netip.Prefix]*blockInfo), make(map[claim]affinity.State)
	for _, n := range w.nodes {
		clear(n.blocks)
		n.sorted = nil
	}
	w.pools = nil
	for _, spec := range a.Pools() {
		if p, err := pool.New(spec); err == nil {
			w.pools = append(w.pools, p)
		}
	}
	w.refresh()
	for _, p := range w.everybody() {
		for _, ip := range p.ips {
			w.holds(p, ip, 1)
		}
	}
}

// everybody returns all pods and tunnels, in the order of nodes.
func (w *world) everybody() (all []*pod) {
	for _, n := range w.order {
		if n.tunnel != nil {
			all = append(all, n.tunnel)
		}
		all = append(all, n.pods...)
	}
	return all
}

// begin forgets what the last act said.
func (w *world) begin() {
	w.told = told{addresses: make(map[netip.Addr]bool), changed: make(map[netip.Prefix]bool), affected: make(map[string]bool)}
	w.touched = false
}

// say adds a sentence.
func (w *world) say(format string, args ...any) {
	w.says = append(w.says, fmt.Sprintf(format, args...))
}

// refresh learns which blocks and claims have changed.
func (w *world) refresh() {
	for _, cidr := range w.watch.AppendUnsorted(nil) {
		if w.changed != nil {
			w.changed[cidr] = true
		}
		b := w.blocks[cidr]
		count, exists := w.ipam.CountBlock(cidr)
		if b == nil && !exists {
			continue
		}
		if b == nil {
			b = &blockInfo{cidr: cidr, holders: make(map[*node]int)}
			w.blocks[cidr] = b
		}
		before := b.owner
		b.count, b.owner = count, count.Owner
		if !exists {
			delete(w.blocks, cidr)
		}
		for _, o := range []affinity.Owner{before, b.owner} {
			w.belongs(o, cidr)
		}
	}
	for _, a := range w.claims.AppendAffinities(nil) {
		c := claim{a.Owner, a.CIDR}
		if a.State == affinity.None {
			delete(w.claimed, c)
		} else {
			w.claimed[c] = a.State
		}
		if w.changed != nil {
			w.changed[a.CIDR] = true
		}
		w.belongs(a.Owner, a.CIDR)
	}
}

// belongs notes whether a node has anything to do with a block.
func (w *world) belongs(o affinity.Owner, cidr netip.Prefix) {
	n := w.nodes[o.Name]
	if n == nil || o.Type != affinity.Host {
		return
	}
	n.sorted = nil
	b := w.blocks[cidr]
	if _, claims := w.claimed[claim{o, cidr}]; claims || b != nil && b.owner == o {
		n.blocks[cidr] = true
	} else {
		delete(n.blocks, cidr)
	}
	if w.affected != nil {
		w.affected[n.name] = true
	}
}

// holds notes that a pod has an address, or has it no more.
func (w *world) holds(p *pod, ip netip.Addr, change int) {
	cidr, _, exists := w.ipam.BlockOf(ip)
	if b := w.blocks[cidr]; exists && b != nil {
		if b.holders[p.node] += change; b.holders[p.node] <= 0 {
			delete(b.holders, p.node)
		}
	}
}

// claims returns the blocks that the node owns or claims, by address. Only read it.
func (n *node) claims() []netip.Prefix {
	if len(n.sorted) != len(n.blocks) {
		n.sorted = slices.SortedFunc(maps.Keys(n.blocks), comparePrefixes)
	}
	return n.sorted
}

// owned returns the blocks that the node owns, by address.
func (n *node) owned(w *world) (own []*blockInfo) {
	for _, cidr := range n.claims() {
		if b := w.blocks[cidr]; b != nil && b.owner == n.owner() {
			own = append(own, b)
		}
	}
	return own
}

// owner is the node as an owner of blocks.
func (n *node) owner() affinity.Owner { return affinity.HostOwner(n.name) }

// poolOf returns the pool that has the address, or nil.
func (w *world) poolOf(ip netip.Addr) *pool.Pool {
	for _, p := range w.pools {
		if p.Contains(ip) {
			return p
		}
	}
	return nil
}

// node returns the node of that name that is there.
func (w *world) node(field, name string) (*node, error) {
	if n := w.nodes[name]; n != nil && !n.gone {
		return n, nil
	}
	var known []string
	for _, n := range w.order {
		if !n.gone {
			known = append(known, n.name)
		}
	}
	return nil, unknown(field, "node", name, known)
}

// pod returns the pod called namespace/name.
func (w *world) pod(name string) (*pod, error) {
	if p := w.pods[name]; p != nil {
		return p, nil
	}
	if p := w.pods["default/"+name]; p != nil {
		return p, nil
	}
	return nil, unknown("pod", "pod", name, slices.Sorted(maps.Keys(w.pods)))
}

// takes reports whether pods without a node of their own may be put on it: the control
// plane takes them only where there is nobody else.
func (w *world) takers() (takers []*node) {
	for _, control := range []bool{false, true} {
		for _, n := range w.order {
			if !n.gone && !n.cordoned && n.control == control {
				takers = append(takers, n)
			}
		}
		if len(takers) > 0 {
			return takers
		}
	}
	return nil
}

// families are those of the enabled pools.
func (w *world) families() (num4, num6 int) {
	for _, p := range w.pools {
		switch {
		case p.Disabled():
		case p.Is4():
			num4 = 1
		default:
			num6 = 1
		}
	}
	return num4, num6
}

// forget drops nodes that are gone and left nothing behind.
func (w *world) forget() {
	gone := func(n *node) bool {
		if !n.gone || len(n.blocks) > 0 {
			return false
		}
		return !slices.ContainsFunc(slices.Collect(maps.Values(w.blocks)), func(b *blockInfo) bool { return b.holders[n] > 0 })
	}
	if !slices.ContainsFunc(w.order, func(n *node) bool { return n.gone }) {
		return
	}
	w.order = slices.DeleteFunc(w.order, func(n *node) bool {
		if gone(n) {
			delete(w.nodes, n.name)
			return true
		}
		return false
	})
	for i, n := range w.order {
		n.place = i
	}
}

// Check returns what is wrong with the world, all of it: for tests.
func (w *world) Check() error {
	errs := []error{w.ipam.Check(), w.controller.Check()}
	has := make(map[netip.Addr]*pod)
	for _, p := range w.everybody() {
		for _, ip := range p.ips {
			if other := has[ip]; other != nil {
				errs = append(errs, fmt.Errorf("%s is of %s and of %s", ip, other.label(), p.label()))
			}
			has[ip] = p
			a, err := w.ipam.GetAssignmentAttributes(ip)
			if err == nil && !strings.EqualFold(a.Handle, p.handle) {
				err = fmt.Errorf("%s is of %s, and not of handle %s", ip, a.Handle, p.handle)
			}
			if err != nil && w.poolOf(ip) != nil && !w.poolOf(ip).Disabled() {
				errs = append(errs, fmt.Errorf("%s: %w", p.label(), err))
			}
		}
	}
	s := w.ipam.State()
	if len(s.Blocks) != len(w.blocks) || len(s.Affinities) != len(w.claimed) {
		errs = append(errs, fmt.Errorf("%d blocks and %d claims are known, there are %d and %d", len(w.blocks), len(w.claimed), len(s.Blocks), len(s.Affinities)))
	}
	for _, b := range s.Blocks {
		known := w.blocks[b.CIDR]
		if count, _ := w.ipam.CountBlock(b.CIDR); known == nil || known.count != count || known.owner != b.Owner {
			errs = append(errs, fmt.Errorf("block %s is not known as it is", b.CIDR))
		}
	}
	for _, n := range w.order {
		waiting := 0
		for _, p := range n.pods {
			if p.waits() {
				waiting++
			}
			if w.pods[p.label()] != p {
				errs = append(errs, fmt.Errorf("%s of %s is not listed", p.label(), n.name))
			}
		}
		if waiting != n.waiting {
			errs = append(errs, fmt.Errorf("%s: %d pods wait, not %d", n.name, waiting, n.waiting))
		}
	}
	return errors.Join(errs...)
}

// A journal has the operations of the allocator and the controller, as a recording
// writes them.
type journal struct {
	ops []trace.Op
	at  time.Time // the time up to which it was moved
}

// note journals an operation.
func (w *world) note(name string, in trace.In) {
	w.touched = true
	j := w.journal
	if j == nil {
		return
	}
	if now := w.clock.Now(); !now.Equal(j.at) {
		j.ops = append(j.ops, trace.Op{Op: "Advance", In: trace.In{Seconds: int64(now.Sub(j.at) / time.Second)}})
		j.at = now
	}
	j.ops = append(j.ops, trace.Op{Op: name, In: in})
}

// less orders nodes for the next pod: by pods, then as they joined.
func less(a, b *node) int {
	return cmp.Or(cmp.Compare(len(a.pods), len(b.pods)), cmp.Compare(a.place, b.place))
}
