// Package claimlist keeps the claims of owners on blocks: the affinity objects,
// found by owner and in the order in which Calico lists them.
//
// An owner (a node, or a load-balancer controller) that wants to allocate from a
// block first claims it. The claim is an object of its own beside the block,
// because two objects cannot be written in one step: it is created pending, then
// the block is written with its owner, then the claim is confirmed. If a process
// dies in between, the next reader can tell from the claim how far it came.
//
//	          Pend                    Confirm
//	None ────────────▶ Pending ────────────────────▶ Confirmed
//	 ▲                 ▲  ▲  │                        │  │
//	 │                 │  └──┼──────── Renew ─────────┘  │
//	 │       Pend/Renew│     │ Release                   │ Release
//	 │                 │     ▼                           │
//	 └──── Drop ────── PendingDeletion ◀─────────────────┘
//
// Rules: only a confirmed claim counts for ownership and routes; a host that asks
// for an address tries all its claims, pending ones too; the claims of an owner
// are walked in the byte order of their Kubernetes names, which is not the order
// of their addresses (§3, §5, §11).
//
// The package knows nothing of blocks, pools or allocation: the caller checks
// whether a claim is still true.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package claimlist

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
)

// Claim is one affinity object: an owner's claim on one block. Claims are made and
// changed through [List]. A dropped claim ends in state [affinity.None].
type Claim struct {
	Owner   affinity.Owner
	CIDR    netip.Prefix // the block claimed
	State   affinity.State
	Created time.Time // when the object was created, for its age

	list *List // that has it, nil for none
}

// Name returns the claim's name in Kubernetes, as [affinity.Name] makes it, anew each
// time.
func (c *Claim) Name() string { return affinity.Name(c.Owner.Name, c.CIDR) }

// Renew writes the claim back as pending whatever its state, as recovery does before it
// mends the block. The error matches [ErrTransition] for a claim that was dropped.
func (c *Claim) Renew() error { return c.move(stepRenew) }

// Confirm confirms a pending claim: the block is the owner's. For a claim that is
// being released or was dropped the error matches [ErrTransition], and the claim
// is unchanged.
func (c *Claim) Confirm() error { return c.move(stepConfirm) }

// Release marks the claim as pending deletion, before the block is written;
// [List.Drop] deletes it afterwards. The error matches [ErrTransition] for a
// claim that was dropped.
func (c *Claim) Release() error { return c.move(stepRelease) }

// move takes a step, or returns an error matching [ErrTransition] and leaves the claim
// as it is.
func (c *Claim) move(s step) error {
	next, err := after(c.State, s)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", c.CIDR, c.Owner, err)
	}
	c.State = next
	if c.list != nil {
		c.list.change(c)
	}
	return nil
}

// Index finds claims by owner. The zero value is empty and ready to use. An
// Index is not safe for concurrent use and must not be copied after first use.
type Index struct {
	owners map[affinity.Owner]*List

	// OnChange, if not nil, is called when a claim was added, dropped or given
	// another state, with the claim.
	OnChange func(*Claim)
}

// Of returns the claims of owner, or nil if it never had any. A nil *List reads
// as empty.
func (x *Index) Of(owner affinity.Owner) *List { return x.owners[owner] }

// Open returns the claims of owner, a new empty list if it had none. The list
// belongs to the index and stays valid until [Index.Forget].
func (x *Index) Open(owner affinity.Owner) *List {
	if c, ok := x.owners[owner]; ok {
		return c
	}
	if x.owners == nil {
		x.owners = make(map[affinity.Owner]*List)
	}
	c := &List{owner: owner, index: x}
	c.list = c.only[:0]
	x.owners[owner] = c
	return c
}

// Forget drops the list of an owner without claims. It does nothing while
// there are any.
func (x *Index) Forget(owner affinity.Owner) {
	if c := x.owners[owner]; c != nil && len(c.list) == 0 {
		delete(x.owners, owner)
	}
}

// All returns every claim ordered by type, host and name. The caller owns the
// slice, the index the claims.
func (x *Index) All() []*Claim {
	var all []*Claim
	for _, c := range x.owners {
		all = append(all, c.list...)
	}
	slices.SortFunc(all, func(a, b *Claim) int {
		return Compare(a.Owner, a.CIDR, b.Owner, b.CIDR)
	})
	return all
}

// Compare orders the claims of two owners on two blocks by type, host and name.
func Compare(a affinity.Owner, aCIDR netip.Prefix, b affinity.Owner, bCIDR netip.Prefix) int {
	return cmp.Or(a.Compare(b), compareNames(a.Name, aCIDR, bCIDR), affinity.CompareCIDRNames(aCIDR, bCIDR))
}

// Check returns every broken invariant of the index, joined, or nil.
func (x *Index) Check() error {
	var errs []error
	owners := slices.SortedFunc(maps.Keys(x.owners), affinity.Owner.Compare)
	for _, owner := range owners {
		c := x.owners[owner]
		if c.owner != owner {
			errs = append(errs, fmt.Errorf("claimlist: claims of %s filed under %s", c.owner, owner))
		}
		errs = append(errs, c.Check())
	}
	return errors.Join(errs...)
}

// List has one owner's claims in the byte order of their Kubernetes names.
// A nil *List reads as empty. Lists come from [Index.Open]. The blocks must
// not be IPv4-mapped IPv6: ::ffff:1.2.3.0/120 has the name of another block.
type List struct {
	owner affinity.Owner
	list  []*Claim  // sorted by name; CIDRs are unique
	only  [1]*Claim // storage for the list of most owners

	changes *uint64 // see CountChanges
	index   *Index  // that has the list
}

// change counts a change of the claim, and tells whoever wants to know.
func (c *List) change(cl *Claim) {
	if c.changes != nil {
		*c.changes++
	}
	if c.index.OnChange != nil {
		c.index.OnChange(cl)
	}
}

// Owner returns the owner of the claims, the zero Owner for a nil receiver.
func (c *List) Owner() affinity.Owner {
	if c == nil {
		return affinity.Owner{}
	}
	return c.owner
}

// CountChanges makes the list raise *n by one whenever a claim is added, dropped or
// changes its state. A later call replaces n.
func (c *List) CountChanges(n *uint64) { c.changes = n }

// Len returns the number of claims, whatever their state.
func (c *List) Len() int {
	if c == nil {
		return 0
	}
	return len(c.list)
}

// All returns the claims in name order. The slice is the list's own: the caller
// must not change it, and it is valid until a claim is added or dropped.
func (c *List) All() []*Claim {
	if c == nil {
		return nil
	}
	return c.list
}

// Get returns the claim on cidr, or nil.
func (c *List) Get(cidr netip.Prefix) *Claim {
	if c == nil {
		return nil
	}
	// The list is sorted by name, but prefixes compare faster: only a large list
	// is worth a binary search.
	if len(c.list) > 32 {
		if i, ok := c.find(cidr); ok {
			return c.list[i]
		}
		return nil
	}
	for _, cl := range c.list {
		if cl.CIDR == cidr {
			return cl
		}
	}
	return nil
}

// find returns the index at which the claim on cidr is, or belongs.
func (c *List) find(cidr netip.Prefix) (int, bool) {
	i, ok := slices.BinarySearchFunc(c.list, cidr, func(cl *Claim, cidr netip.Prefix) int {
		return compareNames(c.owner.Name, cl.CIDR, cidr)
	})
	return i, ok && c.list[i].CIDR == cidr
}

// Pend announces the claim on cidr and returns it. If there is none it creates
// one, with the time now.
func (c *List) Pend(cidr netip.Prefix, now time.Time) *Claim {
	if cl := c.Get(cidr); cl != nil {
		// Every state of an existing object allows this step.
		_ = cl.move(stepPend)
		return cl
	}
	return c.insert(cidr, affinity.Pending, now)
}

// Put writes the claim on cidr with the given state, as a raw edit of the
// datastore does, without checking steps. It returns an error matching
// [affinity.ErrInvalidState] for [affinity.None] or an unknown state.
func (c *List) Put(cidr netip.Prefix, state affinity.State, now time.Time) error {
	if state == affinity.None || state >= states {
		return fmt.Errorf("%w: %s cannot be stored", affinity.ErrInvalidState, state)
	}
	if cl := c.Get(cidr); cl != nil {
		cl.State = state
		c.change(cl)
		return nil
	}
	c.insert(cidr, state, now)
	return nil
}

// insert adds a claim that does not exist yet.
func (c *List) insert(cidr netip.Prefix, state affinity.State, now time.Time) *Claim {
	cl := &Claim{Owner: c.owner, CIDR: cidr, State: state, Created: now, list: c}
	i, _ := c.find(cidr)
	c.list = slices.Insert(c.list, i, cl)
	c.change(cl)
	return cl
}

// Drop deletes the claim on cidr and reports whether there was one. A deleted
// claim ends in state [affinity.None].
func (c *List) Drop(cidr netip.Prefix) bool {
	cl := c.Get(cidr)
	if cl == nil {
		return false
	}
	i := slices.Index(c.list, cl)
	c.list = slices.Delete(c.list, i, i+1)
	_ = cl.move(stepDrop)
	cl.list = nil
	return true
}

// Check returns every broken invariant of the list, joined, or nil.
func (c *List) Check() error {
	if c == nil {
		return nil
	}
	var errs []error
	if err := c.owner.Validate(); err != nil {
		errs = append(errs, err)
	}
	seen := make(map[netip.Prefix]bool)
	for i, cl := range c.All() {
		switch {
		case cl.Owner != c.owner:
			errs = append(errs, fmt.Errorf("claimlist: claim on %s of %s is in the list of %s", cl.CIDR, cl.Owner, c.owner))
		case cl.State == affinity.None || cl.State >= states:
			errs = append(errs, fmt.Errorf("claimlist: claim on %s of %s has state %s", cl.CIDR, cl.Owner, cl.State))
		}
		if i > 0 && c.list[i-1].Name() > cl.Name() {
			errs = append(errs, fmt.Errorf("claimlist: claims of %s out of order at %s", c.owner, cl.Name()))
		}
		if seen[cl.CIDR] {
			errs = append(errs, fmt.Errorf("claimlist: %s has two claims on %s", c.owner, cl.CIDR))
		}
		seen[cl.CIDR] = true
	}
	return errors.Join(errs...)
}

// longestHost is the length in bytes up to which [affinity.Name] cuts no name of a
// host's claims.
const longestHost = 252 - len("-ffff-ffff-ffff-ffff-ffff-ffff-ffff-ffff-128")

// compareNames orders the claims of host on two blocks by [affinity.Name] in byte
// order. It allocates only for a host name so long that names are cut.
func compareNames(host string, a, b netip.Prefix) int {
	if len(host) <= longestHost {
		return affinity.CompareCIDRNames(a, b)
	}
	return strings.Compare(affinity.Name(host, a), affinity.Name(host, b))
}
