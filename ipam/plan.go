package ipam

import (
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/claimlist"
	"github.com/ipamsim/ipamsim/pool"
)

// A plan remembers the blocks of an owner's plain requests of one family. Nearly
// all requests are plain, and they use the same blocks until the pools, the owner
// or its claims change. A plan is valid while its versions are those in force; the
// zero plan never is.
type plan struct {
	made   versions
	use    pool.Use
	blocks []*ipamBlock  // the usable ones, in the order of their claims' names
	only   [1]*ipamBlock // storage for the blocks of most plans
	spent  int           // how many of the first blocks have no free address; see reopen
	pools  []*poolBlocks
}

// versions are everything that plans depend on.
type versions struct{ pools, owner uint64 }

// versions returns the versions in force for the owner.
func (a *Allocator) versions(o *owner) versions {
	return versions{a.poolsVersion, o.version}
}

// plain reports whether a plan may serve the request: it names no pool and no
// namespace, reserves nothing for the host, and its client does not run on
// Windows.
func (r *request) plain() bool {
	return len(r.requested()) == 0 && r.reserve() == nil && r.args.Namespace == nil && !r.args.Windows
}

// planOf returns where the owner keeps its plan for one family.
func (o *owner) planOf(is4 bool) *plan {
	if is4 {
		return &o.plan4
	}
	return &o.plan6
}

// planFor returns the owner's plan, or nil if it has no valid one.
func (a *Allocator) planFor(o *owner, is4 bool, use pool.Use) *plan {
	p := o.planOf(is4)
	if p.use != use || p.made != a.versions(o) {
		return nil
	}
	return p
}

// makePlan makes a plan of the pools and usable claims that a plain request has
// found. It makes none if the next request may have more to do: recover a claim,
// or release a block once it is empty.
func (a *Allocator) makePlan(r *request) {
	if len(r.claims) == 0 {
		return // about to claim its first block
	}
	o := r.owner
	for _, c := range o.claims.All() {
		pb := a.poolOf(c.CIDR.Addr())
		if c.CIDR.Addr().Is4() == r.is4 && pb != nil && !slices.Contains(r.chosen, pb) && pb.rejects(o) {
			return
		}
	}
	p := o.planOf(r.is4)
	p.made = versions{} // it is no longer the plan of another use
	if p.blocks == nil {
		p.blocks = p.only[:]
	}
	p.blocks, p.spent = p.blocks[:0], 0
	for _, c := range r.claims {
		b := a.block(c.CIDR)
		if !isTrue(c, b, o) {
			return
		}
		p.blocks = append(p.blocks, b)
	}
	p.pools = append(p.pools[:0], r.chosen...)
	p.use, p.made = r.args.Use, a.versions(o)
}

// extendPlan adds the block that a plain request has just claimed to a plan that
// was valid until then. Otherwise a node with many small blocks would make a new
// plan for each.
func (a *Allocator) extendPlan(p *plan, o *owner, b *ipamBlock) {
	i := 0 // how many of the plan's blocks are claimed under lower names
	for _, c := range o.claims.All() {
		if c.CIDR == b.CIDR() {
			break
		}
		if i < len(p.blocks) && p.blocks[i].CIDR() == c.CIDR {
			i++
		}
	}
	p.blocks = slices.Insert(p.blocks, i, b)
	p.spent = min(p.spent, i)
	p.made = a.versions(o)
}

// reopen tells the plans that a block of the owner's may have a free address again.
func (o *owner) reopen() { o.plan4.spent, o.plan6.spent = 0, 0 }

// isTrue reports whether the claim is confirmed and the block has its owner; the
// block is nil if there is none.
func isTrue(c *claimlist.Claim, b *ipamBlock, o *owner) bool {
	return b != nil && b.owner == o && c.State == affinity.Confirmed
}

// dropPlans forgets all plans and walks, and the pools of the last request, so that
// they keep no blocks of a deleted pool.
func (a *Allocator) dropPlans() {
	clear(a.chosen[:cap(a.chosen)])
	for _, owners := range []map[string]*owner{a.hosts, a.virtual} {
		for _, o := range owners {
			o.plan4, o.plan6, o.walk = plan{}, plan{}, start{}
		}
	}
}
