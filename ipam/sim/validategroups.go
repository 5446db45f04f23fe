package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxPodGroups keeps the turns that they take cheap.
const maxPodGroups = 1000

// podGroups looks at the pod groups, and takes those up of which there is a number of
// pods in all.
func (v *validator) podGroups() {
	s := v.Scenario
	if len(s.PodGroups) > maxPodGroups {
		v.bad("podGroups", "has %d: must be at most %d", len(s.PodGroups), maxPodGroups)
		return
	}
	known, labels := make(map[string]bool), make(map[string]map[string]string)
	for i := range s.PodGroups {
		g := &s.PodGroups[i]
		at := fmt.Sprintf("podGroups[%d].", i)
		switch {
		case g.Name == "":
			v.bad(at+"name", "is missing: results and events call the group by it")
		case g.Name == ofTunnels || g.Name == ofOthers || g.Name == ofServices:
			v.bad(at+"name", "%q: is what results call those that are in no group", g.Name)
		case known[g.Name]:
			v.bad(at+"name", "%q: is another group's too", g.Name)
		}
		known[g.Name] = true
		if g.VirtualMachines && !s.Release().Rules().CapsPerHandle {
			v.bad(at+"virtualMachines", "true: Calico %s lets no machine keep its address; v3.32 is the first release that does", s.Release())
		}
		if strings.Contains(g.Namespace, "/") {
			v.bad(at+"namespace", "%q: must be the name of a namespace", g.Namespace)
		}
		if of := labels[g.namespace()]; g.NamespaceLabels != nil && of != nil && !maps.Equal(of, g.NamespaceLabels) {
			v.bad(at+"namespaceLabels", "differ from those of namespace %q above: say them once", g.namespace())
		} else if g.NamespaceLabels != nil {
			labels[g.namespace()] = g.NamespaceLabels
		}
		if g.PodsPerNode < 0 || g.PodsPerNode > maxRequests {
			v.bad(at+"podsPerNode", "%d: must be 0 to %d", g.PodsPerNode, maxRequests)
		}
		switch {
		case g.Pods < 0 || g.Pods > maxRequests:
			v.bad(at+"pods", "%d: must be 0 to %d", g.Pods, maxRequests)
		case g.Pods > 0 && g.PodsPerNode != 0:
			v.bad(at+"pods", "and podsPerNode: there is one or the other")
		case g.Pods > 0 && !slices.ContainsFunc(s.groups(), func(g Group) bool { return g.PodsOf == nil }):
			v.bad(at+"pods", "%d: there are no nodes for them: every group of nodes says podsOf", g.Pods)
		default:
			if v.asked += int64(g.Pods); v.asked > maxRequests {
				v.bad(at+"pods", "%d: makes more than %d requests in all", g.Pods, maxRequests)
			}
			v.started += g.Pods
		}
	}
}

// podsOf looks at what a group of nodes says of pod groups.
func (v *validator) podsOf(path string, g *Group) {
	s := v.Scenario
	if len(s.PodGroups) == 0 {
		if g.PodsOf != nil {
			v.bad(path+"podsOf", "without podGroups, which say what the pods are")
		}
		return
	}
	switch {
	case g.PodsPerNode != 0:
		v.bad(path+"podsPerNode", "%d: with podGroups the groups say how many, or podsOf: {%s: %d}", g.PodsPerNode, s.PodGroups[0].Name, g.PodsPerNode)
	case len(g.PodHistogram) > 0:
		v.bad(path+"podHistogram", "with podGroups: make a group of nodes for each number of pods, with podsOf: {%s: %d}", s.PodGroups[0].Name, g.PodHistogram[0].Pods)
	}
	for _, name := range slices.Sorted(maps.Keys(g.PodsOf)) {
		switch n := g.PodsOf[name]; {
		case s.groupNamed(name) == 0:
			v.bad(path+"podsOf", "%q: there is no such group in podGroups", name)
		case n < 0 || n > maxRequests:
			v.bad(path+"podsOf", "%s: %d: must be 0 to %d", name, n, maxRequests)
		}
	}
}

// scaled looks at the pod group that an event is about.
func (v *validator) scaled(at string, e *Event) {
	s := v.Scenario
	switch {
	case len(s.PodGroups) == 0:
		if e.PodGroup != "" {
			v.bad(at+"podGroup", "%q: the scenario has no podGroups", e.PodGroup)
		}
	case e.PodGroup == "":
		v.bad(at+"podGroup", "is missing: it says which of the podGroups, %s say", s.PodGroups[0].Name)
	case s.groupNamed(e.PodGroup) == 0:
		v.bad(at+"podGroup", "%q: there is no such group in podGroups", e.PodGroup)
	}
}
