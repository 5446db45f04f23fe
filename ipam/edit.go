package ipam

import (
	"errors"
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/pool"
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

// PutBlock writes a block as a raw edit of the datastore does, in place of the one of
// its CIDR. It may contradict other objects, as for [Restore]: affinities and handles
// do not change. A block that contradicts itself is refused with an error that matches
// [block.ErrState] or [codes.InvalidArgument], and nothing changes. The state is the
// caller's.
func (a *Allocator) PutBlock(state BlockState) error {
	b, err := state.restore(new(block.State))
	if err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	if old := a.block(state.CIDR); old != nil {
		defer a.forget(old.owner)
		a.remove(old)
	}
	a.addRestored(b, &state)
	return nil
}

// PutHandle writes a handle as a raw edit of the datastore does, in place of the one
// of its id, and blocks do not change. A handle without counts is deleted. Counts
// below 1, of invalid CIDRs or of one block twice, and an empty id, match
// [codes.InvalidArgument]. The state is the caller's.
func (a *Allocator) PutHandle(state HandleState) error {
	id := readHandle(state.ID)
	if id.String() == "" {
		return invalid("handle", state.ID, "has no id")
	}
	a.begin()
	defer a.mu.Unlock()
	r := restorer{a: a, gone: make(map[netip.Prefix]*ipamBlock)}
	counts, err := r.counts(state.Counts)
	if err != nil {
		return invalid("handle", id.String(), err.Error())
	}
	a.dropHandle(id.String())
	if len(counts) > 0 {
		_, hash := a.handles.search(id)
		a.handles.restore(id.String(), hash, counts)
		a.noteHandle(id.String())
	}
	return nil
}

// DropHandle deletes a handle, and nothing else: blocks keep its addresses. It reports
// whether there was one.
func (a *Allocator) DropHandle(id string) bool {
	a.begin()
	defer a.mu.Unlock()
	return a.dropHandle(handleID(id))
}

func (a *Allocator) dropHandle(id string) bool {
	h := a.handles.find(id)
	if h == nil {
		return false
	}
	a.noteHandle(h.id)
	delete(a.handles.several, h)
	a.handles.remove(h)
	return true
}

// PutPool writes a pool as a raw edit of the datastore does, in place of the one of its
// name: CIDR and block size may change, whatever blocks there are. Blocks that are not
// of the new size, or outside the CIDR, stay in no pool. Errors are those of
// [Allocator.SetPool], without [pool.ErrImmutable] and [pool.ErrBlockSize]; nothing
// changes then.
func (a *Allocator) PutPool(spec pool.Spec) error {
	p, err := a.newPool(spec)
	if err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	if err := a.pools.CheckOverlap(p); err != nil {
		return err
	}
	if old := a.pools.Get(p.Name()); old != nil && (old.CIDR() != p.CIDR() || old.BlockSize() != p.BlockSize()) {
		a.deletePool(p.Name())
	}
	return a.putPool(p)
}
