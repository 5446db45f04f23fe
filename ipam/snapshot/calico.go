package snapshot

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
)

// This file reads the nodes and pods as calicoctl get prints them, which a cluster on
// etcd has instead of Kubernetes' own.

// cidrOfKey returns the CIDR of a key of etcd, such as 10.0.0.0-26; invalid for none.
func cidrOfKey(text string) netip.Prefix {
	if i := strings.LastIndexByte(text, '-'); i > 0 {
		text = text[:i] + "/" + text[i+1:]
	}
	cidr, _ := netip.ParsePrefix(text)
	return cidr
}

// addrOf parses an address that may have a mask, or be anything else.
func addrOf(text word) (ip netip.Addr, ok bool) {
	address, _, _ := strings.Cut(string(text), "/")
	ip, err := netip.ParseAddr(address)
	return ip.Unmap(), err == nil && ip.Zone() == ""
}

// calicoNodeSpec is the spec of a Node of projectcalico.org.
type calicoNodeSpec struct {
	BGP struct {
		IPv4     word `json:"ipv4Address"`
		IPv6     word `json:"ipv6Address"`
		IPIPAddr word `json:"ipv4IPIPTunnelAddr"`
	} `json:"bgp"`
	VXLAN4    word `json:"ipv4VXLANTunnelAddr"`
	VXLAN6    word `json:"ipv6VXLANTunnelAddr"`
	Wireguard struct {
		IPv4 word `json:"interfaceIPv4Address"`
		IPv6 word `json:"interfaceIPv6Address"`
	} `json:"wireguard"`
	Addresses []struct {
		Address word `json:"address"`
	} `json:"addresses"`
	OrchRefs []struct {
		NodeName     word `json:"nodeName"`
		Orchestrator word `json:"orchestrator"`
	} `json:"orchRefs"`
}

// calicoNode reads a node. Kubernetes' object for it, if there is one, has the labels.
func (o *object) calicoNode() {
	if o.name == "" {
		o.wrong("metadata.name", "is missing")
	}
	n := ipam.Node{Name: o.name, Labels: o.texts("metadata.labels", o.Metadata.Labels)}
	if o.bad {
		return
	}
	var spec calicoNodeSpec
	loose(o.Spec, &spec)
	add := func(text word, tunnel string) {
		if ip, ok := addrOf(text); ok {
			o.l.addresses = append(o.l.addresses, located[NodeAddress]{o.at, NodeAddress{o.name, ip, tunnel}})
		}
	}
	for i, text := range []word{spec.BGP.IPIPAddr, spec.VXLAN4, spec.VXLAN6, spec.Wireguard.IPv4, spec.Wireguard.IPv6} {
		add(text, tunnelAnnotations[i].kind)
	}
	add(spec.BGP.IPv4, "")
	add(spec.BGP.IPv6, "")
	for _, a := range spec.Addresses {
		add(a.Address, "")
	}
	c := calicoNode{node: located[ipam.Node]{o.at, n}}
	for _, ref := range spec.OrchRefs {
		if ref.Orchestrator == "k8s" {
			c.kubernetes = string(ref.NodeName)
		}
	}
	o.l.calicoNodes = append(o.l.calicoNodes, c)
}

// calicoNode is a node of projectcalico.org, with its name in Kubernetes, if any.
type calicoNode struct {
	node       located[ipam.Node]
	kubernetes string
}

// workloadEndpoint reads the addresses of a pod, or of another workload.
func (o *object) workloadEndpoint() {
	var spec struct {
		Pod      word   `json:"pod"`
		Workload word   `json:"workload"`
		Node     word   `json:"node"`
		Networks []word `json:"ipNetworks"`
	}
	loose(o.Spec, &spec)
	p := Pod{Namespace: o.label("metadata.namespace", o.Metadata.Namespace), Name: string(spec.Pod), Node: string(spec.Node)}
	if p.Name == "" {
		p.Name = string(spec.Workload)
	}
	if p.Name == "" {
		p.Name = o.name
	}
	if p.Name == "" || len(p.Name) > maxName || o.bad {
		o.wrong("spec.pod", "is missing")
		return
	}
	for _, text := range spec.Networks {
		if ip, ok := addrOf(text); ok {
			p.IPs = append(p.IPs, ip)
		}
	}
	o.l.endpoints = append(o.l.endpoints, located[Pod]{o.at, p})
}

// ofCalico adds the nodes and pods that only Calico's objects have.
func (l *Loader) ofCalico() {
	if len(l.calicoNodes) > 0 {
		l.addCalicoNodes()
	}
	if len(l.endpoints) > 0 {
		l.addEndpoints()
	}
	seen := make(map[NodeAddress]bool, len(l.addresses))
	l.addresses = slices.DeleteFunc(l.addresses, func(a located[NodeAddress]) bool {
		again := seen[a.T]
		seen[a.T] = true
		return again
	})
}

// addCalicoNodes adds the nodes that Kubernetes does not have.
func (l *Loader) addCalicoNodes() {
	have := make(map[string]bool)
	for i := range l.nodes {
		have[l.nodes[i].T.Name] = true
	}
	for _, c := range l.calicoNodes {
		if !have[c.node.T.Name] && !have[c.kubernetes] {
			have[c.node.T.Name] = true
			l.nodes = append(l.nodes, c.node)
		}
	}
}

// addEndpoints adds the pods of workload endpoints.
func (l *Loader) addEndpoints() {
	at := make(map[string]int)
	for i := range l.pods {
		at[l.pods[i].T.Namespace+"/"+l.pods[i].T.Name] = i
	}
	kubernetes := len(l.pods)
	for _, e := range l.endpoints {
		key := e.T.Namespace + "/" + e.T.Name
		i, known := at[key]
		switch {
		case !known:
			at[key] = len(l.pods)
			l.pods = append(l.pods, e)
		case i >= kubernetes: // a pod of several endpoints
			for _, ip := range e.T.IPs {
				if !slices.Contains(l.pods[i].T.IPs, ip) {
					l.pods[i].T.IPs = append(l.pods[i].T.IPs, ip)
				}
			}
		}
	}
}
