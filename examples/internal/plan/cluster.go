package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/sim"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// clusterOf makes scenarios of a live cluster: its pools, its nodes with as many pods
// as each has, and its configuration, from the start. A pool that is the only one of
// its family leaves its block size open, to compare all.
func clusterOf(path string) ([]sim.Entry, error) {
	c, err := snapshot.Load(snapshot.Options{SkipOdd: true}, path)
	if err != nil {
		return nil, err
	}
	s := sim.Scenario{
		Name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), Reservations: c.Cluster.Reservations,
		StrictAffinity: c.Cluster.Config.StrictAffinity, NoAutoAllocate: !c.Cluster.Config.AutoAllocateBlocks,
		MaxBlocksPerHost: c.Cluster.Config.MaxBlocksPerHost, IPCooldownSeconds: c.Cluster.Config.IPCooldownSeconds,
	}
	if c.Calico != 0 {
		s.Calico = c.Calico.String()
	}
	for _, r := range c.Ranges {
		if r.For == "services" && r.CIDR.Addr().Is4() {
			s.ServiceCIDR = r.CIDR
		}
	}
	var selectors []string // of nodes
	for _, p := range c.Cluster.Pools {
		of, err := pool.New(p)
		if err != nil || p.Disabled || !of.Automatic() || !of.Allows(pool.Workload) {
			continue
		}
		as := sim.Pool{Name: p.Name, CIDR: p.CIDR, BlockSize: p.BlockSize, NodeSelector: p.NodeSelector, NamespaceSelector: p.NamespaceSelector, AllowedUses: p.AllowedUses}
		if as.NamespaceSelector == "all()" {
			as.NamespaceSelector = ""
		}
		s.Pools = append(s.Pools, as)
		selectors = append(selectors, p.NodeSelector)
	}
	pods, tunnels := podsByNode(c)
	s.TunnelIPPerNode = 2*tunnels >= len(c.Cluster.Nodes)
	of := podGroupsOf(c, s.Pools, pods)
	s.PodGroups, s.About = of.groups, of.about
	groups := groupsOf(c, selectors, pods, of)
	if len(groups) == 0 {
		return nil, fmt.Errorf("%s: there are no nodes in it: kubectl get nodes -o json", path)
	}
	if len(s.Pools) == 0 {
		return nil, fmt.Errorf("%s: there is no enabled pool for pods in it: kubectl get ippools -o json", path)
	}
	s.Group, s.Groups = groups[0], groups[1:]
	if len(s.Pools) == 1 && s.Pools[0].NamespaceSelector == "" { // sizes can be compared
		s.Pool, s.Pools = s.Pools[0].CIDR, nil
	}
	text, err := json.Marshal(&s)
	if err != nil {
		return nil, err
	}
	return sim.Read(path, bytes.NewReader(text))
}

// podsByNode counts the pods of each node that have an address, by namespace, and the
// nodes that have a tunnel's.
func podsByNode(c *snapshot.Snapshot) (pods map[string]map[string]int, tunnels int) {
	pods = make(map[string]map[string]int)
	seen, tunnelOf := make(map[string]bool), make(map[string]bool)
	for i := range c.Cluster.Blocks {
		for _, al := range c.Cluster.Blocks[i].Allocations {
			node, _ := al.Active.Get(ipam.AttrNode)
			if kind, _ := al.Active.Get(ipam.AttrType); strings.HasSuffix(kind, "TunnelAddress") {
				tunnelOf[node] = true
			}
			name, _ := al.Active.Get(ipam.AttrPod)
			if name == "" || node == "" || seen[al.Handle] {
				continue
			}
			seen[al.Handle] = true
			namespace, _ := al.Active.Get(ipam.AttrNamespace)
			if pods[node] == nil {
				pods[node] = make(map[string]int)
			}
			pods[node][namespace]++
		}
	}
	return pods, len(tunnelOf)
}

// lookedAt returns the labels that selectors look at.
func lookedAt(labels map[string]string, selectors []string) map[string]string {
	some := make(map[string]string)
	for key, value := range labels {
		if slices.ContainsFunc(selectors, func(text string) bool { return strings.Contains(text, key) }) {
			some[key] = value
		}
	}
	return some
}

// podGroups are the pod groups of a dump: namespaces that no selector tells apart are
// one. The zero value is none, where no pool selects namespaces.
type podGroups struct {
	groups []sim.PodGroup
	of     map[string]string // by namespace, the name of its group
	about  string            // what is to be said of them
}

// podGroupsOf puts the namespaces that pods are in together.
func podGroupsOf(c *snapshot.Snapshot, pools []sim.Pool, pods map[string]map[string]int) (all podGroups) {
	var selectors []string
	for _, p := range pools {
		if p.NamespaceSelector != "" {
			selectors = append(selectors, p.NamespaceSelector)
		}
	}
	if len(selectors) == 0 {
		return podGroups{}
	}
	if len(c.Namespaces) == 0 {
		all.about = "Pools select namespaces, and there are none in the file: they count as having no labels. kubectl get namespaces -o json prints them."
	}
	labels := make(map[string]map[string]string)
	for _, n := range c.Namespaces {
		labels[n.Name] = n.Labels
	}
	used := make(map[string]bool)
	for _, of := range pods {
		for namespace := range of {
			used[namespace] = true
		}
	}
	at := make(map[string]int)
	var members [][]string // namespaces of each group
	for _, namespace := range slices.Sorted(maps.Keys(used)) {
		of := lookedAt(labels[namespace], selectors)
		text, _ := json.Marshal(of) // maps are sorted
		i, known := at[string(text)]
		if !known {
			i = len(members)
			at[string(text)] = i
			members = append(members, nil)
			all.groups = append(all.groups, sim.PodGroup{Namespace: namespace, NamespaceLabels: of})
		}
		members[i] = append(members[i], namespace)
	}
	all.of = make(map[string]string)
	for i, of := range members {
		name := of[0]
		if len(of) > 1 {
			name += fmt.Sprintf(" and %d more", len(of)-1)
		}
		all.groups[i].Name = name
		for _, namespace := range of {
			all.of[namespace] = name
		}
	}
	return all
}

// groupsOf puts nodes together that no selector tells apart, and that run as many pods of
// each pod group where there are any.
func groupsOf(c *snapshot.Snapshot, selectors []string, pods map[string]map[string]int, groupOf podGroups) (groups []sim.Group) {
	at := make(map[string]int)
	for _, n := range c.Cluster.Nodes {
		labels := lookedAt(n.Labels, selectors)
		windows := n.Labels["kubernetes.io/os"] == "windows"
		runs := 0
		var runsOf map[string]int
		if len(groupOf.groups) > 0 {
			runsOf = make(map[string]int)
		}
		for namespace, count := range pods[n.Name] {
			runs += count
			if runsOf != nil {
				runsOf[groupOf.of[namespace]] += count
			}
		}
		text, _ := json.Marshal([]any{labels, windows, runsOf}) // maps are sorted
		i, known := at[string(text)]
		if !known {
			i = len(groups)
			at[string(text)] = i
			groups = append(groups, sim.Group{Labels: labels, Windows: windows, PodsOf: runsOf})
		}
		g := &groups[i]
		g.Nodes++
		if runsOf != nil {
			continue
		}
		k := slices.IndexFunc(g.PodHistogram, func(b sim.Bucket) bool { return b.Pods == runs })
		if k < 0 {
			k = len(g.PodHistogram)
			g.PodHistogram = append(g.PodHistogram, sim.Bucket{Pods: runs})
		}
		g.PodHistogram[k].Nodes++
	}
	for i := range groups {
		slices.SortFunc(groups[i].PodHistogram, func(x, y sim.Bucket) int { return x.Pods - y.Pods })
	}
	return groups
}
