package affinity

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Index finds claims by owner. The zero value is empty and ready to use. An
// Index is not safe for concurrent use and must not be copied after first use.
type Index struct {
	owners map[Owner]*Claims
}

// Of returns the claims of owner, or nil if it never had any. A nil *Claims reads
// as empty.
func (x *Index) Of(owner Owner) *Claims { return x.owners[owner] }

// Open returns the claims of owner, a new empty list if it had none. The list
// belongs to the index and stays valid until [Index.Forget].
func (x *Index) Open(owner Owner) *Claims {
	if c, ok := x.owners[owner]; ok {
		return c
	}
	if x.owners == nil {
		x.owners = make(map[Owner]*Claims)
	}
	c := &Claims{owner: owner}
	c.list = c.only[:0]
	x.owners[owner] = c
	return c
}

// Forget drops the list of an owner without claims. It does nothing while
// there are any.
func (x *Index) Forget(owner Owner) {
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
		return cmp.Or(
			compareOwners(a.Owner, b.Owner),
			compareNames(a.Owner.Name, a.CIDR, b.CIDR),
			CompareCIDRNames(a.CIDR, b.CIDR),
		)
	})
	return all
}

// compareOwners orders owners by type, then name.
func compareOwners(a, b Owner) int {
	return cmp.Or(strings.Compare(string(a.Type), string(b.Type)), strings.Compare(a.Name, b.Name))
}

// Check returns every broken invariant of the index, joined, or nil.
func (x *Index) Check() error {
	var errs []error
	owners := slices.SortedFunc(maps.Keys(x.owners), compareOwners)
	for _, owner := range owners {
		c := x.owners[owner]
		if c.owner != owner {
			errs = append(errs, fmt.Errorf("affinity: claims of %s filed under %s", c.owner, owner))
		}
		errs = append(errs, c.Check())
	}
	return errors.Join(errs...)
}

// Claims are one owner's claims in the byte order of their Kubernetes names.
// A nil *Claims reads as empty. Claims come from [Index.Open]. The blocks must
// not be IPv4-mapped IPv6: ::ffff:1.2.3.0/120 has the name of another block.
type Claims struct {
	owner Owner
	list  []*Claim  // sorted by name; CIDRs are unique
	only  [1]*Claim // storage for the list of most owners

	version uint64 // see Version
}

// Owner returns the owner of the claims, the zero Owner for a nil receiver.
func (c *Claims) Owner() Owner {
	if c == nil {
		return Owner{}
	}
	return c.owner
}

// Version returns a number that changes whenever a claim is added, dropped or
// changes its state.
func (c *Claims) Version() uint64 {
	if c == nil {
		return 0
	}
	return c.version
}

// Len returns the number of claims, whatever their state.
func (c *Claims) Len() int {
	if c == nil {
		return 0
	}
	return len(c.list)
}

// All returns the claims in name order. The slice is the list's own: the caller
// must not change it, and it is valid until a claim is added or dropped.
func (c *Claims) All() []*Claim {
	if c == nil {
		return nil
	}
	return c.list
}

// Get returns the claim on cidr, or nil.
func (c *Claims) Get(cidr netip.Prefix) *Claim {
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
func (c *Claims) find(cidr netip.Prefix) (int, bool) {
	i, ok := slices.BinarySearchFunc(c.list, cidr, func(cl *Claim, cidr netip.Prefix) int {
		return compareNames(c.owner.Name, cl.CIDR, cidr)
	})
	return i, ok && c.list[i].CIDR == cidr
}

// Pend announces the claim on cidr and returns it. If there is none it creates
// one, with the time now.
func (c *Claims) Pend(cidr netip.Prefix, now time.Time) *Claim {
	if cl := c.Get(cidr); cl != nil {
		// Every state of an existing object allows this step.
		_ = cl.move(stepPend)
		return cl
	}
	return c.insert(cidr, Pending, now)
}

// Put writes the claim on cidr with the given state, as a raw edit of the
// datastore does, without checking steps. It returns an error matching
// [ErrInvalidState] for None or an unknown state.
func (c *Claims) Put(cidr netip.Prefix, state State, now time.Time) error {
	if state == None || int(state) >= len(stateNames) {
		return fmt.Errorf("%w: %s cannot be stored", ErrInvalidState, state)
	}
	if cl := c.Get(cidr); cl != nil {
		cl.State = state
		c.version++
		return nil
	}
	c.insert(cidr, state, now)
	return nil
}

// insert adds a claim that does not exist yet.
func (c *Claims) insert(cidr netip.Prefix, state State, now time.Time) *Claim {
	cl := &Claim{Owner: c.owner, CIDR: cidr, State: state, Created: now, list: c}
	i, _ := c.find(cidr)
	c.list = slices.Insert(c.list, i, cl)
	c.version++
	return cl
}

// Drop deletes the claim on cidr and reports whether there was one. A deleted
// claim ends in state None.
func (c *Claims) Drop(cidr netip.Prefix) bool {
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
func (c *Claims) Check() error {
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
			errs = append(errs, fmt.Errorf("affinity: claim on %s of %s is in the list of %s", cl.CIDR, cl.Owner, c.owner))
		case cl.State == None || int(cl.State) >= len(stateNames):
			errs = append(errs, fmt.Errorf("affinity: claim on %s of %s has state %s", cl.CIDR, cl.Owner, cl.State))
		}
		if i > 0 && c.list[i-1].Name() > cl.Name() {
			errs = append(errs, fmt.Errorf("affinity: claims of %s out of order at %s", c.owner, cl.Name()))
		}
		if seen[cl.CIDR] {
			errs = append(errs, fmt.Errorf("affinity: %s has two claims on %s", c.owner, cl.CIDR))
		}
		seen[cl.CIDR] = true
	}
	return errors.Join(errs...)
}
