package lifecycle

import (
	"fmt"
	"time"
)

// Policy says how patient a [Controller] is. The zero value releases no suspect
// of a node that exists and keeps its empty blocks; it still cleans up after nodes
// that are gone. [DefaultPolicy] is Calico's.
type Policy struct {
	// GracePeriod is how long an address is suspect, and a block empty, before it
	// is released, on a node that exists. 0: never.
	GracePeriod time.Duration
	// SyncPeriod is the time between two looks at everything: 0 for half the
	// grace period, or 5 minutes where that is 0 too. See [Policy.FullEvery].
	SyncPeriod time.Duration
	// BatchLimit is how many addresses one sync releases at most: 0 for 10,000.
	// A handle is not cut in two for it, so a handle that holds more goes in a
	// batch of its own.
	BatchLimit int
	// EmptyBlocks says which empty blocks are given back.
	EmptyBlocks EmptyBlocks
	// Off keeps the controller from releasing anything. It still counts.
	Off bool
}

// EmptyBlocks is a rule about the empty blocks of a node that exists. None gives
// back a node's last block.
type EmptyBlocks int

// The rules.
const (
	// ReleaseEmpty gives back a block that has been empty for the grace period.
	ReleaseEmpty EmptyBlocks = iota
	// KeepTwoEmpty does so only as long as the node has three empty blocks or
	// more.
	KeepTwoEmpty
	// KeepEmpty gives none back.
	KeepEmpty
)

// The patience that is not in a policy (§12).
const (
	defaultGrace = 15 * time.Minute
	defaultFull  = 5 * time.Minute // between full scans, without a grace period
	defaultBatch = 10_000
	kubeVirtWait = 5 * time.Minute // at least, for addresses of virtual machines
)

// DefaultPolicy is Calico's as of August 2026: a grace period of 15 minutes.
func DefaultPolicy() Policy { return Policy{GracePeriod: defaultGrace} }

// FullEvery returns the time between two looks at everything.
func (p Policy) FullEvery() time.Duration {
	switch {
	case p.SyncPeriod > 0:
		return p.SyncPeriod
	case p.GracePeriod > 1: // half of a nanosecond is no period
		return p.GracePeriod / 2
	}
	return defaultFull
}

// A Profile is how a cluster of some age behaves where it differs from the Calico of
// August 2026, for which all recordings stand. The older ones are described, not
// recorded: nothing is held against them. What is known of the releases they stand
// for:
//
//   - current: how empty blocks are collected is as in 3.28.0 and later.
//   - three-free: up to 3.27. The release notes of 3.28.0 tell of the change
//     (https://github.com/projectcalico/calico/pull/8454).
//   - no-empty: from before the controller collected empty blocks at all, and
//   - no-reclaim: from before the allocator took them when a pool was full. Both are
//     older than three-free; which release was the last is not known here.
type Profile struct {
	Name  string // in lower case, for flags and tables
	About string // in a few words
	// Policy is the controller's.
	Policy Policy
	// NoReclaim is for [ipam.Options]: no empty block is taken from its owner when
	// a pool is full.
	NoReclaim bool
}

// Profiles returns the profiles, newest behaviour first, in a slice that is the
// caller's. All have Calico's default grace period.
func Profiles() []Profile {
	current := DefaultPolicy()
	keepsTwo, keepsAll := current, current
	keepsTwo.EmptyBlocks, keepsAll.EmptyBlocks = KeepTwoEmpty, KeepEmpty
	return []Profile{
		{"current", "Calico as of August 2026", current, false},
		{"three-free", "older: empty blocks stay until their node has three of them", keepsTwo, false},
		{"no-empty", "older: empty blocks of nodes that exist stay for good", keepsAll, false},
		{"no-reclaim", "older: a full pool takes no empty block from its owner", current, true},
	}
}

// Validate returns an error matching [ErrInvalid] where the policy has a negative
// period or limit.
func (p Policy) Validate() error {
	switch {
	case p.GracePeriod < 0:
		return fmt.Errorf("%w: grace period %v is negative; 0 turns it off", ErrInvalid, p.GracePeriod)
	case p.SyncPeriod < 0:
		return fmt.Errorf("%w: sync period %v is negative", ErrInvalid, p.SyncPeriod)
	case p.BatchLimit < 0:
		return fmt.Errorf("%w: batch limit %d is negative", ErrInvalid, p.BatchLimit)
	case p.EmptyBlocks < ReleaseEmpty || p.EmptyBlocks > KeepEmpty:
		return fmt.Errorf("%w: rule %d about empty blocks", ErrInvalid, p.EmptyBlocks)
	}
	return nil
}

// batch returns the limit that is in force.
func (p Policy) batch() int {
	if p.BatchLimit > 0 {
		return p.BatchLimit
	}
	return defaultBatch
}
