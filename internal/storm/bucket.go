package storm

import "time"

// bucket is a token bucket, as Kubernetes clients limit themselves with: it
// holds up to a burst of tokens, is full to begin with, gains one every interval,
// and a call takes one. Times are counted from the start of the storm.
//
// Instead of tokens it keeps the moment at which it will be full: at any moment
// t before that it lacks (full - t) / interval tokens, parts of a token being
// fractions of an interval. That is exact in whole nanoseconds.
type bucket struct {
	interval time.Duration // from one token to the next
	slack    time.Duration // how far from full it may be with one token left
	full     time.Duration
}

func newBucket(rate float64, burst int) bucket {
	interval := time.Duration(float64(time.Second)/rate + 0.5)
	return bucket{interval: interval, slack: time.Duration(burst-1) * interval}
}

// take takes a token for a call that is wanted at the moment now, no earlier than
// the one before, and returns when it may be made.
func (b *bucket) take(now time.Duration) time.Duration {
	at := max(now, b.full-b.slack)
	b.full = max(b.full, at) + b.interval
	return at
}
