// Command sample makes testdata/sample.yaml, a cluster of 40 nodes with everything
// that live clusters have: borrowed addresses, nodes without a block, affinities
// that a dead node left pending, a deleted node that left its blocks, leaked and
// cooling addresses, reserved ones, two pools of IPv4 and one of IPv6.
//
//	go run ./internal/sample > testdata/sample.yaml
//
// The output is the same on every run and every machine.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	if err := errors.Join(write(out), out.Flush()); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}

// A maker makes the cluster. It stops at the first error.
type maker struct {
	clock *ipam.Clock
	a     *ipam.Allocator
	pods  []pod
	// started counts the pods so far, gone ones too: no two share a handle.
	started int
	err     error
}

type pod struct {
	name, node, handle string
	ips                []netip.Prefix
}

func (m *maker) must(err error) {
	if m.err == nil {
		m.err = err
	}
}

// write writes the cluster as a List, and its release and pods as another.
func write(out io.Writer) error {
	m := cluster()
	if m.err != nil {
		return m.err
	}
	s := snapshot.Snapshot{Cluster: m.a.Cluster()}
	if err := s.WriteYAML(out, snapshot.V1); err != nil {
		return err
	}
	fmt.Fprint(out, "---\napiVersion: v1\nitems:\n"+
		"- apiVersion: crd.projectcalico.org/v1\n  kind: ClusterInformation\n  metadata:\n    name: default\n  spec:\n    calicoVersion: v3.33.0\n    datastoreReady: true\n")
	for _, p := range m.pods {
		fmt.Fprintf(out, "- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: %s\n    namespace: shop\n  spec:\n    nodeName: %s\n"+
			"  status:\n    phase: Running\n    podIP: %s\n    podIPs:\n", p.name, p.node, p.ips[0].Addr())
		for _, ip := range p.ips {
			fmt.Fprintf(out, "    - ip: %s\n", ip.Addr())
		}
	}
	_, err := fmt.Fprint(out, "kind: List\nmetadata:\n  resourceVersion: \"\"\n")
	return err
}

const nodes = 40

func nodeName(i int) string { return fmt.Sprintf("node-%02d", i) }

// cluster makes the cluster.
func cluster() *maker {
	m := &maker{clock: ipam.NewClock(time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC))}
	m.a = ipam.New(ipam.Options{Now: m.clock.Now})
	config := ipam.DefaultConfig()
	config.IPCooldownSeconds = 300
	m.must(m.a.SetIPAMConfig(config))
	for _, p := range []pool.Spec{
		{Name: "blue", CIDR: netip.MustParsePrefix("10.10.0.0/23"), BlockSize: 28},
		{Name: "green", CIDR: netip.MustParsePrefix("10.20.0.0/26"), BlockSize: 29, NodeSelector: "zone == 'b'"},
		{Name: "six", CIDR: netip.MustParsePrefix("fd00:10::/112"), BlockSize: 122},
	} {
		m.must(m.a.SetPool(p))
	}
	m.a.SetReservations([]string{"10.10.0.0/30", "10.20.0.7"})

	// A node that is gone and left its blocks behind.
	m.node("node-old", "a")
	m.start("old-0", "node-old")
	m.start("old-1", "node-old")
	m.a.DeleteNode("node-old")
	m.pods = nil

	for i := range nodes {
		m.node(nodeName(i), string(rune('a'+i%3)))
	}
	// Pods start on one node after the other; the lower half of the nodes gets
	// more of them.
	for round := range 11 {
		for i := range nodes {
			if round < 7 || i < nodes/2 {
				m.start(fmt.Sprintf("web-%02d-%d", i, round), nodeName(i))
			}
		}
	}
	m.clock.Advance(time.Hour)
	m.leave()
	return m
}

// node adds a node with its tunnel.
func (m *maker) node(name, zone string) {
	labels := map[string]string{"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "zone": zone}
	if name == nodeName(0) {
		labels["node-role.kubernetes.io/control-plane"] = ""
	}
	m.must(m.a.SetNode(ipam.Node{Name: name, Labels: labels}))
	m.ask(name, "vxlan-tunnel-addr-"+name, pool.Tunnel, 0, map[string]string{ipam.AttrNode: name, ipam.AttrType: "vxlanTunnelAddress"})
}

func (m *maker) ask(node, handle string, use pool.Use, six int, attrs map[string]string) []netip.Prefix {
	m.clock.Advance(time.Second)
	v4, v6, err := m.a.AutoAssign(ipam.AutoAssignArgs{Host: node, Num4: 1, Num6: six, Handle: handle, Attrs: block.MakeAttrs(attrs), Use: use})
	m.must(err)
	return append(v4.IPs, v6.IPs...)
}

// start starts a pod.
func (m *maker) start(name, node string) {
	p := pod{name: name, node: node, handle: fmt.Sprintf("k8s-pod-network.005eed%06x", m.started)}
	m.started++
	p.ips = m.ask(node, p.handle, pool.Workload, 1, map[string]string{ipam.AttrNode: node, ipam.AttrNamespace: "shop", ipam.AttrPod: name})
	if len(p.ips) != 2 {
		m.must(fmt.Errorf("%s got %v", name, p.ips))
	}
	m.pods = append(m.pods, p)
}

// leave makes what old clusters have.
func (m *maker) leave() {
	// Pods that ended: some released their addresses, others leaked them.
	var alive []pod
	for i, p := range m.pods {
		switch {
		case i%61 == 17: // leaked
		case i%23 == 5:
			m.must(m.a.ReleaseByHandle(p.handle))
		default:
			alive = append(alive, p)
		}
	}
	m.pods = alive
	m.clock.Advance(10 * time.Minute) // cold by now, but not collected everywhere
	for _, p := range m.pods[len(m.pods)-4:] {
		m.must(m.a.ReleaseByHandle(p.handle)) // cooling down
	}
	m.pods = m.pods[:len(m.pods)-4]

	// A node that died while it claimed a block, and one that gave one up.
	six := netip.MustParsePrefix
	m.must(m.a.PutAffinity(affinity.HostOwner(nodeName(13)), six("fd00:10::ffc0/122"), affinity.Pending))
	m.must(m.a.PutAffinity(affinity.HostOwner(nodeName(14)), six("fd00:10::ff80/122"), affinity.PendingDeletion))

	// A node with a second block that is empty, and one that holds a single pod.
	for i, cidr := range []string{"fd00:10::/122", "fd00:10::40/122"} {
		_, _, err := m.a.ClaimAffinity(six(cidr), affinity.HostOwner(nodeName(20+i)))
		m.must(err)
	}
	one := netip.MustParseAddr("fd00:10::41")
	m.must(m.a.AssignIP(ipam.AssignIPArgs{IP: one, Host: nodeName(21), Handle: "k8s-pod-network.static", Attrs: block.MakeAttrs(
		map[string]string{ipam.AttrNode: nodeName(21), ipam.AttrNamespace: "shop", ipam.AttrPod: "static-0"})}))
	m.pods = append(m.pods, pod{name: "static-0", node: nodeName(21), ips: []netip.Prefix{netip.PrefixFrom(one, 128)}})

	// A handle that counts more than it holds: more was requested than blocks had,
	// and the assigned addresses were released.
	args := ipam.AutoAssignArgs{Host: nodeName(7), Num4: 40, Handle: "k8s-pod-network.surplus", Use: pool.Workload}
	_, _, err := m.a.AutoAssign(args)
	m.must(err)
	m.must(m.a.ReleaseByHandle(args.Handle))
}
