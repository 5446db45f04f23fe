package snapshot

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// TestAdviceHurtsNobody: whatever kinds and objects the resources of a cluster lack,
// doing all that a check advises takes no address from a pod that has it by right,
// restarts nobody without need, and deletes nothing that is in use. What it says that
// kube-controllers will release is no more than what it will.
func TestAdviceHurtsNobody(t *testing.T) {
	property.Check(t, 300, 1, func(t *rapid.T) {
		if err := adviceHurts(property.Rapid(t), (*checker).check); err != nil {
			t.Fatal(err)
		}
	})
}

// TestAdviceOfBrokenChecks: the property catches checks that conclude too much.
func TestAdviceOfBrokenChecks(t *testing.T) {
	concludes := func(from func(*checker)) func(*checker) *Report {
		return func(c *checker) *Report { from(c); return c.check() }
	}
	for name, check := range map[string]func(c *checker) *Report{
		"takes no pods for none":       concludes(func(c *checker) { c.unknown.Pods = false }),
		"takes no nodes for none":      concludes(func(c *checker) { c.unknown.Nodes = false }),
		"takes no blocks for none":     concludes(func(c *checker) { c.unknown.Blocks = false }),
		"takes no affinities for none": concludes(func(c *checker) { c.unknown.Affinities = false }),
		"takes one namespace for all":  concludes(func(c *checker) { c.namespaces[""] = true }),
		"releases what no handle has": func(c *checker) *Report {
			c.unknown.Handles = false
			return releasesWithoutHandle(c)
		},
		"releases what no handle has, of handles that are listed": releasesWithoutHandle,
		"takes addresses without IPAM for missing ones": concludes(func(c *checker) {
			for ip, users := range c.outside {
				c.users[ip] = append(c.users[ip], users...)
			}
		}),
		"takes no machines for none": concludes(func(c *checker) {
			for _, m := range []*map[string]bool{&c.s.Machines, &c.s.Instances} {
				if *m == nil {
					*m = make(map[string]bool)
				}
			}
			c.machines = c.s.knownMachines()
		}),
		"takes stopped machines for gone": concludes(func(c *checker) {
			c.s.Machines = map[string]bool{"shop/other": true, "infra/other": true}
			c.machines = c.s.knownMachines()
		}),
		"takes machines of one namespace for all": concludes(func(c *checker) {
			if c.s.Machines != nil { // as if they were seen
				c.s.Machines = maps.Clone(c.s.Machines)
				c.s.Machines["shop/other"], c.s.Machines["infra/other"] = true, true
			}
			c.machines = c.s.knownMachines()
		}),
		"takes floating addresses for leaks": concludes(func(c *checker) { clear(c.floating) }),
	} {
		t.Run(name, func(t *testing.T) {
			must.True(t, property.Breaks(t, 400, 1, func(t *rapid.T) {
				if err := adviceHurts(property.Rapid(t), check); err != nil {
					t.Fatal(err)
				}
			}))
		})
	}
}

// releasesWithoutHandle advises as this check once did: to release the addresses whose
// handle does not exist.
func releasesWithoutHandle(c *checker) *Report {
	r := c.check()
	for i := range r.Findings {
		f := &r.Findings[i]
		for _, b := range c.s.Cluster.Blocks {
			for _, al := range b.Allocations {
				if f.Kind == kindHandleMissing && slices.Contains(f.Objects, handleObject(al.Handle)) {
					f.Fixes = append(f.Fixes, release(b.Addr(al.Ordinal))...)
				}
			}
		}
	}
	return r
}

// adviceHurts makes a cluster, hides some of it, and returns whom the advice hurts.
func adviceHurts(src property.Source, check func(*checker) *Report) error {
	whole := makeField(src)
	full := Check(whole.s)
	hidden := whole.hide(src)
	r := check(newChecker(hidden))
	for ip := range r.Released {
		if _, goes := full.Released[ip]; !goes {
			return fmt.Errorf("%s is said to be released, and will not be", ip)
		}
	}
	for _, f := range r.Findings {
		for _, fix := range f.Fixes {
			if fix.DryRun || fix.Does == doLook {
				continue
			}
			if err := whole.hurts(fix, full); err != nil {
				return fmt.Errorf("%s: %s: %s: %w", f.Kind, f.What, fix.Command, err)
			}
		}
	}
	return nil
}

// clusterOfField is a cluster of which everything is known.
type clusterOfField struct {
	s     *Snapshot
	right map[netip.Addr][]string // the pods that live and have an address by right
}

// hurts returns whom a command hurts.
func (w *clusterOfField) hurts(fix Fix, full *Report) error {
	switch fix.Does {
	case doReleaseAddress:
		ip := netip.MustParseAddr(fix.Object)
		if pods := w.right[ip]; len(pods) > 0 {
			return fmt.Errorf("Pod %s has the address", pods[0])
		}
		for _, a := range w.s.Addresses {
			if a.IP == ip {
				return fmt.Errorf("Node %s has the address", a.Node)
			}
		}
	case doDeletePod:
		return w.needsRestart(fix.Object, full)
	case doDeleteHandle:
		if heldBy(w.s.Cluster.Blocks).get(fix.Object) != nil {
			return fmt.Errorf("the handle holds addresses")
		}
	case doDeleteAffinity, doCreateAffinity:
		i := slices.IndexFunc(w.s.Cluster.Blocks, func(b ipam.BlockState) bool { return affinity.Name(b.Owner.Name, b.CIDR) == fix.Object })
		exists := slices.ContainsFunc(w.s.Cluster.Affinities, func(a ipam.AffinityState) bool { return affinity.Name(a.Owner.Name, a.CIDR) == fix.Object })
		if i >= 0 && fix.Does == doDeleteAffinity {
			return fmt.Errorf("the block is its owner's")
		}
		if (i < 0 || exists) && fix.Does == doCreateAffinity {
			return fmt.Errorf("there is one, or the block is not its owner's")
		}
	case doRestartNode:
		return fmt.Errorf("all nodes here have their tunnels by right")
	}
	return nil
}

// needsRestart returns an error if all addresses of a pod are its own, and stay so.
func (w *clusterOfField) needsRestart(name string, full *Report) error {
	for i := range w.s.Pods {
		p := &w.s.Pods[i]
		if p.Namespace+"/"+p.Name != name || p.Ended {
			continue
		}
		for _, ip := range p.IPs {
			if _, goes := full.Released[ip]; goes || !slices.Contains(w.right[ip], name) {
				return nil
			}
		}
		return fmt.Errorf("the pod is well")
	}
	return nil // it has ended, or is nobody
}

// fieldMaker makes one.
type fieldMaker struct {
	clusterOfField
	property.Source
	a     *ipam.Allocator
	clock *ipam.Clock
	six   bool
	pods  int
}

func makeField(src property.Source) *clusterOfField {
	m := &fieldMaker{Source: src, clock: ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	m.s, m.right = new(Snapshot), make(map[netip.Addr][]string)
	m.s.Machines, m.s.Instances, m.s.Moving = map[string]bool{"shop/other": true, "infra/other": true}, make(map[string]bool), make(map[string]bool)
	m.a = ipam.New(ipam.Options{Now: m.clock.Now})
	do := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	do(m.a.SetPool(pool.Spec{Name: "four", CIDR: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 29}))
	if m.six = m.Pick("IPv6", 2) == 1; m.six {
		do(m.a.SetPool(pool.Spec{Name: "six", CIDR: netip.MustParsePrefix("fd00::/121"), BlockSize: 125}))
	}
	nodes := 1 + m.Pick("nodes", 3)
	for i := range nodes {
		do(m.a.SetNode(ipam.Node{Name: nodeName(i)}))
		if m.Pick("tunnel", 2) == 1 {
			ips := m.ask(i, "vxlan-tunnel-addr-"+nodeName(i), pool.Tunnel, map[string]string{"node": nodeName(i), "type": "vxlanTunnelAddress"})
			for _, ip := range ips[:1] {
				m.s.Addresses = append(m.s.Addresses, NodeAddress{nodeName(i), ip, "vxlanTunnelAddress"})
			}
		}
	}
	for range m.Pick("pods", 7) {
		m.pod(nodes)
	}
	for i := range nodes {
		if m.Pick("node is gone", 5) == 4 {
			m.a.DeleteNode(nodeName(i))
			m.s.Addresses = slices.DeleteFunc(m.s.Addresses, func(a NodeAddress) bool { return a.Node == nodeName(i) })
		}
	}
	m.s.Cluster = m.a.Cluster()
	m.spoil()
	return &m.clusterOfField
}

func nodeName(i int) string { return fmt.Sprintf("n%d", i) }

// ask asks for an address of each family.
func (m *fieldMaker) ask(node int, handle string, use pool.Use, attrs map[string]string) (ips []netip.Addr) {
	m.clock.Advance(time.Second)
	args := ipam.AutoAssignArgs{Host: nodeName(node), Num4: 1, Handle: handle, Use: use, Attrs: block.MakeAttrs(attrs)}
	if m.six && use == pool.Workload {
		args.Num6 = 1
	}
	v4, v6, err := m.a.AutoAssign(args)
	if err != nil {
		panic(err)
	}
	for _, ip := range append(v4.IPs, v6.IPs...) {
		ips = append(ips, ip.Addr())
	}
	return ips
}

// pod starts a pod, and lets something become of it.
func (m *fieldMaker) pod(nodes int) {
	m.pods++
	node, namespace := m.Pick("node", nodes), []string{"shop", "infra"}[m.Pick("namespace", 2)]
	name := fmt.Sprintf("p%d", m.pods)
	attrs := map[string]string{"namespace": namespace, "pod": name, "node": nodeName(node)}
	fate := m.Pick("fate", 12)
	switch fate {
	case 10:
		m.outside(namespace, name, nodeName(node))
		return
	case 11:
		m.floating(node, namespace, name)
		return
	}
	if fate == 9 {
		attrs["vmi-name"] = "vm-" + name
	}
	ips := m.ask(node, fmt.Sprintf("k8s-pod-network.%d", m.pods), pool.Workload, attrs)
	p := Pod{Namespace: namespace, Name: name, Node: nodeName(node), IPs: ips}
	lives := true
	switch fate {
	case 1: // reports one family
		p.IPs = ips[:1]
	case 2: // starts
		p.IPs = nil
	case 3: // runs elsewhere
		p.Node = nodeName(m.Pick("elsewhere", nodes))
	case 4: // leaked
		return
	case 5:
		p.Ended, lives = true, false
	case 6:
		p.Ended, p.Evicted, lives = true, true, false
	case 7: // somebody else uses its address, too
		m.s.Pods = append(m.s.Pods, Pod{Namespace: namespace, Name: name + "-intruder", Node: p.Node, IPs: ips[:1]})
	case 8: // another pod has its name now, and the first leaked
		p.IPs = m.ask(node, fmt.Sprintf("k8s-pod-network.%d-again", m.pods), pool.Workload, attrs)
		ips = p.IPs
	case 9: // a virtual machine or an instance alone, which may be stopped or gone
		kept := m.machine(namespace + "/vm-" + name)
		p.Machine = "vm-" + name
		if m.Pick("stopped", 2) == 1 {
			for _, ip := range ips {
				if kept {
					m.right[ip] = append(m.right[ip], namespace+"/vm-"+name)
				}
			}
			return
		}
	}
	m.s.Pods = append(m.s.Pods, p)
	if lives {
		for _, ip := range ips {
			m.right[ip] = append(m.right[ip], namespace+"/"+name)
		}
	}
}

// machine makes the virtual machine of that name, or an instance of it, or none.
func (m *fieldMaker) machine(name string) (kept bool) {
	switch m.Pick("machine", 4) {
	case 0:
		return false
	case 1:
		m.s.Instances[name] = false
	case 2:
		m.s.Instances[name] = true
		fallthrough
	default:
		m.s.Machines[name] = true
	}
	return true
}

// outside starts a pod with an address that IPAM does not book, of a pool or of none.
func (m *fieldMaker) outside(namespace, name, node string) {
	ip := netip.AddrFrom4([4]byte{10, 0, byte(m.Pick("outside", 2)), byte(100 + m.pods)})
	p := Pod{Namespace: namespace, Name: name, Node: node, IPs: []netip.Addr{ip}, Outside: []netip.Addr{ip}}
	m.s.Pods = append(m.s.Pods, p)
	m.right[ip] = append(m.right[ip], namespace+"/"+name)
}

// floating starts a pod with a floating address that somebody has allocated by hand, so
// that no pod gets it.
func (m *fieldMaker) floating(node int, namespace, name string) {
	held := m.ask(node, fmt.Sprintf("by-hand-%d", m.pods), pool.Workload, map[string]string{"note": "floating", "node": nodeName(node)})
	ips := m.ask(node, fmt.Sprintf("k8s-pod-network.%d", m.pods), pool.Workload, map[string]string{"namespace": namespace, "pod": name, "node": nodeName(node)})
	m.s.Pods = append(m.s.Pods, Pod{Namespace: namespace, Name: name, Node: nodeName(node), IPs: ips, Floating: held})
	for _, ip := range append(ips, held...) {
		m.right[ip] = append(m.right[ip], namespace+"/"+name)
	}
}

// spoil makes objects disagree.
func (m *fieldMaker) spoil() {
	c := &m.s.Cluster
	switch m.Pick("handles", 4) {
	case 1:
		if n := len(c.Handles); n > 0 {
			c.Handles = slices.Delete(slices.Clone(c.Handles), n-1, n)
		}
	case 2:
		c.Handles = append(c.Handles, ipam.HandleState{ID: "zz", Counts: []ipam.HandleCount{{Block: netip.MustParsePrefix("10.0.0.120/29"), Count: 1}}})
	case 3: // as Calico 2 left them
		for i := range c.Blocks {
			for k := range c.Blocks[i].Allocations {
				c.Blocks[i].Allocations[k].Handle += "\r\n"
			}
		}
	}
	switch m.Pick("affinities", 3) {
	case 1:
		c.Affinities = append(c.Affinities, ipam.AffinityState{Owner: affinity.HostOwner("n9"), CIDR: netip.MustParsePrefix("10.0.0.120/29"), State: affinity.Pending})
	case 2:
		if n := len(c.Affinities); n > 0 {
			c.Affinities = slices.Delete(slices.Clone(c.Affinities), n-1, n)
		}
	}
}

// hide returns the cluster as its resources show it, which lack whole kinds, a single
// object that could not be read, or all namespaces but one.
func (w *clusterOfField) hide(src property.Source) *Snapshot {
	s := *w.s
	s.Cluster.Pools, s.Cluster.Blocks = slices.Clone(s.Cluster.Pools), slices.Clone(s.Cluster.Blocks)
	s.Cluster.Affinities, s.Cluster.Handles = slices.Clone(s.Cluster.Affinities), slices.Clone(s.Cluster.Handles)
	s.Cluster.Nodes, s.Pods = slices.Clone(s.Cluster.Nodes), slices.Clone(s.Pods)
	if src.Pick("namespace", 3) == 2 {
		s.Pods = slices.DeleteFunc(s.Pods, func(p Pod) bool { return p.Namespace != "shop" })
	}
	hide(src, &s, "IPPool", &s.Cluster.Pools, &s.Unlisted.Pools)
	hide(src, &s, "IPAMBlock", &s.Cluster.Blocks, &s.Unlisted.Blocks)
	hide(src, &s, "BlockAffinity", &s.Cluster.Affinities, &s.Unlisted.Affinities)
	hide(src, &s, "IPAMHandle", &s.Cluster.Handles, &s.Unlisted.Handles)
	hide(src, &s, "Node", &s.Cluster.Nodes, &s.Unlisted.Nodes)
	hide(src, &s, "Pod", &s.Pods, &s.Unlisted.Pods)
	if s.Unlisted.Nodes {
		s.Addresses = nil
	}
	switch src.Pick("hide machines", 6) {
	case 1:
		s.Machines = nil
	case 2:
		s.Instances = nil
	case 3:
		s.Machines, s.Instances, s.Moving = nil, nil, nil
	case 4: // one cannot be read
		machines := maps.Clone(s.Machines)
		delete(machines, slices.Sorted(maps.Keys(machines))[src.Pick("machine", len(machines))])
		s.Machines = machines
		s.Problems = append(s.Problems, &Problem{Object: "VirtualMachine x", Kind: kindUnreadable, Reason: "is odd"})
	case 5: // of one namespace
		only := func(all map[string]bool) map[string]bool {
			all = maps.Clone(all)
			maps.DeleteFunc(all, func(name string, _ bool) bool { return strings.HasPrefix(name, "infra/") })
			return all
		}
		s.Machines, s.Instances = only(s.Machines), only(s.Instances)
	}
	return &s
}

func hide[T any](src property.Source, s *Snapshot, kind string, list *[]T, unlisted *bool) {
	switch n := len(*list); src.Pick("hide "+kind, 5) {
	case 3:
		if n > 0 {
			i := src.Pick("unreadable", n)
			*list = slices.Delete(*list, i, i+1)
			s.Problems = append(s.Problems, &Problem{Object: kind + " x", Kind: kindUnreadable, Reason: "is odd"})
		}
	case 4:
		*list, *unlisted = nil, true
	}
	if len(*list) == 0 {
		*unlisted = true // as a loader has it
	}
}
