package report

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Node has the fields that `kubectl get nodes` shows. IPAM itself knows only names
// and labels; the caller provides the rest.
type Node struct {
	Name string
	// Labels give the roles, by their keys.
	Labels map[string]string
	// Ready says that its kubelet reports it as ready.
	Ready bool
	// Created is the time when it joined; zero if unknown.
	Created time.Time
	// Version is its kubelet's, such as v1.28.0.
	Version string
}

// Nodes returns what `kubectl get nodes` prints, the nodes in the order of their names.
func (k Kubectl) Nodes(nodes []Node) string {
	if len(nodes) == 0 {
		return noResources
	}
	nodes = slices.SortedFunc(slices.Values(nodes), func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	rows := make([][]string, len(nodes))
	for i, n := range nodes {
		status := "NotReady"
		if n.Ready {
			status = "Ready"
		}
		rows[i] = []string{n.Name, status, roles(n.Labels), k.Age(n.Created), n.Version}
	}
	return Columns([]string{"NAME", "STATUS", "ROLES", "AGE", "VERSION"}, rows)
}

// roles lists the names in labels node-role.kubernetes.io/NAME, and the value
// of kubernetes.io/role, in byte order.
func roles(labels map[string]string) string {
	var names []string
	for key, value := range labels {
		name, ok := strings.CutPrefix(key, "node-role.kubernetes.io/")
		if key == "kubernetes.io/role" {
			name, ok = value, true
		}
		if ok && name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "<none>"
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}
