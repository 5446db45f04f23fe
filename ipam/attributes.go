package ipam

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// The keys of attributes that the allocator or package report uses (§11).
const (
	AttrPod       = "pod"
	AttrNamespace = "namespace"
	AttrNode      = "node"
	AttrType      = "type"
	AttrVMI       = "vmi-name"
)

// Attributes are the handle and owner attributes of an allocated address.
type Attributes struct {
	Handle            string // empty for none
	Active, Alternate block.Attrs
	Sequence          uint64 // the address's sequence number
}

// GetAssignmentAttributes returns handle and attributes of an allocated address.
// It searches enabled pools only: without such a pool, without a block or for a
// free address it returns [codes.DoesNotExist], for a cooling one
// [codes.IPInCooldown] (§9).
func (a *Allocator) GetAssignmentAttributes(ip netip.Addr) (Attributes, error) {
	if err := checkAddr(ip); err != nil {
		return Attributes{}, err
	}
	a.begin()
	defer a.mu.Unlock()
	_, held, err := a.assignment(ip)
	if err != nil {
		return Attributes{}, err
	}
	return Attributes{held.Handle, held.Active, held.Alternate, held.Seq}, nil
}

// assignment returns the block and the allocation of an address in an enabled
// pool.
func (a *Allocator) assignment(ip netip.Addr) (*ipamBlock, block.Allocation, error) {
	pb := a.poolOf(ip)
	if pb == nil || pb.pool.Disabled() {
		return nil, block.Allocation{}, &Error{Code: codes.DoesNotExist, Address: ip, Detail: ip.String() + " is in no enabled pool"}
	}
	b := a.blockAt(ip)
	if b == nil {
		return nil, block.Allocation{}, &Error{Code: codes.DoesNotExist, Address: ip, Detail: ip.String() + " is in no block"}
	}
	ord, _ := b.Ordinal(ip)
	held, taken := b.Allocation(ord)
	cooling, expired := b.Cools(ord, a.cold)
	switch {
	case !taken || expired:
		return nil, block.Allocation{}, &Error{Code: codes.DoesNotExist, Address: ip, Detail: ip.String() + " is not assigned"}
	case cooling:
		return nil, block.Allocation{}, &Error{Code: codes.IPInCooldown, Address: ip, Block: b.CIDR()}
	}
	return b, held, nil
}

// nothingCold is a time at which nothing has cooled down.
const nothingCold = block.Cold(math.MinInt64)

// SequenceNumber returns the sequence number of an address as last written: 0 for
// one that is free (but see [calico.Rules]), host-reserved or in no block.
// [Release] compares with it, except that an address whose cooldown is over counts
// as free there, even if the block was not written since. If several blocks have
// the address, it is the number in the block that a release uses.
func (a *Allocator) SequenceNumber(ip netip.Addr) uint64 {
	a.begin()
	defer a.mu.Unlock()
	if !ip.IsValid() {
		return 0
	}
	b := a.blockToRelease(ip)
	if b == nil {
		return 0
	}
	ord, _ := b.Ordinal(ip)
	_, seq, _ := b.Holder(ord, nothingCold)
	return seq
}

// BlockOf returns the block that holds the address and its owner, the zero Owner
// for none; exists is false if there is no such block.
func (a *Allocator) BlockOf(ip netip.Addr) (cidr netip.Prefix, owner affinity.Owner, exists bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !ip.IsValid() {
		return cidr, owner, false
	}
	b := a.blockAt(ip)
	if b == nil {
		return cidr, owner, false
	}
	return b.CIDR(), b.ownerID(), true
}

// OwnerUpdate changes the owner attributes of an address. A side is either set
// to attributes, cleared, or, with neither, left as it is.
type OwnerUpdate struct {
	Active, Alternate           block.Attrs
	ClearActive, ClearAlternate bool
}

// OwnerRef names a pod. The zero OwnerRef stands for no attributes at all.
type OwnerRef struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

// OwnerPreconditions says who must own an address before it is changed. A side is
// checked only if the update changes it; nil and false check nothing.
type OwnerPreconditions struct {
	Active, Alternate           *OwnerRef // the pod expected there
	ActiveEmpty, AlternateEmpty bool      // no attributes expected there
}

// Validate refuses an update that contradicts itself: one that sets and clears the
// same side, or expects both an owner and none there. The error matches
// [codes.InvalidArgument].
func (u OwnerUpdate) Validate(pre OwnerPreconditions) error {
	return errors.Join(
		checkSide("active attributes", u.Active, u.ClearActive, pre.Active, pre.ActiveEmpty),
		checkSide("alternate attributes", u.Alternate, u.ClearAlternate, pre.Alternate, pre.AlternateEmpty),
	)
}

// checkSide is [OwnerUpdate.Validate] for one side.
func checkSide(name string, set block.Attrs, clear bool, expect *OwnerRef, empty bool) error {
	switch {
	case clear && set.Len() > 0:
		return invalid(name, set.String(), "cannot be set and cleared at once")
	case expect != nil && empty:
		return invalid(name, expect.Namespace+"/"+expect.Name, "cannot be expected and expected to be empty at once")
	}
	return nil
}

// SetOwnerAttributes changes the active and the alternate owner attributes of an
// address in one step, as live migration does (§9). They are shared by every
// allocation of the block that has the same handle and attributes, so a change
// shows on all of them. The block is written even if nothing changes.
//
// Errors: [codes.InvalidArgument] as for [OwnerUpdate.Validate], and before Calico
// v3.32; [codes.NotInPool] for an address in no enabled pool; [codes.DoesNotExist]
// for a free address; [codes.WrongHandle] if another handle, or none, holds the
// address, also while it cools down; [codes.UpdateConflict] if a precondition does
// not hold.
func (a *Allocator) SetOwnerAttributes(ip netip.Addr, handle string, update OwnerUpdate, pre OwnerPreconditions) error {
	if err := errors.Join(checkAddr(ip), update.Validate(pre)); err != nil {
		return err
	}
	if err := a.needs("operation", "SetOwnerAttributes", func(r *calico.Rules) *bool { return &r.AlternateOwners }); err != nil {
		return err
	}
	a.begin()
	defer a.mu.Unlock()
	if pb := a.poolOf(ip); pb == nil || pb.pool.Disabled() {
		return &Error{Code: codes.NotInPool, Address: ip}
	}
	b, held, err := a.assignment(ip)
	if errors.Is(err, codes.IPInCooldown) {
		return &Error{Code: codes.WrongHandle, Address: ip, Want: handle, Detail: ip.String() + " is cooling down, and nobody holds it"}
	}
	if err != nil {
		return err
	}
	if held.Handle == "" || held.Handle != handleID(handle) {
		return &Error{
			Code: codes.WrongHandle, Address: ip, Block: b.CIDR(), Want: handle, Got: held.Handle,
			Detail: fmt.Sprintf("%s is not held by %q", ip, handle),
		}
	}
	active, err := side(update.Active, update.ClearActive, held.Active, pre.Active, pre.ActiveEmpty)
	if err != nil {
		return err
	}
	alternate, err := side(update.Alternate, update.ClearAlternate, held.Alternate, pre.Alternate, pre.AlternateEmpty)
	if err != nil {
		return err
	}
	if err := b.SetOwner(held.Ordinal, active, alternate); err != nil {
		return err // cannot be: it was looked at
	}
	b.Collect(a.cold)
	a.write(b)
	return nil
}

// side checks the precondition of one side and returns its new attributes, nil for
// no change.
func side(set block.Attrs, clear bool, now block.Attrs, expect *OwnerRef, empty bool) (*block.Attrs, error) {
	if !clear && set.Len() == 0 {
		return nil, nil
	}
	if empty && now.Len() > 0 {
		return nil, &Error{Code: codes.UpdateConflict, Got: now.String(), Detail: "expected no owner, found " + now.String()}
	}
	if expect != nil && !expect.owns(now) {
		want := expect.Namespace + "/" + expect.Name
		return nil, &Error{Code: codes.UpdateConflict, Want: want, Got: now.String(), Detail: "expected " + want + ", found " + now.String()}
	}
	return &set, nil
}

// owns reports whether attributes name the pod. Both must be there, even if
// empty; the zero OwnerRef stands for no attributes at all (§9).
func (r *OwnerRef) owns(attrs block.Attrs) bool {
	if *r == (OwnerRef{}) {
		return attrs.Len() == 0
	}
	namespace, hasNamespace := attrs.Get(AttrNamespace)
	name, hasName := attrs.Get(AttrPod)
	return hasNamespace && hasName && namespace == r.Namespace && name == r.Name
}
