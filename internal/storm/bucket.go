package storm

import "time"

// bucket is a token bucket, the rate limiter of Kubernetes clients: it holds up to
// a burst of tokens, starts full and gains one every interval; a call takes one.
// Times are counted from the start of the storm.
//
// Instead of tokens it keeps the time at which it will be full: at any time t
// before that it lacks (full - t) / interval tokens, fractions included. That is
// exact in whole nanoseconds.
type bucket struct {
	interval time.Duration // from one token to the next
	slack    time.Duration // how far from full it may be with one token left
	full     time.Duration
}

func newBucket(rate float64, burst int) bucket {
	interval := time.Duration(float64(time.Second)/rate + 0.5)
	return bucket{interval: interval, slack: time.Duration(burst-1) * interval}
}

// take takes a token for a call that is wanted at the time now, no earlier than
// the one before, and returns the time at which the call may be made.
func (b *bucket) take(now time.Duration) time.Duration {
	at := max(now, b.full-b.slack)
	b.full = max(b.full, at) + b.interval
	return at
}
