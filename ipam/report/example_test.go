package report_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/report"
	"github.com/ipamsim/ipamsim/pool"
)

func Example() {
	clock := ipam.NewClock(time.Date(2026, time.January, 1, 9, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	if err := a.SetPool(pool.Spec{Name: "default", CIDR: netip.MustParsePrefix("192.168.0.0/16")}); err != nil {
		panic(err)
	}
	if err := a.SetNode(ipam.Node{Name: "calico-ipam-worker"}); err != nil {
		panic(err)
	}
	v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{
		Host: "calico-ipam-worker", Num4: 1, Handle: "k8s-pod-network.1", Use: pool.Workload,
		Attrs: block.MakeAttrs(map[string]string{"namespace": "default", "pod": "web", "node": "calico-ipam-worker"}),
	})
	if err != nil {
		panic(err)
	}
	clock.Advance(3*time.Minute + 20*time.Second)

	fmt.Print(report.Calicoctl(calico.V3(33)).Blocks(a.GetUtilization()))
	shown, err := report.Calicoctl(calico.V3(33)).IP(a, v4.IPs[0].Addr())
	if err != nil {
		panic(err)
	}
	fmt.Print(shown)
	fmt.Print(report.Kubectl{Now: clock.Now()}.Affinities(a.State()))
	// Output:
	// +----------+--------------------+-----------+------------+--------------+--------------+
	// | GROUPING | CIDR               | IPS TOTAL | IPS IN USE | IPS RESERVED | IPS FREE     |
	// +----------+--------------------+-----------+------------+--------------+--------------+
	// | IP Pool  | 192.168.0.0/16     |     65536 |     1 (0%) |       0 (0%) | 65535 (100%) |
	// | Block    | 192.168.131.128/26 |        64 |     1 (2%) |       0 (0%) |     63 (98%) |
	// +----------+--------------------+-----------+------------+--------------+--------------+
	// IP 192.168.131.128 is in use
	// Handle ID: k8s-pod-network.1
	// Active Owner Attributes:
	//   namespace: default
	//   node: calico-ipam-worker
	//   pod: web
	// NAME                                    AGE
	// calico-ipam-worker-192-168-131-128-26   3m20s
}
