// This file has the benchmarks of the whole module: the cost of an operation at
// every size of cluster, and how block sizes compare under the same load.
//
//	go test -run '^$' -bench . .
//
// Names line up for benchstat; b.N is the number of single operations.

package ipamsim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/sim"
	"github.com/ipamsim/ipamsim/pool"
)

// start is the moment at which the clocks of benchmarks begin.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// cluster returns an allocator with one pool and nodes node-0, node-1, ….
func cluster(tb testing.TB, cidr string, blockSize, nodes int) (*ipam.Allocator, *ipam.Clock) {
	tb.Helper()
	clock := ipam.NewClock(start)
	a := ipam.New(ipam.Options{Now: clock.Now})
	if err := a.SetPool(pool.Spec{Name: "pool", CIDR: netip.MustParsePrefix(cidr), BlockSize: blockSize}); err != nil {
		tb.Fatal(err)
	}
	for i := range nodes {
		if err := a.SetNode(ipam.Node{Name: nodeName(i)}); err != nil {
			tb.Fatal(err)
		}
	}
	return a, clock
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

// handleName returns a handle of 80 bytes, as the container runtime makes them.
func handleName(i int) string {
	return fmt.Sprintf("k8s-pod-network.%064x", uint64(i)*0x9e3779b97f4a7c15)
}

// none takes the answers for the family that is not asked for.
var none ipam.Assignment

// assign asks for one address and fails unless it is given.
func assign(tb testing.TB, a *ipam.Allocator, args *ipam.AutoAssignArgs, v4 *ipam.Assignment) netip.Addr {
	if err := a.AutoAssignInto(args, v4, &none); err != nil || len(v4.IPs) != args.Num4 {
		tb.Fatalf("%s got %d of %d addresses: %v %v", args.Host, len(v4.IPs), args.Num4, v4.Msgs, err)
	}
	return v4.IPs[0].Addr()
}

// BenchmarkBlock takes one address of a half-full block and gives it back, with
// its allocation record and sequence number.
func BenchmarkBlock(b *testing.B) {
	bl, err := block.New(netip.MustParsePrefix("10.0.0.0/26"), 1)
	if err != nil {
		b.Fatal(err)
	}
	node := block.MakeAttrs(map[string]string{"node": "node-0"})
	var ords []int
	for i := range 32 {
		ords = bl.Take(ords[:0], 1, &block.Owner{Handle: block.MakeHandle(handleName(i)), Active: node}, nil)
	}
	to := &block.Owner{Handle: block.MakeHandle(handleName(64)), Active: node}
	cold := block.ColdAt(start, 0)
	b.ReportAllocs()
	for b.Loop() {
		ords = bl.Take(ords[:0], 1, to, nil)
		bl.Commit()
		bl.Release(ords, start, cold)
		bl.Commit()
	}
}

// BenchmarkAssignRelease adds and deletes a pod on a node that has a block.
func BenchmarkAssignRelease(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		a, _ := cluster(b, "10.0.0.0/16", 26, 1)
		args := ipam.AutoAssignArgs{Host: nodeName(0), Num4: 1, Use: pool.Workload}
		var v4 ipam.Assignment
		b.ReportAllocs()
		for b.Loop() {
			ip := assign(b, a, &args, &v4)
			if allocated, err := a.ReleaseIP(ipam.Release{IP: ip}); !allocated || err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, live := range []int{1, 1 << 10, 1 << 16} {
		b.Run(fmt.Sprintf("handle/live=%d", live), func(b *testing.B) {
			a, _ := cluster(b, "10.0.0.0/12", 26, 4096)
			var v4 ipam.Assignment
			type pod struct {
				node, handle string
				attrs        block.Attrs
			}
			var all []pod
			for i := range 2 * live {
				name := nodeName(i % 4096)
				attrs := block.MakeAttrs(map[string]string{"node": name, "namespace": "default", "pod": fmt.Sprintf("pod-%d", i)})
				all = append(all, pod{name, handleName(i), attrs})
			}
			args := ipam.AutoAssignArgs{Num4: 1, Use: pool.Workload}
			add := func(p *pod) {
				args.Host, args.Handle, args.Attrs = p.node, p.handle, p.attrs
				assign(b, a, &args, &v4)
			}
			for i := range live {
				add(&all[i])
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				// The oldest goes, a new one comes.
				if err := a.ReleaseByHandle(all[i].handle); err != nil {
					b.Fatal(err)
				}
				next := i + live
				if next >= 2*live {
					next -= 2 * live
				}
				add(&all[next])
				if i++; i == 2*live {
					i = 0
				}
			}
		})
	}
}

// BenchmarkFirstPod gives the first pod of each of many new nodes its address:
// a block is found, claimed and confirmed. One operation is one node.
func BenchmarkFirstPod(b *testing.B) {
	for _, nodes := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			names := make([]string, nodes)
			for i := range names {
				names[i] = nodeName(i)
			}
			args := ipam.AutoAssignArgs{Num4: 1, Use: pool.Workload}
			var a *ipam.Allocator
			var v4 ipam.Assignment
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%nodes == 0 {
					b.StopTimer()
					a, _ = cluster(b, "10.0.0.0/8", 26, nodes)
					runtime.GC()
					b.StartTimer()
				}
				args.Host = names[i%nodes]
				assign(b, a, &args, &v4)
			}
		})
	}
}

// full returns a cluster whose blocks are all claimed and full but for one free
// address, in the middle, which a node without a block can borrow.
func full(b *testing.B, cidr string, blocks int) (*ipam.Allocator, *ipam.AutoAssignArgs) {
	a, _ := cluster(b, cidr, 26, blocks/20+2)
	last := occupy(b, a, blocks)
	if _, err := a.ReleaseIP(ipam.Release{IP: last}); err != nil {
		b.Fatal(err)
	}
	return a, &ipam.AutoAssignArgs{Host: nodeName(blocks/20 + 1), Num4: 1, Use: pool.Workload}
}

// occupy takes every address of so many blocks, 20 of them a node from node-0 on,
// and returns the last.
func occupy(b *testing.B, a *ipam.Allocator, blocks int) (last netip.Addr) {
	var v4 ipam.Assignment
	for n, taken := 0, 0; taken < blocks*64; n++ {
		num := min(20*64, blocks*64-taken)
		last = assign(b, a, &ipam.AutoAssignArgs{Host: nodeName(n), Num4: num, Use: pool.Workload}, &v4)
		taken += num
	}
	return last
}

// fullPools are the pools of /26 blocks that are full in a benchmark.
var fullPools = []struct {
	blocks int
	cidr   string
}{{256, "10.0.0.0/18"}, {262_144, "10.0.0.0/8"}}

// BenchmarkBorrow borrows the only free address of a full cluster and gives it
// back.
func BenchmarkBorrow(b *testing.B) {
	for _, c := range fullPools {
		b.Run(fmt.Sprintf("full=%d", c.blocks), func(b *testing.B) {
			a, args := full(b, c.cidr, c.blocks)
			var v4 ipam.Assignment
			b.ReportAllocs()
			for b.Loop() {
				ip := assign(b, a, args, &v4)
				if _, err := a.ReleaseIP(ipam.Release{IP: ip}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReclaim claims the only empty block of a full cluster from its
// owner, in turns by two nodes, a minute apart.
func BenchmarkReclaim(b *testing.B) {
	for _, c := range fullPools {
		b.Run(fmt.Sprintf("full=%d", c.blocks), func(b *testing.B) {
			a, clock := cluster(b, c.cidr, 26, c.blocks/20+3)
			var v4 ipam.Assignment
			hosts := [2]ipam.AutoAssignArgs{
				{Host: nodeName(c.blocks/20 + 1), Num4: 1, Use: pool.Workload},
				{Host: nodeName(c.blocks/20 + 2), Num4: 1, Use: pool.Workload},
			}
			ip := assign(b, a, &hosts[0], &v4)
			occupy(b, a, c.blocks-1)
			turn := 1
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.ReleaseIP(ipam.Release{IP: ip}); err != nil {
					b.Fatal(err)
				}
				clock.Advance(time.Minute)
				ip = assign(b, a, &hosts[turn], &v4)
				turn = 1 - turn
			}
		})
	}
}

// heap returns the bytes of live heap.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkFill fills a pool from nothing. One operation is the whole pool.
func BenchmarkFill(b *testing.B) {
	b.Run("pool=12/handles", func(b *testing.B) {
		const addresses = 1 << 20
		handles := make([]string, addresses)
		for i := range handles {
			handles[i] = handleName(i)
		}
		fill(b, "10.0.0.0/12", addresses, 1, func(args *ipam.AutoAssignArgs, i int) { args.Handle = handles[i] })
		runtime.KeepAlive(handles)
	})
	b.Run("pool=8/plain", func(b *testing.B) {
		fill(b, "10.0.0.0/8", 1<<24, 64, func(*ipam.AutoAssignArgs, int) {})
	})
}

// fill asks for every address of the pool, num at a time, some 16 blocks a node.
func fill(b *testing.B, cidr string, addresses, num int, vary func(args *ipam.AutoAssignArgs, i int)) {
	nodes := addresses/(16*64) + 1 // 16 blocks each, or a few more
	names := make([]string, nodes)
	for i := range names {
		names[i] = nodeName(i)
	}
	var used uint64
	for b.Loop() {
		b.StopTimer()
		before := heap()
		a, _ := cluster(b, cidr, 26, nodes)
		var v4 ipam.Assignment
		args := ipam.AutoAssignArgs{Num4: num, Use: pool.Workload}
		b.StartTimer()
		for i := 0; i < addresses; i += num {
			args.Host = names[i/num%nodes]
			vary(&args, i)
			assign(b, a, &args, &v4)
		}
		b.StopTimer()
		used = heap() - before
		runtime.KeepAlive(a)
		b.StartTimer()
	}
	b.ReportMetric(float64(used)/float64(addresses), "B/address")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(addresses)*1e9, "ns/address")
}

// BenchmarkEmptyBlock measures the memory of a claimed block with nothing in
// it, its owner's share included.
func BenchmarkEmptyBlock(b *testing.B) {
	const nodes = 10_000
	var used uint64
	for b.Loop() {
		a, _ := cluster(b, "10.0.0.0/8", 26, nodes)
		before := heap()
		var v4 ipam.Assignment
		for i := range nodes {
			ip := assign(b, a, &ipam.AutoAssignArgs{Host: nodeName(i), Num4: 1, Use: pool.Workload}, &v4)
			if _, err := a.ReleaseIP(ipam.Release{IP: ip}); err != nil {
				b.Fatal(err)
			}
		}
		used = heap() - before
		runtime.KeepAlive(a)
	}
	b.ReportMetric(float64(used)/nodes, "B/block")
}

// scenarios reads those of plan.jsonl whose name is given.
func scenarios(tb testing.TB, name string) []sim.Scenario {
	tb.Helper()
	f, err := os.Open("testdata/plan.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var all []sim.Scenario
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var s sim.Scenario
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			tb.Fatal(err)
		}
		if s.Name == name {
			all = append(all, s)
		}
	}
	return all
}

// BenchmarkPlan runs the nine block sizes of 300 nodes with 40 pods each in a
// /18: 110,700 requests an operation.
func BenchmarkPlan(b *testing.B) {
	all := scenarios(b, "300-nodes-x-40-pods")
	if len(all) != 9 {
		b.Fatalf("%d scenarios", len(all))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range all {
			if _, err := sim.Run(s, sim.Options{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkBlockSize is the comparison that decides a block size: the same load
// on every legal one, 300 nodes of a tunnel address and 40 pods, as `plan` has it.
// ns/op is one request; the rest is what became of them.
func BenchmarkBlockSize(b *testing.B) {
	load := func(b *testing.B, cidr string, size int) {
		const nodes, each = 300, 1 + 40 // a tunnel and pods
		var used uint64
		var c *counter
		requests := 0
		for b.Loop() {
			if requests%(nodes*each) == 0 {
				b.StopTimer()
				c = newCounter(b, cidr, size, nodes)
				b.StartTimer()
			}
			c.request(requests)
			requests++
		}
		b.StopTimer()
		// Whatever the number of rounds, the picture is that of a whole one.
		before := heap()
		c = newCounter(b, cidr, size, nodes)
		for i := range nodes * each {
			c.request(i)
		}
		used = heap() - before
		c.report(b, used)
	}
	for size := 24; size <= 32; size++ {
		b.Run(fmt.Sprintf("family=4/block=%d", size), func(b *testing.B) { load(b, "10.0.0.0/18", size) })
	}
	for size := 116; size <= 128; size++ {
		b.Run(fmt.Sprintf("family=6/block=%d", size), func(b *testing.B) { load(b, "fd00::/114", size) })
	}
}

// counter runs requests and counts what became of them.
type counter struct {
	a                           *ipam.Allocator
	hosts                       []ipam.AutoAssignArgs
	v4, v6                      ipam.Assignment
	borrowed, refused, assigned int
}

func newCounter(b *testing.B, cidr string, size, nodes int) *counter {
	c := new(counter)
	c.a, _ = cluster(b, cidr, size, nodes)
	is6 := strings.Contains(cidr, ":")
	for i := range nodes {
		args := ipam.AutoAssignArgs{Host: nodeName(i), Num4: 1, Use: pool.Workload}
		if is6 {
			args.Num4, args.Num6 = 0, 1
		}
		c.hosts = append(c.hosts, args)
	}
	return c
}

// request asks for the address of pod number i, round-robin over the nodes.
func (c *counter) request(i int) {
	args := &c.hosts[i%len(c.hosts)]
	err := c.a.AutoAssignInto(args, &c.v4, &c.v6)
	ips := c.v4.IPs
	if args.Num6 > 0 {
		ips = c.v6.IPs
	}
	if err != nil || len(ips) == 0 {
		c.refused++
		return
	}
	c.assigned++
	if _, owner, _ := c.a.BlockOf(ips[0].Addr()); owner.Name != args.Host {
		c.borrowed++
	}
}

func (c *counter) report(b *testing.B, used uint64) {
	blocks := len(c.a.State().Blocks)
	b.ReportMetric(float64(c.borrowed), "borrowed")
	b.ReportMetric(float64(c.refused), "refused")
	b.ReportMetric(float64(blocks), "blocks")
	b.ReportMetric(float64(blocks+c.borrowed), "routes")
	b.ReportMetric(float64(used)/float64(max(1, c.assigned)), "B/address")
}
