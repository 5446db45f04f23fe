package session

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/report"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

type tabArgs struct {
	Which string `json:"which"`
	IP    string `json:"ip"`
}

// Tab is what a tool of the real cluster prints.
type Tab struct {
	Command string `json:"command"`
	Text    string `json:"text"`
}

// tabs are the tools, by name.
var tabs = map[string]func(w *world, ip string) (Tab, error){
	"ipam-show": func(w *world, _ string) (Tab, error) {
		return Tab{"calicoctl ipam show", report.Calicoctl(w.ipam.Calico()).Pools(w.ipam.GetUtilization())}, nil
	},
	"ipam-show-blocks": func(w *world, _ string) (Tab, error) {
		return Tab{"calicoctl ipam show --show-blocks", report.Calicoctl(w.ipam.Calico()).Blocks(w.ipam.GetUtilization())}, nil
	},
	"ipam-show-borrowed": func(w *world, _ string) (Tab, error) {
		return Tab{"calicoctl ipam show --show-borrowed", report.Calicoctl(w.ipam.Calico()).Borrowed(w.ipam.State())}, nil
	},
	"ipam-show-ip": showIP,
	"affinities": func(w *world, _ string) (Tab, error) {
		return Tab{"kubectl get blockaffinities", w.kubectl().Affinities(w.ipam.State())}, nil
	},
	"affinities-yaml": func(w *world, _ string) (Tab, error) {
		return Tab{"kubectl get blockaffinities -o yaml", w.kubectl().AffinitiesYAML(w.ipam.State())}, nil
	},
	"affinities-jsonpath": func(w *world, _ string) (Tab, error) { return jsonpath(w), nil },
	"affinities-columns": func(w *world, _ string) (Tab, error) {
		return Tab{"kubectl get blockaffinities -o custom-columns=NAME:.metadata.name,NODE:.spec.node,CIDR:.spec.cidr", w.kubectl().AffinityColumns(w.ipam.State())}, nil
	},
	"objects": func(w *world, _ string) (Tab, error) {
		var out bytes.Buffer
		err := (&snapshot.Snapshot{Cluster: w.ipam.Cluster()}).WriteYAML(&out, snapshot.V1)
		return Tab{"kubectl get ippools,ipreservations,ipamblocks,blockaffinities,ipamhandles,ipamconfigs,nodes -o yaml", out.String()}, err
	},
	"nodes": func(w *world, _ string) (Tab, error) {
		var nodes []report.Node
		for _, n := range w.order {
			if !n.gone {
				nodes = append(nodes, report.Node{Name: n.name, Labels: n.labels, Ready: true, Created: n.joined, Version: "v1.28.0"})
			}
		}
		return Tab{"kubectl get nodes", w.kubectl().Nodes(nodes)}, nil
	},
}

// kubectl prints what kubectl does, at this moment.
func (w *world) kubectl() report.Kubectl { return report.Kubectl{Now: w.clock.Now()} }

// showIP is the tool that shows one address.
func showIP(w *world, text string) (Tab, error) {
	t := Tab{Command: "calicoctl ipam show --ip=" + text}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return t, fmt.Errorf("ip: %q is no address: want one such as 192.168.0.1", text)
	}
	t.Text, err = report.Calicoctl(w.ipam.Calico()).IP(w.ipam, ip)
	if err != nil { // as calicoctl does
		t.Text = plain(err) + "\n"
	}
	return t, nil
}

// jsonpath is the listing with a template.
func jsonpath(w *world) Tab {
	var out strings.Builder
	affinities := w.ipam.State().Affinities
	slices.SortFunc(affinities, func(a, b ipam.AffinityState) int {
		return strings.Compare(affinity.Name(a.Owner.Name, a.CIDR), affinity.Name(b.Owner.Name, b.CIDR))
	})
	for _, a := range affinities {
		fmt.Fprintf(&out, "%s\t%s\t%s\n", a.Owner.Name, a.CIDR, a.State)
	}
	return Tab{`kubectl get blockaffinities -o jsonpath='{range .items[*]}{.spec.node}{"\t"}{.spec.cidr}{"\t"}{.spec.state}{"\n"}{end}'`, out.String()}
}

// Tab returns what a tool prints now.
func (s *Session) Tab(args tabArgs) (*Tab, error) {
	show, ok := tabs[args.Which]
	if !ok {
		return nil, unknown("which", "tab", args.Which, tabNames())
	}
	t, err := show(s.world, args.IP)
	return &t, err
}

func tabNames() (names []string) {
	for name := range tabs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

type podsArgs struct {
	Node string `json:"node"`
}

// PodView is a pod, or the tunnel of a node.
type PodView struct {
	Pod      string   `json:"pod"`
	Node     string   `json:"node"`
	IPs      []string `json:"ips"`
	Borrowed bool     `json:"borrowed"`
	Why      string   `json:"why"` // it has no address
	Tunnel   bool     `json:"tunnel"`
	Daemon   bool     `json:"daemon"` // every node has one: it does not move
}

// Pods returns the pods of a node, or all without one.
func (s *Session) Pods(on string) ([]PodView, error) {
	if on != "" && s.world.nodes[on] == nil {
		if _, err := s.world.node("node", on); err != nil {
			return nil, err
		}
	}
	views := []PodView{}
	for _, p := range s.world.everybody() {
		if on != "" && p.node.name != on {
			continue
		}
		v := PodView{Pod: p.label(), Node: p.node.name, IPs: []string{}, Tunnel: p.namespace == "", Daemon: p.daemon}
		for _, ip := range p.ips {
			v.IPs = append(v.IPs, ip.String())
			if _, owner, _ := s.world.ipam.BlockOf(ip); owner != p.node.owner() {
				v.Borrowed = true
			}
		}
		if p.waits() {
			v.Why = s.world.reason(p)
		}
		views = append(views, v)
	}
	return views, nil
}
