package snapshot

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// A Live is a cluster that goes on from a snapshot: an allocator, a virtual clock, and
// the pods that have addresses. Pods start, stop and move, and ask the allocator for
// what the CNI plug-in would ask for (§11). Nothing of it reaches a real cluster. Make
// one with [Snapshot.Live] and copy it with [Live.Copy]. It is not safe for concurrent
// use.
//
// A request and a release each take a second of the clock, but for those of
// [Live.RestartAll]. A pod that asks for an address that cools down waits for the whole
// cooldown, as kubelet tries again until then. Pods that start here have the handles
// k8s-pod-network.whatif-1 and so on, past those that the snapshot has.
type Live struct {
	a        *ipam.Allocator
	clock    *ipam.Clock
	snapshot *Snapshot
	report   *Report

	pods    []*LivePod      // in the order of [Live.Pods], unless dirty
	dirty   bool            // pods came after the last sort
	labels  map[string]bool // of the pods, as [LivePod.Label] returns them; nil until it is asked for
	outside []*LivePod      // that have addresses without IPAM
	ended   []lifecycle.Pod // which kube-controllers still sees

	cordoned map[string]bool
	reserved map[string]reservation // by node
	windows  map[string]bool        // the nodes that run Windows
	made     int                    // the number of the last handle

	shared map[string]bool // handles that several pods have, in small letters
	freed  map[string]bool // those of them that were released, until the others are told
}

// A LivePod is a pod of a [Live]: what it has, and what it asks for when it starts.
// Lists that it has from a Live are shared with it, and only read.
type LivePod struct {
	Namespace, Name string
	Node            string
	Handle          string // of its addresses
	IPs             []netip.Addr
	// Num4 and Num6 are how many addresses of each family it asks for.
	Num4, Num6 int
	// Pools4 and Pools6 are the CIDRs of the pools that it asks for: those of its
	// annotations, else the pools of its addresses that no pod gets without asking.
	// None leaves the choice to the allocator (§3).
	Pools4, Pools6 []netip.Prefix
	// NoPool is a pool that its annotations ask for and that there was not when the
	// cluster was read, by name or CIDR. Such a pod gets no address.
	NoPool string
	// Fixed are the addresses that it asks for: it gets all of them and no others, or
	// none, and its numbers and pools are not looked at.
	Fixed []netip.Addr
	// Faulty says why the CNI plug-in refuses its annotations, as in [Pod]. Here it
	// starts, as one that asks for nothing by them.
	Faulty string

	// Tunnel is the attribute "type" of a node's tunnel address, such as
	// vxlanTunnelAddress; empty for a pod. A tunnel has no name and no namespace, is
	// not among the pods, and keeps its handle whenever it starts.
	Tunnel string
	attrs  block.Attrs // of a tunnel that was there
}

// Live returns the cluster as it goes on, at the moment [Snapshot].Latest, or at the
// beginning of 2026 where the resources have no time. Its pods are those that the
// attributes of addresses name, but for addresses that [Check] finds to be nobody's.
// Where the resources list pods, these say what each asks for. Errors are those of
// [Snapshot.Allocator]. Do not change the snapshot as long as the Live is in use.
func (s *Snapshot) Live() (*Live, error) {
	start := s.Latest
	if start.IsZero() {
		start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	// What Check needs is garbage before there is the allocator.
	l := &Live{clock: ipam.NewClock(start), snapshot: s, report: Check(s), cordoned: make(map[string]bool)}
	var err error
	if l.a, err = s.Allocator(ipam.Options{Now: l.clock.Now}); err != nil {
		return nil, err
	}
	l.reserved = reservations(s.Cluster.State)
	l.windows = windowsNodes(s.Cluster.Nodes)
	l.findPods()
	return l, nil
}

// Copy returns a copy of the cluster as it stands, with a clock of its own, in which
// anything can be tried. It fails only where the allocator was edited into a state that
// [ipam.Restore] refuses.
func (l *Live) Copy() (*Live, error) {
	c := *l
	c.clock = ipam.NewClock(l.clock.Now())
	var err error
	if c.a, err = ipam.Restore(l.a.Cluster(), ipam.Options{Now: c.clock.Now, Calico: l.a.Calico()}); err != nil {
		return nil, err
	}
	c.cordoned = make(map[string]bool, len(l.cordoned))
	for node := range l.cordoned {
		c.cordoned[node] = true
	}
	c.freed, c.labels = nil, nil
	c.pods, c.outside = copyPods(l.pods), copyPods(l.outside)
	return &c, nil
}

func copyPods(pods []*LivePod) []*LivePod {
	values, all := make([]LivePod, len(pods)), make([]*LivePod, len(pods))
	for i, p := range pods {
		values[i] = *p
		all[i] = &values[i]
	}
	return all
}

// Allocator returns the allocator. What is done to it directly, the pods do not learn.
func (l *Live) Allocator() *ipam.Allocator { return l.a }

// Clock returns the allocator's clock.
func (l *Live) Clock() *ipam.Clock { return l.clock }

// Report returns what [Check] found in the snapshot.
func (l *Live) Report() *Report { return l.report }

// Pods returns the pods that have addresses of IPAM, in the order of namespace and name.
// The caller owns the slice.
func (l *Live) Pods() []LivePod {
	l.tidy()
	all := make([]LivePod, len(l.pods))
	for i, p := range l.pods {
		all[i] = *p
	}
	return all
}

// CountPods returns how many pods have addresses of IPAM.
func (l *Live) CountPods() int { return len(l.pods) }

// Uses reports whether a pod has an address within the CIDR.
func (l *Live) Uses(cidr netip.Prefix) bool {
	return slices.ContainsFunc(l.pods, func(p *LivePod) bool { return p.Uses(cidr) })
}

// Label returns the pod's namespace and name, or what kind of tunnel it is.
func (p *LivePod) Label() string {
	if p.Tunnel != "" {
		return p.Tunnel
	}
	return p.Namespace + "/" + p.Name
}

// Uses reports whether the pod has an address within the CIDR.
func (p *LivePod) Uses(cidr netip.Prefix) bool { return slices.ContainsFunc(p.IPs, cidr.Contains) }

// Borrows reports whether the pod has an address of a block that is not its node's (§8).
func (l *Live) Borrows(p *LivePod) bool {
	return slices.ContainsFunc(p.IPs, func(ip netip.Addr) bool {
		_, owner, _ := l.a.BlockOf(ip)
		return owner != affinity.HostOwner(p.Node)
	})
}

// Usual returns how many addresses of each family a pod asks for here that asks for
// nothing in particular: one of each that most pods have; without pods one of each that
// there is an enabled pool for.
func (l *Live) Usual() (num4, num6 int) {
	for _, p := range l.pods {
		num4 += min(p.Num4, 1)
		num6 += min(p.Num6, 1)
	}
	if len(l.pods) == 0 {
		num4, num6 = l.familiesOfPools()
	}
	half := len(l.pods) / 2
	num4, num6 = min(max(num4-half, 0), 1), min(max(num6-half, 0), 1)
	if num4+num6 == 0 {
		num4 = 1
	}
	return num4, num6
}

// tidy puts the pods in their order.
func (l *Live) tidy() {
	if l.dirty {
		slices.SortStableFunc(l.pods, comparePods)
		l.dirty = false
	}
}

func comparePods(x, y *LivePod) int {
	return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Name, y.Name), strings.Compare(x.Handle, y.Handle))
}

// find returns the pod of that namespace, name and handle, or nil.
func (l *Live) find(of *LivePod) *LivePod {
	l.tidy()
	i, _ := slices.BinarySearchFunc(l.pods, of, func(x, y *LivePod) int {
		return cmp.Or(strings.Compare(x.Namespace, y.Namespace), strings.Compare(x.Name, y.Name))
	})
	for ; i < len(l.pods) && l.pods[i].Namespace == of.Namespace && l.pods[i].Name == of.Name; i++ {
		if l.pods[i].Handle == of.Handle {
			return l.pods[i]
		}
	}
	return nil
}

// join makes a pod one of the cluster's.
func (l *Live) join(p *LivePod) {
	l.pods, l.dirty = append(l.pods, p), true
	if l.labels != nil {
		l.labels[p.Label()] = true
	}
}

// Has reports whether [Live.Pods] has a pod of that label ([LivePod.Label]).
func (l *Live) Has(label string) bool {
	if l.labels == nil {
		l.labels = make(map[string]bool, len(l.pods))
		for _, p := range l.pods {
			l.labels[p.Label()] = true
		}
	}
	return l.labels[label]
}

// settle takes the pods without addresses out of the list. Then come those whose handle
// was released with another pod that has it: it returns what became of them.
func (l *Live) settle() (moves []Move) {
	for _, p := range l.pods {
		if len(p.IPs) > 0 && len(l.freed) > 0 && l.freed[handleKey(p.Handle)] {
			m := Move{From: p.Node, Old: p.IPs}
			p.IPs = nil
			m.Pod = *p
			m.Err = &ipam.Error{Code: codes.DoesNotExist, Handle: p.Handle, Host: p.Node, Detail: "handle " + p.Handle + " was released with another pod that has it"}
			moves = append(moves, m)
		}
	}
	l.freed, l.labels = nil, nil
	l.pods = slices.DeleteFunc(l.pods, func(p *LivePod) bool { return len(p.IPs) == 0 })
	return moves
}

// madeHandles begins the handles of pods that start.
const madeHandles = "k8s-pod-network.whatif-"

// madeNumber returns the number of a handle that was made, or 0. Letters of either case
// are one (§7).
func madeNumber(id string) int {
	if len(id) <= len(madeHandles) || !strings.EqualFold(id[:len(madeHandles)], madeHandles) {
		return 0
	}
	n, _ := strconv.Atoi(id[len(madeHandles):]) // of one that was not made it is 0
	return n
}
