package whatif

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// An overlap is a pool that shares addresses with something else, or does not where it
// should.
type overlap struct {
	Pool   string `json:"pool"`
	CIDR   string `json:"cidr"`
	With   string `json:"with"`
	Says   string `json:"says"`             // in a sentence
	Severe bool   `json:"severe,omitempty"` // traffic goes wrong
	Asked  bool   `json:"asked,omitempty"`  // with a CIDR of -apart
}

// overlaps holds the pools against each other's clusters (apart), the services, the
// nodes' addresses and what Kubernetes sets aside for pods.
func (w *world) overlaps(s *snapshot.Snapshot, apart []netip.Prefix) []overlap {
	var found []overlap
	for _, p := range w.a.Pools() {
		add := func(with string, severe bool, format string, args ...any) {
			found = append(found, overlap{Pool: p.Name, CIDR: p.CIDR.String(), With: with, Severe: severe, Says: fmt.Sprintf(format, args...)})
		}
		for _, cidr := range apart {
			if p.CIDR.Overlaps(cidr) {
				add(cidr.String(), true, "pool %s %s overlaps %s, which is to be kept apart", p.Name, p.CIDR, cidr)
				found[len(found)-1].Asked = true
			}
		}
		var cluster, nodes []snapshot.Range
		for _, r := range s.Ranges {
			switch {
			case r.For == "services" && p.CIDR.Overlaps(r.CIDR):
				add(r.CIDR.String(), true, "pool %s %s overlaps the services' range %s (%s): a pod and a service may have the same address", p.Name, p.CIDR, r.CIDR, r.From)
			case r.For == "pods of the cluster" && r.CIDR.Addr().Is4() == p.CIDR.Addr().Is4():
				cluster = append(cluster, r)
			case r.For == "pods of one node" && p.CIDR.Overlaps(r.CIDR):
				nodes = append(nodes, r)
			}
		}
		outside(p, cluster, add)
		if len(nodes) > 0 {
			add(nodes[0].CIDR.String(), false, "pool %s %s overlaps the podCIDR of %s, such as %s of %s; Calico's IPAM does not look at those, but host-local and cloud routes do, and would have the same addresses",
				p.Name, p.CIDR, plural(len(nodes), "node"), nodes[0].CIDR, nodes[0].Node)
		}
		var hosts []string
		for _, a := range s.Addresses {
			if a.Tunnel == "" && p.CIDR.Contains(a.IP) {
				hosts = append(hosts, a.IP.String()+" of "+a.Node)
			}
		}
		if len(hosts) > 0 {
			add(hosts[0], true, "pool %s %s has %s, which are addresses of the nodes themselves: pods may get them; an IPReservation keeps them out", p.Name, p.CIDR, listText(hosts))
		}
	}
	return found
}

// outside finds a pool whose addresses kube-proxy takes for those of strangers.
func outside(p pool.Spec, cluster []snapshot.Range, add func(with string, severe bool, format string, args ...any)) {
	if len(cluster) == 0 || p.Disabled {
		return
	}
	within := func(r snapshot.Range) bool { return r.CIDR.Bits() <= p.CIDR.Bits() && r.CIDR.Contains(p.CIDR.Addr()) }
	if slices.ContainsFunc(cluster, within) {
		return
	}
	add(cluster[0].CIDR.String(), false, "pool %s %s lies outside the cluster's range for pods, %s (%s): kube-proxy hides the source of what its pods send to services, and rules that go by the range leave it out",
		p.Name, p.CIDR, cluster[0].CIDR, cluster[0].From)
}

// overlaps prints them.
func (p *printer) overlaps(found []overlap, s *snapshot.Snapshot, apart []netip.Prefix) {
	p.line("\n== Ranges\n")
	for _, o := range found {
		p.text("  ", "%s", o.Says)
	}
	if len(found) == 0 {
		p.line("The pools are apart from all that was looked at.")
	}
	if len(s.Ranges) == 0 {
		p.note("the files do not say which ranges services and nodes have: kubectl get configmaps -n kube-system kube-proxy kubeadm-config -o json, and servicecidrs")
	}
	if len(apart) == 0 {
		p.note("-apart CIDR holds the pools against the ranges of other clusters and networks")
	}
}
