package trace

import (
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// An Engine is what a [Player] plays on: an [ipam.Allocator], or another
// implementation of its methods.
type Engine interface {
	AutoAssign(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error)
	AssignIP(args ipam.AssignIPArgs) error
	EnsureBlock(args ipam.EnsureBlockArgs) (block4, block6 netip.Prefix, err error)
	ReleaseIPs(releases ...ipam.Release) (unallocated, released []netip.Addr, err error)
	ReleaseByHandle(id string) error
	IPsByHandle(id string) ([]netip.Addr, error)
	GetAssignmentAttributes(ip netip.Addr) (ipam.Attributes, error)
	SetOwnerAttributes(ip netip.Addr, handle string, update ipam.OwnerUpdate, pre ipam.OwnerPreconditions) error
	GarbageCollectColdIPs(blocks ...netip.Prefix)

	ClaimAffinity(cidr netip.Prefix, owner affinity.Owner) (claimed, failed []netip.Prefix, err error)
	ReleaseAffinity(cidr netip.Prefix, owner affinity.Owner, mustBeEmpty bool) error
	ReleaseHostAffinities(owner affinity.Owner, mustBeEmpty bool) error
	ReleasePoolAffinities(cidr netip.Prefix) error
	ReleaseBlockAffinity(cidr netip.Prefix, mustBeEmpty bool) error
	ReleaseBlockAffinityOf(read ipam.BlockState, mustBeEmpty bool) error
	RemoveIPAMHost(owner affinity.Owner) error

	SetIPAMConfig(c ipam.Config) error
	PutIPAMConfig(c ipam.Config) error
	SetPool(spec pool.Spec) error
	DeletePool(name string) bool
	SetNode(n ipam.Node) error
	DeleteNode(name string) bool
	SetReservations(entries []string) []pool.Warning

	PutAffinity(owner affinity.Owner, cidr netip.Prefix, state affinity.State) error
	DropAffinity(owner affinity.Owner, cidr netip.Prefix) bool
	DropBlock(cidr netip.Prefix) bool

	// Calico tells whose calicoctl prints.
	Calico() calico.Version
	GetUtilization(pools ...string) []ipam.PoolUsage
	State() ipam.State
	// SequenceNumber tells what a release calls the current number.
	SequenceNumber(ip netip.Addr) uint64
}
