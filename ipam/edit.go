package ipam

import (
	"errors"
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
)

// PutAffinity writes an affinity object as a raw edit of the datastore does, for
// example to show what a host leaves that died half-way. The block need not exist
// or have that owner, and does not change. States other than pending, confirmed
// and pendingDeletion match [codes.InvalidArgument].
func (a *Allocator) PutAffinity(owner affinity.Owner, cidr netip.Prefix, state affinity.State) error {
	if err := errors.Join(checkCIDR(cidr), checkOwner(owner)); err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	o := a.openOwner(owner)
	defer a.forget(o)
	if err := o.claims.Put(cidr, state, a.now); err != nil {
		return invalid("state", state.String(), "must be pending, confirmed or pendingDeletion")
	}
	if n := a.namesake(o); n != nil && n.claims.Drop(cidr) {
		a.forget(n) // it was the same object
	}
	return nil
}

// DropAffinity deletes an affinity object, and nothing else: the block keeps
// its owner. It reports whether there was one.
func (a *Allocator) DropAffinity(owner affinity.Owner, cidr netip.Prefix) bool {
	a.begin()
	defer a.mu.Unlock()
	if owner.Validate() != nil {
		return false
	}
	o := a.openOwner(owner) // an owner of the same name has the same object
	defer a.forget(o)
	return a.dropClaim(o, cidr)
}

// DropBlock deletes a block, and nothing else: its affinities and handle counts
// stay. It reports whether there was one.
func (a *Allocator) DropBlock(cidr netip.Prefix) bool {
	a.begin()
	defer a.mu.Unlock()
	b := a.block(cidr)
	if b == nil {
		return false
	}
	o := b.owner
	a.remove(b)
	a.forget(o)
	return true
}
