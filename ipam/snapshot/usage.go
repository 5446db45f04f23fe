package snapshot

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// usage looks at every address that somebody uses.
func (c *checker) usage() {
	for _, ip := range sortedAddrs(c.users) {
		users := c.users[ip]
		objects := userNames(users)
		if len(objects) > 1 {
			c.findAt(TwoOwners, ip, objects, "%s is used by %s and %s", ip, objects[0], objects[1])
		}
		tunnelOrPod := slices.ContainsFunc(users, func(u user) bool { return u.pod != nil || u.node.Tunnel != "" })
		if !c.inPool(ip) {
			if tunnelOrPod {
				c.findAt(OutsidePools, ip, objects, "%s uses %s, which no pool has", objects[0], ip)
			}
			continue
		}
		b := c.blockOf(ip)
		if b == nil {
			c.findAt(NotAllocated, ip, objects, "%s uses %s, whose block does not exist", objects[0], ip)
			continue
		}
		objects = append(objects, blockObject(b.CIDR))
		switch al := allocationOf(b, ip); {
		case al == nil:
			c.findAt(NotAllocated, ip, objects, "%s uses %s, which is free", objects[0], ip)
		case !al.ReleasedAt.IsZero():
			c.findAt(NotAllocated, ip, objects, "%s uses %s, which was released and is cooling down", objects[0], ip)
		case len(objects) == 2: // one user
			c.usedByOther(ip, al, users[0], objects)
		}
	}
}

// usedByOther finds an address that is allocated to somebody and used by somebody
// else.
func (c *checker) usedByOther(ip netip.Addr, al *block.Allocation, u user, objects []string) {
	if u.pod == nil {
		if pod, isPods := podOf(al.Active); isPods {
			c.findAt(TwoOwners, ip, objects, "%s uses %s, which is allocated to Pod %s", u, ip, pod)
		}
		return
	}
	self := u.pod.Namespace + "/" + u.pod.Name
	active, isPods := podOf(al.Active)
	alternate, _ := podOf(al.Alternate)
	if isPods && active != self && alternate != self {
		c.findAt(TwoOwners, ip, objects, "%s uses %s, which is allocated to Pod %s", u, ip, active)
	}
	if kind, _ := al.Active.Get(ipam.AttrType); !isPods && isTunnel(kind) {
		node, _ := al.Active.Get(ipam.AttrNode)
		c.findAt(TwoOwners, ip, objects, "%s uses %s, which is allocated to a tunnel of Node %s", u, ip, node)
	}
}

// podOf returns the pod that attributes name.
func podOf(attrs block.Attrs) (name string, isPods bool) {
	pod, _ := attrs.Get(ipam.AttrPod)
	namespace, _ := attrs.Get(ipam.AttrNamespace)
	return namespace + "/" + pod, pod != "" && namespace != ""
}

// isTunnel reports whether the attribute "type" is that of a tunnel's address.
func isTunnel(kind string) bool {
	for _, t := range tunnelAnnotations {
		if t.kind == kind {
			return true
		}
	}
	return false
}

// allocations looks at every address that is allocated.
func (c *checker) allocations() {
	var unjudged struct{ pods, tunnels, services int }
	for i := range c.s.Cluster.Blocks {
		b := &c.s.Cluster.Blocks[i]
		for k := range b.Allocations {
			al := &b.Allocations[k]
			if !al.ReleasedAt.IsZero() {
				c.report.Cooling++
				continue
			}
			c.report.Allocated++
			ip := b.Addr(al.Ordinal)
			if isHostReserved(al) || c.users[ip] != nil {
				continue
			}
			pod, isPods := podOf(al.Active)
			kind, _ := al.Active.Get(ipam.AttrType)
			_, isService := al.Active.Get("service")
			switch {
			case isTunnel(kind):
				if c.judgeTunnel(b, al, kind) {
					unjudged.tunnels++
				}
			case isService || kind == "loadbalancer" || b.Owner.Type == affinity.Virtual:
				unjudged.services++
			case !c.s.HasPods:
				unjudged.pods++
			case !isPods:
				c.unused(b, al, "names no pod, and no pod or node uses it")
			default:
				c.judgePod(b, al, pod)
			}
		}
	}
	if unjudged.pods > 0 {
		c.note("%d addresses of pods were not looked at: no pods are among the resources (kubectl get pods -A -o yaml)", unjudged.pods)
	}
	if unjudged.tunnels > 0 {
		c.note("%d tunnel addresses were not looked at: no nodes are among the resources (kubectl get nodes -o yaml)", unjudged.tunnels)
	}
	if unjudged.services > 0 {
		c.note("%d addresses of services were not looked at: services are not read", unjudged.services)
	}
}

// judgePod decides whether an address that is allocated to a pod, and that nobody
// uses, has leaked (§12).
func (c *checker) judgePod(b *ipam.BlockState, al *block.Allocation, name string) {
	switch p := c.pods[name]; {
	case p == nil:
		c.unused(b, al, fmt.Sprintf("is allocated to Pod %s, which does not exist", name))
	case p.Ended:
		c.unused(b, al, fmt.Sprintf("is allocated to Pod %s, which has ended", name))
	case len(p.IPs) == 0: // it starts and has not reported its address yet
	default:
		c.unused(b, al, fmt.Sprintf("is allocated to Pod %s, which uses %s", name, p.IPs[0]))
	}
}

// judgeTunnel decides whether an address that is allocated to a tunnel, and that no
// node reports, has leaked. It returns true if it cannot know.
func (c *checker) judgeTunnel(b *ipam.BlockState, al *block.Allocation, kind string) (unjudged bool) {
	node, _ := al.Active.Get(ipam.AttrNode)
	switch {
	case len(c.nodes) == 0:
		return true
	case !c.nodes[node]:
		c.unused(b, al, fmt.Sprintf("is allocated to a tunnel of Node %s, which does not exist", node))
	case c.tunnels[tunnelKey{node, kind}]:
		c.unused(b, al, fmt.Sprintf("is allocated to a tunnel of Node %s, which uses another address there", node))
	}
	return false // a node that reports no address of this kind may still use it
}

func (c *checker) unused(b *ipam.BlockState, al *block.Allocation, why string) {
	objects := []string{blockObject(b.CIDR)}
	if al.Handle != "" {
		objects = append(objects, handleObject(al.Handle))
	}
	ip := b.Addr(al.Ordinal)
	c.findAt(NotUsed, ip, objects, "%s %s", ip, why)
}

// isHostReserved reports whether an allocation is reserved for a Windows node, at
// either end of its block (§10). No handle counts it.
func isHostReserved(al *block.Allocation) bool {
	if block.IsHostReserved(al.Handle) {
		return true
	}
	_, hasNote := al.Active.Get("note")
	return al.Seq == 0 && hasNote && al.Active.Len() == 1
}

func userNames(users []user) []string {
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = u.String()
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func sortedAddrs[T any](m map[netip.Addr]T) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(m))
	for ip := range m {
		addrs = append(addrs, ip)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}
