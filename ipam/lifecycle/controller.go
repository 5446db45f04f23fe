package lifecycle

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

// Controller is the cleaning controller of a cluster. Make one with
// [NewController]; to restart it, stop it and make another, which remembers no
// suspects. It is not safe for concurrent use and must not be copied.
type Controller struct {
	cluster   *Cluster
	allocator *ipam.Allocator
	policy    Policy
	watch     *ipam.Watch
	memory    memory

	rules  calico.Rules // of the release of Calico
	guards guards

	nodeDeleted bool // since the last sync, so the next is a full one
	now         time.Time
	wasDirty    []*node       // dirty when the sync began; see [Controller.restoreDirty]
	leaving     []*node       // to be released
	leaks       []*allocation // to be released, in their order
	releases    []ipam.Release
	failures    int // syncs in a row that ended with an error
	reclaimed   map[series]uint64
	shadows     []*shadow
}

// guards are the checks that keep the controller from releasing too much. Tests
// replace them one by one to show that each is needed.
type guards struct {
	mustWait func(al *allocation) bool         // the suspect has to wait
	held     func(al *allocation) bool         // the last look: somebody holds it
	whole    func(h *handle) bool              // all of the handle has leaked
	others   func(b *knownBlock, gone int) int // how many other blocks its node has

	// And those that tell a shadow apart.
	part    func()             // the grace period matters
	settled func(n *node) bool // to judge the node changes nothing
	coldDue func() bool        // cold addresses would be collected
}

// Result is what a sync did. The slices are the caller's.
type Result struct {
	// ReleasedIPs are the addresses that nobody holds any more, cooling or not, in
	// the order of their text.
	ReleasedIPs []netip.Addr
	// ReleasedBlocks are the blocks whose owner gave them up, in the order of
	// their text.
	ReleasedBlocks []netip.Prefix
	// WorkRemaining says that another sync must follow, after [Result.RetryAfter],
	// even if nothing changes: a node could not be released, confirmed leaks remain,
	// or there was an error. Before Calico v3.31, leaks that remain wait for a change.
	WorkRemaining bool
	// Err says why some leaks could not be released: somebody changed a block just
	// before. It ended the sync; cold addresses, empty blocks and nodes that are gone
	// wait for the next. Before Calico v3.31.6 it may also say why a node that is gone
	// could not be released; that does not end the sync.
	Err error
	// RetryAfter is how long Calico waits after an error: from v3.31 on 5
	// milliseconds, twice as long each time, and at most 30 seconds; before, a tenth of
	// a second for each node to be released. 0 where Err is nil.
	RetryAfter time.Duration
}

// NewController returns a controller with that policy, for the allocator's release
// of Calico ([ipam.Options]). Its first sync is the first time that it looks at the
// cluster. The error matches [ErrInvalid] if the policy is not valid.
func NewController(c *Cluster, p Policy) (*Controller, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	k := &Controller{cluster: c, allocator: c.allocator, policy: p, watch: c.allocator.Watch(), reclaimed: make(map[series]uint64)}
	k.setRules(c.allocator.Calico().Rules())
	k.guards = guards{k.mustWait, k.held, (*handle).leaked, (*knownBlock).others, k.part, k.settled, k.coldDue}
	c.controllers = append(c.controllers, k)
	return k, nil
}

// setRules makes a new controller follow these rules.
func (k *Controller) setRules(r calico.Rules) {
	k.rules, k.memory = r, newMemory(r)
}

// Stop ends the controller, as a crash does. It receives no more changes and must
// not be used any more.
func (k *Controller) Stop() {
	k.watch.Stop()
	k.cluster.controllers = slices.DeleteFunc(k.cluster.controllers, func(x *Controller) bool { return x == k })
}

// Policy returns the controller's policy.
func (k *Controller) Policy() Policy { return k.policy }

// podDeleted notes that a pod of the node was deleted.
func (k *Controller) podDeleted(name string) {
	if name != "" { // a node without blocks or allocations becomes dirty too
		k.memory.markDirty(k.memory.node(name))
	}
}

// mustScan notes that a node, or a pod that was on it, changed: full scans look at
// the node again. It does not make the node dirty.
func (k *Controller) mustScan(name string) {
	if n := k.memory.nodes[name]; n != nil {
		n.skippable = false
	}
}

// Sync scans the dirty nodes, or all nodes if full or if a node was deleted since
// the last sync, and releases what it may (§12). The caller decides when: a full
// sync every [Policy.FullEvery], and others as things change.
//
// Before Calico v3.30 every sync is a full one ([calico.Rules], ScansDirtyNodes).
// Changes of blocks, nodes and pools start one there; the deletion of a pod does
// not.
func (k *Controller) Sync(full bool) Result {
	var result Result
	k.now = k.allocator.Now()
	k.memory.learn(k.watch, k.allocator, nil)
	if k.policy.Off {
		return result
	}
	if full = full || k.nodeDeleted; !full && k.memory.matters != nil && !k.scannedAlike() {
		k.memory.tell(scansDirty)
	}
	full = full || !k.rules.ScansDirtyNodes
	k.compare(full)
	k.scan(full)
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
	// The controller sees its own changes at once.
	k.memory.learn(k.watch, k.allocator, &result)
	result.WorkRemaining = nodesRemain || result.Err != nil || k.rules.RepeatsForLeaks && len(k.memory.leaks) > 0
	if nodesRemain || result.Err != nil || len(k.memory.leaks) > 0 {
		k.memory.tell(backsOff, cleansEach, repeatsForLeaks, repeatsForNodes)
	}
	sortByText(result.ReleasedIPs)
	sortByText(result.ReleasedBlocks)
	return result
}

// countFailure counts failed syncs in a row and sets the wait before the next try.
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
		k.restoreDirty()
	}
}

// sortByText sorts addresses or blocks as text.
func sortByText[T interface{ AppendTo(b []byte) []byte }](list []T) {
	if len(list) < 2 {
		return
	}
	type item struct {
		value    T
		from, to int // its text
	}
	items := make([]item, len(list))
	var texts []byte
	for i, v := range list {
		from := len(texts)
		texts = v.AppendTo(texts)
		items[i] = item{v, from, len(texts)}
	}
	slices.SortFunc(items, func(x, y item) int { return bytes.Compare(texts[x.from:x.to], texts[y.from:y.to]) })
	for i := range items {
		list[i] = items[i].value
	}
}
