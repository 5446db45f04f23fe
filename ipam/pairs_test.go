package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// callers call each method, for the ith time. They own their arguments and
// results, so they read and then overwrite them.
var callers = map[string]func(a *ipam.Allocator, i int) any{
	"Now": func(a *ipam.Allocator, _ int) any { return a.Now() },
	"SetPool": func(a *ipam.Allocator, i int) any {
		s := pairsPool
		s.Disabled, s.AllowedUses = i%4 == 3, []pool.Use{pool.Workload, pool.Tunnel}
		err := a.SetPool(s)
		runtime.Gosched()
		s.AllowedUses[0] = pool.LoadBalancer
		return err
	},
	"DeletePool": func(a *ipam.Allocator, i int) any {
		return []any{a.DeletePool("q"), a.SetPool(spec("q", "10.0.1.0/29", 31))}
	},
	"Pools": func(a *ipam.Allocator, _ int) any {
		pools := a.Pools()
		said := fmt.Sprint(pools)
		wipe(pools)
		return said
	},
	"SetNode": func(a *ipam.Allocator, i int) any {
		labels := map[string]string{"round": fmt.Sprint(i)}
		err := a.SetNode(ipam.Node{Name: "n", Labels: labels})
		runtime.Gosched()
		labels["round"] = ""
		return err
	},
	"DeleteNode": func(a *ipam.Allocator, _ int) any {
		return []any{a.DeleteNode("m"), a.SetNode(ipam.Node{Name: "m", Labels: map[string]string{"round": ""}})}
	},
	"Nodes": func(a *ipam.Allocator, _ int) any {
		nodes := a.Nodes()
		for _, n := range nodes {
			if n.Labels != nil {
				n.Labels["round"] = "wiped"
			}
		}
		wipe(nodes)
		return nodes
	},
	"SetReservations": func(a *ipam.Allocator, i int) any {
		entries := []string{fmt.Sprint("10.0.0.", i%16), "nonsense"}
		warnings := a.SetReservations(entries)
		wipe(entries)
		return warnings
	},
	"Reservations": func(a *ipam.Allocator, _ int) any {
		entries := a.Reservations()
		wipe(entries)
		return entries
	},
	"GetIPAMConfig": func(a *ipam.Allocator, _ int) any { return a.GetIPAMConfig() },
	"SetIPAMConfig": func(a *ipam.Allocator, i int) any {
		return a.SetIPAMConfig(ipam.Config{StrictAffinity: i%3 == 0, AutoAllocateBlocks: true, IPCooldownSeconds: i % 2})
	},
	"PutIPAMConfig": func(a *ipam.Allocator, i int) any {
		return a.PutIPAMConfig(ipam.Config{AutoAllocateBlocks: i%3 > 0, MaxBlocksPerHost: i % 4})
	},
	"AutoAssign": func(a *ipam.Allocator, i int) any {
		args := ipam.AutoAssignArgs{Host: "n", Num4: 1 + i%5, Num6: 1, Handle: "h", Use: pool.Workload, MaxAllocPerHandle: i % 3 * 8}
		if i%2 == 0 {
			args.Host, args.Pools4 = "m", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/28")}
		}
		v4, v6, err := a.AutoAssign(args)
		wipe(args.Pools4)
		said := fmt.Sprint(v4, v6, err)
		wipe(v4.IPs)
		wipe(v4.Msgs)
		return said
	},
	"AutoAssignInto": func(a *ipam.Allocator, _ int) any {
		v4, v6 := ipam.Assignment{IPs: make([]netip.Prefix, 0, 4)}, ipam.Assignment{}
		err := a.AutoAssignInto(&ipam.AutoAssignArgs{Host: "n", Num4: 2, Num6: 1, Handle: "g", Use: pool.Workload}, &v4, &v6)
		wipe(v4.IPs)
		return err
	},
	"AssignIP": func(a *ipam.Allocator, i int) any {
		return a.AssignIP(ipam.AssignIPArgs{IP: pairsIP(i), Host: "m", Handle: "h", Attrs: block.MakeAttrs(map[string]string{"pod": "p"})})
	},
	"EnsureBlock": func(a *ipam.Allocator, _ int) any {
		four, six, err := a.EnsureBlock(ipam.EnsureBlockArgs{Host: "m", HostReserved4: &ipam.HostReservation{StartOfBlock: 1}})
		return fmt.Sprint(four, six, err)
	},
	"ReleaseIPs": func(a *ipam.Allocator, i int) any {
		releases := []ipam.Release{{IP: pairsIP(i)}, {IP: pairsIP(i + 1), Handle: "h"}, {IP: netip.MustParseAddr("fd00::1")}}
		unallocated, released, err := a.ReleaseIPs(releases...)
		wipe(releases)
		wipe(unallocated)
		wipe(released)
		return err
	},
	"ReleaseIP": func(a *ipam.Allocator, i int) any {
		sequence := a.SequenceNumber(pairsIP(i))
		allocated, err := a.ReleaseIP(ipam.Release{IP: pairsIP(i), Sequence: &sequence})
		sequence++
		return fmt.Sprint(allocated, err)
	},
	"ReleaseByHandle":       func(a *ipam.Allocator, _ int) any { return a.ReleaseByHandle("h") },
	"GarbageCollectColdIPs": func(a *ipam.Allocator, _ int) any { a.GarbageCollectColdIPs(); return nil },
	"IPsByHandle": func(a *ipam.Allocator, _ int) any {
		ips, err := a.IPsByHandle("h")
		wipe(ips)
		return err
	},
	"GetAssignmentAttributes": func(a *ipam.Allocator, i int) any {
		attributes, err := a.GetAssignmentAttributes(pairsIP(i))
		return fmt.Sprint(attributes, err)
	},
	"SetOwnerAttributes": func(a *ipam.Allocator, i int) any {
		return a.SetOwnerAttributes(pairsIP(i), "h", ipam.OwnerUpdate{Alternate: block.MakeAttrs(map[string]string{"pod": fmt.Sprint(i)})}, ipam.OwnerPreconditions{})
	},
	"SequenceNumber": func(a *ipam.Allocator, i int) any { return a.SequenceNumber(pairsIP(i)) },
	"BlockOf": func(a *ipam.Allocator, i int) any {
		cidr, owner, exists := a.BlockOf(pairsIP(i))
		return fmt.Sprint(cidr, owner, exists)
	},
	"ClaimAffinity": func(a *ipam.Allocator, i int) any {
		claimed, failed, err := a.ClaimAffinity(netip.MustParsePrefix("10.0.0.0/28"), affinity.HostOwner([]string{"n", "m"}[i%2]))
		wipe(claimed)
		wipe(failed)
		return err
	},
	"ReleaseAffinity": func(a *ipam.Allocator, i int) any {
		return a.ReleaseAffinity(netip.MustParsePrefix("10.0.0.0/29"), affinity.HostOwner("m"), i%2 == 0)
	},
	"ReleaseHostAffinities": func(a *ipam.Allocator, i int) any { return a.ReleaseHostAffinities(affinity.HostOwner("n"), i%2 == 0) },
	"ReleasePoolAffinities": func(a *ipam.Allocator, _ int) any {
		return a.ReleasePoolAffinities(netip.MustParsePrefix("10.0.0.0/28"))
	},
	"ReleaseBlockAffinity": func(a *ipam.Allocator, i int) any {
		return a.ReleaseBlockAffinity(netip.MustParsePrefix("10.0.0.4/30"), i%2 == 0)
	},
	"RemoveIPAMHost": func(a *ipam.Allocator, _ int) any { return a.RemoveIPAMHost(affinity.HostOwner("m")) },
	"PutAffinity": func(a *ipam.Allocator, i int) any {
		return a.PutAffinity(affinity.HostOwner("n"), netip.MustParsePrefix("10.0.0.8/30"), affinity.Pending)
	},
	"DropAffinity": func(a *ipam.Allocator, _ int) any {
		return a.DropAffinity(affinity.HostOwner("n"), netip.MustParsePrefix("10.0.0.8/30"))
	},
	"PutBlock": func(a *ipam.Allocator, i int) any {
		state := ipam.BlockState{CIDR: netip.MustParsePrefix("10.0.0.8/30"), Owner: affinity.HostOwner("n"), Free: []int{3, 1, 0, 2}}
		err := a.PutBlock(state)
		wipe(state.Free)
		return err
	},
	"PutHandle": func(a *ipam.Allocator, i int) any {
		state := ipam.HandleState{ID: "h", Counts: []ipam.HandleCount{{Block: netip.MustParsePrefix("10.0.0.8/30"), Count: 1 + i%3}}}
		err := a.PutHandle(state)
		wipe(state.Counts)
		return err
	},
	"DropHandle": func(a *ipam.Allocator, _ int) any { return a.DropHandle("h") },
	"PutPool": func(a *ipam.Allocator, i int) any {
		return a.PutPool(pool.Spec{Name: "p", CIDR: pairsPool.CIDR, BlockSize: 29 + i%2})
	},
	"ReleaseBlockAffinityOf": func(a *ipam.Allocator, i int) any {
		return a.ReleaseBlockAffinityOf(ipam.BlockState{CIDR: netip.MustParsePrefix("10.0.0.4/30"), Owner: affinity.HostOwner("m")}, i%2 == 0)
	},
	"DropBlock": func(a *ipam.Allocator, _ int) any { return a.DropBlock(netip.MustParsePrefix("10.0.0.12/30")) },
	"GetUtilization": func(a *ipam.Allocator, _ int) any {
		usage := a.GetUtilization()
		said := fmt.Sprint(usage)
		for _, u := range usage {
			u.InUse.SetInt64(-1)
			wipe(u.Blocks)
		}
		return said
	},
	"Blocks": func(a *ipam.Allocator, _ int) any {
		cidrs := a.Blocks()
		said := fmt.Sprint(cidrs)
		wipe(cidrs)
		return said
	},
	"Affinities": func(a *ipam.Allocator, _ int) any {
		all := a.Affinities()
		said := fmt.Sprint(all)
		wipe(all)
		return said
	},
	"State": func(a *ipam.Allocator, _ int) any {
		s := a.State()
		said := fmt.Sprint(s)
		for _, b := range s.Blocks {
			wipe(b.Free)
			wipe(b.Allocations)
		}
		for _, h := range s.Handles {
			wipe(h.Counts)
		}
		wipe(s.Affinities)
		return said
	},
	"Cluster": func(a *ipam.Allocator, _ int) any {
		c := a.Cluster()
		said := fmt.Sprint(c)
		wipe(c.Pools)
		wipe(c.Nodes)
		wipe(c.Blocks)
		wipe(c.Affinities)
		wipe(c.Handles)
		return said
	},
	"CountBlock": func(a *ipam.Allocator, i int) any {
		c, _ := a.CountBlock(netip.PrefixFrom(pairsIP(i), 30).Masked())
		return c
	},
	"ReadBlock": func(a *ipam.Allocator, i int) any {
		var s ipam.BlockState
		if !a.ReadBlock(netip.PrefixFrom(pairsIP(i), 30).Masked(), &s) {
			return nil
		}
		said := fmt.Sprint(s)
		wipe(s.Free)
		wipe(s.Allocations)
		return said
	},
	"Watch": func(a *ipam.Allocator, _ int) any {
		w := a.Watch(ipam.BlockObject, ipam.AffinityObject, ipam.HandleObject)
		defer w.Stop()
		changed, claims, handles := w.AppendChanged(nil), w.AppendAffinities(nil), w.AppendHandles(nil)
		said := fmt.Sprint(changed, claims, handles)
		wipe(changed)
		wipe(claims)
		for _, h := range handles {
			wipe(h.Counts)
		}
		return said
	},
	"Calico":  func(a *ipam.Allocator, _ int) any { return a.Calico() },
	"Summary": func(a *ipam.Allocator, _ int) any { return a.Summary() },
	"Check":   func(a *ipam.Allocator, _ int) any { return a.Check() },
}

// rawEdits are the methods that may leave inconsistent objects.
var rawEdits = []string{"PutAffinity", "DropAffinity", "DropBlock", "PutBlock", "PutHandle", "DropHandle", "PutPool"}

// wipe overwrites what the caller owns, a while after the call: by then others
// have read anything that it shares with the allocator. The race detector does not
// see clear of a slice.
func wipe[T any](s []T) {
	runtime.Gosched()
	for i := range s {
		var zero T
		s[i] = zero
	}
}

// pairsPool is the pool of all callers. It selects nodes by their labels.
var pairsPool = pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30, NodeSelector: "has(round)"}

// pairsIP returns an address of it.
func pairsIP(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 16)}) }

// patience is the time after which a pair counts as deadlocked.
const patience = time.Minute

// TestPairs calls each method of an allocator while another goroutine calls each,
// itself too. It is mainly for the race detector.
func TestPairs(t *testing.T) {
	var names []string
	for i, of := 0, reflect.TypeFor[*ipam.Allocator](); i < of.NumMethod(); i++ {
		names = append(names, of.Method(i).Name)
		must.MapContainsKey(t, callers, of.Method(i).Name, must.Sprint("a method that is not called"))
	}
	must.MapLen(t, len(names), callers, must.Sprint("a caller without a method"))
	for i, one := range names {
		for j, other := range names[i:] {
			if testing.Short() && j%8 > 0 {
				continue
			}
			clock := ipam.NewClock(start)
			a := ipam.New(ipam.Options{Now: clock.Now})
			must.NoError(t, a.SetPool(pairsPool))
			must.NoError(t, a.SetPool(spec("six", "fd00::/124", 126)))
			must.SliceEmpty(t, a.SetReservations([]string{"10.0.0.15"}))
			for _, host := range []string{"n", "m"} {
				must.NoError(t, a.SetNode(ipam.Node{Name: host, Labels: map[string]string{"round": ""}}))
				_, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: 3, Num6: 1, Handle: "h", Use: pool.Workload})
				must.NoError(t, err)
			}
			atOnce(t, clock, one, other, a)
			err := a.Check()
			if slices.Contains(rawEdits, one) || slices.Contains(rawEdits, other) {
				must.False(t, errors.Is(err, ipam.ErrStructure), must.Sprintf("%s while %s", one, other))
				continue
			}
			must.NoError(t, err, must.Sprintf("%s while %s", one, other))
		}
	}
}

// atOnce calls two methods at once, several times, each time in new goroutines, so
// that only the allocator orders them.
func atOnce(t *testing.T, clock *ipam.Clock, one, other string, a *ipam.Allocator) {
	t.Helper()
	over := make(chan struct{})
	go func() {
		defer close(over)
		for i := range 12 {
			var both sync.WaitGroup
			both.Go(func() { callers[one](a, i) })
			both.Go(func() { callers[other](a, i) })
			both.Wait()
			if i == 6 {
				clock.Advance(time.Second)
			}
		}
	}()
	select {
	case <-over:
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		t.Fatalf("%s and %s wait for each other:\n%s", one, other, stacks[:runtime.Stack(stacks, true)])
	}
}
