package ipam

import (
	"sync/atomic"
	"time"
)

// Clock is a virtual clock: it stands still until it is moved. Its Now method
// is what [Options] wants. Make one with [NewClock]; it is safe for concurrent
// use and must not be copied.
type Clock struct{ nanos atomic.Int64 }

// NewClock returns a clock that shows start, from the years 1678 to 2262.
func NewClock(start time.Time) *Clock {
	c := new(Clock)
	c.nanos.Store(start.UnixNano())
	return c
}

// Now returns the moment the clock shows, in UTC.
func (c *Clock) Now() time.Time { return time.Unix(0, c.nanos.Load()).UTC() }

// Advance moves the clock by d, backwards if d is negative.
func (c *Clock) Advance(d time.Duration) { c.nanos.Add(int64(d)) }
