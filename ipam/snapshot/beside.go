package snapshot

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// This file reads what a cluster has beside IPAM's own objects, as far as it is of use.
// Such an object is never a problem: what does not look as expected says nothing.

// A Namespace is what pools choose namespaces by.
type Namespace struct {
	Name        string
	Labels      map[string]string
	Annotations map[string]string
}

// A Service is one that has addresses of its own outside the cluster.
type Service struct {
	Namespace, Name string
	IPs             []netip.Addr // of load balancers, as its status reports them
}

// A Range is a range of addresses that an object sets aside.
type Range struct {
	CIDR netip.Prefix
	// For is what it is for: "pods of one node" (Node.spec.podCIDRs), "pods of the
	// cluster" (kube-proxy's clusterCIDR, kubeadm's podSubnet) or "services" (kubeadm's
	// serviceSubnet, ServiceCIDR objects). Programs may rely on the text.
	For string
	// From is where it stands, such as "Node a" or "ConfigMap kube-system/kube-proxy".
	From string
	Node string // of which it has the pods; empty for the other uses
}

// What ranges are for, as [Range] explains it.
const (
	podsOfNode    = "pods of one node"
	podsOfCluster = "pods of the cluster"
	forServices   = "services"
)

const (
	groupNetworking     = "networking.k8s.io/v1"
	groupNetworkingBeta = "networking.k8s.io/v1beta1"
)

// besideReaders are kinds that are read only for what they say besides.
var besideReaders = map[string]func(*object){
	groupV1 + " ClusterInformation": (*object).clusterInformation,
	groupV3 + " ClusterInformation": (*object).clusterInformation,
	groupApps + " DaemonSet":        (*object).daemonSet,

	groupV1 + " KubeControllersConfiguration": (*object).kubeControllers,
	groupV3 + " KubeControllersConfiguration": (*object).kubeControllers,

	groupCore + " Namespace":             (*object).namespace,
	groupCore + " Service":               (*object).service,
	groupCore + " ConfigMap":             (*object).configMap,
	groupNetworking + " ServiceCIDR":     (*object).serviceCIDR,
	groupNetworkingBeta + " ServiceCIDR": (*object).serviceCIDR,
}

// kubeControllers reads the grace period of the controller that cleans up (§12).
func (o *object) kubeControllers() {
	var spec struct {
		Controllers struct {
			Node *struct {
				LeakGracePeriod word `json:"leakGracePeriod"`
			} `json:"node"`
		} `json:"controllers"`
	}
	loose(o.Spec, &spec)
	if spec.Controllers.Node == nil {
		return
	}
	grace, err := time.ParseDuration(string(spec.Controllers.Node.LeakGracePeriod))
	if err == nil && grace >= 0 {
		o.l.grace, o.l.graceFrom = grace, o.title
	}
}

func (o *object) namespace() {
	if o.name == "" || o.Metadata.Labels.wrong != "" {
		return
	}
	var annotations map[string]string
	loose(o.Metadata.Annotations, &annotations)
	o.l.namespaces = append(o.l.namespaces, located[Namespace]{o.at, Namespace{o.name, o.Metadata.Labels.value, annotations}})
}

func (o *object) service() {
	var spec struct {
		Type word `json:"type"`
	}
	var status struct {
		LoadBalancer struct {
			Ingress []struct {
				IP word `json:"ip"`
			} `json:"ingress"`
		} `json:"loadBalancer"`
	}
	loose(o.Spec, &spec)
	loose(o.Status, &status)
	if spec.Type != "LoadBalancer" {
		return
	}
	s := Service{Namespace: o.label("metadata.namespace", o.Metadata.Namespace), Name: o.name}
	for _, in := range status.LoadBalancer.Ingress {
		if ip, err := netip.ParseAddr(string(in.IP)); err == nil {
			s.IPs = append(s.IPs, ip.Unmap())
		}
	}
	o.l.services = append(o.l.services, located[Service]{o.at, s})
}

// configMap reads what kube-proxy and kubeadm keep of the cluster's ranges.
func (o *object) configMap() {
	from := "ConfigMap " + o.Metadata.Namespace.value + "/" + o.name
	switch o.name {
	case "kube-proxy":
		var config struct {
			ClusterCIDR string `yaml:"clusterCIDR"`
		}
		o.data("config.conf", &config)
		o.ranges(config.ClusterCIDR, podsOfCluster, from, "")
	case "kubeadm-config":
		var config struct {
			Networking struct {
				PodSubnet     string `yaml:"podSubnet"`
				ServiceSubnet string `yaml:"serviceSubnet"`
			} `yaml:"networking"`
		}
		o.data("ClusterConfiguration", &config)
		o.ranges(config.Networking.PodSubnet, podsOfCluster, from, "")
		o.ranges(config.Networking.ServiceSubnet, forServices, from, "")
	default:
		o.l.skipped[o.kind]++
	}
}

// maxConfig is the longest entry of a ConfigMap that is looked into, in bytes. The
// configurations looked for have a few thousand.
const maxConfig = 64 << 10

// data reads an entry of a ConfigMap, which is YAML, as far as it has the expected form.
func (o *object) data(key string, into any) {
	var data map[string]string
	loose(o.Data, &data)
	text := data[key]
	if len(text) > maxConfig || strings.ContainsAny(text, "&*") { // no aliases
		return
	}
	defer func() { _ = recover() }() // the parser panics on some texts
	_ = yaml.NewDecoder(bytes.NewReader([]byte(text))).Decode(into)
}

func (o *object) serviceCIDR() {
	var spec struct {
		CIDRs []string `json:"cidrs"`
	}
	loose(o.Spec, &spec)
	o.ranges(strings.Join(spec.CIDRs, ","), forServices, o.title, "")
}

// ranges notes the CIDRs of a list that commas separate.
func (o *object) ranges(list string, use, from, node string) {
	for text := range strings.SplitSeq(list, ",") {
		cidr, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			continue
		}
		r := Range{cidr.Masked(), use, from, node}
		if !slices.Contains(o.l.ranges[from], r) {
			o.l.ranges[from] = append(o.l.ranges[from], r)
		}
	}
}

// podCIDRs notes the ranges that Kubernetes set aside for a node.
func (o *object) podCIDRs() {
	if !bytes.Contains(o.Spec, []byte("podCIDR")) {
		return
	}
	var spec struct {
		PodCIDR  word   `json:"podCIDR"`
		PodCIDRs []word `json:"podCIDRs"`
	}
	loose(o.Spec, &spec)
	for _, cidr := range append(spec.PodCIDRs, spec.PodCIDR) {
		o.ranges(string(cidr), podsOfNode, "Node "+o.name, o.name)
	}
}

// beside adds to a snapshot what the cluster has beside IPAM's own objects.
func (l *Loader) beside(s *Snapshot) {
	l.namespaces = sorted(l, l.namespaces, func(x, y *Namespace) int { return strings.Compare(x.Name, y.Name) })
	s.Namespaces = values(l.namespaces, func(n located[Namespace]) Namespace { return n.T })
	s.Namespaces = slices.CompactFunc(s.Namespaces, func(x, y Namespace) bool { return x.Name == y.Name })
	l.services = sorted(l, l.services, func(x, y *Service) int {
		return strings.Compare(x.Namespace+"/"+x.Name, y.Namespace+"/"+y.Name)
	})
	s.Services = values(l.services, func(v located[Service]) Service { return v.T })
	s.Services = slices.CompactFunc(s.Services, func(x, y Service) bool { return x.Namespace == y.Namespace && x.Name == y.Name })
	for _, from := range sortedKeys(l.ranges) {
		s.Ranges = append(s.Ranges, l.ranges[from]...)
	}
	s.GracePeriod, s.GracePeriodFrom = l.grace, l.graceFrom
	if l.graceFrom == "" {
		s.GracePeriod = lifecycle.DefaultPolicy().GracePeriod
		s.GracePeriodFrom = fmt.Sprintf("the default of %s", s.GracePeriod)
	}
}
