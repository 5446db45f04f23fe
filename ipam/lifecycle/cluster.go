package lifecycle

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/ipamsim/ipamsim/ipam"
)

// ErrInvalid is matched by errors about a pod, policy or other argument that is not
// valid in any cluster.
var ErrInvalid = errors.New("lifecycle: invalid")

// PodName names a pod; no two pods have one name at a time.
type PodName struct{ Namespace, Name string }

// String returns namespace/name.
func (n PodName) String() string { return n.Namespace + "/" + n.Name }

// Pod is a pod as Kubernetes shows it.
type Pod struct {
	PodName
	Node string // where it runs; empty while it is not scheduled
	// IPs are the addresses that the pod reports; none while it has not reported
	// any. They need not be the allocator's: pods of the host's network report
	// others.
	IPs []netip.Addr
	// Evicted says that the pod's phase is Failed, for the reason Evicted: it is
	// still listed, and has no addresses any more whatever it reports.
	Evicted bool
}

// validate returns what is wrong with the pod, if anything.
func (p *Pod) validate() error {
	if p.Name == "" || p.Namespace == "" {
		return fmt.Errorf("%w: pod %q without a name or namespace", ErrInvalid, p.PodName)
	}
	for _, ip := range p.IPs {
		if !ip.IsValid() || ip.Zone() != "" || ip.Is4In6() {
			return fmt.Errorf("%w: pod %s reports the address %q", ErrInvalid, p.PodName, ip)
		}
	}
	return nil
}

// Cluster is Kubernetes' side of a cluster: the nodes and pods, whose addresses an
// allocator assigns. Make one with [NewCluster]. It is not safe for concurrent use
// and must not be copied.
//
// A cluster never tells the allocator that a pod is gone: the caller releases the
// pod's addresses, or they leak.
type Cluster struct {
	allocator   *ipam.Allocator
	nodes       map[string]struct{}
	pods        podList
	machines    machines
	controllers []*Controller // told of deletions
}

// NewCluster returns a cluster over the allocator, with the nodes that it has
// already and no pods.
func NewCluster(a *ipam.Allocator) *Cluster {
	c := &Cluster{allocator: a, nodes: make(map[string]struct{}), pods: makePodList(), machines: makeMachines()}
	for _, n := range a.Nodes() {
		c.nodes[n.Name] = struct{}{}
	}
	return c
}

// Allocator returns the allocator that the cluster uses.
func (c *Cluster) Allocator() *ipam.Allocator { return c.allocator }

// SetNode adds a node or replaces the one of its name, in Kubernetes and in
// Calico. Errors are those of [ipam.Allocator.SetNode].
func (c *Cluster) SetNode(n ipam.Node) error {
	if err := c.allocator.SetNode(n); err != nil {
		return err
	}
	c.nodes[n.Name] = struct{}{}
	return nil
}

// AssumeNode has Kubernetes list a node of that name, and changes nothing in Calico:
// for where nobody knows which nodes there are.
func (c *Cluster) AssumeNode(name string) { c.nodes[name] = struct{}{} }

// AssumePods has Kubernetes list every pod of the namespaces for which it is told so, with no
// node and no addresses yet, unless [Cluster.SetPod] says more of it: for where nobody knows
// which pods there are. They count among no [Cluster.Pods]. Call it before the first sync of
// a controller.
func (c *Cluster) AssumePods(of func(namespace string) bool) { c.pods.assumes = of }

// DeleteNode deletes the node, in Kubernetes and in Calico, and reports whether
// there was one. Its pods stay until they are deleted, and its allocations until a
// controller releases them: the next sync of every controller is a full scan.
func (c *Cluster) DeleteNode(name string) bool {
	c.allocator.DeleteNode(name)
	if _, exists := c.nodes[name]; !exists {
		return false
	}
	delete(c.nodes, name)
	for _, controller := range c.controllers {
		controller.nodeDeleted = true
		controller.mustScan(name)
	}
	return true
}

// HasNode reports whether Kubernetes has a node of that name.
func (c *Cluster) HasNode(name string) bool {
	_, exists := c.nodes[name]
	return exists
}

// Nodes returns how many nodes there are.
func (c *Cluster) Nodes() int { return len(c.nodes) }

// SetPod adds a pod or replaces the one of its name, wherever that was. The
// addresses are copied. The error matches [ErrInvalid] for a pod without a name or
// namespace, and for an address that is invalid, mapped or has a zone.
func (c *Cluster) SetPod(p Pod) error {
	if err := p.validate(); err != nil {
		return err
	}
	l := c.pods.find(p.PodName)
	if l == nil {
		l = c.pods.add(p.PodName)
	}
	for _, controller := range c.controllers {
		controller.mustScan(l.Node) // the node until now
	}
	ips := append(l.one[:0], p.IPs...)
	l.Pod = p
	l.IPs = ips
	return nil
}

// DeletePod deletes the pod and reports whether there was one.
func (c *Cluster) DeletePod(name PodName) bool {
	p := c.pods.remove(name)
	if p == nil {
		return false
	}
	for _, controller := range c.controllers {
		controller.podDeleted(p.Node)
	}
	return true
}

// Pod returns the pod of that name, and whether there is one. The caller must not
// change its addresses; they change with the pod.
func (c *Cluster) Pod(name PodName) (Pod, bool) {
	p := c.pods.find(name)
	if p == nil {
		return Pod{}, false
	}
	return p.Pod, true
}

// Pods returns how many pods there are.
func (c *Cluster) Pods() int { return c.pods.count }
