package sim

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ipamsim/ipamsim/pool"
)

// PodGroup is pods that are alike: those of a deployment, say. Every pod of it is in
// its namespace, whose labels pools' namespace selectors look at (§3).
type PodGroup struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"` // empty for "default"
	// NamespaceLabels are those of the namespace. One that several groups share has the
	// labels that any of them says, and no two say different ones.
	NamespaceLabels map[string]string `json:"namespaceLabels,omitempty"`

	// PodsPerNode is how many each node runs, or Pods how many there are in all, evenly
	// over the nodes, the first of which run one more if they must; not both. Nodes
	// whose group says what they run ([Group].PodsOf) are left out, and so are, of Pods,
	// nodes that come up later.
	PodsPerNode int `json:"podsPerNode,omitempty"`
	Pods        int `json:"pods,omitempty"`

	// VirtualMachines are KubeVirt's: each keeps its address when its pod restarts, is
	// evicted or comes back in the place of its node, until the machine is deleted, by
	// scale. Needs Calico v3.32.
	VirtualMachines bool `json:"virtualMachines,omitempty"`
}

// defaultNamespace is the namespace of pods that are in no other.
const defaultNamespace = "default"

// namespace returns the name of the group's namespace.
func (g *PodGroup) namespace() string { return cmp.Or(g.Namespace, defaultNamespace) }

// podsOf returns how many pods of each pod group every node of a group runs, those
// aside of which there is a number in all; nil without pod groups.
func (s *Scenario) podsOf(g *Group) []int {
	if len(s.PodGroups) == 0 {
		return nil
	}
	counts := make([]int, len(s.PodGroups))
	for i := range s.PodGroups {
		of := &s.PodGroups[i]
		if counts[i] = of.PodsPerNode; g.PodsOf != nil {
			counts[i] = g.PodsOf[of.Name]
		}
	}
	return counts
}

// PodsAtStart returns how many pods run at the start of a scenario that is valid, in all,
// and the most that one node runs.
func (s *Scenario) PodsAtStart() (all, most int) {
	for _, g := range s.groups() {
		all += s.starts(&g)
		for _, pods := range g.podCounts() {
			most = max(most, pods)
		}
		most = max(most, s.mostOf(&g))
	}
	for i := range s.PodGroups {
		all += s.PodGroups[i].Pods
	}
	return all, most
}

// mostOf returns the most pods of pod groups that a node of the group runs.
func (s *Scenario) mostOf(g *Group) (most int) {
	for _, pods := range s.podsOf(g) {
		most += pods
	}
	if g.PodsOf != nil || len(s.PodGroups) == 0 {
		return most
	}
	nodes := max(1, s.spread())
	for i := range s.PodGroups {
		most += s.PodGroups[i].share(0, nodes)
	}
	return most
}

// namespaceLabels returns the labels of namespaces by name, as far as selectors can
// look at them: nil where no pool selects namespaces, for then nobody asks.
func (s *Scenario) namespaceLabels() map[string]map[string]string {
	if !slices.ContainsFunc(s.allPools(), func(p Pool) bool { return p.NamespaceSelector != "" }) {
		return nil
	}
	labels := make(map[string]map[string]string)
	for i := range s.PodGroups {
		if g := &s.PodGroups[i]; len(g.NamespaceLabels) > 0 {
			labels[g.namespace()] = g.NamespaceLabels
		}
	}
	return labels
}

// mix is which pods a node comes up with: the pod group of each, by its number in
// [Scenario].PodGroups, in the order in which they start.
type mix struct{ turns []int32 }

// makeMix has groups take turns in proportion to their counts.
func makeMix(counts []int) *mix {
	total := 0
	for _, n := range counts {
		total += n
	}
	m := &mix{turns: make([]int32, 0, total)}
	taken := make([]int, len(counts))
	for turn := 1; turn <= total; turn++ {
		// Next is the group that is furthest behind its share.
		next := 0
		for i := range counts {
			if counts[i]*turn-taken[i]*total > counts[next]*turn-taken[next]*total {
				next = i
			}
		}
		taken[next]++
		m.turns = append(m.turns, int32(next))
	}
	return m
}

// podGroups is what a run knows of its pod groups.
type podGroups struct {
	labels map[string]map[string]string // of namespaces; nil where nobody asks
	counts []groupCount
	mixes  []*mix // of the nodes of the start, in their order
}

// gather puts the pods of the start on their nodes.
func (r *runner) gather() {
	s := &r.scenario
	r.groups.labels = s.namespaceLabels()
	if len(s.PodGroups) == 0 {
		return
	}
	for i := range s.PodGroups {
		r.groups.counts = append(r.groups.counts, groupCount{name: s.PodGroups[i].Name, outcomes: make(map[Outcome]int)})
	}
	nodes, nth := s.spread(), 0 // that a number of pods in all comes to
	known := make(map[string]*mix)
	for _, g := range s.groups() {
		counts := s.podsOf(&g)
		for range g.Nodes {
			with := slices.Clone(counts)
			if g.PodsOf == nil {
				for i := range s.PodGroups {
					with[i] += s.PodGroups[i].share(nth, nodes)
				}
				nth++
			}
			key := make([]byte, 0, 4*len(with))
			for _, n := range with {
				key = append(key, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
			}
			if known[string(key)] == nil {
				known[string(key)] = makeMix(with)
			}
			r.groups.mixes = append(r.groups.mixes, known[string(key)])
		}
	}
}

// spread returns how many nodes of the start run what the pod groups say.
func (s *Scenario) spread() (nodes int) {
	for _, g := range s.groups() {
		if g.PodsOf == nil {
			nodes += g.Nodes
		}
	}
	return nodes
}

// share returns how many of the pods in all the nth of so many nodes runs.
func (g *PodGroup) share(n, nodes int) int {
	each := g.Pods / nodes
	if n < g.Pods%nodes {
		each++
	}
	return each
}

// groupOf returns the pod group of the next pod that a node starts, from 1; 0 where
// there are none.
func (n *node) groupOf() int32 {
	if n.mix == nil || len(n.mix.turns) == 0 {
		return 0
	}
	return n.mix.turns[n.started%len(n.mix.turns)] + 1
}

// idle reports whether a node has no pods to start, though others have.
func (n *node) idle() bool { return n.mix != nil && len(n.mix.turns) == 0 }

// next returns the mix of the nth node; nil without pod groups.
func (g *podGroups) next(n int) *mix {
	if g.mixes == nil {
		return nil
	}
	return g.mixes[n]
}

// mixOf returns the mix of a node of the group that comes up after the start; nil
// without pod groups.
func (r *runner) mixOf(g *Group) *mix {
	if counts := r.scenario.podsOf(g); counts != nil {
		return makeMix(counts)
	}
	return nil
}

// groupNamed returns the number of a pod group, from 1; 0 if there is none.
func (s *Scenario) groupNamed(name string) int32 {
	return int32(1 + slices.IndexFunc(s.PodGroups, func(g PodGroup) bool { return g.Name == name }))
}

// labelsOf returns the labels of the namespace that a pod is in, where a pool looks at
// them. A tunnel is in none.
func (r *runner) labelsOf(p *pod, use pool.Use) map[string]string {
	if r.groups.labels == nil || use != pool.Workload {
		return nil
	}
	return r.groups.labels[r.namespaceOf(p)]
}

// countOf returns the counts of a pod's group; nil if it is in none.
func (r *runner) countOf(p *pod) *groupCount {
	if p.group == 0 {
		return nil
	}
	return &r.groups.counts[p.group-1]
}

// groupCount is what the pods of one group got.
type groupCount struct {
	name     string
	running  int             // pods
	outcomes map[Outcome]int // of requests
}

// What [Result].PerPool calls those that hold addresses and are in no pod group.
const (
	ofTunnels = "tunnels"
	ofOthers  = "others" // pods that start-pod events started
)

// holder returns which of a [space].by counts the holder of an address: the pod group,
// or after them pods in none, and tunnels. The last are services.
func (r *runner) holder(p *pod, tunnel bool) int {
	switch {
	case p.group > 0:
		return int(p.group) - 1
	case tunnel:
		return len(r.groups.counts) + 1
	default:
		return len(r.groups.counts)
	}
}

// perGroup fills in what the groups and the pools came to.
func (r *runner) perGroup(res *Result) {
	groups := r.groups.counts
	if len(groups) == 0 {
		return
	}
	res.PerPodGroup = make(map[string]map[Outcome]int)
	names := make([]string, 0, len(groups)+3)
	for i := range groups {
		res.PerPodGroup[groups[i].name] = maps.Clone(groups[i].outcomes)
		names = append(names, groups[i].name)
	}
	names = append(names, ofOthers, ofTunnels, ofServices)
	res.PerPool = make(map[string]map[string]int)
	for i := range r.spaces {
		s := &r.spaces[i]
		by := make(map[string]int)
		for k, n := range s.by {
			if n > 0 {
				by[names[k]] = n
			}
		}
		res.PerPool[s.spec.Name] = by
	}
}
