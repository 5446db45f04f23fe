package snapshot

import (
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/pool"
)

// This file finds out which pods a live cluster has, and what each asks for.

// findPods finds the pods: with addresses of IPAM, with others, and those that have ended.
func (l *Live) findPods() {
	listed := make(map[lifecycle.PodName]*Pod, len(l.snapshot.Pods))
	used, living := make(map[netip.Addr]bool, len(l.snapshot.Pods)), make(map[netip.Addr]bool, len(l.snapshot.Pods))
	for i := range l.snapshot.Pods {
		p := &l.snapshot.Pods[i]
		name := lifecycle.PodName{Namespace: p.Namespace, Name: p.Name}
		listed[name] = p
		for _, ip := range p.IPs {
			used[ip] = true
			living[ip] = living[ip] || !p.Ended && !p.HostNetwork
		}
		switch {
		case p.Ended:
			l.ended = append(l.ended, lifecycle.Pod{PodName: name, Node: p.Node, IPs: p.IPs, Evicted: p.Evicted})
		case !p.HostNetwork && len(p.Outside) > 0:
			l.outside = append(l.outside, &LivePod{Namespace: p.Namespace, Name: p.Name, Node: p.Node, IPs: p.Outside})
		}
	}
	nobodys := make(map[netip.Addr]bool)
	for ip := range l.report.Released {
		nobodys[ip] = !living[ip]
	}
	for i := range l.report.Findings {
		if f := &l.report.Findings[i]; f.Kind == kindNotUsed {
			nobodys[netip.MustParseAddr(f.Address)] = true
		}
	}
	l.findHolders(nobodys, used, listed)
	specs := l.a.Pools()
	for _, p := range l.pods {
		if of := listed[lifecycle.PodName{Namespace: p.Namespace, Name: p.Name}]; of != nil {
			p.asks(of, specs)
		}
	}
}

// findHolders finds the pods that the attributes of addresses name, but for those of
// addresses that are nobody's. The pods of the snapshot that are listed use the addresses
// that are used.
func (l *Live) findHolders(nobodys, used map[netip.Addr]bool, listed map[lifecycle.PodName]*Pod) {
	cidrs, specs := l.a.Blocks(), l.a.Pools()
	t := podTable{first: make(map[string]*LivePod, len(l.snapshot.Cluster.Handles)), others: make(map[podHandle]*LivePod)}
	for _, of := range l.snapshot.Cluster.Handles {
		if len(of.Counts) > 0 { // the allocator leaves out the others
			l.made = max(l.made, madeNumber(cutHandle(of.ID)))
		}
	}
	l.shared = make(map[string]bool)
	var b ipam.BlockState
	for _, cidr := range cidrs {
		l.a.ReadBlock(cidr, &b)
		of := specOf(specs, cidr.Addr())
		for i := range b.Allocations {
			al := &b.Allocations[i]
			l.made = max(l.made, madeNumber(al.Handle))
			name, isPods := podNameOf(al.Active)
			node, _ := al.Active.Get(ipam.AttrNode)
			ip := b.Addr(al.Ordinal)
			if !isPods || node == "" || al.Handle == "" || nobodys[ip] {
				continue
			}
			pod := listed[name]
			if _, isMachines := machineOf(al.Active); isMachines && pod == nil && !used[ip] && !l.report.Unknown.Pods {
				continue // the machine is stopped, and keeps its address
			}
			p, isNew := t.pod(podHandle{name, al.Handle}, l.shared)
			if isNew {
				p.Node = node
				if pod != nil && pod.Node != "" && !l.report.Unknown.Nodes {
					p.Node = pod.Node
				}
				l.pods = append(l.pods, p)
			}
			p.add(ip, of)
		}
	}
	l.dirty = true
	l.tidy()
}

// podHandle is who has addresses: a pod, and the handle of these.
type podHandle struct {
	pod    lifecycle.PodName
	handle string
}

// A podTable has the pods by who they are. Nearly every handle is of one pod, and there may
// be a million of them: they go by handle, and lie side by side.
type podTable struct {
	first  map[string]*LivePod    // by what stands for the ids of the handle
	others map[podHandle]*LivePod // of handles that several have
	room   []LivePod
}

// pod returns the pod, which may be new. A handle that another pod has is noted as shared.
func (t *podTable) pod(of podHandle, shared map[string]bool) (p *LivePod, isNew bool) {
	key := handleKey(of.handle)
	first := t.first[key]
	if first != nil && first.Handle == of.handle && first.Namespace == of.pod.Namespace && first.Name == of.pod.Name {
		return first, false
	}
	if p := t.others[of]; p != nil {
		return p, false
	}
	if len(t.room) == 0 {
		t.room = make([]LivePod, 1<<10)
	}
	p, t.room = &t.room[0], t.room[1:]
	p.Namespace, p.Name, p.Handle = of.pod.Namespace, of.pod.Name, of.handle
	if first == nil {
		t.first[key] = p
	} else {
		t.others[of] = p
		shared[key] = true
	}
	return p, true
}

// add notes an address that the pod has, from that pool.
func (p *LivePod) add(ip netip.Addr, from *pool.Spec) {
	p.IPs = append(p.IPs, ip)
	asked := from != nil && (from.AssignmentMode == pool.Manual || from.NamespaceSelector != "" && from.NamespaceSelector != "all()")
	num, pools := &p.Num4, &p.Pools4
	if ip.Is6() {
		num, pools = &p.Num6, &p.Pools6
	}
	*num++
	if asked && !slices.Contains(*pools, from.CIDR) {
		*pools = append(*pools, from.CIDR)
	}
}

// asks notes what the pod's annotations ask for: the addresses that it gets and no
// others (§11), or the pools: whatever they select, it gets addresses from them and from
// no other (§3).
func (p *LivePod) asks(of *Pod, specs []pool.Spec) {
	p.Faulty = of.Faulty
	if p.Fixed = of.Fixed; len(p.Fixed) > 0 {
		p.Num4, p.Num6, p.Pools4, p.Pools6 = 0, 0, nil, nil
		for _, ip := range p.Fixed {
			if ip.Is4() {
				p.Num4++
			} else {
				p.Num6++
			}
		}
		return
	}
	for _, asked := range []struct {
		names []string
		pools *[]netip.Prefix
	}{{of.Pools4, &p.Pools4}, {of.Pools6, &p.Pools6}} {
		if len(asked.names) == 0 {
			continue
		}
		*asked.pools = nil
		for _, name := range asked.names {
			i := slices.IndexFunc(specs, func(s pool.Spec) bool { return s.Name == name || s.CIDR.String() == name })
			if i < 0 {
				p.NoPool = name
				continue
			}
			*asked.pools = append(*asked.pools, specs[i].CIDR)
		}
	}
}

// Pending returns a pod of the snapshot that has no address, for [Live.Start]: on its
// node, asking for what its annotations ask for, and else for what is usual.
func (l *Live) Pending(of *Pod) LivePod {
	p := LivePod{Namespace: of.Namespace, Name: of.Name, Node: of.Node}
	p.Num4, p.Num6 = l.Usual()
	p.asks(of, l.a.Pools())
	return p
}

// Reroute has the pods that ask for one pool ask for another, by CIDR. They keep the
// addresses that they have.
func (l *Live) Reroute(from, to netip.Prefix) {
	for _, p := range l.pods {
		for _, asked := range []*[]netip.Prefix{&p.Pools4, &p.Pools6} {
			if i := slices.Index(*asked, from); i >= 0 {
				*asked = slices.Clone(*asked)
				(*asked)[i] = to
			}
		}
	}
}

// familiesOfPools returns of each family 1 where an enabled pool may be for pods, else 0.
func (l *Live) familiesOfPools() (four, six int) {
	for _, p := range l.a.Pools() {
		switch {
		case p.Disabled || slices.Contains(p.AllowedUses, pool.LoadBalancer):
		case p.CIDR.Addr().Is4():
			four = 1
		default:
			six = 1
		}
	}
	return four, six
}

// specOf returns the pool that has the address, or nil.
func specOf(specs []pool.Spec, ip netip.Addr) *pool.Spec {
	for i := range specs {
		if specs[i].CIDR.Contains(ip) {
			return &specs[i]
		}
	}
	return nil
}

// windowsNodes returns the nodes that run Windows, as the label says that kubelet gives
// them.
func windowsNodes(nodes []ipam.Node) map[string]bool {
	all := make(map[string]bool)
	for _, n := range nodes {
		if n.Labels[osLabel] == "windows" {
			all[n.Name] = true
		}
	}
	return all
}

// osLabel is the label by which kubelet says which operating system its node runs.
const osLabel = "kubernetes.io/os"

// reservation is what a Windows node keeps at both ends of its blocks (§10).
type reservation struct{ v4, v6 *ipam.HostReservation }

// reservations finds out what nodes keep of their blocks.
func reservations(s ipam.State) map[string]reservation {
	all := make(map[string]reservation)
	for i := range s.Blocks {
		b := &s.Blocks[i]
		var r ipam.HostReservation
		for k := range b.Allocations {
			al := &b.Allocations[k]
			if !block.IsHostReserved(al.Handle) {
				continue
			}
			r.Note, _ = al.Active.Get("note")
			if al.Ordinal == r.StartOfBlock {
				r.StartOfBlock++
			} else {
				r.EndOfBlock++
			}
		}
		if r.StartOfBlock+r.EndOfBlock == 0 || b.Owner.Type != affinity.Host {
			continue
		}
		of := all[b.Owner.Name]
		if b.CIDR.Addr().Is4() {
			of.v4 = &r
		} else {
			of.v6 = &r
		}
		all[b.Owner.Name] = of
	}
	return all
}
