package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// day is 250 nodes of 20 pods, each of which lives for a quarter of an hour.
func day(kind string, over time.Duration) Scenario {
	quarter := Duration(15 * time.Minute)
	return Scenario{
		Pool:            netip.MustParsePrefix("10.0.0.0/16"),
		Group:           Group{Nodes: 250, PodsPerNode: 20},
		TunnelIPPerNode: true, Order: oneByOne, RetryEvery: Duration(time.Minute),
		Cleaner: new(Cleaner), For: Duration(24 * time.Hour),
		Events: []Event{{At: quarter, Do: kind, Count: 250, Every: quarter, Over: Duration(over)}},
	}
}

// BenchmarkDay lives through a day of 24,000 nodes and 480,000 pods.
func BenchmarkDay(b *testing.B) {
	for _, c := range []struct {
		name string
		kind string
		over time.Duration
	}{
		{"replaced=drained/spread", replaceNodes, 15 * time.Minute},
		{"replaced=interrupted/spread", interruptNodes, 15 * time.Minute},
		{"replaced=interrupted/at-once", interruptNodes, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := Run(day(c.kind, c.over), Options{SampleEvery: 15 * time.Minute, Peaks: true})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(r.NodesStarted), "nodes")
				b.ReportMetric(float64(r.PodsStarted), "pods")
			}
		})
	}
}

// BenchmarkRequests makes the 555,000 requests of 5,000 nodes of 110 pods in a /12, once
// at each block size. At /20 nearly all nodes borrow, at /26 each has two blocks.
func BenchmarkRequests(b *testing.B) {
	for _, size := range []int{20, 26} {
		b.Run(fmt.Sprintf("block=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			requests := 0
			for b.Loop() {
				r, err := Run(Scenario{
					Pool: netip.MustParsePrefix("10.0.0.0/12"), BlockSize: size, Order: roundRobin,
					Group: Group{Nodes: 5000, PodsPerNode: 110}, TunnelIPPerNode: true,
				}, Options{})
				if err != nil {
					b.Fatal(err)
				}
				requests += r.Requests
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(requests), "ns/request")
		})
	}
}
