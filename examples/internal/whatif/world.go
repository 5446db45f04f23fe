package whatif

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// A world is the cluster that the changes are made in: its allocator, and the
// pods on it.
type world struct {
	a     *ipam.Allocator
	clock *ipam.Clock

	pods     []*pod // by namespace and name
	cordoned map[string]bool
	reserved map[string]reservation // by node
	windows  map[string]bool        // the nodes that run Windows
	// handlesMade are the moments at which handles were made, as far as it is known.
	handlesMade map[string]time.Time
	report      *snapshot.Report // on the snapshot
	policy      lifecycle.Policy // how kube-controllers cleans up
	addMachines func(*lifecycle.Cluster)
	ended       []lifecycle.Pod // pods that have ended, which kube-controllers still sees
	taken       []netip.Prefix  // ranges that nodes and services use
	outside     []*pod          // that have addresses without IPAM, which no figure counts
	// faulty are the pods that asked in this step and that the CNI plug-in refuses, with
	// why: what they get here they get once their annotations are right.
	faulty   map[string]string
	commands []string // what cleans up in the real cluster what nobody else does
	last     figures  // as of the last step, or as it was loaded
	made     int      // handles made so far, so that each has its own
}

// pod is a pod with addresses, or one that wants some.
type pod struct {
	namespace, name string
	node            string
	handle          string
	ips             []netip.Addr
	want4, want6    int
	// What it must ask for by CIDR, for no automatic choice would give it that.
	pools4, pools6 []netip.Prefix
	noPool         string       // what it asks for and does not exist
	fixed          []netip.Addr // that it asks for, and no others
	faulty         string       // why the CNI plug-in refuses it
}

func (p *pod) label() string { return p.namespace + "/" + p.name }

// newWorld builds the cluster. Its clock shows the latest moment that the snapshot
// speaks of; nobody knows how much later it was taken.
func newWorld(s *snapshot.Snapshot) (*world, error) {
	start := s.Latest
	if start.IsZero() {
		start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	w := &world{clock: ipam.NewClock(start), cordoned: make(map[string]bool), faulty: make(map[string]string)}
	var err error
	if w.a, err = s.Allocator(ipam.Options{Now: w.clock.Now}); err != nil {
		return nil, err
	}
	w.reserved = reservations(s.Cluster.State)
	w.windows = windows(s.Cluster.Nodes)
	w.handlesMade = s.HandlesMade
	for _, r := range s.Ranges {
		w.taken = append(w.taken, r.CIDR)
	}
	for _, a := range s.Addresses {
		w.taken = append(w.taken, netip.PrefixFrom(a.IP, a.IP.BitLen()))
	}
	w.look(s)
	w.last = w.figures()
	return w, nil
}

// podsOf returns who has an address of the allocator's, as the attributes say, but for
// those that are nobody's. The pods of the snapshot are by "namespace/name".
func (w *world) podsOf(nobodys map[netip.Addr]bool, listed map[string]*snapshot.Pod) []*pod {
	byName := make(map[string]*pod)
	var pods []*pod
	s := w.a.State()
	specs := w.a.Pools()
	uses := make(map[netip.Addr]bool)
	for _, l := range listed {
		for _, ip := range l.IPs {
			uses[ip] = true
		}
	}
	for i := range s.Blocks {
		b := &s.Blocks[i]
		by := poolOf(specs, b.CIDR.Addr())
		for _, al := range b.Allocations {
			namespace, _ := al.Active.Get(ipam.AttrNamespace)
			name, _ := al.Active.Get(ipam.AttrPod)
			node, _ := al.Active.Get(ipam.AttrNode)
			ip := b.Addr(al.Ordinal)
			if name == "" || namespace == "" || node == "" || al.Handle == "" || nobodys[ip] {
				continue
			}
			if _, isMachine := al.Active.Get(ipam.AttrVMI); isMachine && listed[namespace+"/"+name] == nil && !uses[ip] && !w.report.Unknown.Pods {
				continue // the machine is stopped, and keeps its address
			}
			key := al.Handle + "\n" + namespace + "/" + name
			p := byName[key]
			if p == nil {
				p = &pod{namespace: namespace, name: name, node: node, handle: al.Handle}
				if l := listed[p.label()]; l != nil && l.Node != "" && !w.report.Unknown.Nodes {
					p.node = l.Node
				}
				byName[key] = p
				pods = append(pods, p)
			}
			p.add(ip, by)
		}
	}
	for _, p := range pods {
		if l := listed[p.label()]; l != nil {
			p.asks(l, specs)
		}
	}
	slices.SortStableFunc(pods, comparePods)
	return pods
}

func comparePods(x, y *pod) int {
	return cmp.Or(strings.Compare(x.namespace, y.namespace), strings.Compare(x.name, y.name), strings.Compare(x.handle, y.handle))
}

// add notes an address that the pod has, from that pool.
func (p *pod) add(ip netip.Addr, from *pool.Spec) {
	p.ips = append(p.ips, ip)
	asked := from != nil && (from.AssignmentMode == pool.Manual || from.NamespaceSelector != "" && from.NamespaceSelector != "all()")
	want, pools := &p.want4, &p.pools4
	if ip.Is6() {
		want, pools = &p.want6, &p.pools6
	}
	*want++
	if asked && !slices.Contains(*pools, from.CIDR) {
		*pools = append(*pools, from.CIDR)
	}
}

// windows returns the nodes that run Windows, as the label says that kubelet gives
// them.
func windows(nodes []ipam.Node) map[string]bool {
	all := make(map[string]bool)
	for _, n := range nodes {
		if n.Labels["kubernetes.io/os"] == "windows" {
			all[n.Name] = true
		}
	}
	return all
}

// poolOf returns the pool that has the address, or nil.
func poolOf(specs []pool.Spec, ip netip.Addr) *pool.Spec {
	for i := range specs {
		if specs[i].CIDR.Contains(ip) {
			return &specs[i]
		}
	}
	return nil
}

// trial returns a copy of the world, in which anything can be tried.
func (w *world) trial() (*world, error) {
	t := &world{clock: ipam.NewClock(w.clock.Now()), cordoned: w.cordoned, reserved: w.reserved, windows: w.windows, made: w.made, faulty: w.faulty, taken: w.taken}
	var err error
	if t.a, err = ipam.Restore(w.a.Cluster(), ipam.Options{Now: t.clock.Now, Calico: w.a.Calico()}); err != nil {
		return nil, err
	}
	t.pods, t.outside = copied(w.pods), copied(w.outside)
	return t, nil
}

// copied returns copies of pods.
func copied(pods []*pod) []*pod {
	all := make([]*pod, len(pods))
	for i, p := range pods {
		c := *p
		all[i] = &c
	}
	return all
}

// ask asks for the addresses that a pod wants, on its node. It returns why it was
// refused, or "". A pod that gets fewer than it wants gives them back.
func (w *world) ask(p *pod) string {
	if p.faulty != "" {
		w.faulty[p.label()] = p.faulty
	}
	if p.noPool != "" {
		p.ips = nil
		return "its annotation asks for pool " + p.noPool + ", which does not exist"
	}
	w.made++
	p.handle = fmt.Sprintf("k8s-pod-network.whatif-%d", w.made)
	p.ips = nil
	attrs := map[string]string{ipam.AttrNamespace: p.namespace, ipam.AttrPod: p.name, ipam.AttrNode: p.node}
	if len(p.fixed) > 0 {
		return w.askFixed(p, attrs)
	}
	return w.request(p, pool.Workload, attrs)
}

func (w *world) request(p *pod, use pool.Use, attrs map[string]string) string {
	w.clock.Advance(time.Second)
	reserve := w.reserved[p.node]
	v4, v6, err := w.a.AutoAssign(ipam.AutoAssignArgs{
		Host: p.node, Num4: p.want4, Num6: p.want6, Handle: p.handle, Attrs: block.MakeAttrs(attrs), Use: use,
		Pools4: p.pools4, Pools6: p.pools6, HostReserved4: reserve.v4, HostReserved6: reserve.v6, Windows: w.windows[p.node],
	})
	for _, ip := range append(v4.IPs, v6.IPs...) {
		p.ips = append(p.ips, ip.Addr())
	}
	if len(p.ips) == p.want4+p.want6 && err == nil {
		return ""
	}
	if len(p.ips) > 0 {
		_ = w.a.ReleaseByHandle(p.handle)
		p.ips = nil
	}
	return reason(err, append(v4.Msgs, v6.Msgs...))
}

// reservation is what a Windows node keeps at both ends of its blocks.
type reservation struct{ v4, v6 *ipam.HostReservation }

// reservations finds out what nodes keep of their blocks.
func reservations(s ipam.State) map[string]reservation {
	all := make(map[string]reservation)
	for i := range s.Blocks {
		b := &s.Blocks[i]
		var r ipam.HostReservation
		for _, al := range b.Allocations {
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

// release gives a pod's addresses back.
func (w *world) release(p *pod) {
	w.clock.Advance(time.Second)
	_ = w.a.ReleaseByHandle(p.handle) // one that holds nothing is no error here
	p.ips = nil
}

// remove takes pods out of the list.
func (w *world) remove(gone map[*pod]bool) {
	w.pods = slices.DeleteFunc(w.pods, func(p *pod) bool { return gone[p] })
}

// reason says why a request was refused, for people to read.
func reason(err error, msgs []string) string {
	var whys []string
	for _, m := range msgs {
		what, about, _ := strings.Cut(m, ":")
		switch what {
		case "block-limit":
			whys = append(whys, "its node has "+about+" blocks, which is the limit, and they are full")
		case "strict-affinity":
			whys = append(whys, "no block is left to claim, and strict affinity forbids borrowing")
		case "exhausted":
			whys = append(whys, "every address is taken in "+strings.ReplaceAll(about, ",", ", "))
		default:
			whys = append(whys, m)
		}
	}
	if errors.Is(err, codes.StrictAffinityRequired) {
		whys = append(whys, "its node runs Windows, where Calico needs strict affinity")
	} else if len(whys) == 0 && err != nil {
		whys = append(whys, strings.TrimPrefix(err.Error(), "ipam: "))
	}
	if len(whys) == 0 {
		whys = append(whys, "no address is left")
	}
	return strings.Join(whys, "; ")
}
