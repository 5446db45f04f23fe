package ipam_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// TestConcurrently: many goroutines at once compete for too few addresses. At the
// end no address has two holders.
func TestConcurrently(t *testing.T) {
	const workers, rounds = 16, 60
	c := newCluster(t, []pool.Spec{spec("a", "10.0.0.0/24", 28), spec("v6", "fd00::/48", 122)})
	for w := range workers {
		must.NoError(t, c.SetNode(ipam.Node{Name: fmt.Sprint("node-", w)}))
	}
	must.NoError(t, c.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 1}))
	held := make([][]netip.Addr, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			host := fmt.Sprint("node-", w)
			for round := range rounds {
				handle := fmt.Sprintf("%s.%d", host, round)
				v4, v6, err := c.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 3, Num6: 1, Handle: handle, Use: pool.Workload})
				if err != nil {
					t.Error(err)
					return
				}
				ips, err := c.IPsByHandle(handle)
				if err != nil || len(ips) != len(v4.IPs)+len(v6.IPs) {
					t.Errorf("%s holds %v, was given %v %v, %v", handle, ips, v4, v6, err)
				}
				for _, ip := range ips {
					if a, err := c.GetAssignmentAttributes(ip); err != nil || a.Handle != handle {
						t.Errorf("%s is held by %q, not %q: %v", ip, a.Handle, handle, err)
					}
				}
				switch {
				case round == rounds-1:
					held[w] = ips
				case round%3 == 0:
					if _, err := c.ReleaseIP(ipam.Release{IP: ips[0], Handle: handle}); err != nil {
						t.Error(err)
					}
					fallthrough
				default:
					if err := c.ReleaseByHandle(handle); err != nil {
						t.Error(err)
					}
				}
				switch round % 10 {
				case 0:
					c.GetUtilization()
					c.SetReservations([]string{fmt.Sprintf("10.0.0.%d", w)})
				case 3:
					c.clock.Advance(time.Second)
				case 5:
					_ = c.SetNode(ipam.Node{Name: host, Labels: map[string]string{"round": fmt.Sprint(round)}})
				case 7:
					_ = c.ReleaseHostAffinities(affinity.HostOwner(host), true)
				case 8:
					c.State()
				case 9:
					if err := c.Check(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	must.NoError(t, c.Check())
	all := slices.Concat(held...)
	must.SliceNotEmpty(t, all)
	slices.SortFunc(all, netip.Addr.Compare)
	must.Len(t, len(slices.Concat(held...)), slices.Compact(all), must.Sprint("given out twice"))
	var inUse int
	for _, b := range c.State().Blocks {
		for _, al := range b.Allocations {
			if al.ReleasedAt.IsZero() {
				inUse++
			}
		}
	}
	must.Eq(t, len(all), inUse)
}

// TestClock: the clock stands still until any goroutine moves it.
func TestClock(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 5, time.FixedZone("", 3600))
	c := ipam.NewClock(begin)
	must.True(t, begin.Equal(c.Now()))
	must.Eq(t, time.UTC, c.Now().Location())
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { c.Advance(time.Second) })
	}
	wg.Wait()
	must.Eq(t, 10*time.Second, c.Now().Sub(begin))
	c.Advance(-time.Minute)
	must.Eq(t, -50*time.Second, c.Now().Sub(begin))
	must.EqOp(t, c.Now(), ipam.New(ipam.Options{Now: c.Now}).Now())
}
