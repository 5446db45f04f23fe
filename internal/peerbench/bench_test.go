package peerbench

import (
	"net/netip"
	"runtime"
	"testing"
)

// heap returns the bytes of live heap.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// seeded returns a pool in which these addresses are taken, and its live heap in
// bytes an address, without the owners' names.
func seeded(b *testing.B, peer peer, cidr netip.Prefix, taken []netip.Addr) (pool, float64) {
	owners := ownerNames(len(taken))
	before := heap()
	p := peer.new(b, cidr)
	if err := p.seed(taken, owners); err != nil {
		b.Fatal(err)
	}
	used := float64(heap()) - float64(before)
	runtime.KeepAlive(owners)
	return p, used / float64(len(taken))
}

// takeGive takes an address and gives it back.
func takeGive(b *testing.B, p pool) {
	const owner = "k8s-pod-network.one-that-holds-nothing-until-then-and-has-a-name-of-eighty-bytes"
	b.ReportAllocs()
	for b.Loop() {
		ip, err := p.take(owner)
		if err != nil {
			b.Fatal(err)
		}
		if err := p.give(owner, ip); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTakeRelease takes an address and gives it back, where a scattered
// half of a /16 is taken. B/address is what the pool takes for each of that half.
func BenchmarkTakeRelease(b *testing.B) { takeRelease(b, peers) }

func takeRelease(b *testing.B, peers []peer) {
	cidr := netip.MustParsePrefix("10.0.0.0/16")
	taken := half(cidr)
	for _, peer := range peers {
		b.Run("peer="+peer.name, func(b *testing.B) {
			p, bytes := seeded(b, peer, cidr, taken)
			takeGive(b, p)
			b.ReportMetric(bytes, "B/address")
		})
	}
}

// BenchmarkTakeLast takes the only free address of a /16 and gives it back.
//
// It leaves out host-local-disk, for 65,532 files are long in the making, and
// what they cost BenchmarkTakeRelease shows.
func BenchmarkTakeLast(b *testing.B) {
	cidr := netip.MustParsePrefix("10.0.0.0/16")
	taken, _ := allBut(cidr)
	for _, peer := range peers {
		if peer.name == onDisk {
			continue
		}
		b.Run("peer="+peer.name, func(b *testing.B) {
			p, _ := seeded(b, peer, cidr, taken)
			takeGive(b, p)
		})
	}
}

// BenchmarkNextFree asks where the first free address of a /16 is, and it is in
// the middle: nothing is taken. Only the sets can be asked.
func BenchmarkNextFree(b *testing.B) {
	cidr := netip.MustParsePrefix("10.0.0.0/16")
	taken, free := allBut(cidr)
	for _, peer := range peers {
		if _, ok := peer.new(b, cidr).(finder); !ok {
			continue
		}
		b.Run("peer="+peer.name, func(b *testing.B) {
			p, _ := seeded(b, peer, cidr, taken)
			b.ReportAllocs()
			for b.Loop() {
				if ip, ok := p.(finder).next(cidr.Addr()); !ok || ip != free {
					b.Fatal(ip, ok)
				}
			}
		})
	}
}

// BenchmarkFill fills a /12 from nothing, one address at a time, each for an
// owner of its own. One operation is the whole pool. B/address is live heap,
// without the bytes of the owners' names.
//
// host-local-disk fills a /24: to take another address it reads the files of all
// that are taken, some 32,000 reads in the end, which would be 5*10^11 for a /12.
func BenchmarkFill(b *testing.B) {
	owners := ownerNames(1 << 20)
	for _, peer := range peers {
		cidr := netip.MustParsePrefix("10.0.0.0/12")
		if peer.name == onDisk {
			cidr = netip.MustParsePrefix("10.0.0.0/24")
		}
		b.Run("peer="+peer.name, func(b *testing.B) {
			var used, addresses float64
			for b.Loop() {
				b.StopTimer()
				before := heap()
				p := peer.new(b, cidr)
				size := p.size()
				b.StartTimer()
				for i := range size {
					if _, err := p.take(owners[i]); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				used = float64(heap()) - float64(before)
				addresses = float64(size)
				runtime.KeepAlive(p)
				b.StartTimer()
			}
			b.ReportMetric(addresses, "addresses")
			b.ReportMetric(used/addresses, "B/address")
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/addresses*1e9, "ns/address")
		})
	}
	runtime.KeepAlive(owners)
}
