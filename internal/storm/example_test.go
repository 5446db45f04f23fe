package storm_test

import (
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/internal/storm"
)

// Forty nodes start at once on a pool of 64 blocks: the number of their calls, and
// how long the last pod waits.
func Example() {
	r, err := storm.Run(storm.Config{
		Nodes: 40, Pods: 1, Pool: netip.MustParsePrefix("10.0.0.0/20"),
		Rate: storm.DefaultRate, Burst: storm.DefaultBurst, Latency: 10 * time.Millisecond, Seed: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Total.Calls, "calls, one after the other", r.InTurn)
	fmt.Println("the last of", r.Pods, "pods waits", r.Last)
	// Output:
	// 888 calls, one after the other 520
	// the last of 40 pods waits 15.01s
}
