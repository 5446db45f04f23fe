package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	keys := make(map[string]bool) // labels that selectors look at
	for _, p := range c.Cluster.Pools {
		of, err := pool.New(p)
		if err != nil || p.Disabled || !of.Automatic() || !of.Allows(pool.Workload) || !of.SelectsNamespace(nil) {
			continue
		}
		s.Pools = append(s.Pools, sim.Pool{Name: p.Name, CIDR: p.CIDR, BlockSize: p.BlockSize, NodeSelector: p.NodeSelector, AllowedUses: p.AllowedUses})
		for _, n := range c.Cluster.Nodes {
			for key := range n.Labels {
				keys[key] = keys[key] || strings.Contains(p.NodeSelector, key)
			}
		}
	}
	pods, tunnels := podsByNode(c)
	s.TunnelIPPerNode = 2*tunnels >= len(c.Cluster.Nodes)
	groups := groupsOf(c, keys, pods)
	if len(groups) == 0 {
		return nil, fmt.Errorf("%s: there are no nodes in it: kubectl get nodes -o json", path)
	}
	if len(s.Pools) == 0 {
		return nil, fmt.Errorf("%s: there is no enabled pool for pods in it: kubectl get ippools -o json", path)
	}
	s.Group, s.Groups = groups[0], groups[1:]
	if len(s.Pools) == 1 { // sizes can be compared
		s.Pool, s.Pools = s.Pools[0].CIDR, nil
	}
	text, err := json.Marshal(&s)
	if err != nil {
		return nil, err
	}
	return sim.Read(path, bytes.NewReader(text))
}

// podsByNode counts the pods of each node that have an address, and the nodes that
// have a tunnel's.
func podsByNode(c *snapshot.Snapshot) (pods map[string]int, tunnels int) {
	pods = make(map[string]int)
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
			pods[node]++
		}
	}
	return pods, len(tunnelOf)
}

// groupsOf puts nodes together that no selector tells apart.
func groupsOf(c *snapshot.Snapshot, keys map[string]bool, pods map[string]int) (groups []sim.Group) {
	at := make(map[string]int)
	for _, n := range c.Cluster.Nodes {
		labels := make(map[string]string)
		for key, value := range n.Labels {
			if keys[key] {
				labels[key] = value
			}
		}
		windows := n.Labels["kubernetes.io/os"] == "windows"
		text, _ := json.Marshal([]any{labels, windows}) // maps are sorted
		i, known := at[string(text)]
		if !known {
			i = len(groups)
			at[string(text)] = i
			groups = append(groups, sim.Group{Labels: labels, Windows: windows})
		}
		g := &groups[i]
		g.Nodes++
		k := slices.IndexFunc(g.PodHistogram, func(b sim.Bucket) bool { return b.Pods == pods[n.Name] })
		if k < 0 {
			k = len(g.PodHistogram)
			g.PodHistogram = append(g.PodHistogram, sim.Bucket{Pods: pods[n.Name]})
		}
		g.PodHistogram[k].Nodes++
	}
	for i := range groups {
		slices.SortFunc(groups[i].PodHistogram, func(x, y sim.Bucket) int { return x.Pods - y.Pods })
	}
	return groups
}
