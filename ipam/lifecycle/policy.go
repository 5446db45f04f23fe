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
	// batch of its own. Before Calico v3.31 leaks go one by one, and there is no
	// limit.
	BatchLimit int
	// Off keeps the controller from releasing anything. It still counts.
	Off bool
}

// The patience that is not in a policy (§12).
const (
	defaultGrace = 15 * time.Minute
	defaultFull  = 5 * time.Minute // between full scans, without a grace period
	defaultBatch = 10_000
	kubeVirtWait = 5 * time.Minute // at least, for addresses of virtual machines
	minBackoff   = 5 * time.Millisecond
	maxBackoff   = 30 * time.Second
	nodeInterval = time.Second / 10 // between two nodes to be released, before there was a backoff
	spareNeeded  = 3                // free addresses in a node's other blocks, while they were counted
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
