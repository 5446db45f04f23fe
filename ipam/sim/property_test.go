package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// anyScenario makes a small scenario that has a bit of everything.
func anyScenario(s property.Source) Scenario {
	pick := s.Pick
	labels := []map[string]string{nil, {"rack": "a"}, {"rack": "b"}}
	sc := Scenario{
		Group:           Group{Nodes: 1 + pick("nodes", 4), PodsPerNode: pick("pods", 9), Labels: labels[pick("labels", 3)]},
		TunnelIPPerNode: pick("tunnel", 2) == 1,
		Order:           []string{roundRobin, nodeByNode, random}[pick("order", 3)],
		Seed:            int64(pick("seed", 5)),
	}
	if pick("pools", 3) == 0 {
		sc.Pools = []Pool{
			{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.64/28"), BlockSize: 28 + pick("a", 3), NodeSelector: "rack == 'a'"},
			{Name: "b", CIDR: netip.MustParsePrefix("10.0.0.0/27"), BlockSize: 29, AllowedUses: []pool.Use{pool.Workload}},
			{Name: "c", CIDR: netip.MustParsePrefix("10.0.1.0/28"), BlockSize: 30, Disabled: pick("disabled", 2) == 1},
		}
		if pick("services", 3) == 1 {
			sc.Services = 1 + pick("services", 20)
			sc.Pools = append(sc.Pools, Pool{Name: "lb", CIDR: netip.MustParsePrefix("10.0.3.0/28"), BlockSize: 30, AllowedUses: []pool.Use{pool.LoadBalancer}})
		}
	} else {
		sc.Pool, sc.BlockSize = netip.MustParsePrefix("10.0.0.0/27"), 27+pick("size", 5)
		if pick("family", 4) == 1 {
			sc.Pool, sc.BlockSize = netip.MustParsePrefix("fd00::/123"), sc.BlockSize+96
		} else if pick("reserve", 3) == 1 {
			sc.Reservations = []string{"10.0.0.4/30", "10.0.0.17"}
		}
	}
	if pick("histogram", 3) == 1 {
		sc.PodsPerNode, sc.PodHistogram = 0, []Bucket{{2, 1}, {5, 2}}
	}
	if pick("group", 3) == 1 {
		sc.Groups = []Group{{Nodes: 2, NodeFormat: "extra-%d", Labels: labels[pick("labels", 3)], PodsPerNode: pick("pods", 5)}}
	}
	if pick("podGroups", 3) == 1 {
		sc.PodsPerNode, sc.PodHistogram = 0, nil
		for i := range sc.Groups {
			sc.Groups[i].PodsPerNode, sc.Groups[i].PodsOf = 0, map[string]int{"db": 3}
		}
		sc.PodGroups = []PodGroup{
			{Name: "web", PodsPerNode: pick("web", 4)},
			{Name: "db", Namespace: "db", NamespaceLabels: map[string]string{"team": "db"}, Pods: pick("db", 9), VirtualMachines: pick("machines", 2) == 1},
		}
		if len(sc.Pools) > 0 {
			sc.Pools[1].NamespaceSelector = []string{"", "team == 'db'", "team != 'db'"}[pick("namespace", 3)]
		}
	}
	sc.StrictAffinity = pick("strict", 3) == 1
	if sc.StrictAffinity {
		sc.Windows = pick("windows", 3) == 1
		for i := range sc.Groups {
			sc.Groups[i].Windows = pick("windows", 3) == 1
		}
	}
	sc.MaxBlocksPerHost = pick("limit", 4)
	sc.IPCooldownSeconds = []int{0, 0, 7}[pick("cooldown", 3)]
	if pick("churn", 2) == 1 {
		sc.Churn = &Churn{PerSecond: 2, For: Duration(time.Duration(1+pick("for", 20)) * time.Second)}
	}
	if pick("leaks", 4) == 1 {
		sc.Leaks = 0.3
	}
	if pick("retries", 3) == 1 {
		sc.RetryEvery = Duration(time.Second)
	}
	sc.For = Duration(time.Duration(20+pick("for", 10)) * time.Second)
	m := eventMaker{pick: pick, scenario: &sc, labels: labels, next: sc.Nodes, gone: make(map[string]bool), pods: make(map[string]bool)}
	at := time.Duration(0)
	for range pick("events", 8) {
		at += time.Duration(pick("at", 5)) * 700 * time.Millisecond
		if e, ok := m.event(); ok {
			e.At = Duration(at)
			sc.Events = append(sc.Events, e)
		}
	}
	if endless := slices.ContainsFunc(sc.Events, func(e Event) bool { return e.Every+e.Over > 0 }); !endless && sc.RetryEvery == 0 && pick("end", 2) == 1 {
		sc.For = 0
	}
	return sc
}

// eventMaker makes events, of which it knows what they leave.
type eventMaker struct {
	pick     func(label string, n int) int
	scenario *Scenario
	labels   []map[string]string
	next     int             // nodes of the first format
	gone     map[string]bool // nodes
	pods     map[string]bool // that run, by name
	pools    int             // added
	disabled int             // of those
}

// event makes one; ok is false if it could not happen.
func (m *eventMaker) event() (e Event, ok bool) {
	pick := m.pick
	e.Do = allKinds[pick("kind", len(allKinds))]
	there := m.next - len(m.gone)
	switch e.Do {
	case addNodes:
		e.Group = &Group{Nodes: 1 + pick("add", 2)}
		m.next += e.Group.Nodes
	case replaceNodes, interruptNodes, replacePods:
		e.Count = 1
		if e.Do != replacePods && there > 1 {
			e.Count += pick("count", 2)
		}
		if pick("repeat", 2) == 1 {
			e.Every = Duration(time.Duration(1+pick("every", 3)) * time.Second)
			e.Over = Duration(time.Duration(pick("over", 3)) * time.Second)
		}
		return e, there > 0
	case upgradeNodes:
		e.Count, e.Every = 1, Duration(time.Duration(pick("every", 3))*time.Second)
		return e, there > 0
	case scalePods:
		e.Pods = pick("scale", 30)
		if of := m.scenario.PodGroups; len(of) > 0 {
			e.PodGroup = of[pick("group", len(of))].Name
		}
	case startPod, stopPod:
		e.Pod = []string{"db/a", "db/b"}[pick("pod", 2)]
		if m.pods[e.Pod] == (e.Do == startPod) {
			return e, false
		}
		if e.Do == startPod {
			if e.Nodes = m.node(); e.Nodes == nil {
				return e, false
			}
			if len(m.scenario.Pools) == 0 && pick("address", 2) == 1 {
				e.Address = m.scenario.Pool.Addr().Next()
			}
		}
		m.pods[e.Pod] = e.Do == startPod
	case addPool:
		cidr := fmt.Sprintf("10.0.2.%d/28", 16*m.pools)
		if m.scenario.pools()[0].CIDR.Addr().Is6() {
			cidr = fmt.Sprintf("fd00::%d:0/124", 2+m.pools)
		}
		m.pools++
		e.Pool = &Pool{Name: fmt.Sprint("added-", m.pools), CIDR: netip.MustParsePrefix(cidr)}
		e.Pool.BlockSize = e.Pool.CIDR.Bits() + 1 + pick("size", 2)
	case disablePool:
		if m.disabled == m.pools {
			return e, false
		}
		m.disabled++
		e.Pool = &Pool{Name: fmt.Sprint("added-", m.disabled)}
	case setStrictAffinity:
		e.Strict = pick("strict", 2) == 1 || m.scenario.StrictAffinity // for nodes may run Windows
	case setCooldown:
		e.Seconds = pick("seconds", 3) * 4
	case setBlockLimit:
		e.Limit = pick("limit", 4)
	default:
		if e.Nodes = m.node(); e.Nodes == nil {
			return e, false
		}
		switch e.Do {
		case removeNodes:
			m.gone[e.Nodes[0]] = true
		case setLabels:
			e.Labels = m.labels[1+pick("labels", 2)]
		}
	}
	return e, true
}

// node returns the name of a node, nil for one that is gone.
func (m *eventMaker) node() []string {
	name := fmt.Sprintf("node-%d", m.pick("node", m.next))
	if m.gone[name] {
		return nil
	}
	return []string{name}
}

// consistent runs a scenario and reports what in its result contradicts the rest.
func consistent(s Scenario, o Options) (Result, error) {
	var told Totals
	keptTold := 0
	o.Each = func(m *Moment) {
		told.Requests++
		switch m.Outcome {
		case own:
			told.Own++
		case borrowed:
			told.Borrowed++
		case kept:
			keptTold++
		case refusedBlockLimit:
			told.RefusedBlockLimit++
		case refusedTaken:
			told.RefusedTaken++
		default:
			told.RefusedPoolEmptyOrStrict++
		}
	}
	r, err := begin(s, o)
	if err != nil {
		return Result{}, err
	}
	res := r.finish()
	if err := r.engine.(*ipam.Allocator).Check(); err != nil {
		return res, err
	}
	var errs []error
	same := func(what string, got, want int) {
		if got != want {
			errs = append(errs, fmt.Errorf("%s: %d, want %d", what, got, want))
		}
	}
	same("requests told", told.Requests, res.Requests)
	same("own told", told.Own, res.Own)
	same("borrowed told", told.Borrowed, res.Borrowed)
	same("refusals told", told.Refused(), res.Refused())
	same("kept told", keptTold, res.Kept)
	same("requests", res.Own+res.Borrowed+res.Kept+res.Refused(), res.Requests)
	same("assigned", res.Own+res.Borrowed, res.Assigned)
	same("reasons", res.RefusedStrict+res.RefusedPoolEmpty+res.RefusedNoPool, res.RefusedPoolEmptyOrStrict)
	same("blocks counted", res.Blocks.Claimed, res.BlocksClaimed)
	var sum NodeCount
	for _, n := range res.PerNode {
		sum.Requests += n.Requests
		sum.Own += n.Own
		sum.Borrowed += n.Borrowed
		sum.Refused += n.Refused
		sum.Blocks += n.Blocks
		sum.InUse += n.InUse
	}
	same("requests of nodes", sum.Requests, res.Requests)
	same("own of nodes", sum.Own, res.Own)
	same("borrowed of nodes", sum.Borrowed, res.Borrowed)
	same("refused of nodes", sum.Refused, res.Refused())
	same("blocks of nodes", sum.Blocks, res.BlocksClaimed)
	cleaned := 0
	if res.Cleaned != nil {
		cleaned = res.Cleaned.Addresses
	}
	same("in use of nodes", sum.InUse, res.Assigned-res.Released-res.Unheld-cleaned)
	last := res.Samples[len(res.Samples)-1]
	same("last sample", last.Request, res.Requests)
	same("in use at last", last.InUse, sum.InUse)
	if last.Blocks != res.Blocks {
		errs = append(errs, fmt.Errorf("blocks of the last sample: %+v, want %+v", last.Blocks, res.Blocks))
	}
	same("frames", len(res.Map.Frames), len(res.Samples))
	shown := replay(res.Map)
	same("in use on the map", shown.InUse, sum.InUse+res.Unheld)
	if res.Unheld == 0 {
		same("borrowed on the map", shown.Borrowed, last.Borrowed)
	}
	same("unheld at last", last.Unheld, res.Unheld)
	same("waiting at last", last.Waiting, res.Waiting)
	errs = append(errs, recounted(r, &res), grouped(r, &res, sum.InUse))
	return res, errors.Join(errs...)
}

// recounted looks at all blocks and nodes, and reports what the result says otherwise.
func recounted(r *runner, res *Result) error {
	there := make(map[string]int) // blocks of each node that is there
	running, waiting := 0, 0
	for _, n := range r.nodes {
		if n.gone {
			continue
		}
		there[n.name] = 0
		if r.pods.kept && n.running != len(n.pods) {
			return fmt.Errorf("%s runs %d pods, and has %d", n.name, n.running, len(n.pods))
		}
		for _, p := range n.pods {
			running++
			if p.node != n {
				return fmt.Errorf("pod %s of %s thinks otherwise", p.handle, n.name)
			}
			if !p.address.IsValid() {
				waiting++
			}
		}
	}
	var want Blocks
	services := 0
	for _, b := range r.engine.State().Blocks {
		if b.Owner == affinity.VirtualOwner(servicesOwner) {
			services++
			continue
		}
		blocks, owned := there[b.Owner.Name]
		switch {
		case !owned:
			want.Dead++
			continue
		case slices.ContainsFunc(b.Allocations, func(a block.Allocation) bool { return !block.IsHostReserved(a.Handle) }):
			want.Live++
		default:
			want.Empty++
		}
		there[b.Owner.Name] = blocks + 1
	}
	for _, blocks := range there {
		if blocks == 0 {
			want.NodesWithoutBlock++
		}
	}
	if services != res.ServiceBlocks {
		return fmt.Errorf("blocks of services: %d, got %d", services, res.ServiceBlocks)
	}
	got := Blocks{Live: res.Blocks.Live, Dead: res.Blocks.Dead, Empty: res.Blocks.Empty, NodesWithoutBlock: res.Blocks.NodesWithoutBlock}
	if got != want {
		return fmt.Errorf("blocks counted again: %+v, got %+v", want, got)
	}
	if r.pods.kept && waiting != res.Waiting {
		return fmt.Errorf("%d of %d pods wait, got %d", waiting, running, res.Waiting)
	}
	return nil
}

// grouped reports what the counts of groups and pools say that the pods do not.
func grouped(r *runner, res *Result, inUse int) error {
	if len(res.PerPodGroup) == 0 {
		return nil
	}
	pods, with := make(map[int32]int), make(map[int32]int) // by group
	for _, n := range r.nodes {
		for _, p := range n.pods {
			pods[p.group]++
			if p.address.IsValid() {
				with[p.group]++
			}
		}
	}
	for i, g := range r.groups.counts {
		number, inUse := int32(i+1), 0
		for _, by := range res.PerPool {
			inUse += by[g.name]
		}
		if r.pods.kept && (g.running != pods[number] || inUse != with[number]) {
			return fmt.Errorf("%+v with %d addresses, and %d pods run, %d of them with an address", g, inUse, pods[number], with[number])
		}
	}
	held := 0
	for _, by := range res.PerPool {
		for _, n := range by {
			held += n
		}
	}
	if inUse += res.ServiceRequests[own]; held != inUse {
		return fmt.Errorf("in use of pools: %d, want %d", held, inUse)
	}
	return nil
}

// replay adds up the cells that a map ends with.
func replay(m *Map) (sum Cell) {
	cells := make(map[int]Cell)
	for _, f := range m.Frames {
		for _, c := range f.Cells {
			if cells[c.Block] = c; c.Owner == Gone {
				delete(cells, c.Block)
			}
		}
	}
	for _, c := range cells {
		sum.InUse += c.InUse
		sum.Borrowed += c.Borrowed
	}
	return sum
}

// TestBothEnginesAgree: a result contradicts nothing of itself, and is the same on
// the reference, which can be looked at only as a whole.
func TestBothEnginesAgree(t *testing.T) {
	property.Check(t, 1000, 1, func(rt *rapid.T) {
		s := anyScenario(property.Rapid(rt))
		if err := agree(s, nil); err != nil {
			rt.Fatalf("%+v\n%v", s, err)
		}
	})
}

// TestAnonymousAgree: a run whose addresses are never given back does without handles,
// and what comes out is what the reference says with them.
func TestAnonymousAgree(t *testing.T) {
	anonymous := func(s Scenario) Scenario {
		s.Churn, s.Events, s.RetryEvery, s.For = nil, nil, 0, 0
		return s
	}
	property.Check(t, 1000, 1, func(rt *rapid.T) {
		s := anonymous(anyScenario(property.Rapid(rt)))
		if err := agree(s, nil); err != nil {
			rt.Fatalf("%+v\n%v", s, err)
		}
	})
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/24"), Group: Group{Nodes: 3, PodsPerNode: 100}, TunnelIPPerNode: true}
	r, err := begin(s, Options{})
	must.NoError(t, err)
	must.SliceEmpty(t, r.engine.State().Handles)
	must.Eq(t, "node-1-84", r.result.FirstRefusal.Pod)
	s.Events = []Event{{Do: removeNodes, Nodes: []string{"node-0"}}}
	r, err = begin(s, Options{})
	must.NoError(t, err)
	must.SliceNotEmpty(t, r.engine.State().Handles)
}

// agree runs the scenario on both engines. The reference's may be spoilt.
func agree(s Scenario, spoil func(Engine) Engine) error {
	o := Options{Samples: 7, Map: true, PerNode: true}
	want, err := consistent(s, o)
	if err != nil {
		return err
	}
	clock := ipam.NewClock(start)
	var e Engine = protocol.NewCluster().Client(nil, clock.Now)
	if spoil != nil {
		e = spoil(e)
	}
	r, err := run(e, clock, s, o, false)
	if err != nil {
		return err
	}
	if got := r.finish(); !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the reference says\n%+v, want\n%+v", got, want)
	}
	return nil
}

// TestCleaned: the same with a cleaner, that may be down.
func TestCleaned(t *testing.T) {
	cleaned := 0
	property.Check(t, 500, 1, func(rt *rapid.T) {
		source := property.Rapid(rt)
		s := anyScenario(source)
		grace := Duration(time.Duration(source.Pick("grace", 4)) * time.Second)
		s.Cleaner = &Cleaner{GracePeriod: &grace, Reaction: Duration(time.Second)}
		if source.Pick("down", 2) == 1 {
			from := Duration(time.Duration(source.Pick("from", 10)) * time.Second)
			s.Cleaner.Down = []Outage{{from, from + Duration(time.Duration(1+source.Pick("long", 10))*time.Second)}}
		}
		s.For = Duration(40 * time.Second)
		res, err := consistent(s, Options{Samples: 7, Map: true, PerNode: true, Peaks: true})
		if err != nil {
			rt.Fatalf("%+v\n%v", s, err)
		}
		if res.Peaks.Unheld.N < res.Unheld || res.Peaks.Waiting.N < res.Waiting || res.Peaks.Dead.N < res.Blocks.Dead {
			rt.Fatalf("%+v in the end of %+v", res, res.Peaks)
		}
		cleaned += res.Cleaned.Addresses
	})
	must.Positive(t, cleaned)
}

// deaf is an engine that does not hear of every third release.
type deaf struct {
	Engine
	releases int
}

func (d *deaf) ReleaseByHandle(id string) error {
	if d.releases++; d.releases%3 == 0 {
		return nil
	}
	return d.Engine.ReleaseByHandle(id)
}

// blind is an engine that sees no labels.
type blind struct{ Engine }

func (b blind) SetNode(n ipam.Node) error {
	n.Labels = nil
	return b.Engine.SetNode(n)
}

// hasty is an engine that knows no cooldown.
type hasty struct{ Engine }

func (h hasty) SetIPAMConfig(c ipam.Config) error { return h.PutIPAMConfig(c) }

func (h hasty) PutIPAMConfig(c ipam.Config) error {
	c.IPCooldownSeconds = 0
	return h.Engine.PutIPAMConfig(c)
}

// open is an engine that disables no pool.
type open struct{ Engine }

func (o open) SetPool(spec pool.Spec) error {
	spec.Disabled = false
	return o.Engine.SetPool(spec)
}

// stubborn is an engine that gives nobody the address that it wants.
type stubborn struct{ Engine }

func (stubborn) AssignIP(ipam.AssignIPArgs) error { return codes.AlreadyExists }

func TestAgreementRejects(t *testing.T) {
	for name, spoil := range map[string]func(Engine) Engine{
		"releases lost": func(e Engine) Engine { return &deaf{Engine: e} },
		"no labels":     func(e Engine) Engine { return blind{e} },
		"no cooldown":   func(e Engine) Engine { return hasty{e} },
		"open pools":    func(e Engine) Engine { return open{e} },
		"no wishes":     func(e Engine) Engine { return stubborn{e} },
		"no machines":   func(e Engine) Engine { return forgetful{e} },
		"no namespaces": func(e Engine) Engine { return nowhere{e} },
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(s property.Source) error { return agree(anyScenario(s), spoil) })
		})
	}
}

// TestHeadroom compares what going on finds with scenarios that are larger from the
// start: where nothing else comes after, they make the same requests.
func TestHeadroom(t *testing.T) {
	found := 0
	property.Check(t, 100, 1, func(rt *rapid.T) {
		source := property.Rapid(rt)
		s := Scenario{
			Pool: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 27 + source.Pick("size", 6),
			Group: Group{Nodes: 1 + source.Pick("nodes", 5), PodsPerNode: 1 + source.Pick("pods", 6)}, StrictAffinity: source.Pick("strict", 2) == 1,
		}
		res, err := Run(s, Options{Headroom: true})
		if err != nil {
			rt.Fatal(err)
		}
		if res.Refused() > 0 {
			if *res.Headroom != (Headroom{}) {
				rt.Fatalf("%+v after a refusal", res.Headroom)
			}
			return
		}
		found++
		refused := func(larger func(*Scenario)) bool {
			more := s
			larger(&more)
			res, err := Run(more, Options{})
			if err != nil {
				rt.Fatal(err)
			}
			return res.Refused() > 0
		}
		for extra := range 2 {
			if got := refused(func(s *Scenario) { s.PodsPerNode += res.Headroom.PodsPerNode + extra }); got != (extra == 1) {
				rt.Fatalf("%+v: %d more pods than %+v are refused: %v", s, extra, res.Headroom, got)
			}
		}
		s.Order = nodeByNode
		if res, err = Run(s, Options{Headroom: true}); err != nil {
			rt.Fatal(err)
		}
		for extra := range 2 {
			if got := refused(func(s *Scenario) { s.Nodes += res.Headroom.Nodes + extra }); got != (extra == 1) {
				rt.Fatalf("%+v: %d more nodes than %+v are refused: %v", s, extra, res.Headroom, got)
			}
		}
	})
	must.Positive(t, found)
}

// TestHeadroomEnds: nodes that ask for nothing are passed over, names that exist too,
// and a search ends where it is told to.
func TestHeadroomEnds(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28, Group: Group{Nodes: 3, PodHistogram: []Bucket{{0, 2}, {10, 1}}}}
	find := func(requests int) Headroom {
		res, err := Run(s, Options{Headroom: true, HeadroomRequests: requests})
		must.NoError(t, err)
		return *res.Headroom
	}
	// One of three nodes runs ten pods, the second: 24 more of those fit, and the one
	// after them finds 6 addresses.
	must.Eq(t, Headroom{Nodes: 73, NodesFit: 46, PodsPerNode: 82, PodsFit: 80}, find(0))
	must.Eq(t, Headroom{Nodes: 2, NodesFit: 2, NodesAtLeast: true, PodsPerNode: 2, PodsFit: 2, PodsAtLeast: true}, find(5))

	s.PodHistogram = []Bucket{{0, 1}}
	must.Eq(t, Headroom{Nodes: NoEnd, NodesFit: NoEnd, PodsPerNode: 85, PodsFit: 80}, find(0))

	s.PodHistogram, s.PodsPerNode = nil, 10
	s.Groups = []Group{{Nodes: 1, NodeFormat: "zode-1%d", PodsPerNode: 10}}
	want := find(0)
	s.Groups[0].NodeFormat = "node-1%d" // node-10 is there already
	must.Eq(t, want.Nodes, find(0).Nodes)
}

// TestAnonymousCosts: pods of an anonymous run that find room in the blocks of their
// nodes cost no memory, but for the rest of a block's cells. With handles they do.
func TestAnonymousCosts(t *testing.T) {
	property.Slow(t)
	const nodes = 100
	more := func(o Options) float64 { // allocations for 55 more pods a node
		of := func(pods int) float64 {
			s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/16"), Group: Group{Nodes: nodes, PodsPerNode: pods}}
			return testing.AllocsPerRun(3, func() {
				_, err := Run(s, o)
				must.NoError(t, err)
			})
		}
		return of(60) - of(5)
	}
	must.Less(t, 1.5*nodes, more(Options{}))
	must.Greater(t, 3.0*nodes, more(Options{Handles: true}))
}
