package sim

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// shops has pods of two namespaces, each with a pool, in an order in which they take
// turns.
func shops() Scenario {
	return Scenario{
		Pools: []Pool{
			{Name: "data", CIDR: netip.MustParsePrefix("10.0.1.0/28"), BlockSize: 30, NamespaceSelector: "team == 'data'", AllowedUses: []pool.Use{pool.Workload}},
			{Name: "rest", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28, NamespaceSelector: "team != 'data'"},
		},
		Group: Group{Nodes: 4},
		PodGroups: []PodGroup{
			{Name: "web", Namespace: "shop", NamespaceLabels: map[string]string{"team": "shop"}, PodsPerNode: 4},
			{Name: "db", Namespace: "data", NamespaceLabels: map[string]string{"team": "data"}, Pods: 18},
		},
		TunnelIPPerNode: true,
	}
}

func TestPodGroups(t *testing.T) {
	s := shops()
	var pods []string
	res, err := Run(s, Options{Each: func(m *Moment) {
		if m.Node == "node-0" {
			pods = append(pods, m.Group)
		}
	}})
	must.NoError(t, err)
	must.Eq(t, "| db web db web db web db web db", strings.Join(append([]string{"|"}, pods[1:]...), " "), must.Sprint("5 and 4 take turns, after the tunnel"))
	must.Eq(t, map[string]map[Outcome]int{"web": {own: 16}, "db": {own: 16, refusedPoolEmpty: 2}}, res.PerPodGroup)
	must.Eq(t, "db", res.FirstRefusal.Group)
	must.Eq(t, map[string]map[string]int{"data": {"db": 16}, "rest": {"web": 16, "tunnels": 4}}, res.PerPool)

	// With strict affinity what other nodes do not use is out of reach, but not what is
	// in a pool of others.
	s.StrictAffinity, s.PodGroups[1].Pods = true, 17
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, 1, res.PerPodGroup["db"][refusedPoolEmpty])
	must.Zero(t, res.RefusedStrict)

	// Labels that no pool asks for: no pool.
	s = shops()
	s.Pools[1].NamespaceSelector = "team == 'web'"
	s.TunnelIPPerNode = false
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, map[Outcome]int{refusedNoPool: 16}, res.PerPodGroup["web"])
	must.Eq(t, 16, res.RefusedNoPool)
	must.Eq(t, "web", res.FirstRefusal.Group)
}

// TestPodGroupsOfEvents: pods stay in their group, whatever happens to their nodes.
func TestPodGroupsOfEvents(t *testing.T) {
	minutes := func(n int) Duration { return Duration(time.Duration(n) * time.Minute) }
	s := shops()
	s.PodGroups[1].Pods = 8
	s.Groups = []Group{{Nodes: 1, NodeFormat: "big-%d", PodsOf: map[string]int{"db": 2}}}
	s.Cleaner, s.For = new(Cleaner), minutes(60)
	s.Events = []Event{
		{At: minutes(1), Do: drainNodes, Nodes: []string{"node-0"}},
		{At: minutes(2), Do: undrainNodes, Nodes: []string{"node-0"}},
		{At: minutes(3), Do: replaceNodes, Nodes: []string{"node-1", "big-0"}},
		{At: minutes(4), Do: replacePods, Count: 5},
		{At: minutes(5), Do: addNodes, Group: &Group{Nodes: 1, NodeFormat: "more-%d"}},
		{At: minutes(6), Do: startPod, Pod: "data/postgres-0", Nodes: []string{"node-3"}},
		{At: minutes(7), Do: scalePods, Pods: 12, PodGroup: "db"},
		{At: minutes(8), Do: scalePods, Pods: 6, PodGroup: "web"},
		{At: minutes(9), Do: scalePods, Pods: 7, PodGroup: "web"},
	}
	res, err := consistent(s, Options{Samples: 20, Map: true, PerNode: true})
	must.NoError(t, err)
	must.Eq(t, map[string]map[string]int{"data": {"db": 12, "others": 1}, "rest": {"web": 7, "tunnels": 6}}, res.PerPool)
	must.Zero(t, res.Refused())
	s.Events = s.Events[:5]
	r, err := begin(s, Options{})
	must.NoError(t, err)
	must.Eq(t, []int{20, 10}, []int{r.groups.counts[0].running, r.groups.counts[1].running}, must.Sprint("the last node runs four of web and none of a number in all"))
}

// TestPodGroupsHeadroom: more nodes and pods are as those that there are.
func TestPodGroupsHeadroom(t *testing.T) {
	s := shops()
	s.PodGroups[1].Pods = 8 // of 16
	res, err := Run(s, Options{Headroom: true})
	must.NoError(t, err)
	must.Eq(t, 7, res.Headroom.PodsPerNode, must.Sprint("web db web web db web, of which db takes the eight addresses that are left, web, and then it is db's turn again"))
	must.Eq(t, 47, res.Headroom.Nodes, must.Sprint("236 addresses are left of rest, and the next node takes five"))
}

// inGroups puts the pods of a scenario into so many groups of one namespace, that every
// pool selects.
func inGroups(s Scenario, groups int) Scenario {
	s.Pools, s.Pool, s.BlockSize = slices.Clone(s.pools()), netip.Prefix{}, 0
	selector := "kind == 'all'"
	if s.TunnelIPPerNode {
		selector = "kind != 'other'" // which tunnels, in no namespace, must match too
	}
	selected := func(p Pool) Pool {
		if !p.forServices() { // which are in no namespace
			p.NamespaceSelector = selector
		}
		return p
	}
	for i := range s.Pools {
		s.Pools[i] = selected(s.Pools[i])
	}
	for i := range groups {
		s.PodGroups = append(s.PodGroups, PodGroup{Name: fmt.Sprint("group-", i), Namespace: "db", NamespaceLabels: map[string]string{"kind": "all"}})
	}
	of := func(g Group) Group {
		g.PodsOf = make(map[string]int)
		for i := range groups {
			g.PodsOf[fmt.Sprint("group-", i)] = (g.PodsPerNode + i) / groups
		}
		g.PodsPerNode = 0
		return g
	}
	s.Group = of(s.Group)
	s.Groups = append([]Group(nil), s.Groups...)
	for i, g := range s.Groups {
		s.Groups[i] = of(g)
	}
	s.Events = append([]Event(nil), s.Events...)
	for i := range s.Events {
		e := &s.Events[i]
		if e.Do == addPool {
			p := selected(*e.Pool)
			e.Pool = &p
		}
		if e.Do == scalePods {
			e.PodGroup = "group-0"
		}
	}
	return s
}

// ungrouped is a scenario in which nothing is about groups: no histogram, and scale only
// where there is one.
func ungrouped(s Scenario, groups int) Scenario {
	s.PodGroups = nil
	of := func(g Group) Group {
		if g.PodsPerNode == 0 { // with groups such a node takes no more pods either
			g.PodHistogram, g.PodsOf, g.PodsPerNode = nil, nil, 4
		}
		return g
	}
	s.Group = of(s.Group)
	for i, g := range s.Groups {
		s.Groups[i] = of(g)
	}
	var events []Event
	for _, e := range s.Events {
		if e.PodGroup = ""; e.Do != scalePods || groups == 1 {
			events = append(events, e)
		}
	}
	s.Events = events
	for i := range s.Pools {
		s.Pools[i].NamespaceSelector = ""
	}
	return s
}

// alike reports how a scenario and the same with groups differ.
func alike(of property.Source, spoil func(Engine) Engine) error {
	groups := 1 + of.Pick("groups", 3)
	plain := ungrouped(anyScenario(of), groups)
	grouped := inGroups(plain, groups)
	o := Options{Samples: 5, Map: true, PerNode: true, Headroom: spoil == nil}
	want, err := Run(plain, o)
	if err != nil {
		return err
	}
	if spoil != nil {
		o.Engine = func(now func() time.Time) Engine {
			return spoil(ipam.New(ipam.Options{Now: now, Calico: plain.Release()}))
		}
	}
	got, err := Run(grouped, o)
	if err != nil {
		return err
	}
	sum := 0
	for _, outcomes := range got.PerPodGroup {
		for _, n := range outcomes {
			sum += n
		}
	}
	if len(got.PerPodGroup) != groups || sum > got.Requests {
		return fmt.Errorf("groups %+v of %+v", got.PerPodGroup, got)
	}
	got.PerPodGroup, got.PerPool = nil, nil
	for _, m := range []*Moment{got.FirstBorrow, got.FirstRefusal} {
		if m != nil {
			m.Group = ""
		}
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("in %d groups:\n%+v, want\n%+v", groups, got, want)
	}
	return nil
}

// TestOneGroupIsNone: pods in groups that every pool selects get what pods in no group
// get.
func TestOneGroupIsNone(t *testing.T) {
	property.Check(t, 500, 1, func(rt *rapid.T) {
		if err := alike(property.Rapid(rt), nil); err != nil {
			rt.Fatal(err)
		}
	})
}

// nowhere is an engine to which all pods are in no namespace.
type nowhere struct{ Engine }

func (n nowhere) AutoAssignInto(args *ipam.AutoAssignArgs, v4, v6 *ipam.Assignment) error {
	of := *args
	of.Namespace = nil
	return n.Engine.AutoAssignInto(&of, v4, v6)
}

// TestOneGroupRejects: an engine that does not see namespaces is found out.
func TestOneGroupRejects(t *testing.T) {
	property.Rejects(t, func(s property.Source) error { return alike(s, func(e Engine) Engine { return nowhere{e} }) })
}

func TestPodGroupsInvalid(t *testing.T) {
	const good = `pools: [{name: p, cidr: 10.0.0.0/24}]
nodes: 2
podGroups:
- {name: web, podsPerNode: 3}
- {name: db, namespace: data, namespaceLabels: {team: data}, pods: 5}
groups:
- {nodes: 1, nodeFormat: big-%d, podsOf: {web: 4}}
for: 1h
`
	_, err := Read("f", strings.NewReader(good))
	must.NoError(t, err)
	for name, c := range map[string][3]string{
		"pods of nodes":       {"nodes: 2\n", "nodes: 2\npodsPerNode: 7\n", "f:3: podsPerNode 7: with podGroups the groups say how many, or podsOf: {web: 7}"},
		"a histogram":         {"nodes: 2\n", "nodes: 2\npodHistogram: [{pods: 3, nodes: 1}]\n", "f:3: podHistogram with podGroups: make a group of nodes for each number of pods, with podsOf: {web: 3}"},
		"no name":             {"name: web, ", "", "f:4: podGroups[0].name is missing"},
		"a name twice":        {"name: db", "name: web", `f:5: podGroups[1].name "web": is another group's too`},
		"a name of others":    {"name: web, ", "name: tunnels, ", `f:4: podGroups[0].name "tunnels": is what results call`},
		"both numbers":        {"pods: 5", "pods: 5, podsPerNode: 1", "f:5: podGroups[1].pods and podsPerNode: there is one or the other"},
		"below zero":          {"pods: 5", "pods: -5", "f:5: podGroups[1].pods -5: must be 0 to"},
		"below zero on each":  {"podsPerNode: 3", "podsPerNode: -3", "f:4: podGroups[0].podsPerNode -3: must be 0 to"},
		"too many":            {"pods: 5", "pods: 50000000", "f:2: nodes 2: makes more than 50000000 requests in all"},
		"labels that differ":  {"pods: 5}", "pods: 5}\n- {name: more, namespace: data, namespaceLabels: {team: web}}", `f:6: podGroups[2].namespaceLabels differ from those of namespace "data" above: say them once`},
		"a namespace of two":  {"namespace: data", "namespace: a/b", `f:5: podGroups[1].namespace "a/b": must be the name of a namespace`},
		"an unknown group":    {"{web: 4}", "{webb: 4}", `f:7: groups[0].podsOf "webb": there is no such group in podGroups`},
		"fewer than none":     {"{web: 4}", "{web: -4}", "f:7: groups[0].podsOf web: -4: must be 0 to"},
		"no nodes for them":   {"nodes: 2\n", "nodes: 2\npodsOf: {}\n", "f:6: podGroups[1].pods 5: there are no nodes for them: every group of nodes says podsOf"},
		"scale of what":       {"for: 1h", "events: [{at: 1m, do: scale, pods: 3}]", "f:8: events[0].podGroup is missing: it says which of the podGroups, web say"},
		"scale of nobody":     {"for: 1h", "events: [{at: 1m, do: scale, pods: 3, podGroup: x}]", `f:8: events[0].podGroup "x": there is no such group in podGroups`},
		"another event":       {"for: 1h", "events: [{at: 1m, do: drain, nodes: [node-0], podGroup: web}]", "f:8: events[0].podGroup does not go with drain"},
		"a bad selector":      {"cidr: 10.0.0.0/24", "cidr: 10.0.0.0/24, namespaceSelector: team ==", "f:1: pools[0].namespaceSelector team ==: "},
		"tunnels and a label": {"cidr: 10.0.0.0/24", "cidr: 10.0.0.0/24, namespaceSelector: has(x), allowedUses: [Workload, Tunnel]", "f:1: pools[0].namespaceSelector has(x): must be empty or all() where Tunnel is allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			must.Eq(t, 1, strings.Count(good, c[0]))
			_, err := Read("f", strings.NewReader(strings.Replace(good, c[0], c[1], 1)))
			must.ErrorContains(t, err, c[2])
		})
	}
	for text, want := range map[string]string{
		"pool: 10.0.0.0/24\nnodes: 1\npodsOf: {web: 1}\n":                                                  "f:3: podsOf without podGroups, which say what the pods are",
		"pool: 10.0.0.0/24\nnodes: 1\nevents: [{do: scale, pods: 1, podGroup: web}]\n":                     `f:3: events[0].podGroup "web": the scenario has no podGroups`,
		"pools: [{name: p, cidr: 10.0.0.0/24, namespaceSelector: has(x)}]\nnodes: 1\ncalico: v3.30\n":      "v3.31 is the first release that does",
		"pool: 10.0.0.0/24\nnodes: 1\npodGroups: [" + strings.Repeat("{name: a},", maxPodGroups+1) + "]\n": "f:3: podGroups has 1001: must be at most 1000",
	} {
		_, err := Read("f", strings.NewReader(text))
		must.ErrorContains(t, err, want)
	}
}
