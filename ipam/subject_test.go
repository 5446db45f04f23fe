package ipam_test

import (
	"flag"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A subject is what the machine drives: the operations of an Allocator, so that
// broken ones can take its place.
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
	GarbageCollectColdIPs()

	IPsByHandle(string) ([]netip.Addr, error)
	GetAssignmentAttributes(netip.Addr) (ipam.Attributes, error)
	SetOwnerAttributes(netip.Addr, string, ipam.OwnerUpdate, ipam.OwnerPreconditions) error
	SequenceNumber(netip.Addr) uint64
	BlockOf(netip.Addr) (netip.Prefix, affinity.Owner, bool)
	GetUtilization() []ipam.PoolUsage

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

// long reports whether the environment asks for the long tests: with
// IPAMSIM_LONG set to anything, the properties of this package are tried on
// twenty times as many cases, which takes minutes rather than seconds.
func long() bool { return property.Long() }

// underRace is set where the race detector makes everything ten times slower.
var underRace bool

// times returns n, twenty times as many in a long run, and a sixth under the
// race detector, which has nothing to find in a single goroutine.
func times(n int) int {
	if long() {
		n *= 20
	}
	if underRace {
		n = max(1, n/6)
	}
	return n
}

// checkRapid is rapid.Check with so many cases, twenty times as many in a long
// run, unless the command line says otherwise.
func checkRapid(t *testing.T, cases int, property func(*rapid.T)) {
	t.Helper()
	given := os.Getenv("RAPID_CHECKS") != ""
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if checks := flag.Lookup("rapid.checks"); !given {
		before := checks.Value.String()
		defer func() { _ = checks.Value.Set(before) }()
		if err := checks.Value.Set(strconv.Itoa(times(cases))); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, property)
}
