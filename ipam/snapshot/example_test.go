package snapshot_test

import (
	"fmt"
	"log"
	"os"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// What kubectl prints becomes an allocator that goes on where the cluster stands.
func Example() {
	s, err := snapshot.Load(snapshot.Options{}, "../../testdata/sample.yaml")
	if err != nil {
		log.Fatal(err)
	}
	clock := ipam.NewClock(s.Latest)
	a, err := s.Allocator(ipam.Options{Now: clock.Now})
	if err != nil {
		log.Fatal(err)
	}
	v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "node-07", Num4: 1, Handle: "new", Use: pool.Workload})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v4.IPs, v4.Msgs)
	fmt.Println(snapshot.Check(s).Count("allocated-not-used"), "addresses leaked")
	// Output:
	// [10.20.0.44/29] []
	// 17 addresses leaked
}

// Any cluster can be written as resources.
func ExampleSnapshot_WriteYAML() {
	a := ipam.New(ipam.Options{})
	if err := a.SetNode(ipam.Node{Name: "minikube"}); err != nil {
		log.Fatal(err)
	}
	s := snapshot.Snapshot{Cluster: a.Cluster()}
	if err := s.WriteYAML(os.Stdout, snapshot.V3); err != nil {
		log.Fatal(err)
	}
	// Output:
	// apiVersion: v1
	// items:
	// - apiVersion: v1
	//   kind: Node
	//   metadata:
	//     name: minikube
	// kind: List
	// metadata:
	//   resourceVersion: ""
}

// A node is drained: its pods ask for addresses on the other nodes.
func ExampleLive_Drain() {
	s, err := snapshot.Load(snapshot.Options{}, "../../testdata/sample.yaml")
	if err != nil {
		log.Fatal(err)
	}
	l, err := s.Live()
	if err != nil {
		log.Fatal(err)
	}
	moves, err := l.Drain("node-07")
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range moves[:3] {
		fmt.Println(m.Pod.Label(), m.Old, "to", m.Pod.Node, m.Pod.IPs, m.Err)
	}
	fmt.Println(len(moves), "moves,", len(l.Pods()), "pods")
	// Output:
	// shop/web-07-0 [10.10.1.65 fd00:10::9500] to node-23 [10.10.0.152 fd00:10::b407] <nil>
	// shop/web-07-1 [10.10.1.66 fd00:10::9501] to node-28 [10.10.0.200 fd00:10::547] <nil>
	// shop/web-07-10 [10.10.1.75 fd00:10::950a] to node-29 [10.10.0.216 fd00:10::2987] <nil>
	// 10 moves, 335 pods
}
