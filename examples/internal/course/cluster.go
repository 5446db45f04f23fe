package course

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/report"
	"github.com/ipamsim/ipamsim/pool"
)

// Settings make the lab the reader's own.
type Settings struct {
	Nodes int         // how many, where Names is nil
	Names []ipam.Node // the nodes of a file, the first one the control plane
	Pool  pool.Spec   // valid, see [pool.Spec.Validate]

	Encapsulation string // of the pool, which decides on the kind of tunnel
	NATOutgoing   bool

	Calico calico.Version // the release
}

// Default returns the settings of the course's own cluster.
func Default() Settings {
	return Settings{
		Nodes:         3,
		Pool:          pool.Spec{Name: "default-ipv4-ippool", CIDR: netip.MustParsePrefix("192.168.0.0/16")},
		Encapsulation: "VXLANCrossSubnet",
		NATOutgoing:   true,
		Calico:        calico.V3(28),
	}
}

// Count returns how many nodes there are.
func (s *Settings) Count() int {
	if s.Names != nil {
		return len(s.Names)
	}
	return s.Nodes
}

// Tunnel returns the kind of tunnel between the nodes, empty without one.
func (s *Settings) Tunnel() string {
	for _, kind := range []string{"VXLAN", "IPIP"} {
		if strings.HasPrefix(s.Encapsulation, kind) {
			return kind
		}
	}
	return ""
}

// A cluster is a Kind cluster with Calico, as far as the lab looks at it.
type cluster struct {
	Settings
	clock *ipam.Clock
	ipam  *ipam.Allocator

	nodes []*node
	pods  []*pod // in the order of their start, tunnels too

	components []component
}

// node is a container that plays a machine.
type node struct {
	name    string
	kind    string // containerlab's
	image   string
	v4, v6  netip.Addr // on the management network
	running bool
	ready   bool // calico-node runs there
	control bool
	own     map[string]string // the labels that a file gives it
	joined  time.Time
}

// pod is somebody who wants an address: a pod, or the tunnel of a node.
type pod struct {
	namespace, name string // namespace is empty for a tunnel
	node            string
	handle          string
	address         netip.Addr // zero without one
	why             string     // it has none
}

// label is how the lab calls it.
func (p *pod) label() string {
	if p.namespace == "" {
		return p.name
	}
	return p.namespace + "/" + p.name
}

// component is a line of tigerastatus.
type component struct {
	name   string
	up     func(*cluster) bool // whether all of it runs
	health health
	since  time.Time // when the health became what it is
}

// calicoSystem is the namespace of Calico's own pods.
const calicoSystem = "calico-system"

// health is what tigerastatus says of a component.
type health struct{ available, progressing, degraded bool }

// start is when the lab begins.
var start = time.Date(2026, time.January, 1, 9, 0, 0, 0, time.UTC)

// The networks around the pool.
var (
	services = netip.MustParsePrefix("10.96.0.0/16")
	hosts4   = netip.MustParsePrefix("172.18.0.0/16")
	hosts6   = netip.MustParsePrefix("fc00:f853:ccd:e793::/64")
)

// newCluster returns a cluster in which nothing runs yet.
func newCluster(s Settings) *cluster {
	clock := ipam.NewClock(start)
	return &cluster{
		Settings: s,
		clock:    clock,
		ipam:     ipam.New(ipam.Options{Now: clock.Now, Calico: s.Calico}),
		components: []component{
			{name: "apiserver", up: (*cluster).nodesReady, since: start},
			{name: "calico", up: (*cluster).calicoRuns, since: start},
		},
	}
}

// is4 reports whether the pool is one of IPv4.
func (c *cluster) is4() bool { return c.pool().Is4() }

// pool returns the pool, compiled.
func (c *cluster) pool() *pool.Pool {
	p, err := pool.New(c.Settings.Pool)
	if err != nil {
		panic(err) // it was looked at with the flags
	}
	return p
}

// join makes the pool and brings the nodes up, one after the other.
func (c *cluster) join() error {
	if err := c.ipam.SetPool(c.Settings.Pool); err != nil {
		return err
	}
	for i := range c.Count() {
		n := &node{
			name:    "calico-ipam-worker",
			kind:    "k8s-kind",
			image:   "kindest/node:v1.28.0",
			v4:      addressAt(hosts4, managementNumber(i)),
			v6:      addressAt(hosts6, managementNumber(i)),
			running: true,
			control: i == 0,
			joined:  c.clock.Now(),
		}
		switch {
		case c.Names != nil:
			n.name, n.own = c.Names[i].Name, c.Names[i].Labels
			_, n.control = n.own[ControlPlaneLabel]
		case i == 0:
			n.name = "calico-ipam-control-plane"
		case i > 1:
			n.name += fmt.Sprint(i)
		}
		if err := c.ipam.SetNode(ipam.Node{Name: n.name, Labels: n.labels()}); err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
		if i == 0 {
			c.tick(20 * time.Second) // workers join a control plane that is up
		}
	}
	c.tick(3 * time.Minute) // until Calico is installed
	return nil
}

// managementNumber returns the host part of node i's management addresses.
// Docker gave them out in another order than that of the names: .3, .2, .4.
func managementNumber(i int) int {
	switch i {
	case 0:
		return 3
	case 1:
		return 2
	}
	return i + 2
}

// addressAt returns address number n of a network.
func addressAt(network netip.Prefix, n int) netip.Addr {
	ip := network.Addr().AsSlice()
	ip[len(ip)-2] += byte(n >> 8)
	ip[len(ip)-1] += byte(n)
	addr, _ := netip.AddrFromSlice(ip)
	return addr
}

func (n *node) labels() map[string]string {
	labels := map[string]string{"kubernetes.io/hostname": n.name, "kubernetes.io/os": "linux"}
	maps.Copy(labels, n.own)
	if n.control {
		labels[ControlPlaneLabel] = ""
	}
	return labels
}

// ControlPlaneLabel marks the nodes of the control plane.
const ControlPlaneLabel = "node-role.kubernetes.io/control-plane"

// reported is the node as kubectl shows it. The kubelet's version is the tag
// of the image.
func (n *node) reported() report.Node {
	_, version, _ := strings.Cut(n.image, ":")
	return report.Node{Name: n.name, Labels: n.labels(), Ready: n.ready, Created: n.joined, Version: version}
}

// worker returns the node that pod number i of a deployment is put on: the
// workers in turn, or the control plane where there is no other.
func (c *cluster) worker(i int) *node {
	if len(c.nodes) == 1 {
		return c.nodes[0]
	}
	return c.nodes[1+i%(len(c.nodes)-1)]
}

// startTunnel gives the node the address of its tunnel device, as calico-node
// does first of all.
func (c *cluster) startTunnel(n *node) (*pod, error) {
	kind, handle := "vxlanTunnelAddress", "vxlan-tunnel-addr-"
	switch {
	case c.Tunnel() == "IPIP":
		kind, handle = "ipipTunnelAddress", "ipip-tunnel-addr-"
	case !c.is4():
		kind, handle = "vxlanV6TunnelAddress", "vxlan-v6-tunnel-addr-"
	}
	p := &pod{name: c.Tunnel() + " tunnel", node: n.name, handle: handle + n.name}
	n.ready = true
	return p, c.ask(p, pool.Tunnel, map[string]string{ipam.AttrNode: n.name, ipam.AttrType: kind})
}

// startPod starts a pod on a node, as the CNI plug-in does: its handle is made
// of the id of its container.
func (c *cluster) startPod(namespace, name string, n *node) (*pod, error) {
	id := sha256.Sum256([]byte(namespace + "/" + name))
	p := &pod{namespace: namespace, name: name, node: n.name, handle: "k8s-pod-network." + hex.EncodeToString(id[:])}
	return p, c.ask(p, pool.Workload, map[string]string{
		ipam.AttrNamespace: namespace,
		ipam.AttrPod:       name,
		ipam.AttrNode:      n.name,
		"timestamp":        c.clock.Now().String(),
	})
}

// ask asks for the pod's address. A refusal is no error of the lab.
func (c *cluster) ask(p *pod, use pool.Use, attrs map[string]string) error {
	args := ipam.AutoAssignArgs{Host: p.node, Handle: p.handle, Attrs: block.MakeAttrs(attrs), Use: use, Num4: 1}
	if !c.is4() {
		args.Num4, args.Num6 = 0, 1
	}
	v4, v6, err := c.ipam.AutoAssign(args)
	if ips := append(v4.IPs, v6.IPs...); len(ips) > 0 {
		p.address = ips[0].Addr()
	} else {
		p.why = strings.Join(append(v4.Msgs, v6.Msgs...), " ")
	}
	c.pods = append(c.pods, p)
	if errors.Is(err, codes.BlockLimit) {
		err = nil // the message says it
	}
	c.tick(time.Second)
	return err
}

// stopPod deletes a pod and gives its address back.
func (c *cluster) stopPod(p *pod) error {
	for i, q := range c.pods {
		if q == p {
			c.pods = append(c.pods[:i:i], c.pods[i+1:]...)
			break
		}
	}
	err := c.ipam.ReleaseByHandle(p.handle)
	c.tick(time.Second)
	return err
}

// tick moves the clock.
func (c *cluster) tick(d time.Duration) { c.clock.Advance(d) }

// observe lets the operator look at its components: one is available when all
// of it runs and the allocator's own Check finds nothing.
func (c *cluster) observe() {
	sound := c.ipam.Check() == nil
	for i := range c.components {
		k := &c.components[i]
		up := k.up(c)
		if now := (health{available: sound && up, progressing: !up, degraded: !sound}); now != k.health {
			k.health, k.since = now, c.clock.Now()
		}
	}
}

// nodesReady reports whether calico-node runs on every node.
func (c *cluster) nodesReady() bool {
	for _, n := range c.nodes {
		if !n.ready {
			return false
		}
	}
	return true
}

// calicoRuns reports whether every tunnel and pod of Calico's has its address.
func (c *cluster) calicoRuns() bool {
	for _, p := range c.pods {
		if (p.namespace == "" || p.namespace == calicoSystem) && !p.address.IsValid() {
			return false
		}
	}
	return c.nodesReady()
}
