package snapshot

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// This file reads what clusters are made from: the operator's Installation and
// the list of nodes of a Kind cluster.

// defaultPool is the operator's pool for an Installation that lists none.
var defaultPool = netip.MustParsePrefix("192.168.0.0/16")

// The names that the operator gives to the first unnamed pool of each family. It
// names further ones after their CIDR.
const (
	defaultPool4 = "default-ipv4-ippool"
	defaultPool6 = "default-ipv6-ippool"
)

type installationSpec struct {
	CalicoNetwork *struct {
		IPPools field[[]operatorPool] `json:"ipPools"`
	} `json:"calicoNetwork"`
}

// operatorPool is a pool of an Installation. Its field for a disabled pool is not
// that of an IPPool.
type operatorPool struct {
	Name field[string] `json:"name"`
	poolSpec
	DisableNewAllocations flag          `json:"disableNewAllocations"`
	Encapsulation         field[string] `json:"encapsulation"`
	NATOutgoing           field[string] `json:"natOutgoing"`
}

// The operator's defaults.
const (
	defaultEncapsulation = "IPIP"
	natEnabled           = "Enabled"
)

func (o *object) installation() {
	o.installationVersion()
	var spec installationSpec
	if len(o.Spec) > 0 && !o.part("spec", o.Spec, &spec) {
		return
	}
	if spec.CalicoNetwork == nil || !spec.CalicoNetwork.IPPools.given {
		o.l.fromOperator = append(o.l.fromOperator, named[pool.Spec]{defaultPool4, o.at, pool.Spec{Name: defaultPool4, CIDR: defaultPool}.WithDefaults()})
		o.l.networks = append(o.l.networks, located[Network]{o.at, Network{defaultPool4, defaultEncapsulation, true}})
		return
	}
	pools := get(o, "spec.calicoNetwork.ipPools", spec.CalicoNetwork.IPPools)
	taken := make(map[string]bool)
	for i := range pools {
		taken[pools[i].Name.value] = true
	}
	for i := range pools {
		at := fmt.Sprintf("spec.calicoNetwork.ipPools[%d]", i)
		name := o.label(at+".name", pools[i].Name)
		if name == "" {
			name = unnamedPool(pools[i].CIDR.value, taken)
		}
		taken[name] = true
		p, ok := o.poolSpec(at, name, &pools[i].poolSpec)
		if get(o, at+".disableNewAllocations", pools[i].DisableNewAllocations.field) {
			p.Disabled = true
		}
		n := Network{name, o.text(at+".encapsulation", pools[i].Encapsulation), true}
		if n.Encapsulation == "" {
			n.Encapsulation = defaultEncapsulation
		}
		if nat := o.text(at+".natOutgoing", pools[i].NATOutgoing); nat != "" {
			n.NATOutgoing = nat == natEnabled
		}
		if ok {
			o.l.fromOperator = append(o.l.fromOperator, named[pool.Spec]{p.Name, o.at, p})
			o.l.networks = append(o.l.networks, located[Network]{o.at, n})
		}
	}
}

// unnamedPool returns the operator's name for a pool without one.
func unnamedPool(text string, taken map[string]bool) string {
	cidr, err := netip.ParsePrefix(text)
	if err != nil {
		return "unnamed" // it will be refused for its CIDR
	}
	name := defaultPool6
	if cidr.Addr().Is4() {
		name = defaultPool4
	}
	if taken[name] {
		return affinity.CIDRName(cidr)
	}
	return name
}

// poolsOfOperator returns the pools of an Installation that are no IPPool yet. In a
// cluster that runs, the operator has made each, and the IPPool is what counts.
func (l *Loader) poolsOfOperator() []named[pool.Spec] {
	return slices.DeleteFunc(slices.Clone(l.fromOperator), func(o named[pool.Spec]) bool {
		return slices.ContainsFunc(l.pools, func(p named[pool.Spec]) bool { return p.T.CIDR == o.T.CIDR })
	})
}

// kindNode is a node of a Kind cluster's file.
type kindNode struct {
	Role   field[string]            `json:"role"`
	Labels field[map[string]string] `json:"labels"`
}

const (
	controlPlane = "control-plane"
	worker       = "worker"
)

func (o *object) kindCluster() {
	name := o.label("name", o.Name)
	if name == "" {
		name = "kind"
	}
	var given field[[]kindNode]
	if len(o.Nodes) > 0 && !o.part("nodes", o.Nodes, &given) {
		return
	}
	nodes := get(o, "nodes", given)
	if len(nodes) == 0 {
		nodes = []kindNode{{}}
	}
	count := make(map[string]int) // of each role
	for i, n := range nodes {
		at := fmt.Sprintf("nodes[%d]", i)
		role := o.label(at+".role", n.Role)
		switch role {
		case "":
			role = controlPlane
		case controlPlane, worker:
		default:
			o.wrong(at+".role", "is %s, must be %s or %s", quote(role), controlPlane, worker)
			continue
		}
		count[role]++
		node := ipam.Node{Name: name + "-" + role, Labels: make(map[string]string)}
		if count[role] > 1 {
			node.Name += fmt.Sprint(count[role])
		}
		for key, value := range o.texts(at+".labels", n.Labels) {
			node.Labels[key] = value
		}
		node.Labels["kubernetes.io/hostname"], node.Labels["kubernetes.io/os"] = node.Name, "linux"
		if role == controlPlane {
			node.Labels["node-role.kubernetes.io/control-plane"] = ""
		}
		o.l.nodes = append(o.l.nodes, located[ipam.Node]{o.at, node})
	}
}
