package ipam

import (
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/blocktree"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/pool"
)

// bench is a cluster with one pool, whose clock stands still until it is moved.
type bench struct {
	*Allocator
	t   testing.TB
	now time.Time
	v4  Assignment
	v6  Assignment
}

// newBench returns a cluster with a pool and nodes node-0, node-1, ….
func newBench(t testing.TB, cidr string, blockSize, nodes int) *bench {
	b := &bench{t: t, now: time.Unix(1e9, 0)}
	b.Allocator = New(Options{Now: func() time.Time { return b.now }})
	must.NoError(t, b.SetPool(pool.Spec{Name: "pool", CIDR: netip.MustParsePrefix(cidr), BlockSize: blockSize}))
	for i := range nodes {
		must.NoError(t, b.SetNode(Node{Name: nthNode(i)}))
	}
	return b
}

func nthNode(i int) string { return "node-" + strconv.Itoa(i) }

// assign gives an address to the request and returns it.
func (b *bench) assign(args *AutoAssignArgs) netip.Addr {
	if err := b.AutoAssignInto(args, &b.v4, &b.v6); err != nil || len(b.v4.IPs) != args.Num4 {
		b.t.Fatalf("%s got %v: %v", args.Host, b.v4, err)
	}
	return b.v4.IPs[0].Addr()
}

func (b *bench) release(ip netip.Addr) {
	if allocated, err := b.ReleaseIP(Release{IP: ip}); !allocated || err != nil {
		b.t.Fatal(ip, allocated, err)
	}
}

// occupy takes all of so many blocks for nodes of 20 blocks each, from node-0 on,
// and returns the last address.
func (b *bench) occupy(blocks, size int) (last netip.Addr) {
	for n := 0; blocks > 0; n++ {
		mine := min(20, blocks)
		last = b.assign(&AutoAssignArgs{Host: nthNode(n), Num4: mine * size, Use: pool.Workload})
		blocks -= mine
	}
	return last
}

// TestAllocations: once warm, the paths that every pod takes allocate nothing. A
// new block takes three allocations: the block, its cells, and the claim on it.
func TestAllocations(t *testing.T) {
	pod := AutoAssignArgs{Host: nthNode(0), Num4: 1, Use: pool.Workload}
	full := func() (*bench, netip.Addr) {
		b := newBench(t, "10.0.0.0/24", 28, 3)
		return b, b.occupy(16, 16)
	}
	for path, steady := range map[string]func() func(){
		"plain": func() func() {
			b := newBench(t, "10.0.0.0/24", 26, 1)
			return func() { b.release(b.assign(&pod)) }
		},
		"with a handle and attributes": func() func() {
			b := newBench(t, "10.0.0.0/24", 26, 1)
			pod := pod
			pod.Handle = fmt.Sprintf("k8s-pod-network.%064x", 1)
			pod.Attrs = block.MakeAttrs(map[string]string{AttrNode: pod.Host, AttrPod: "p"})
			return func() {
				b.assign(&pod)
				if err := b.ReleaseByHandle(pod.Handle); err != nil {
					t.Fatal(err)
				}
			}
		},
		"borrowing": func() func() {
			b, last := full()
			b.release(last)
			pod := pod
			pod.Host = nthNode(2)
			return func() { b.release(b.assign(&pod)) }
		},
		"claiming a block and giving it back": func() func() {
			b := newBench(t, "10.0.0.0/24", 26, 1)
			return func() {
				ip := b.assign(&pod)
				b.release(ip)
				if err := b.ReleaseBlockAffinity(netip.PrefixFrom(ip, 26).Masked(), true); err != nil {
					t.Fatal(err)
				}
			}
		},
		"reclaiming": func() func() {
			b := newBench(t, "10.0.0.0/24", 28, 3)
			turns := []AutoAssignArgs{pod, pod}
			turns[0].Host, turns[1].Host = nthNode(1), nthNode(2)
			ip := b.assign(&turns[0])
			b.occupy(15, 16)
			turn := 1
			return func() {
				b.release(ip)
				b.now = b.now.Add(time.Minute)
				ip = b.assign(&turns[turn])
				turn = 1 - turn
			}
		},
	} {
		t.Run(path, func(t *testing.T) {
			do := steady()
			for range 10 {
				do()
			}
			var want float64
			if path == "reclaiming" || path == "claiming a block and giving it back" {
				want = 3
			}
			must.Eq(t, want, testing.AllocsPerRun(100, do))
		})
	}
}

// TestWorkDoesNotGrow: with any number of blocks, finding a block reads only the
// summaries on the way to the start of the host's walk and on the way to the
// result. All other summaries are replaced by ones that panic when read.
func TestWorkDoesNotGrow(t *testing.T) {
	property.Slow(t)
	sizes := []int{64, 1 << 12}
	if property.Long() {
		sizes = append(sizes, 1<<16)
	}
	for _, blocks := range sizes {
		cidr := fmt.Sprintf("10.0.0.0/%d", 28-log2(blocks))
		nodes := blocks/20 + 3
		stranger := AutoAssignArgs{Host: nthNode(nodes - 1), Num4: 1, Use: pool.Workload}
		// onWay poisons the tree except the ways to the stranger's start and to
		// this block.
		onWay := func(b *bench, to pool.Index) {
			pb := b.poolBlocks["pool"]
			from := pb.pool.Start(stranger.Host, b.now)
			pb.tree = *pb.tree.Poisoned(from, to)
		}
		at := func(b *bench, ip netip.Addr) pool.Index { return b.poolBlocks["pool"].pool.IndexOf(ip) }

		t.Run(fmt.Sprintf("borrowing/full=%d", blocks), func(t *testing.T) {
			b := newBench(t, cidr, 28, nodes)
			last := b.occupy(blocks, 16)
			b.release(last)
			onWay(b, at(b, last))
			must.EqOp(t, last, b.assign(&stranger))
		})
		t.Run(fmt.Sprintf("reclaiming/full=%d", blocks), func(t *testing.T) {
			b := newBench(t, cidr, 28, nodes)
			mine := b.assign(&AutoAssignArgs{Host: nthNode(nodes - 2), Num4: 1, Use: pool.Workload})
			b.occupy(blocks-1, 16)
			b.release(mine)
			b.now = b.now.Add(time.Minute)
			onWay(b, at(b, mine))
			ip := b.assign(&stranger)
			must.EqOp(t, at(b, mine), at(b, ip))
		})
		t.Run(fmt.Sprintf("claiming/blocks=%d", blocks), func(t *testing.T) {
			b := newBench(t, cidr, 28, nodes)
			// All but one exist.
			owner := affinity.HostOwner(nthNode(0))
			_, _, err := b.ClaimAffinity(netip.MustParsePrefix(cidr), owner)
			must.NoError(t, err)
			gap := netip.MustParsePrefix("10.0.0.16/28")
			must.NoError(t, b.ReleaseAffinity(gap, owner, true))
			onWay(b, at(b, gap.Addr()))
			must.EqOp(t, gap.Addr(), b.assign(&stranger))
		})
		// Summaries may call a block empty that has one address in use. A search
		// corrects that once.
		t.Run(fmt.Sprintf("one each/blocks=%d", blocks), func(t *testing.T) {
			b := newBench(t, cidr, 28, blocks+1)
			var last netip.Addr
			for i := range blocks {
				last = b.assign(&AutoAssignArgs{Host: nthNode(i), Num4: 1, Use: pool.Workload})
			}
			stranger.Host = nthNode(blocks)
			b.now = b.now.Add(time.Minute)
			mayBeEmpty := func() *blocktree.Leaf[*ipamBlock] {
				return b.poolBlocks["pool"].tree.Next(blocktree.Empty, pool.Index{})
			}
			must.NotNil(t, mayBeEmpty())
			first := b.assign(&stranger)
			must.Nil(t, mayBeEmpty())
			b.release(last)
			must.NotNil(t, mayBeEmpty())
			b.release(first)
		})
	}
	t.Run("a walk is caught", func(t *testing.T) {
		b := newBench(t, "10.0.0.0/16", 28, 300)
		last := b.occupy(1<<12, 16)
		b.release(last)
		pb := b.poolBlocks["pool"]
		pb.tree = *pb.tree.Poisoned(pb.pool.IndexOf(last))
		must.Panic(t, func() { pb.appendBlocks(nil) })
	})
}

func log2(n int) int {
	bits := 0
	for n > 1 {
		n /= 2
		bits++
	}
	return bits
}

// TestMemoryDoesNotGrow: pods that come and go leave nothing in memory, though
// each has its own handle and attributes.
func TestMemoryDoesNotGrow(t *testing.T) {
	pods := 50_000
	switch {
	case property.Long():
		pods = 10_000_000
	case testing.Short():
		pods = 10_000
	}
	grown := churn(t, pods, func(*AutoAssignArgs) {})
	t.Logf("%d bytes after %d pods", grown, pods)
	most := 256 << 10
	if property.UnderRace {
		most = 1 << 20 // the detector itself uses some
	}
	must.Less(t, most, grown)

	t.Run("a leak is caught", func(t *testing.T) {
		property.Broken(t)
		var handles []string
		must.Greater(t, 1<<20, churn(t, 50_000, func(args *AutoAssignArgs) { handles = append(handles, args.Handle) }))
		runtime.KeepAlive(handles)
		var attrs []block.Attrs
		must.Greater(t, 1<<20, churn(t, 50_000, func(args *AutoAssignArgs) { attrs = append(attrs, args.Attrs) }))
		runtime.KeepAlive(attrs)
	})
}

// churn lets so many pods come and go, 500 at a time, on nodes that claim and
// give back blocks, and returns by how much the heap has grown in the last nine
// tenths of it.
func churn(t *testing.T, pods int, keep func(*AutoAssignArgs)) (grown int) {
	const live, nodes = 500, 20
	b := newBench(t, "10.0.0.0/20", 28, nodes)
	args := AutoAssignArgs{Num4: 1, Use: pool.Workload}
	var handles [live]string
	var before uint64
	for i := range pods {
		args.Host = nthNode(i % nodes)
		args.Handle = fmt.Sprintf("k8s-pod-network.%064x", i)
		args.Attrs = block.MakeAttrs(map[string]string{AttrNode: args.Host, AttrPod: "pod-" + strconv.Itoa(i)})
		keep(&args)
		if old := &handles[i%live]; *old != "" {
			must.NoError(t, b.ReleaseByHandle(*old))
		}
		b.assign(&args)
		handles[i%live] = args.Handle
		if i%1000 == 0 { // a node goes, and comes back with its next pod
			must.NoError(t, b.ReleaseHostAffinities(affinity.HostOwner(nthNode(i/1000%nodes)), false))
		}
		if i == pods/10 {
			before = liveHeap()
		}
	}
	after := liveHeap()
	must.NoError(t, b.Check())
	return int(after) - int(before)
}

// liveHeap returns the bytes of the heap that are in use. A later collection frees
// what a sync.Pool or a finalizer kept.
func liveHeap() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
