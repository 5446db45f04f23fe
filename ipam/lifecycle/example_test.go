package lifecycle_test

import (
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/pool"
)

// A node vanishes. Only the controller releases its pod's address.
func Example() {
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	if err := a.SetPool(pool.Spec{Name: "default", CIDR: netip.MustParsePrefix("10.244.0.0/16")}); err != nil {
		log.Fatal(err)
	}
	cluster := lifecycle.NewCluster(a)
	controller, err := lifecycle.NewController(cluster, lifecycle.DefaultPolicy())
	if err != nil {
		log.Fatal(err)
	}
	if err := cluster.SetNode(ipam.Node{Name: "minikube"}); err != nil {
		log.Fatal(err)
	}
	attrs := block.MakeAttrs(map[string]string{ipam.AttrPod: "web", ipam.AttrNamespace: "shop", ipam.AttrNode: "minikube"})
	if _, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "minikube", Num4: 1, Handle: "k8s-pod-network.1", Attrs: attrs, Use: pool.Workload}); err != nil {
		log.Fatal(err)
	}
	cluster.DeleteNode("minikube")
	done := controller.Sync(false)
	fmt.Println(done.ReleasedIPs, done.ReleasedBlocks)
	// Output: [10.244.120.64] [10.244.120.64/26]
}
