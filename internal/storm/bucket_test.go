package storm

import (
	"fmt"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

// taker is a bucket, or a broken variant of one.
type taker interface {
	take(now time.Duration) time.Duration
}

// slowBucket is a token bucket that advances a nanosecond at a time. It counts
// parts of tokens; an interval of parts is one token.
type slowBucket struct {
	now             time.Duration
	parts           int
	interval, burst int
}

func newSlowBucket(interval, burst int) *slowBucket {
	return &slowBucket{parts: interval * burst, interval: interval, burst: burst}
}

func (b *slowBucket) take(now time.Duration) time.Duration {
	for b.now < now || b.parts < b.interval {
		b.now++
		b.parts = min(b.parts+1, b.interval*b.burst)
	}
	b.parts -= b.interval
	return b.now
}

// sameAsSlow is the property that a bucket lets calls pass at the same times as
// the slow one. Callers want their next call some time after the last was made.
func sameAsSlow(s property.Source, made func(interval, burst int) taker) error {
	interval, burst := 1+s.Pick("interval", 12), 1+s.Pick("burst", 5)
	b, slow := made(interval, burst), newSlowBucket(interval, burst)
	now := time.Duration(0)
	for n := range 40 {
		now += time.Duration(s.Pick("later", 2*interval))
		if s.Pick("pause", 8) == 7 {
			now += time.Duration(s.Pick("long", 8*interval))
		}
		want := slow.take(now)
		if got := b.take(now); got != want {
			return fmt.Errorf("interval %d, burst %d: call %d, wanted at %d, passes at %d and not at %d", interval, burst, n, now, got, want)
		}
		now = want
	}
	return nil
}

func ours(interval, burst int) taker {
	i := time.Duration(interval)
	return &bucket{interval: i, slack: time.Duration(burst-1) * i}
}

func TestBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { must.NoError(t, sameAsSlow(property.Rapid(t), ours)) })
}

// dry is a bucket that never refills: a call after the burst waits for a day.
type dry struct{ left int }

func (b *dry) take(now time.Duration) time.Duration {
	if b.left--; b.left < 0 {
		return now + 24*time.Hour
	}
	return now
}

// hoarder is a bucket without a limit: it keeps all unused tokens.
type hoarder struct{ bucket }

func (b *hoarder) take(now time.Duration) time.Duration {
	at := max(now, b.full-b.slack)
	b.full += b.interval
	return at
}

// late is a bucket that starts to refill an interval after it was used.
type late struct{ bucket }

func (b *late) take(now time.Duration) time.Duration {
	at := max(now, b.full-b.slack)
	b.full = at + b.slack + b.interval
	return at
}

func TestBucketRejectsBroken(t *testing.T) {
	for name, broken := range map[string]func(interval, burst int) taker{
		"never refills":       func(_, burst int) taker { return &dry{burst} },
		"keeps too much":      func(i, burst int) taker { return &hoarder{*ours(i, burst).(*bucket)} },
		"no burst":            func(i, _ int) taker { return ours(i, 1) },
		"burst of one more":   func(i, burst int) taker { return ours(i, burst+1) },
		"empty after a call":  func(i, burst int) taker { return &late{*ours(i, burst).(*bucket)} },
		"a little too slow":   func(i, burst int) taker { return ours(i+1, burst) },
		"lets everybody pass": func(int, int) taker { return &bucket{} },
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(s property.Source) error { return sameAsSlow(s, broken) })
		})
	}
}

// Kubernetes' clients: ten calls at once, then one every 200 ms, and ten again
// after two seconds of rest.
func TestBucketOfKubernetes(t *testing.T) {
	b := newBucket(DefaultRate, DefaultBurst)
	for range 10 {
		must.Zero(t, b.take(0))
	}
	must.Eq(t, 200*time.Millisecond, b.take(0))
	must.Eq(t, 400*time.Millisecond, b.take(200*time.Millisecond))
	rested := 2400 * time.Millisecond
	for range 10 {
		must.Eq(t, rested, b.take(rested))
	}
	must.Eq(t, rested+200*time.Millisecond, b.take(rested))
}

func TestBucketRounds(t *testing.T) {
	for rate, want := range map[float64]time.Duration{0.01: 100 * time.Second, 3: 333_333_333, 7e5: 1429, 1e6: 1000} {
		b := newBucket(rate, 1)
		must.Eq(t, want, b.interval)
	}
	largest := newBucket(0.01, 1e6)
	must.Positive(t, largest.slack, must.Sprint("no overflow"))
}
