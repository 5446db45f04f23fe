package trace_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// Three operations are recorded, and replayed on another cluster.
func Example() {
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	check(a.SetPool(pool.Spec{Name: "default-ipv4-ippool", CIDR: netip.MustParsePrefix("192.168.0.0/16")}))
	check(a.SetNode(ipam.Node{Name: "calico-ipam-worker"}))

	var text bytes.Buffer
	r, err := trace.NewRecorder(&text, a, "three", "a pod comes and goes")
	check(err)
	_, _, err = r.AutoAssign(ipam.AutoAssignArgs{Host: "calico-ipam-worker", Num4: 1, Handle: "pod-1", Use: pool.Workload})
	check(err)
	check(r.ReleaseByHandle("pod-1"))
	_, err = r.IPsByHandle("pod-1") // an error is an outcome, too
	fmt.Println(err)
	check(r.Err())

	fmt.Print(text.String())

	reader, err := trace.NewReader("three", &text)
	check(err)
	result, err := trace.Replay(reader, nil)
	check(err)
	fmt.Println(result.Operations, "operations,", len(result.Divergences), "divergences")

	// Output:
	// ipam: does not exist: handle pod-1
	// {"version":1,"name":"three","about":"a pod comes and goes","start":"2026-01-01T00:00:00Z","pools":[{"name":"default-ipv4-ippool","cidr":"192.168.0.0/16","blockSize":26,"allowedUses":["Workload","Tunnel"],"assignmentMode":"Automatic"}],"nodes":[{"name":"calico-ipam-worker"}],"config":{"strictAffinity":false,"autoAllocateBlocks":true,"maxBlocksPerHost":0,"ipCooldownSeconds":0}}
	// {"i":1,"op":"AutoAssign","in":{"host":"calico-ipam-worker","num4":1,"handle":"pod-1","use":"Workload"},"out":{"ips4":["192.168.131.128/26"]}}
	// {"i":2,"op":"ReleaseByHandle","in":{"handle":"pod-1"},"out":{}}
	// {"i":3,"op":"IPsByHandle","in":{"handle":"pod-1"},"out":{"err":"does-not-exist"}}
	// 3 operations, 0 divergences
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
