package ipam

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/affinity"
)

// Check returns all broken invariants, joined, in a fixed order, or nil.
// Invariants are of two kinds:
//
//   - structure: each block's own; each block in its pool, or filed as a stray;
//     summaries, indices and claims in order;
//   - truth: each confirmed affinity has its block, which has that owner; each
//     owned block has its affinity; each handle counts at least what it holds.
//
// Operations keep both. Raw edits (PutAffinity, DropAffinity, DropBlock), like
// crashed clients, can make objects inconsistent, but cannot corrupt internal data
// structures. An affinity that is pending or pendingDeletion is no violation:
// recovery repairs it.
func (a *Allocator) Check() error {
	a.begin()
	defer a.mu.Unlock()
	c := checker{a: a}
	c.structure()
	c.truth()
	return errors.Join(c.errs...)
}

// ErrStructure is matched by violations of structure, which are bugs of this
// package; [ErrTruth] by those of truth, which raw edits can cause.
var (
	ErrStructure = errors.New("ipam: broken structure")
	ErrTruth     = errors.New("ipam: objects contradict each other")
)

type checker struct {
	a    *Allocator
	errs []error
}

func (c *checker) broken(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%w: %s", ErrStructure, fmt.Sprintf(format, args...)))
}

func (c *checker) untrue(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%w: %s", ErrTruth, fmt.Sprintf(format, args...)))
}

// structure checks the invariants that no operation and no raw edit may break.
func (c *checker) structure() {
	a := c.a
	if err := a.claims.Check(); err != nil {
		c.broken("%v", err)
	}
	total := 0
	for _, p := range a.pools.All() {
		pb := a.poolBlocks[p.Name()]
		if pb == nil || pb.pool != p {
			c.broken("pool %s is not the one its blocks are filed under", p.Name())
			continue
		}
		total += pb.tree.Len()
		blocks := pb.appendBlocks(nil)
		if len(blocks) != pb.tree.Len() {
			c.broken("pool %s has %d blocks, counted %d", p.Name(), len(blocks), pb.tree.Len())
		}
		for _, b := range blocks {
			if b.pool != pb || b.leaf.At != p.IndexOf(b.CIDR().Addr()) || p.BlockAt(b.leaf.At) != b.CIDR() {
				c.broken("block %s is misfiled in pool %s", b.CIDR(), p.Name())
			}
		}
		if err := pb.tree.Check(); err != nil {
			c.broken("pool %s: %v", p.Name(), err)
		}
	}
	if len(a.poolBlocks) != len(a.pools.All()) {
		c.broken("%d pools, but blocks filed under %d", len(a.pools.All()), len(a.poolBlocks))
	}
	c.handles()
	owned := 0
	for _, b := range a.allBlocks() {
		c.block(b)
		if b.owner != nil {
			owned++
		}
	}
	for _, owner := range c.owners() {
		o := a.known(owner)
		owned -= len(o.blocks)
		c.plans(o)
		if o.id != owner || o.claims != a.claims.Of(owner) {
			c.broken("host %s is misfiled", owner)
		}
	}
	if owned != 0 {
		c.broken("hosts list %d blocks fewer than are owned", owned)
	}
}

// plans checks that the owner's valid plans have the same blocks as its claims.
func (c *checker) plans(o *owner) {
	for _, is4 := range []bool{true, false} {
		p := o.planOf(is4)
		if p.made != c.a.versions(o) {
			continue
		}
		var want []*ipamBlock
		for _, cl := range o.claims.All() {
			if pb := c.a.poolOf(cl.CIDR.Addr()); cl.CIDR.Addr().Is4() == is4 && slices.Contains(p.pools, pb) {
				b := c.a.block(cl.CIDR)
				if !isTrue(cl, b, o) {
					c.broken("plan of %s though its claim on %s needs recovery", o.id, cl.CIDR)
				}
				want = append(want, b)
			}
		}
		if !slices.Equal(want, p.blocks) {
			c.broken("plan of %s has %d blocks, its claims lead to %d, or in another order", o.id, len(p.blocks), len(want))
		}
		if slices.ContainsFunc(p.blocks[:p.spent], func(b *ipamBlock) bool { return b.leaf.MayBeFree }) {
			c.broken("plan of %s passes over a block that may have free addresses", o.id)
		}
	}
}

// block checks one block's own invariants.
func (c *checker) block(b *ipamBlock) {
	if err := b.Block.Check(); err != nil {
		c.broken("block %s: %v", b.CIDR(), err)
	}
	if free, empty := maybe(b); free && !b.leaf.MayBeFree || empty && !b.leaf.MayBeEmpty {
		c.broken("block %s: free %t, empty %t, but summed up as %t, %t", b.CIDR(), free, empty, b.leaf.MayBeFree, b.leaf.MayBeEmpty)
	}
	if b.Seq() > c.a.lastSeq {
		c.broken("block %s has number %d, above the last one, %d", b.CIDR(), b.Seq(), c.a.lastSeq)
	}
	if b.owner != nil && (c.a.known(b.owner.id) != b.owner || !slices.Contains(b.owner.blocks, b)) {
		c.broken("block %s is not among those of its owner %s", b.CIDR(), b.owner.id)
	}
	if b.pool == nil && (c.a.strays[b.CIDR()] != b || c.a.poolOfBlock(b.CIDR()) != nil) {
		c.broken("block %s is a stray and not filed as such, or is filed as one and is not", b.CIDR())
	}
	whole, reserved := b.whole, b.reserved
	c.a.reserve(b)
	if whole != b.whole || reserved.Len() != b.reserved.Len() {
		c.broken("block %s is out of date about the reservations", b.CIDR())
	}
}

// owners returns all owners, in order.
func (c *checker) owners() []affinity.Owner {
	var owners []affinity.Owner
	for _, t := range []affinity.Type{affinity.Host, affinity.Virtual} {
		for _, name := range slices.Sorted(maps.Keys(c.a.ownersOf(t))) {
			owners = append(owners, affinity.Owner{Type: t, Name: name})
		}
	}
	return owners
}

// truth checks that affinities, blocks and handles are consistent.
func (c *checker) truth() {
	a := c.a
	for _, cl := range a.claims.All() {
		if cl.State != affinity.Confirmed {
			continue
		}
		switch b := a.block(cl.CIDR); {
		case b == nil:
			c.untrue("%s has a confirmed affinity on %s, which does not exist", cl.Owner, cl.CIDR)
		case b.ownerID() != cl.Owner:
			c.untrue("%s has a confirmed affinity on %s, which is %s's", cl.Owner, cl.CIDR, ownerOrNobody(b))
		}
	}
	held := make(map[string]map[netip.Prefix]int)
	for _, b := range byName(a.allBlocks()) {
		if b.owner != nil && a.claimOn(b.owner, b.CIDR()) == nil {
			c.untrue("block %s is %s's, which has no affinity on it", b.CIDR(), b.ownerID())
		}
		for al := range b.Allocations() {
			// Addresses reserved for the host have no number and no handle counts
			// them.
			if al.Handle == "" || al.Seq == 0 {
				continue
			}
			key := handleKey(al.Handle)
			if held[key] == nil {
				held[key] = make(map[netip.Prefix]int)
			}
			held[key][b.CIDR()]++
		}
	}
	for _, id := range slices.Sorted(maps.Keys(held)) {
		counts := make(map[netip.Prefix]int)
		if h := a.handles.find(id); h != nil {
			for _, n := range a.handles.counts(nil, h) {
				counts[n.block.CIDR()] = int(n.n)
			}
		}
		for _, cidr := range slices.SortedFunc(maps.Keys(held[id]), netipx.ComparePrefix) {
			if n := held[id][cidr]; counts[cidr] < n {
				c.untrue("handle %s holds %d addresses in %s but counts %d", id, n, cidr, counts[cidr])
			}
		}
	}
}

// handles checks the table and every handle's counts.
func (c *checker) handles() {
	t := &c.a.handles
	all := t.all()
	if len(all) != t.live || len(all)+len(t.spare)+1 != int(t.made) {
		c.broken("%d handles, %d counted, %d spare of %d made", len(all), t.live, len(t.spare), t.made)
	}
	lists := 0
	for _, h := range all {
		if t.find(h.id) != h {
			c.broken("handle %q is not found", h.id)
		}
		counts := t.counts(nil, h)
		if h.n == several {
			lists++
		}
		if (h.n == several) != (len(counts) > 1) {
			c.broken("handle %q counts in %d blocks, its number is %d", h.id, len(counts), h.n)
		}
		for i, n := range counts {
			if n.n <= 0 || i > 0 && affinity.CompareCIDRNames(counts[i-1].block.CIDR(), n.block.CIDR()) >= 0 {
				c.broken("handle %q counts %d in %s, or out of order", h.id, n.n, n.block.CIDR())
			}
		}
	}
	if lists != len(t.several) {
		c.broken("%d handles count in several blocks, lists for %d", lists, len(t.several))
	}
}

func ownerOrNobody(b *ipamBlock) string {
	if b.owner == nil {
		return "nobody"
	}
	return b.ownerID().String()
}
