package sim

import (
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
