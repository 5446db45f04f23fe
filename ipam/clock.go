package ipam

import (
	"sync/atomic"
	"time"
)

// Clock is a virtual clock: it stands still until it is moved. Pass its Now method
// in [Options]. Make one with [NewClock]; it is safe for concurrent use and must
// not be copied.
type Clock struct{ now atomic.Pointer[time.Time] }

// NewClock returns a clock that shows start, from the years 1678 to 2262.
func NewClock(start time.Time) *Clock {
	now := time.Unix(0, start.UnixNano()).UTC()
	c := new(Clock)
	c.now.Store(&now)
	return c
}

// Now returns the time of the clock, in UTC.
func (c *Clock) Now() time.Time { return *c.now.Load() }

// Advance moves the clock by d, backwards if d is negative.
func (c *Clock) Advance(d time.Duration) {
	for {
		old := c.now.Load()
		next := time.Unix(0, old.UnixNano()+int64(d)).UTC()
		if c.now.CompareAndSwap(old, &next) {
			return
		}
	}
}
