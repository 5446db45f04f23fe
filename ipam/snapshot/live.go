package snapshot

import (
	"bytes"
	"net/netip"

	"github.com/ipamsim/ipamsim/ipam"
)

// A Pod is what [Check] needs to know about a pod.
type Pod struct {
	Namespace, Name string
	Node            string       // empty until it is scheduled
	IPs             []netip.Addr // as its status reports them
	HostNetwork     bool         // its addresses are its node's
	Ended           bool         // Succeeded or Failed: it uses no address any more
	Evicted         bool         // Failed for the reason Evicted (§12)
	// Machine is the virtual machine that it runs, of the same namespace; empty for none.
	Machine string
	// Pools4 and Pools6 are the pools that its annotations ask for, or else those of
	// its namespace, by name or CIDR.
	Pools4, Pools6 []string
	// Fixed are the addresses that the annotation ipAddrs asks IPAM for: the pod gets
	// exactly these, or does not start (§11).
	Fixed []netip.Addr
	// Outside are those of the annotation ipAddrsNoIpam, which it has without IPAM.
	Outside []netip.Addr
	// Floating are those of the annotation floatingIPs, which Felix translates to the
	// pod's own, and which IPAM does not book.
	Floating []netip.Addr
	// Faulty says why the CNI plug-in refuses the pod's annotations, and so the pod
	// when it starts again; empty if it does not.
	Faulty string
}

// NodeAddress is an address that a node uses: its own, or that of a tunnel.
type NodeAddress struct {
	Node string
	IP   netip.Addr
	// Tunnel is the attribute "type" of such an address, such as
	// vxlanTunnelAddress; empty for an address of the node itself.
	Tunnel string
}

// tunnelAnnotations are the annotations where Calico keeps the tunnel addresses of a
// Kubernetes node, with the attribute "type" of their allocations (§11, §12).
var tunnelAnnotations = []struct{ annotation, kind string }{
	{"projectcalico.org/IPv4IPIPTunnelAddr", "ipipTunnelAddress"},
	{"projectcalico.org/IPv4VXLANTunnelAddr", "vxlanTunnelAddress"},
	{"projectcalico.org/IPv6VXLANTunnelAddr", "vxlanV6TunnelAddress"},
	{"projectcalico.org/IPv4WireguardInterfaceAddr", "wireguardTunnelAddress"},
	{"projectcalico.org/IPv6WireguardInterfaceAddr", "wireguardV6TunnelAddress"},
}

// annotations returns the object's annotations. Most kinds do not need them, so
// they are decoded only here.
func (o *object) annotations() map[string]string {
	var a field[map[string]string]
	if len(o.Metadata.Annotations) > 0 {
		if err := decode(o.Metadata.Annotations, &a); err != nil {
			return nil // impossible: it is valid JSON, and a field takes any
		}
	}
	return o.texts("metadata.annotations", a)
}

type nodeStatus struct {
	Addresses field[[]nodeAddress] `json:"addresses"`
}

type nodeAddress struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

func (o *object) node() {
	n := ipam.Node{Name: o.name, Labels: o.texts("metadata.labels", o.Metadata.Labels)}
	if n.Name == "" {
		o.wrong("metadata.name", "is missing")
	}
	status := new(nodeStatus)
	if len(o.Status) > 0 {
		var quick bool
		if status, quick = o.quickNode(); !quick {
			*status = nodeStatus{}
			o.part("status", o.Status, status)
		}
	}
	annotations := o.annotations()
	for _, t := range tunnelAnnotations {
		if text := annotations[t.annotation]; text != "" {
			if ip, ok := o.addr("metadata.annotations."+t.annotation, text); ok {
				o.l.addresses = append(o.l.addresses, located[NodeAddress]{o.at, NodeAddress{n.Name, ip, t.kind}})
			}
		}
	}
	for _, a := range get(o, "status.addresses", status.Addresses) {
		if a.Type == "Hostname" || a.Type == "InternalDNS" || a.Type == "ExternalDNS" {
			continue
		}
		if ip, ok := o.addr("status.addresses", a.Address); ok {
			o.l.addresses = append(o.l.addresses, located[NodeAddress]{o.at, NodeAddress{Node: n.Name, IP: ip}})
		}
	}
	o.podCIDRs()
	if !o.bad {
		o.l.nodes = append(o.l.nodes, located[ipam.Node]{o.at, n})
	}
}

// addr parses an address.
func (o *object) addr(name, text string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		o.wrong(name, "%s is not an IP address", quote(text))
		return netip.Addr{}, false
	}
	return ip.Unmap(), true
}

type podSpec struct {
	NodeName    field[string] `json:"nodeName"`
	HostNetwork flag          `json:"hostNetwork"`
}

type podStatus struct {
	Phase  field[string]  `json:"phase"`
	Reason word           `json:"reason"`
	PodIP  field[string]  `json:"podIP"`
	PodIPs field[[]podIP] `json:"podIPs"`
}

type podIP struct {
	IP string `json:"ip"`
}

func (o *object) pod() {
	namespace := o.label("metadata.namespace", o.Metadata.Namespace)
	if namespace != "" {
		o.title = "Pod " + namespace + "/" + o.name
	}
	if o.name == "" || namespace == "" {
		o.wrong("metadata", "a pod has a name and a namespace")
	}
	pod, quick := o.quickPod()
	spec, status := &pod.spec, &pod.status
	if !quick {
		*pod = podParts{}
		if len(o.Spec) > 0 {
			o.part("spec", o.Spec, spec)
		}
		if len(o.Status) > 0 {
			o.part("status", o.Status, status)
		}
	}
	p := Pod{
		Namespace: namespace, Name: o.name,
		Node:        o.text("spec.nodeName", spec.NodeName),
		HostNetwork: get(o, "spec.hostNetwork", spec.HostNetwork.field),
	}
	p.Machine = o.machineOf()
	phase := o.text("status.phase", status.Phase)
	p.Ended = phase == "Succeeded" || phase == "Failed"
	p.Evicted = phase == "Failed" && status.Reason == "Evicted"
	if bytes.Contains(o.Metadata.Annotations, []byte("cni.projectcalico.org/")) { // few have
		o.asks(&p)
	}
	for _, given := range get(o, "status.podIPs", status.PodIPs) {
		if ip, ok := o.addr("status.podIPs", given.IP); ok {
			p.IPs = append(p.IPs, ip)
		}
	}
	if one := o.text("status.podIP", status.PodIP); one != "" && len(p.IPs) == 0 {
		if ip, ok := o.addr("status.podIP", one); ok {
			p.IPs = append(p.IPs, ip)
		}
	}
	if !p.Ended {
		o.podVersion()
	}
	if !o.bad {
		o.l.pods = append(o.l.pods, located[Pod]{o.at, p})
	}
}
