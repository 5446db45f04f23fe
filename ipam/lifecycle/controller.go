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

	rules  ipam.Rules // what the release of Calico does
	guards guards

	nodeDeleted bool // since the last sync, so the next is a full one
	now         time.Time
	soiled      []*node // that were dirty when the sync began; see [Controller.soilAgain]
	leaving     []*node // to be released
	failures    int     // syncs in a row that ended with an error
	reclaimed   map[series]uint64
}

// guards are what keeps the controller from harm, one by one, so that tests can see
// what each is good for.
type guards struct {
	patient func(al *allocation) bool    // the suspect has to wait
	held    func(al *allocation) bool    // the last look: somebody holds it
	whole   func(h *handle) bool         // all of the handle has leaked
	others  func(b *owned, gone int) int // how many more blocks its node has
}

// Result is what a sync did. The slices are the caller's.
type Result struct {
	// ReleasedIPs are the addresses that nobody holds any more, cooling or not, in
	// the order of their text.
	ReleasedIPs []netip.Addr
	// ReleasedBlocks are the blocks whose owner gave them up, in the order of
	// their text.
	ReleasedBlocks []netip.Prefix
	// WorkRemaining says that another sync is to follow, after [Result.RetryAfter],
	// though nothing changes until then: a node could not be released, confirmed
	// leaks remain, or there was an error. Before Calico v3.31, leaks that remain wait
	// for a change.
	WorkRemaining bool
	// Err is why the leaks, or some of them, could not be released: somebody changed
	// a block just before. It ended the sync, and cold addresses, empty blocks and
	// nodes that are gone wait for the next. Before Calico v3.31.6 it may also be why
	// a node that is gone could not be released, which ends nothing.
	Err error
	// RetryAfter is how long Calico waits after an error: from v3.31 on 5
	// milliseconds, twice as long each time, and at most 30 seconds; before, a tenth of
	// a second for each node to be released. 0 where Err is nil.
	RetryAfter time.Duration
}

// NewController returns a controller with that policy, which matches [ErrInvalid]
// if it has negative periods. It does what the controller of the allocator's release
// does ([ipam.Options]). It looks at nothing before its first sync.
func NewController(c *Cluster, p Policy) (*Controller, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	k := &Controller{cluster: c, allocator: c.allocator, policy: p, watch: c.allocator.Watch(), reclaimed: make(map[series]uint64)}
	k.goBy(c.allocator.Calico().Rules())
	k.guards = guards{k.patient, k.held, (*handle).leaked, (*owned).others}
	c.controllers = append(c.controllers, k)
	return k, nil
}

// goBy makes the controller, which knows nothing yet, go by these rules.
func (k *Controller) goBy(r ipam.Rules) {
	k.rules, k.memory = r, newMemory(r)
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
//
// Before Calico v3.30 every sync is a full one ([ipam.Rules], ScansDirtyNodes), and
// that a pod was deleted is no reason for one: blocks, nodes and pools are.
func (k *Controller) Sync(full bool) Result {
	var result Result
	k.now = k.allocator.Now()
	k.memory.learn(k.watch, k.allocator, nil)
	if k.policy.Off {
		return result
	}
	k.scan(full || k.nodeDeleted || !k.rules.ScansDirtyNodes)
	k.nodeDeleted = false
	nodesRemain := false
	if result.Err = k.releaseLeaks(); result.Err == nil {
		if k.rules.CollectsCold {
			k.collectCold()
		}
		k.releaseEmpty()
		err := k.releaseNodes()
		if nodesRemain = err != nil; !k.rules.RepeatsForNodes {
			result.Err = err
		}
	} else {
		k.keepLeaving()
	}
	k.countFailure(&result)
	// What it did itself it knows at once.
	k.memory.learn(k.watch, k.allocator, &result)
	result.WorkRemaining = nodesRemain || result.Err != nil || k.rules.RepeatsForLeaks && len(k.memory.leaks) > 0
	sortByText(result.ReleasedIPs)
	sortByText(result.ReleasedBlocks)
	return result
}

// countFailure does what follows from how the sync ended.
func (k *Controller) countFailure(r *Result) {
	if r.Err == nil {
		k.failures = 0
		return
	}
	k.failures++
	r.RetryAfter = time.Duration(len(k.leaving)) * nodeInterval
	if k.rules.RetriesWithBackoff {
		r.RetryAfter = min(minBackoff<<min(k.failures-1, 30), maxBackoff)
	}
	if !k.rules.CleansNodeByNode {
		k.soilAgain()
	}
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
