package lifecycle

import (
	"fmt"
	"time"
)

// Policy says how long a [Controller] waits. With the zero value it releases no
// suspect and no empty block of a node that exists, and still cleans up after nodes
// that are gone. [DefaultPolicy] is Calico's.
type Policy struct {
	// GracePeriod is how long an address is suspect, and a block empty, before it
	// is released, on a node that exists. 0: never.
	GracePeriod time.Duration
	// SyncPeriod is the time between two full scans: 0 for half the
	// grace period, or 5 minutes where that is 0 too. See [Policy.FullEvery].
	SyncPeriod time.Duration
	// BatchLimit is how many addresses one sync releases at most: 0 for 10,000.
	// A handle is never split, so a handle that holds more is a batch of its own.
	// Before Calico v3.31 leaks are released one by one, without a limit.
	BatchLimit int
	// Off keeps the controller from releasing anything. It still counts.
	Off bool
}

// Defaults, and limits that no policy changes (§12).
const (
	defaultGrace = 15 * time.Minute
	defaultFull  = 5 * time.Minute // between full scans, without a grace period
	defaultBatch = 10_000
	kubeVirtWait = 5 * time.Minute // the least grace period of virtual machines
	minBackoff   = 5 * time.Millisecond
	maxBackoff   = 30 * time.Second
	nodeInterval = time.Second / 10 // between two nodes to be released, before v3.31
	spareNeeded  = 3                // free addresses in a node's other blocks, before v3.28
)

// DefaultPolicy is Calico's as of August 2026: a grace period of 15 minutes.
func DefaultPolicy() Policy { return Policy{GracePeriod: defaultGrace} }

// FullEvery returns the time between two full scans.
func (p Policy) FullEvery() time.Duration {
	switch {
	case p.SyncPeriod > 0:
		return p.SyncPeriod
	case p.GracePeriod > 1: // half a nanosecond would be 0
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
