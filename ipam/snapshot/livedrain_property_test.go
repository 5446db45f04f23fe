package snapshot

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A drainer drains a node; [Live.Drain] or a broken variant of it.
type drainer func(l *Live, node string) ([]Move, error)

// TestDrainProperty: whatever is drained, uncordoned and restarted, no two pods have one
// address, each has all that it asks for or was refused and holds nothing, what moved
// lies in pools that its new node and its request allow, and nothing that others hold is
// released.
func TestDrainProperty(t *testing.T) {
	property.Check(t, 400, 1, func(t *rapid.T) {
		if err := drainHolds(property.Rapid(t), (*Live).Drain); err != nil {
			t.Fatal(err)
		}
	})
}

// TestBrokenDrains: the property catches drains that do too little or too much.
func TestBrokenDrains(t *testing.T) {
	for name, drain := range map[string]drainer{
		"gives two pods one address": func(l *Live, node string) ([]Move, error) {
			moves, err := l.Drain(node)
			if len(l.pods) > 1 {
				l.pods[1].IPs = l.pods[0].IPs
			}
			return moves, err
		},
		"leaves a pod with half of its addresses": func(l *Live, node string) ([]Move, error) {
			moves, err := l.Drain(node)
			for i := range moves {
				if p := &moves[i].Pod; len(p.IPs) == 2 && !moves[i].Unbooked {
					_, _ = l.a.ReleaseIP(ipam.Release{IP: p.IPs[1], Handle: p.Handle})
				}
			}
			return moves, err
		},
		"keeps what a pod had": func(l *Live, node string) ([]Move, error) {
			for _, p := range l.pods {
				if p.Node == node {
					p.Handle += "-other" // which nothing is released of
				}
			}
			return l.Drain(node)
		},
		"releases what others hold": func(l *Live, node string) ([]Move, error) {
			moves, err := l.Drain(node)
			for _, p := range l.pods {
				if !slices.ContainsFunc(moves, func(m Move) bool { return m.Pod.Label() == p.Label() }) {
					_ = l.a.ReleaseByHandle(p.Handle)
				}
			}
			return moves, err
		},
		"takes addresses of a pool that is only for who asks for it": func(l *Live, node string) ([]Move, error) {
			for _, p := range l.pods {
				if p.Node == node && len(p.Fixed)+len(p.Pools4) == 0 {
					p.Pools4 = []netip.Prefix{netip.MustParsePrefix("10.2.0.0/28")}
				}
			}
			return l.Drain(node)
		},
		"forgets the pools that a pod asks for": func(l *Live, node string) ([]Move, error) {
			for _, p := range l.pods {
				p.Pools4 = nil
			}
			return l.Drain(node)
		},
		"forgets fixed addresses": func(l *Live, node string) ([]Move, error) {
			for _, p := range l.pods {
				p.Fixed = nil
			}
			return l.Drain(node)
		},
		"moves pods to nodes that were drained": func(l *Live, node string) ([]Move, error) {
			clear(l.cordoned)
			return l.Drain(node)
		},
		"forgets a pod": func(l *Live, node string) ([]Move, error) {
			moves, err := l.Drain(node)
			if len(moves) > 0 && !moves[0].Unbooked {
				moves = moves[1:]
			}
			return moves, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error { return drainHolds(src, drain) })
		})
	}
}

// drainHolds makes a cluster, drains and uncordons its nodes among other things, and
// returns what is wrong then.
func drainHolds(src property.Source, drain drainer) error {
	l, err := drainable(src)
	if err != nil {
		return err
	}
	for range 1 + src.Pick("steps", 6) {
		if l, err = drainStep(src, l, drain); err != nil {
			return err
		}
	}
	return nil
}

// drainStep does one thing, and returns what is wrong then.
func drainStep(src property.Source, l *Live, drain drainer) (*Live, error) {
	nodes := l.a.Nodes()
	node := nodes[src.Pick("node", len(nodes))].Name
	before, held := l.Pods(), holders(l.a)
	cordoned := make(map[string]bool)
	for _, n := range nodes {
		cordoned[n.Name] = l.Cordoned(n.Name)
	}
	var moves []Move
	var err error
	var ended []LivePod
	drained := false
	switch src.Pick("step", 8) {
	case 0, 1, 2:
		moves, err = drain(l, node)
		drained, cordoned[node] = true, true
	case 3:
		l.Uncordon(node)
	case 4:
		moves = l.RestartAll()
	case 5:
		if len(before) > 0 {
			i := src.Pick("pod", len(before))
			ended = before[i : i+1]
			moves = l.Stop(ended...)
		}
	case 6:
		moves = l.Start(LivePod{Namespace: "new", Name: fmt.Sprint(l.made), Node: node, Num4: 1 + src.Pick("IPs", 2)})
	case 7:
		c, err := l.Copy()
		if err != nil {
			return nil, err
		}
		if _, err := drain(c, node); err != nil {
			return nil, err
		}
		if !slices.EqualFunc(before, l.Pods(), func(x, y LivePod) bool { return x.Handle == y.Handle && slices.Equal(x.IPs, y.IPs) && x.Node == y.Node }) {
			return nil, fmt.Errorf("a drain of a copy moved pods")
		}
	}
	if err != nil {
		return nil, err
	}
	if err := wrongOfDrain(l, before, ended, held, moves, cordoned, drained); err != nil {
		return nil, err
	}
	if drained && slices.ContainsFunc(l.Pods(), func(p LivePod) bool { return p.Node == node }) {
		return nil, fmt.Errorf("%s was drained and has pods", node)
	}
	return l, l.a.Check()
}

// wrongOfDrain holds the pods as they are against those of before, and against the
// allocator.
func wrongOfDrain(l *Live, before, ended []LivePod, held map[netip.Addr]ipam.Attributes, moves []Move, cordoned map[string]bool, drained bool) error {
	now := make(map[string]LivePod)
	holder := make(map[netip.Addr]string)
	for _, p := range l.Pods() {
		now[p.Label()] = p
		if len(p.IPs) != p.Num4+p.Num6 {
			return fmt.Errorf("%s has %v and asked for %d", p.Label(), p.IPs, p.Num4+p.Num6)
		}
		for _, ip := range p.IPs {
			if holder[ip] != "" {
				return fmt.Errorf("%s and %s have %s", holder[ip], p.Label(), ip)
			}
			holder[ip] = p.Label()
			if of, err := l.a.GetAssignmentAttributes(ip); err != nil || of.Handle != p.Handle {
				return fmt.Errorf("%s has %s, and its handle does not: %v", p.Label(), ip, err)
			}
		}
	}
	was := make(map[string]LivePod)
	for _, p := range before {
		was[p.Label()] = p
	}
	touched := make(map[string]bool) // handles
	asked := make(map[string]bool)
	for _, p := range ended {
		touched[p.Handle], asked[p.Label()] = true, true
	}
	for i := range moves {
		m := &moves[i]
		if m.Unbooked {
			continue
		}
		label := m.Pod.Label()
		if old, there := was[label]; there {
			touched[old.Handle] = true
			if ips, _ := l.a.IPsByHandle(old.Handle); len(ips) > 0 {
				return fmt.Errorf("%s moved, and %s still holds %v", label, old.Handle, ips)
			}
		}
		if asked[label] {
			return fmt.Errorf("%s moved twice", label)
		}
		asked[label] = true
		p, there := now[label]
		if there != (m.Err == nil) || there == (m.Why() != "") {
			return fmt.Errorf("%s: refused for %q (%v), and among the pods: %t", label, m.Why(), m.Err, there)
		}
		if !there {
			if ips, _ := l.a.IPsByHandle(m.Pod.Handle); len(ips) > 0 || len(m.Pod.IPs) > 0 {
				return fmt.Errorf("%s was refused and holds %v", label, ips)
			}
			continue
		}
		if drained && cordoned[p.Node] {
			return fmt.Errorf("%s moved to %s, which was drained", label, p.Node)
		}
		ask, there := was[label]
		if !there {
			ask = p
		}
		if err := allowed(l, &ask, &p); err != nil {
			return err
		}
	}
	for _, p := range before {
		if q, there := now[p.Label()]; !asked[p.Label()] && (!there || q.Handle != p.Handle || q.Node != p.Node) {
			return fmt.Errorf("%s did not move and is another", p.Label())
		}
	}
	after := holders(l.a)
	for ip, of := range held {
		if is, there := after[ip]; !touched[of.Handle] && (!there || is.Handle != of.Handle || is.Sequence != of.Sequence) {
			return fmt.Errorf("%s of %s was released", ip, of.Handle)
		}
	}
	return nil
}

// allowed returns an error if a pod has an address of a pool that is not for it: it asked
// as ask, and is on its node now.
func allowed(l *Live, ask, is *LivePod) error {
	if len(ask.Fixed) > 0 {
		if !slices.Equal(ask.Fixed, is.IPs) {
			return fmt.Errorf("%s asked for %v and has %v", is.Label(), ask.Fixed, is.IPs)
		}
		return nil
	}
	var labels map[string]string
	for _, n := range l.a.Nodes() {
		if n.Name == is.Node {
			labels = n.Labels
		}
	}
	for _, ip := range is.IPs {
		spec := specOf(l.a.Pools(), ip)
		if spec == nil {
			return fmt.Errorf("%s has %s, of no pool", is.Label(), ip)
		}
		p, err := pool.New(*spec)
		if err != nil {
			return err
		}
		pools := ask.Pools4
		if ip.Is6() {
			pools = ask.Pools6
		}
		switch {
		case p.Disabled():
			return fmt.Errorf("%s has %s of pool %s, which is disabled", is.Label(), ip, spec.Name)
		case len(pools) > 0 && !slices.Contains(pools, spec.CIDR):
			return fmt.Errorf("%s asked for %v and has %s", is.Label(), pools, ip)
		case len(pools) == 0 && (!p.Automatic() || !p.SelectsNode(labels)):
			return fmt.Errorf("%s is on %s and has %s of pool %s, which is not for it", is.Label(), is.Node, ip, spec.Name)
		}
	}
	return nil
}

// holders returns who holds which address, without those that cool down.
func holders(a *ipam.Allocator) map[netip.Addr]ipam.Attributes {
	all := make(map[netip.Addr]ipam.Attributes)
	s := a.State()
	for i := range s.Blocks {
		b := &s.Blocks[i]
		for _, al := range b.Allocations {
			if al.ReleasedAt.IsZero() {
				all[b.Addr(al.Ordinal)] = ipam.Attributes{Handle: al.Handle, Sequence: al.Seq}
			}
		}
	}
	return all
}

// drainable makes a cluster of two zones, with pools for one of them, for pods that ask,
// and for nobody, and pods that ask for all that a pod can ask for.
func drainable(src property.Source) (*Live, error) {
	s := new(Snapshot)
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	cidr := netip.MustParsePrefix
	for _, spec := range []pool.Spec{
		{Name: "all", CIDR: cidr("10.0.0.0/27"), BlockSize: 29 + src.Pick("size", 2)},
		{Name: "zone", CIDR: cidr("10.1.0.0/28"), BlockSize: 29, NodeSelector: "zone == 'a'"},
		{Name: "asked", CIDR: cidr("10.2.0.0/28"), BlockSize: 29, AssignmentMode: pool.Manual},
		{Name: "off", CIDR: cidr("10.3.0.0/28"), BlockSize: 29, Disabled: true},
		{Name: "six", CIDR: cidr("fd00::/124"), BlockSize: 125},
	} {
		if err := a.SetPool(spec); err != nil {
			return nil, err
		}
	}
	config := ipam.DefaultConfig()
	config.IPCooldownSeconds = 60 * src.Pick("cooldown", 2)
	config.StrictAffinity = src.Pick("strict", 3) == 2
	if config.StrictAffinity { // without it, a limit is refused
		config.MaxBlocksPerHost = src.Pick("blocks", 3)
	}
	if err := a.SetIPAMConfig(config); err != nil {
		return nil, err
	}
	nodes := 2 + src.Pick("nodes", 3)
	for i := range nodes {
		labels := map[string]string{"zone": []string{"a", "b"}[i%2]}
		if src.Pick("control", 5) == 4 {
			labels["node-role.kubernetes.io/control-plane"] = ""
		}
		if src.Pick("Windows", 6) == 5 {
			labels[osLabel] = "windows"
		}
		if err := a.SetNode(ipam.Node{Name: nodeName(i), Labels: labels}); err != nil {
			return nil, err
		}
		_, _, err := a.AutoAssign(ipam.AutoAssignArgs{
			Host: nodeName(i), Num4: 1, Handle: "vxlan-tunnel-addr-" + nodeName(i), Use: pool.Tunnel,
			Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: nodeName(i), ipam.AttrType: "vxlanTunnelAddress"}),
		})
		if err != nil {
			return nil, err
		}
	}
	for i := range src.Pick("pods", 14) {
		p := Pod{Namespace: "shop", Name: fmt.Sprintf("p%d", i), Node: nodeName(src.Pick("node", nodes))}
		args := ipam.AutoAssignArgs{
			Host: p.Node, Num4: 1, Num6: src.Pick("IPv6", 2), Handle: fmt.Sprintf("k8s-pod-network.%d", i), Use: pool.Workload,
			Attrs: block.MakeAttrs(map[string]string{ipam.AttrNamespace: p.Namespace, ipam.AttrPod: p.Name, ipam.AttrNode: p.Node}),
		}
		kind := src.Pick("kind", 6)
		if kind == 1 {
			p.Pools4, args.Pools4 = []string{"asked"}, []netip.Prefix{cidr("10.2.0.0/28")}
		}
		v4, v6, err := a.AutoAssign(args)
		if err != nil || v4.Err() != nil || v6.Err() != nil {
			_ = a.ReleaseByHandle(args.Handle)
			continue
		}
		for _, ip := range append(v4.IPs, v6.IPs...) {
			p.IPs = append(p.IPs, ip.Addr())
		}
		switch kind {
		case 2:
			p.Fixed = p.IPs
		case 3:
			p.Pools4 = []string{"nowhere"}
		case 4:
			p.Faulty = "it is odd"
		}
		s.Pods = append(s.Pods, p)
	}
	if src.Pick("outside", 2) == 1 {
		ips := []netip.Addr{netip.MustParseAddr("10.9.0.1")}
		s.Pods = append(s.Pods, Pod{Namespace: "shop", Name: "out", Node: nodeName(0), IPs: ips, Outside: ips})
	}
	s.Cluster, s.Latest = a.Cluster(), clock.Now()
	return s.Live()
}
