package lifecycle

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
)

// Controller is the cleaning controller of a cluster. Make one with
// [NewController]; to restart it, stop it and make another, which begins with no
// memory of suspects. It is not safe for concurrent use and must not be copied.
type Controller struct {
	cluster   *Cluster
	allocator *ipam.Allocator
	policy    Policy
	watch     *ipam.Watch
	memory    memory

	rules rules

	nodeDeleted bool // since the last sync, so the next is a full one
	now         time.Time
	leaving     []*node // to be released
	reclaimed   map[series]uint64
}

// rules are what keeps the controller from harm, one by one, so that tests can see
// what each is good for.
type rules struct {
	patient func(al *allocation) bool         // the suspect has to wait
	held    func(al *allocation) bool         // the last look: somebody holds it
	whole   func(h *handle) bool              // all of the handle has leaked
	spares  func(n *node, givenBack int) bool // the node has empty blocks to spare
}

// Result is what a sync did. The slices are the caller's.
type Result struct {
	// ReleasedIPs are the addresses that nobody holds any more, cooling or not, in
	// the order of their text.
	ReleasedIPs []netip.Addr
	// ReleasedBlocks are the blocks whose owner gave them up, in the order of
	// their text.
	ReleasedBlocks []netip.Prefix
	// WorkRemaining says that a node could not be released or that confirmed leaks
	// remain, so that it is worth coming back soon.
	WorkRemaining bool
	// Err is why the leaks, or some of them, could not be released: somebody changed
	// a block just before. It ended the sync, and cold addresses, empty blocks and
	// nodes that are gone wait for the next.
	Err error
}

// NewController returns a controller with that policy, which matches [ErrInvalid]
// if it has negative periods. It looks at nothing before its first sync.
func NewController(c *Cluster, p Policy) (*Controller, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	k := &Controller{
		cluster: c, allocator: c.allocator, policy: p, watch: c.allocator.Watch(),
		memory: newMemory(), reclaimed: make(map[series]uint64),
	}
	k.rules = rules{k.patient, k.held, (*handle).leaked, k.spares}
	c.controllers = append(c.controllers, k)
	return k, nil
}

// Stop ends the controller, as a crash does: it hears of nothing any more, and is
// not to be used.
func (k *Controller) Stop() {
	k.watch.Stop()
	k.cluster.controllers = slices.DeleteFunc(k.cluster.controllers, func(x *Controller) bool { return x == k })
}

// Policy returns the controller's policy.
func (k *Controller) Policy() Policy { return k.policy }

// podDeleted hears that a pod was deleted from a node.
func (k *Controller) podDeleted(name string) {
	if name != "" { // also one of which nothing is known yet
		k.memory.soil(k.memory.node(name))
	}
}

// unsettle hears that a node, or a pod that was on it, is not what it was. That alone
// makes nothing dirty.
func (k *Controller) unsettle(name string) {
	if n := k.memory.nodes[name]; n != nil {
		n.settled = false
	}
}

// Sync looks at everything, or, unless a node was deleted since, at what changed,
// and releases what it may (§12). The caller says when: a full sync every
// [Policy.FullEvery], and others as things change.
func (k *Controller) Sync(full bool) Result {
	var result Result
	k.now = k.allocator.Now()
	k.memory.learn(k.watch, k.allocator, nil)
	if k.policy.Off {
		return result
	}
	k.scan(full || k.nodeDeleted)
	k.nodeDeleted = false
	left := false
	if result.Err = k.releaseLeaks(); result.Err == nil {
		k.collectCold()
		k.releaseEmpty()
		left = k.releaseNodes()
	}
	// What it did itself it knows at once.
	k.memory.learn(k.watch, k.allocator, &result)
	result.WorkRemaining = left || len(k.memory.leaks) > 0
	sortByText(result.ReleasedIPs)
	sortByText(result.ReleasedBlocks)
	return result
}

// sortByText sorts addresses or blocks as text.
func sortByText[T interface{ String() string }](list []T) {
	if len(list) < 2 {
		return
	}
	texts := make(map[string]T, len(list))
	keys := make([]string, len(list))
	for i, v := range list {
		keys[i] = v.String()
		texts[keys[i]] = v
	}
	slices.Sort(keys)
	for i, key := range keys {
		list[i] = texts[key]
	}
}
