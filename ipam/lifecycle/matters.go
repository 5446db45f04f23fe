package lifecycle

import "github.com/ipamsim/ipamsim/ipam/calico"

// This file tells which rules make a difference, so that nobody needs to run what a
// controller of another release would do to find out that it does the same.

// Matters has matters told of each rule that makes a difference to what the controller
// does, or may make one, as [ipam.Options].Matters is of those of the allocator. It is
// for a controller that has not looked yet. As long as neither was told of a rule in
// which two releases differ, all would have gone the same with the other one, its
// controller looking at the same moments. Matters must not call the controller, the
// cluster or the allocator.
func (k *Controller) Matters(matters func(rule func(*calico.Rules) *bool)) {
	k.memory.matters = matters
}

// tell tells of rules that make a difference.
func (m *memory) tell(rules ...func(*calico.Rules) *bool) {
	if m.matters == nil {
		return
	}
	for _, rule := range rules {
		m.matters(rule)
	}
}

// The rules that the controller tells of. Of CollectsCold it need not: a release that
// does not collect has no cooldown.
var (
	scansDirty      = func(r *calico.Rules) *bool { return &r.ScansDirtyNodes }
	releasesAny     = func(r *calico.Rules) *bool { return &r.ReleasesAnyEmpty }
	useForgets      = func(r *calico.Rules) *bool { return &r.UseForgetsEmpty }
	evicts          = func(r *calico.Rules) *bool { return &r.EvictedLoseAddresses }
	atOnce          = func(r *calico.Rules) *bool { return &r.ReleasesLeaksAtOnce }
	backsOff        = func(r *calico.Rules) *bool { return &r.RetriesWithBackoff }
	cleansEach      = func(r *calico.Rules) *bool { return &r.CleansNodeByNode }
	forgets         = func(r *calico.Rules) *bool { return &r.DeletedBlockForgets }
	judgesMachines  = func(r *calico.Rules) *bool { return &r.JudgesMachines }
	renews          = func(r *calico.Rules) *bool { return &r.RenewsGivenOut }
	repeatsForLeaks = func(r *calico.Rules) *bool { return &r.RepeatsForLeaks }
	repeatsForNodes = func(r *calico.Rules) *bool { return &r.RepeatsForNodes }
)

// scannedAlike reports whether a full scan does no more than one of the dirty nodes, and
// remembers no more: a node that is not dirty is settled, and was scanned since it exists.
func (k *Controller) scannedAlike() bool {
	for _, n := range k.memory.nodes {
		switch {
		case n.dirty || n.skippable:
			continue
		case !k.guards.settled(n):
			return false
		}
		for _, al := range n.allocations {
			if !al.nodeExisted {
				return false
			}
		}
	}
	return true
}
