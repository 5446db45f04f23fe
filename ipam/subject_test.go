package ipam_test

import (
	"net/netip"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A subject is what the machine drives: the operations of an Allocator, or of a
// broken one.
type subject interface {
	SetPool(pool.Spec) error
	DeletePool(string) bool
	SetNode(ipam.Node) error
	DeleteNode(string) bool
	SetReservations([]string) []pool.Warning
	SetIPAMConfig(ipam.Config) error
	GetIPAMConfig() ipam.Config

	AutoAssign(ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error)
	AssignIP(ipam.AssignIPArgs) error
	EnsureBlock(ipam.EnsureBlockArgs) (block4, block6 netip.Prefix, err error)
	ReleaseIPs(...ipam.Release) (unallocated, released []netip.Addr, err error)
	ReleaseByHandle(string) error
	GarbageCollectColdIPs(blocks ...netip.Prefix)

	IPsByHandle(string) ([]netip.Addr, error)
	GetAssignmentAttributes(netip.Addr) (ipam.Attributes, error)
	SetOwnerAttributes(netip.Addr, string, ipam.OwnerUpdate, ipam.OwnerPreconditions) error
	SequenceNumber(netip.Addr) uint64
	BlockOf(netip.Addr) (netip.Prefix, affinity.Owner, bool)
	GetUtilization(pools ...string) []ipam.PoolUsage

	ClaimAffinity(netip.Prefix, affinity.Owner) (claimed, failed []netip.Prefix, err error)
	ReleaseAffinity(netip.Prefix, affinity.Owner, bool) error
	ReleaseHostAffinities(affinity.Owner, bool) error
	ReleasePoolAffinities(netip.Prefix) error
	ReleaseBlockAffinity(netip.Prefix, bool) error
	RemoveIPAMHost(affinity.Owner) error

	// The raw edits.
	PutAffinity(affinity.Owner, netip.Prefix, affinity.State) error
	DropAffinity(affinity.Owner, netip.Prefix) bool
	DropBlock(netip.Prefix) bool
	PutIPAMConfig(ipam.Config) error

	State() ipam.State
	Summary() ipam.Summary
	Check() error
}

// makeSubject makes what a machine drives, on a clock that the machine moves.
type makeSubject func(clock *ipam.Clock) subject

func realAllocator(clock *ipam.Clock) subject { return ipam.New(ipam.Options{Now: clock.Now}) }
