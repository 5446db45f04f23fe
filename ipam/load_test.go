package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/history"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// A load is many goroutines at work on one allocator with too few addresses for
// all.
type load struct {
	subject  subject
	clock    *ipam.Clock
	world    history.World
	workers  int
	cooldown time.Duration
	state    ipam.State // before the next round
	rounds   uint64
}

// newLoad returns a load on what make returns.
func newLoad(make makeSubject, workers int, cooldown time.Duration) (*load, error) {
	clock := ipam.NewClock(start)
	l := &load{subject: make(clock), clock: clock, workers: workers, cooldown: cooldown}
	l.world.V6 = true
	err := errors.Join(
		l.subject.SetPool(spec("a", "10.0.0.0/27", 29)),
		l.subject.SetPool(spec("b", "10.0.1.0/28", 30)),
		l.subject.SetPool(spec("c", "fd00::/122", 125)),
		l.subject.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: int(cooldown / time.Second)}))
	for _, p := range []string{"10.0.0.0/27", "10.0.1.0/28", "fd00::/125"} {
		cidr := netip.MustParsePrefix(p)
		for ip := cidr.Addr(); cidr.Contains(ip); ip = ip.Next() {
			l.world.IPs = append(l.world.IPs, ip)
		}
	}
	for _, b := range []string{"10.0.0.0/29", "10.0.0.8/29", "10.0.0.16/28", "10.0.1.0/30", "fd00::/125"} {
		l.world.Blocks = append(l.world.Blocks, netip.MustParsePrefix(b))
	}
	for w := range workers {
		l.world.Handles = append(l.world.Handles, fmt.Sprint("h", w))
		err = errors.Join(err, l.subject.SetNode(ipam.Node{Name: fmt.Sprint("n", w)}))
	}
	return l, err
}

// round runs all workers at once, each for that many operations, and checks that
// their answers can be explained. It returns the number of answers.
func (l *load) round(seed uint64, operations int) (answers int, err error) {
	began := time.Now()
	// Not a shared counter: it would order operations that must not need an order.
	tick := func() int64 { return int64(time.Since(began)) }
	// The clock, which is read between a call's time and the call, lets others go
	// first: otherwise two cores would mostly take turns.
	now := func() time.Time { runtime.Gosched(); return l.clock.Now() }
	logs := make([]*history.Log, l.workers+1)
	for i := range logs {
		logs[i] = history.NewLog(i, l.subject, tick, now)
	}
	observer := logs[l.workers]
	observer.Begin(l.state)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i, log := range logs[:l.workers] {
		src := property.Seeded(seed<<32 | l.rounds<<16 | uint64(i))
		w := history.NewWorker(log, src, l.world, fmt.Sprint("n", i))
		wg.Go(func() {
			<-begin
			for range operations {
				w.Do()
				if src.Pick("let time pass", 20) == 0 {
					l.clock.Advance(time.Second)
				}
			}
		})
	}
	close(begin)
	wg.Wait()
	l.rounds++
	l.state = observer.See(l.subject.State)
	for _, log := range logs {
		answers += log.Len()
	}
	if err := history.Check(l.cooldown, logs...); err != nil {
		return answers, err
	}
	return answers, l.subject.Check()
}

// TestLoad: the answers to many goroutines at once are possible answers one after
// the other.
func TestLoad(t *testing.T) {
	for _, cooldown := range []time.Duration{0, 3 * time.Second} {
		for seed := range uint64(property.Times(12)) {
			l, err := newLoad(realAllocator, 8, cooldown)
			must.NoError(t, err)
			for range 3 {
				_, err := l.round(seed, 150)
				must.NoError(t, err, must.Sprintf("seed %d", seed))
			}
		}
	}
}
