package fleet_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/lifecycle/fleet"
)

// day is 250 nodes of 20 pods, each of which lives for a quarter of an hour.
func day(kind fleet.Kind, over time.Duration) fleet.Scenario {
	return fleet.Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/16"), Nodes: 250, PodsPerNode: 20, Tunnel: true,
		Profile: lifecycle.Profiles()[0], For: 24 * time.Hour,
		Events: []fleet.Event{{At: 15 * time.Minute, Kind: kind, Count: 250, Every: 15 * time.Minute, Over: over}},
	}
}

// BenchmarkDay lives through a day of 24,000 node lives and 480,000 pods.
func BenchmarkDay(b *testing.B) {
	for _, c := range []struct {
		name string
		kind fleet.Kind
		over time.Duration
	}{
		{"replaced=drained/spread", fleet.ReplaceNodes, 15 * time.Minute},
		{"replaced=interrupted/spread", fleet.Interrupt, 15 * time.Minute},
		{"replaced=interrupted/at-once", fleet.Interrupt, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := fleet.Run(day(c.kind, c.over), nil)
				if err != nil {
					b.Fatal(err)
				}

				b.ReportMetric(float64(r.NodeLives), "nodes")
				b.ReportMetric(float64(r.PodLives), "pods")
			}
		})
	}
}
