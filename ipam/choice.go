package ipam

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/pool"
)

// HostReservation keeps addresses at both ends of every block that a request
// creates for the host itself, as Windows needs it: 3 and 1 (§10).
type HostReservation struct {
	StartOfBlock, EndOfBlock int // addresses, 0 or more each, not both 0
	// Handle holds them, as a rule [block.HostReservedHandle]. Allocations of any
	// other handle, also of none, make a block non-empty.
	Handle string
	Note   string // the attribute "note"
}

// owner returns who the reserved addresses are allocated to.
func (r *HostReservation) owner() block.Owner {
	return block.Owner{Handle: r.Handle, Active: block.MakeAttrs(map[string]string{"note": r.Note})}
}

// longestPrefix returns the longest prefix of a block of that family that
// holds the reservation and at least one address more (§10).
func (r *HostReservation) longestPrefix(is4 bool) (int, error) {
	width := 128
	if is4 {
		width = 32
	}
	if r == nil {
		return width, nil
	}
	if err := r.check(); err != nil {
		return 0, err
	}
	longest := width - bits.Len(uint(r.StartOfBlock+r.EndOfBlock))
	if longest <= 0 || longest == width {
		return 0, fail(ErrBadHostReservation, fmt.Sprintf("%d addresses at the start and %d at the end of each block", r.StartOfBlock, r.EndOfBlock))
	}
	return longest, nil
}

// check refuses counts that nothing could hold.
func (r *HostReservation) check() error {
	for _, n := range []int{r.StartOfBlock, r.EndOfBlock} {
		if n < 0 || int64(n) > 1<<32 {
			return fail(ErrBadHostReservation, fmt.Sprintf("count %d is not within 0 to 2^32", n))
		}
	}
	return nil
}

// fits refuses a reservation that the block cidr could not hold. Calico's own
// allocator panics there (§10).
func (r *HostReservation) fits(cidr netip.Prefix) error {
	if r == nil {
		return nil
	}
	if err := r.check(); err != nil {
		return err
	}
	if spare := cidr.Addr().BitLen() - cidr.Bits(); spare < 13 && r.StartOfBlock+r.EndOfBlock > 1<<spare {
		return fail(ErrBadHostReservation, fmt.Sprintf("block %s cannot hold %d addresses", cidr, r.StartOfBlock+r.EndOfBlock))
	}
	return nil
}

// demand is what decides the pools of one family of a request (§3).
type demand struct {
	host      string
	use       pool.Use
	is4       bool
	requested []netip.Prefix // requested; nil for an automatic choice
	namespace map[string]string
	reserve   *HostReservation
}

// requests reports whether the pool was requested.
func (d *demand) requests(p *pool.Pool) bool {
	return slices.ContainsFunc(d.requested, func(cidr netip.Prefix) bool { return cidr.Masked() == p.CIDR() })
}

// owner returns who claims blocks for the request.
func (d *demand) ownerID() affinity.Owner {
	if d.use == pool.LoadBalancer {
		return affinity.VirtualOwner(d.host)
	}
	return affinity.HostOwner(d.host)
}

// choose returns the pools that the demand of the owner, nil for an unknown
// one, may use, in order, appended to dst. Errors come in the order of §3: use,
// node, host reservation, pools.
func (a *Allocator) choose(dst []*poolBlocks, o *owner, d *demand) ([]*poolBlocks, error) {
	if !d.use.Valid() {
		return nil, fail(ErrUseRequired, fmt.Sprintf("got %q", d.use))
	}
	var labels map[string]string // a virtual owner has none
	if d.use != pool.LoadBalancer {
		if o == nil || !o.node {
			return nil, fail(ErrDoesNotExist, "node "+d.host)
		}
		labels = o.labels
	}
	longest, err := d.reserve.longestPrefix(d.is4)
	if err != nil {
		return nil, err
	}
	// A pool that is enabled, of the family, and has blocks large enough.
	qualifies := func(p *pool.Pool) bool {
		return !p.Disabled() && p.Is4() == d.is4 && p.BlockSize() <= longest
	}
	if !slices.ContainsFunc(a.pools.All(), qualifies) {
		return nil, fail(ErrNoQualifiedPool, fmt.Sprintf("no %s pool is enabled with blocks of /%d or larger", family(d.is4), longest))
	}
	pools := dst
	if len(d.requested) > 0 {
		for _, cidr := range d.requested {
			p := a.pools.ByCIDR(cidr.Masked())
			if p == nil || !qualifies(p) {
				return nil, fail(ErrPoolNotEnabled, cidr)
			}
			pools = append(pools, a.poolBlocks[p.Name()])
		}
	} else {
		for _, p := range a.pools.All() {
			// Not qualifies: the automatic choice does not look at the size
			// of blocks (§10).
			if !p.Disabled() && p.Is4() == d.is4 && p.Automatic() && p.SelectsNode(labels) && p.SelectsNamespace(d.namespace) {
				pools = append(pools, a.poolBlocks[p.Name()])
			}
		}
		if len(pools) == 0 {
			return nil, fail(ErrNoPoolsForNode, d.host+", "+family(d.is4))
		}
	}
	allowed := pools[:0]
	for _, pb := range pools {
		if pb.pool.Allows(d.use) {
			allowed = append(allowed, pb)
		}
	}
	if len(allowed) == 0 {
		return nil, fail(ErrNoQualifiedPool, fmt.Sprintf("no %s pool for %s allows use %s", family(d.is4), d.host, d.use))
	}
	return allowed, nil
}

// family returns the name of the family.
func family(is4 bool) string {
	if is4 {
		return "IPv4"
	}
	return "IPv6"
}

// checkRequestable refuses requested pools that no pool could be. Host bits are
// allowed: the request means the pool without them.
func checkRequestable(pools []netip.Prefix) error {
	for _, cidr := range pools {
		if checkCIDR(cidr.Masked()) != nil {
			return checkCIDR(cidr)
		}
	}
	return nil
}

// checkRequested refuses requested pools of the other family, before anything
// else of the family happens (§3).
func checkRequested(pools []netip.Prefix, is4 bool) error {
	for _, cidr := range pools {
		if cidr.Addr().Is4() != is4 {
			return fail(ErrWrongFamily, cidr)
		}
	}
	return nil
}

// usable splits the owner's claims of one family: those in the pools are
// appended to dst in name order; the rest is given back where the pool no
// longer selects the node and the block is empty, unless its pool was requested
// (§3).
func (a *Allocator) usable(dst []*affinity.Claim, o *owner, pools []*poolBlocks, d *demand) []*affinity.Claim {
	from := len(dst)
	all := append(dst, o.claims.All()...) // releasing changes the list
	claims, usable := all[from:], all[:from]
	for _, c := range claims {
		if c.CIDR.Addr().Is4() != d.is4 {
			continue
		}
		pb := a.poolOf(c.CIDR.Addr())
		switch {
		case pb == nil:
		case slices.Contains(pools, pb):
			usable = append(usable, c)
		case pb.rejects(o) && !d.requests(pb.pool):
			_ = a.releaseClaim(o, c.CIDR, true) // errors are ignored there
		}
	}
	return usable
}

// A plan remembers where an owner's plain requests of one family lead: those for
// no given pool, from no namespace and without a host reservation. Nearly all
// requests are plain, and between two changes of the pools, of the node or of
// the owner's claims they all lead to the same blocks. The zero plan is none.
type plan struct {
	poolsChanged uint64 // the allocator's count when it was made; 0 for no plan
	use          pool.Use
	pools        []*poolBlocks
	blocks       []*ipamBlock // the usable ones, in the order of their claims' names
}

// changed makes the owner's plans void. It is called wherever one of its claims
// or blocks comes, goes or changes its state, and when its node changes.
func (o *owner) changed() {
	o.plans[0].poolsChanged, o.plans[1].poolsChanged = 0, 0
}

// planOf returns where the owner keeps its plan for one family.
func (o *owner) planOf(is4 bool) *plan {
	if is4 {
		return &o.plans[0]
	}
	return &o.plans[1]
}

// planFor returns the owner's plan, or nil.
func (a *Allocator) planFor(o *owner, is4 bool, use pool.Use) *plan {
	p := o.planOf(is4)
	if p.poolsChanged != a.poolsChanged || p.use != use {
		return nil
	}
	return p
}

// remember makes a plan of what a plain request has found: the pools, and the
// owner's usable claims. There is none where the next request would have more
// to do than to look at the blocks: where a claim needs recovery, or a block
// is to be given back as soon as it is empty.
func (a *Allocator) remember(o *owner, is4 bool, use pool.Use, pools []*poolBlocks, claims []*affinity.Claim) {
	if len(claims) == 0 {
		return // about to claim its first block
	}
	for _, c := range o.claims.All() {
		pb := a.poolOf(c.CIDR.Addr())
		if c.CIDR.Addr().Is4() == is4 && pb != nil && !slices.Contains(pools, pb) && pb.rejects(o) {
			return
		}
	}
	p := o.planOf(is4)
	p.poolsChanged = 0 // it is no other use's plan any more
	p.blocks = p.blocks[:0]
	for _, c := range claims {
		b := a.block(c.CIDR)
		if !isTrue(c, b, o) {
			return
		}
		p.blocks = append(p.blocks, b)
	}
	p.pools = append(p.pools[:0], pools...)
	p.use, p.poolsChanged = use, a.poolsChanged
}

// isTrue reports whether the claim is confirmed and the block, nil if there is
// none, agrees.
func isTrue(c *affinity.Claim, b *ipamBlock, o *owner) bool {
	return b != nil && b.owner == o && c.State == affinity.Confirmed
}
