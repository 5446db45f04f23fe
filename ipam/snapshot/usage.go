package snapshot

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// usage looks at every address that somebody uses.
func (c *checker) usage() {
	if len(c.users) == 0 {
		return
	}
	if c.unknown.Pools {
		c.unjudged("whether addresses in use are of a pool was not looked at: of the pools, %s", whyUnknown(c.s.Unlisted.Pools, "ippools"))
	}
	if c.unknown.Blocks {
		c.unjudged("whether addresses in use are allocated was not looked at: of the blocks, %s", whyUnknown(c.s.Unlisted.Blocks, "ipamblocks"))
	}
	for _, ip := range sortedAddrs(c.users) {
		users := c.users[ip]
		objects := userNames(users)
		b := c.blockOf(ip)
		if b == nil {
			c.usedOutside(ip, users, objects)
			continue
		}
		al := allocationOf(b, ip)
		c.shared(ip, al, users, objects)
		objects = append(objects, blockObject(b.CIDR))
		switch {
		case al == nil:
			c.notAllocated(ip, users, objects, "which is free")
		case !al.ReleasedAt.IsZero():
			c.notAllocated(ip, users, objects, "which was released and is cooling down")
		case len(objects) == 2: // one user
			c.usedByOther(ip, al, users[0], objects)
		}
	}
}

// usedOutside deals with an address in use that is in no block.
func (c *checker) usedOutside(ip netip.Addr, users []user, objects []string) {
	if !c.unknown.Blocks {
		c.shared(ip, nil, users, objects)
	}
	switch {
	case c.inPool(ip):
		if !c.unknown.Blocks {
			c.notAllocated(ip, users, objects, "whose block does not exist")
		}
	case c.unknown.Pools:
	case slices.ContainsFunc(users, func(u user) bool { return u.pod != nil || u.node.Tunnel != "" }):
		c.findAt(kindOutsidePools, ip, objects, "%s uses %s, which no pool has", objects[0], ip)
	}
}

func (c *checker) notAllocated(ip netip.Addr, users []user, objects []string, which string) {
	c.findAt(kindNotAllocated, ip, objects, "%s uses %s, %s", objects[0], ip, which)
	c.mend("", lookForUser(ip)[1])
	for _, u := range users {
		c.mend("", u.moves()...)
	}
}

// shared finds an address that several use. While a virtual machine moves, its two
// pods rightly do: the allocation names both.
func (c *checker) shared(ip netip.Addr, al *block.Allocation, users []user, objects []string) {
	if len(objects) < 2 {
		return
	}
	var others []user
	for _, u := range users {
		if al == nil || !u.isNamedBy(al) && (!u.isOfMachine(al) || !c.mayMove(al)) {
			others = append(others, u)
		}
	}
	if len(others) == 0 {
		return
	}
	c.findAt(kindTwoOwners, ip, objects, "%s is used by %s and %s", ip, objects[0], objects[1])
	c.mend("", lookForUser(ip)...)
	if al == nil { // nothing says who is right
		return
	}
	for _, u := range others {
		if !u.isOfMachine(al) { // or the machine stops with the wrong pod
			c.mend("", u.moves()...)
		}
	}
}

// isNamedBy reports whether the allocation names who uses its address.
func (u user) isNamedBy(al *block.Allocation) bool {
	if u.pod != nil {
		active, _ := podOf(al.Active)
		alternate, _ := podOf(al.Alternate)
		self := u.pod.Namespace + "/" + u.pod.Name
		return self == active || self == alternate
	}
	node, _ := al.Active.Get(ipam.AttrNode)
	kind, _ := al.Active.Get(ipam.AttrType)
	return node == u.node.Node && kind == u.node.Tunnel && isTunnel(kind)
}

// moves returns the commands that get the user an address of its own. A node's own
// address is not Calico's to give.
func (u user) moves() []Fix {
	switch {
	case u.pod != nil:
		return deletePod(u.pod.Namespace, u.pod.Name)
	case u.node.Tunnel != "":
		return restartNode(u.node.Node)
	}
	return nil
}

// usedByOther finds an address that is allocated to somebody and used by somebody
// else, and one that kube-controllers will take from its owner.
func (c *checker) usedByOther(ip netip.Addr, al *block.Allocation, u user, objects []string) {
	pod, isPods := podOf(al.Active)
	kind, _ := al.Active.Get(ipam.AttrType)
	switch {
	case u.isNamedBy(al), u.isOfMachine(al):
		c.willLose(ip, al, u, objects)
		return
	case isPods:
		c.findAt(kindTwoOwners, ip, objects, "%s uses %s, which is allocated to Pod %s", u, ip, pod)
	case u.pod != nil && isTunnel(kind):
		node, _ := al.Active.Get(ipam.AttrNode)
		c.findAt(kindTwoOwners, ip, objects, "%s uses %s, which is allocated to a tunnel of Node %s", u, ip, node)
	default:
		c.willLose(ip, al, u, objects)
		return
	}
	c.mend("", lookForUser(ip)...)
	c.mend("", u.moves()...)
}

// willLose finds an address that kube-controllers will take from who uses it.
func (c *checker) willLose(ip netip.Addr, al *block.Allocation, u user, objects []string) {
	after, goes := c.report.Released[ip]
	if !goes {
		return
	}
	node, _ := al.Active.Get(ipam.AttrNode)
	why := "by what its allocation says"
	if u.pod != nil && u.pod.Node != node {
		why = fmt.Sprintf("for it is allocated on Node %s, and the pod runs on %s", node, u.pod.Node)
	}
	c.findAt(kindWillBeTaken, ip, objects, "%s uses %s and %s, %s", u, ip, "will lose it "+whenText(after), why)
	if !c.paused {
		c.paused = true
		c.mend("", pause()...)
	}
	c.mend("", u.moves()...)
}

// whenText says when kube-controllers releases what it misses.
func whenText(after time.Duration) string {
	if after == 0 {
		return "at the next look of kube-controllers"
	}
	return "in " + spanText(after) + ", when kube-controllers gives it back"
}

// podOf returns the pod that attributes name, as "namespace/name".
func podOf(attrs block.Attrs) (name string, isPods bool) {
	pod, isPods := podNameOf(attrs)
	return pod.Namespace + "/" + pod.Name, isPods
}

// podNameOf returns the pod that attributes name.
func podNameOf(attrs block.Attrs) (name lifecycle.PodName, isPods bool) {
	name.Name, _ = attrs.Get(ipam.AttrPod)
	name.Namespace, _ = attrs.Get(ipam.AttrNamespace)
	return name, name.Name != "" && name.Namespace != ""
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

// unjudged counts the addresses that could not be judged, by why.
type unjudged struct{ pods, others, tunnels, services, machines int }

// allocations looks at every address that is allocated and that nobody uses.
func (c *checker) allocations() {
	var not unjudged
	var withHandle []netip.Addr // of handles in use
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
			if !isHostReserved(al) && c.users[ip] == nil && !c.keeps(ip, al) && c.judge(b, al, &not) {
				withHandle = append(withHandle, ip)
			}
		}
	}
	c.sayUnjudged(&not)
	switch n := len(withHandle); n {
	case 0:
	case 1:
		c.note("1 address is not reported by its pod, but its handle holds another that is in use, so it goes with its pod: %s", withHandle[0])
	default:
		c.note("%d addresses are not reported by their pods, but their handles hold others that are in use, so they go with their pods: %s", n, addressesText(withHandle))
	}
}

// sayUnjudged says how many addresses were not looked at, and why.
func (c *checker) sayUnjudged(not *unjudged) {
	addresses := func(n int) string { return plural(n, "address", "addresses") }
	switch {
	case not.pods == 0:
	case c.unknown.Pods:
		c.unjudged("%s of pods %s not looked at: of the pods, %s", addresses(not.pods), wasWere(not.pods), whyUnknown(c.s.Unlisted.Pods, "pods -A"))
	default:
		c.unjudged("%s of pods %s not looked at: all pods among the resources are of one namespace (kubectl get pods -A -o yaml)", addresses(not.pods), wasWere(not.pods))
	}
	if not.others > 0 {
		c.unjudged("%s that name no pod %s not looked at: that takes all pods and nodes (kubectl get pods -A -o yaml; kubectl get nodes -o yaml)", addresses(not.others), wasWere(not.others))
	}
	if not.tunnels > 0 {
		c.unjudged("%s of tunnels %s not looked at: of the nodes, %s", addresses(not.tunnels), wasWere(not.tunnels), whyUnknown(c.s.Unlisted.Nodes, "nodes"))
	}
	if not.services > 0 {
		why := "of the services, " + whyUnknown(true, "services -A")
		if len(c.s.Services) > 0 {
			why = "no service reports having them, and only the controller of load balancers gives them back"
		}
		c.unjudged("%s of services %s not looked at: %s", addresses(not.services), wasWere(not.services), why)
	}
	if not.machines > 0 {
		c.unjudged("%s of virtual machines %s not looked at: %s", addresses(not.machines), wasWere(not.machines), c.whyMachines())
	}
}

// addressesText names the first few addresses.
func addressesText(ips []netip.Addr) string {
	const most = 3
	text := ""
	for i, ip := range ips {
		switch {
		case i == most:
			return text + ", …"
		case i > 0:
			text += ", "
		}
		text += ip.String()
	}
	return text
}

// judge decides whether an address that nobody uses has leaked. It returns true where
// it has not, because its handle is in use.
func (c *checker) judge(b *ipam.BlockState, al *block.Allocation, not *unjudged) (goesWithHandle bool) {
	namespace, _ := al.Active.Get(ipam.AttrNamespace)
	pod, isPods := podOf(al.Active)
	kind, _ := al.Active.Get(ipam.AttrType)
	_, isService := al.Active.Get("service")
	_, isMachine := al.Active.Get(ipam.AttrVMI)
	switch {
	case isTunnel(kind):
		if c.unknown.Nodes {
			not.tunnels++
			return false
		}
		c.judgeTunnel(b, al, kind)
	case isService || kind == "loadbalancer" || b.Owner.Type == affinity.Virtual:
		if !c.services[b.Addr(al.Ordinal)] {
			not.services++
		}
	case !isPods:
		if c.unknown.Pods || c.unknown.Nodes || len(c.namespaces) == 1 {
			not.others++
			return false
		}
		c.unused(b, al, "names no pod, and no pod or node uses it")
		c.mend("", release(b.Addr(al.Ordinal))...)
	case isMachine && c.judgesMachines():
		return c.judgeMachine(b, al, not)
	case c.pods[pod] == nil && !c.seesNamespace(namespace), c.unknown.Pods:
		not.pods++
	default:
		return c.judgePod(b, al, pod)
	}
	return false
}

// judgePod decides whether an address that is allocated to a pod, and that nobody
// uses, has leaked (§12). What the controller does not release because the handle has
// others in use, is the pod's still.
func (c *checker) judgePod(b *ipam.BlockState, al *block.Allocation, name string) (goesWithHandle bool) {
	ip := b.Addr(al.Ordinal)
	after, goes := c.report.Released[ip]
	why := ""
	switch p := c.pods[name]; {
	case p == nil:
		why = fmt.Sprintf("is allocated to Pod %s, which does not exist", name)
	case p.Ended:
		why = fmt.Sprintf("is allocated to Pod %s, which has ended", name)
	case len(p.IPs) == 0: // it starts and has not reported its address yet
		return false
	default:
		why = fmt.Sprintf("is allocated to Pod %s, which uses %s", name, p.IPs[0])
	}
	if !goes && c.inUse(al.Handle) {
		return true
	}
	c.unused(b, al, why)
	switch p := c.pods[name]; {
	case goes:
		c.mend(releasedText(after))
	case p == nil:
		c.mend("", release(ip)...)
	case p.Ended:
		c.mend("the address goes with the pod that has ended", deletePod(p.Namespace, p.Name)...)
	default:
		c.mend("nothing need be done while the pod lives; it may use the address without reporting it", lookForUser(ip)[1])
	}
	return false
}

// releasedText says that kube-controllers releases an address, and when.
func releasedText(after time.Duration) string {
	if after == 0 {
		return "nothing need be done: kube-controllers releases them the next time it looks, for their node is gone"
	}
	return "nothing need be done: kube-controllers releases them once it has missed their owner for " + spanText(after)
}

// inUse reports whether somebody uses an address of the handle.
func (c *checker) inUse(handle string) bool {
	if handle == "" {
		return false
	}
	if c.handlesInUse == nil {
		c.handlesInUse = make(map[string]bool)
		for _, b := range c.byAddress {
			for k := range b.Allocations {
				if al := &b.Allocations[k]; al.Handle != "" && c.users[b.Addr(al.Ordinal)] != nil {
					c.handlesInUse[handleKey(al.Handle)] = true
				}
			}
		}
	}
	return c.handlesInUse[handleKey(handle)]
}

// judgeTunnel decides whether an address that is allocated to a tunnel, and that no
// node reports, has leaked. A node that reports no address of this kind may still use
// it.
func (c *checker) judgeTunnel(b *ipam.BlockState, al *block.Allocation, kind string) {
	node, _ := al.Active.Get(ipam.AttrNode)
	ip := b.Addr(al.Ordinal)
	after, goes := c.report.Released[ip]
	switch {
	case !c.nodes[node]:
		c.unused(b, al, fmt.Sprintf("is allocated to a tunnel of Node %s, which does not exist", node))
	case c.tunnels[tunnelKey{node, kind}]:
		c.unused(b, al, fmt.Sprintf("is allocated to a tunnel of Node %s, which uses another address there", node))
	default:
		return
	}
	switch {
	case goes:
		c.mend(releasedText(after))
	case !c.nodes[node]:
		c.mend("nothing need be done: kube-controllers releases them once nothing else of their node is in use")
	default:
		c.mend("", release(ip)...)
	}
}

func (c *checker) unused(b *ipam.BlockState, al *block.Allocation, why string) {
	objects := []string{blockObject(b.CIDR)}
	if al.Handle != "" {
		objects = append(objects, handleObject(al.Handle))
	}
	ip := b.Addr(al.Ordinal)
	c.findAt(kindNotUsed, ip, objects, "%s %s", ip, why)
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
