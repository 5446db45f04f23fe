package sim

import (
	"fmt"
	"math/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// requests runs a scenario and returns its requests.
func requests(t *testing.T, s Scenario) (all []Moment, r *runner) {
	t.Helper()
	r, err := begin(s, Options{Each: func(m *Moment) { all = append(all, *m) }})
	must.NoError(t, err)
	return all, r
}

// nodesOf returns who asked, in order.
func nodesOf(all []Moment) (names []string) {
	for _, m := range all {
		names = append(names, m.Node)
	}
	return names
}

func TestOrders(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/24"), Group: Group{Nodes: 3, NodeFormat: "%d", PodHistogram: []Bucket{{1, 1}, {3, 2}}}}
	all, _ := requests(t, s)
	// Two of three nodes run three pods, and the one that runs one comes in between.
	must.Eq(t, []string{"0", "1", "2", "0", "2", "0", "2"}, nodesOf(all))
	s.Order = nodeByNode
	all, _ = requests(t, s)
	must.Eq(t, []string{"0", "0", "0", "1", "2", "2", "2"}, nodesOf(all))
	s.Order = random
	all, _ = requests(t, s)
	shuffled := nodesOf(all)
	must.NotEq(t, shuffled, slices.Sorted(slices.Values(shuffled)))
	must.Eq(t, []string{"0", "0", "0", "1", "2", "2", "2"}, slices.Sorted(slices.Values(shuffled)))
	again, _ := requests(t, s)
	must.Eq(t, all, again)
	s.Seed = 1
	again, _ = requests(t, s)
	must.NotEq(t, shuffled, nodesOf(again))
}

// TestHistogram: the buckets have the nodes that they are due, all along.
func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for range 100 {
		g := Group{Nodes: 1 + random.Intn(50)}
		total := 0
		for i := range 1 + random.Intn(4) {
			g.PodHistogram = append(g.PodHistogram, Bucket{Pods: i, Nodes: 1 + random.Intn(9)})
			total += g.PodHistogram[i].Nodes
		}
		seen := make([]int, len(g.PodHistogram))
		for i, pods := range g.podCounts() {
			seen[pods]++
			for j, b := range g.PodHistogram {
				due := float64(b.Nodes) * float64(i+1) / float64(total)
				must.InDelta(t, due, float64(seen[j]), float64(len(seen)), must.Sprintf("%+v", g))
			}
		}
		if g.Nodes = total; g.Nodes > 0 {
			seen = make([]int, len(g.PodHistogram))
			for _, pods := range g.podCounts() {
				seen[pods]++
			}
			for j, b := range g.PodHistogram {
				must.Eq(t, b.Nodes, seen[j], must.Sprintf("%+v", g))
			}
		}
	}
}

func TestDrain(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 29, Group: Group{Nodes: 3, NodeFormat: "%d", PodsPerNode: 2}, TunnelIPPerNode: true,
		Events: []Event{{At: Duration(time.Second), Do: drainNodes, Nodes: []string{"1"}}, {At: Duration(2 * time.Second), Do: removeNodes, Nodes: []string{"1"}}},
	}
	all, r := requests(t, s)
	must.Eq(t, []string{"0", "1", "2", "0", "1", "2", "0", "1", "2", "0", "2"}, nodesOf(all), must.Sprint("the two pods of 1 start on 0 and 2"))
	must.Eq(t, Duration(time.Second), all[9].At)
	res := r.finish()
	must.Eq(t, 3, res.Released, must.Sprint("two pods and a tunnel"))
	must.Eq(t, 2, res.BlocksClaimed)
	must.Zero(t, res.NodesWithoutBlock, must.Sprint("of those that are there"))
	must.Zero(t, res.Unscheduled)

	s.Events = s.Events[:1]
	_, r = requests(t, s)
	res = r.finish()
	must.Eq(t, 3, res.BlocksClaimed, must.Sprint("a drained node keeps its block"))
	must.Eq(t, 1, res.Blocks.OnePod)

	s.Events[0].Nodes = []string{"0", "1", "2"}
	_, r = requests(t, s)
	res = r.finish()
	must.Eq(t, 6, res.Unscheduled)
	must.Eq(t, 3, res.Blocks.OnePod, must.Sprint("the tunnels"))
}

func TestAddNodes(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 29, Group: Group{Nodes: 1, PodsPerNode: 2}, TunnelIPPerNode: true,
		Events: []Event{
			{Do: addNodes, Group: &Group{Nodes: 2}},
			{Do: removeNodes, Nodes: []string{"node-1"}},
			{Do: addNodes, Group: &Group{Nodes: 1, PodsPerNode: 1}},
			{Do: addNodes, Group: &Group{Nodes: 1, NodeFormat: "extra-%d"}},
		},
	}
	all, _ := requests(t, s)
	must.Eq(t, []string{
		"node-0", "node-0", "node-0", "node-1", "node-1", "node-1", "node-2", "node-2", "node-2",
		"node-0", "node-2", // the pods of node-1
		"node-3", "node-3", "extra-0", "extra-0", "extra-0",
	}, nodesOf(all))
}

func TestLabelsAndStrictness(t *testing.T) {
	s := Scenario{
		Pools: []Pool{{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 29, NodeSelector: "rack == 'a'"}},
		Group: Group{Nodes: 3, PodsPerNode: 3, Labels: map[string]string{"rack": "a"}},
		Churn: &Churn{PerSecond: 10, For: Duration(3 * time.Second)},
		Events: []Event{
			{At: Duration(time.Second), Do: setStrictAffinity, Strict: true},
			{At: Duration(2 * time.Second), Do: setLabels, Nodes: []string{"node-0", "node-1", "node-2"}, Labels: map[string]string{"rack": "b"}},
		},
	}
	all, _ := requests(t, s)
	must.Len(t, 9+30, all)
	for _, m := range all {
		switch {
		case time.Duration(m.At) < time.Second:
			must.SliceContains(t, []Outcome{own, borrowed}, m.Outcome, must.Sprintf("%+v", m))
		case time.Duration(m.At) < 2*time.Second:
			must.Eq(t, map[bool]Outcome{true: refusedStrict, false: own}[m.Node == "node-2"], m.Outcome, must.Sprintf("%+v", m))
		default:
			must.Eq(t, refusedNoPool, m.Outcome, must.Sprintf("%+v", m))
		}
	}
}

// TestReuseGap: two addresses are free, and a pod restarts twice a second: the one
// that was given back waits for two others to go before it.
func TestReuseGap(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/26"), Group: Group{Nodes: 1, PodsPerNode: 62},
		Churn: &Churn{PerSecond: 2, For: Duration(time.Minute)},
	}
	res, err := Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, 120, res.Released)
	must.Eq(t, time.Second, time.Duration(*res.ReuseGap))
	s.IPCooldownSeconds = 10
	res, err = Run(s, Options{})
	must.NoError(t, err)
	// Calico notes releases in whole seconds: up to one second less.
	must.Eq(t, 9500*time.Millisecond, time.Duration(*res.ReuseGap))
	must.Positive(t, res.RefusedPoolEmpty)
	s.Churn, s.IPCooldownSeconds = nil, 0
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Nil(t, res.ReuseGap)
}

// TestStopped: a run that is told to stop does, and one that is not goes on to its
// end.
func TestStopped(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/16"), Group: Group{Nodes: 100, PodsPerNode: 100}}
	calls := 0
	tell := func(goOn bool) Options {
		calls = 0
		return Options{Headroom: true, Progress: func(done, of int) bool {
			calls++
			must.Eq(t, 10_000, of)
			must.Eq(t, calls*progressEvery, done)
			return goOn || calls < 2
		}}
	}
	_, err := Run(s, tell(false))
	must.ErrorIs(t, err, ErrStopped)
	must.Eq(t, 2, calls)
	o := tell(true)
	o.Headroom = false
	_, err = Run(s, o)
	must.NoError(t, err)
	must.Eq(t, 2, calls)
}

// TestSamples: as many as asked for, the first before anything and the last after
// everything, evenly in between.
func TestSamples(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/24"), Group: Group{Nodes: 4, PodsPerNode: 25}}
	for _, n := range []int{2, 3, 11, 101, 500} {
		res, err := Run(s, Options{Samples: n})
		must.NoError(t, err)
		must.Len(t, min(n, 101), res.Samples)
		must.Nil(t, res.Map)
		for i, sample := range res.Samples {
			if n <= 101 {
				must.Eq(t, 100*i/(n-1), sample.Request)
			}
		}
	}
	res, err := Run(s, Options{Samples: 1})
	must.NoError(t, err)
	must.Len(t, 2, res.Samples)
}

// TestSamplesOfEvents: a drain shows although nobody had counted on its requests.
func TestSamplesOfEvents(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28, Group: Group{Nodes: 4, PodsPerNode: 10}, TunnelIPPerNode: true,
		Events: []Event{
			{At: Duration(1 * time.Minute), Do: drainNodes, Nodes: []string{"node-0"}},
			{At: Duration(2 * time.Minute), Do: addNodes, Group: &Group{Nodes: 1}},
			{At: Duration(3 * time.Minute), Do: setLabels, Nodes: []string{"node-0"}},
			{At: Duration(4 * time.Minute), Do: removeNodes, Nodes: []string{"node-1"}},
		},
	}
	res, err := Run(s, Options{Samples: 10, Map: true})
	must.NoError(t, err)
	seen := make(map[Duration]bool)
	for i, sample := range res.Samples {
		seen[sample.At] = true
		must.Eq(t, sample.At, res.Map.Frames[i].At)
		if i > 0 {
			must.GreaterEq(t, res.Samples[i-1].Request, sample.Request)
		}
	}
	must.MapLen(t, 5, seen)
	res, err = Run(s, Options{Samples: 3})
	must.NoError(t, err)
	must.Len(t, 3, res.Samples, must.Sprint("fewer than events"))
}

// TestNodesInNeed: of the nodes without a block those that would use one.
func TestNodesInNeed(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/27"), BlockSize: 28, Group: Group{Nodes: 2, PodsPerNode: 1},
		Events: []Event{{Do: addNodes, Group: &Group{Nodes: 3, PodHistogram: []Bucket{{0, 2}, {1, 1}}}}},
	}
	res, err := Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, 3, res.NodesWithoutBlock)
	must.Eq(t, 1, res.NodesInNeed)
	s.TunnelIPPerNode = true
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, 3, res.NodesWithoutBlock)
	must.Eq(t, 3, res.NodesInNeed)
}

// TestStrictOrEmpty: a node is refused by strict affinity only where somebody else
// could still be given something.
func TestStrictOrEmpty(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/27"), BlockSize: 28, Group: Group{Nodes: 1, PodsPerNode: 40}, StrictAffinity: true}
	res, err := Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, []int{0, 8}, []int{res.RefusedStrict, res.RefusedPoolEmpty})
	s.Reservations = []string{"10.0.0.0/30"}
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, []int{0, 12}, []int{res.RefusedStrict, res.RefusedPoolEmpty})
	s.Reservations, s.Nodes, s.PodsPerNode = nil, 3, 10
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, []int{10, 0}, []int{res.RefusedStrict, res.RefusedPoolEmpty})
	s.Pool, s.BlockSize, s.Labels = netip.Prefix{}, 0, map[string]string{"rack": "a"}
	s.Pools = []Pool{
		{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 28, NodeSelector: "rack == 'a'"},
		{Name: "b", CIDR: netip.MustParsePrefix("10.0.1.0/28"), BlockSize: 28, NodeSelector: "rack == 'b'"},
	}
	s.Nodes, s.PodsPerNode = 1, 20
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, []int{0, 4}, []int{res.RefusedStrict, res.RefusedPoolEmpty}, must.Sprint("what another rack has is not for this one"))
}

// TestFreeBlocks: blocks that are reserved whole are not free, by one entry or by two.
func TestFreeBlocks(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28, Group: Group{Nodes: 3, PodsPerNode: 1},
		Reservations: []string{"10.0.0.0/26", "10.0.0.64/29", "10.0.0.72/29", "10.0.0.80/29", "10.1.0.0/24"},
	}
	res, err := Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, 16, res.BlocksTotal)
	must.Eq(t, 16-5-3, res.Blocks.Free)
}

// TestChurnTakesAll: every pod is restarted some time, the first and the last too.
func TestChurnTakesAll(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/24"), Group: Group{Nodes: 9, PodsPerNode: 1}, Churn: &Churn{PerSecond: 10, For: Duration(20 * time.Second)}}
	all, _ := requests(t, s)
	asked := make(map[string]int)
	for _, m := range all {
		asked[m.Node]++
	}
	for node, n := range asked {
		must.Greater(t, 10, n, must.Sprint(node))
	}
	must.MapLen(t, 9, asked)
}

// TestDrainOfAll: where every node is drained, no pod has a node to go to.
func TestDrainOfAll(t *testing.T) {
	property.Slow(t)
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/12"), Group: Group{Nodes: 2000, PodsPerNode: 30}, Events: []Event{{Do: drainNodes}}}
	for i := range s.Nodes {
		s.Events[0].Nodes = append(s.Events[0].Nodes, fmt.Sprintf("node-%d", i))
	}
	res, err := Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, 60_000, res.Unscheduled)
	must.Eq(t, 60_000, res.Released)
}

// TestUndrain: nodes take pods again, and first those that no node took.
func TestUndrain(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 29, Group: Group{Nodes: 2, NodeFormat: "%d", PodsPerNode: 2},
		Events: []Event{
			{At: 1, Do: drainNodes, Nodes: []string{"0"}},
			{At: 2, Do: drainNodes, Nodes: []string{"1"}}, // four pods without a node
			{At: 3, Do: undrainNodes, Nodes: []string{"0"}},
			{At: 4, Do: undrainNodes, Nodes: []string{"1"}},
			{At: 5, Do: scalePods, Pods: 8},
		},
	}
	all, r := requests(t, s)
	must.Eq(t, []string{"0", "1", "0", "1", "1", "1", "0", "0", "0", "0", "1", "1", "1", "1"}, nodesOf(all))
	must.Zero(t, r.finish().Unscheduled)
	s.Events = s.Events[:2]
	_, r = requests(t, s)
	must.Eq(t, 4, r.finish().Unscheduled)
}

func TestScale(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 29, Group: Group{Nodes: 3, NodeFormat: "%d", PodsPerNode: 2},
		Events: []Event{
			{At: 1, Do: startPod, Pod: "db/a", Nodes: []string{"0"}},
			{At: 2, Do: scalePods, Pods: 9},
			{At: 3, Do: scalePods, Pods: 4},
			{At: 4, Do: drainNodes, Nodes: []string{"0", "1", "2"}},
			{At: 5, Do: scalePods, Pods: 7},
			{At: 6, Do: scalePods, Pods: 2},
		},
	}
	end := func(events int) (names []string, running []int, res Result) {
		of := s
		of.Events = s.Events[:events]
		all, r := requests(t, of)
		for _, n := range r.nodes {
			running = append(running, n.running)
		}
		return nodesOf(all), running, r.finish()
	}
	names, running, _ := end(2)
	must.Eq(t, []string{"0", "1", "2", "0", "1", "2", "0", "1", "2", "0"}, names, must.Sprint("db/a on 0, then three more: the named pod is not one of them"))
	must.Eq(t, []int{4, 3, 3}, running)
	_, running, res := end(3)
	must.Eq(t, []int{1, 2, 2}, running, must.Sprint("the fullest node's last goes first; db/a stays"))
	must.Eq(t, 5, res.Released)
	_, _, res = end(4)
	must.Eq(t, 5, res.Unscheduled, must.Sprint("with db/a"))
	_, _, res = end(5)
	must.Eq(t, 8, res.Unscheduled, must.Sprint("three more that no node takes"))
	_, _, res = end(6)
	must.Eq(t, 3, res.Unscheduled)
}

// TestPools: a pool that is added takes what the others have no room for, and one that
// is disabled keeps what it has.
func TestPools(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.1.0/29"), BlockSize: 29, Group: Group{Nodes: 1, PodsPerNode: 9}, RetryEvery: Duration(time.Second),
		Events: []Event{
			{At: Duration(2500 * time.Millisecond), Do: addPool, Pool: &Pool{Name: "more", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 29}},
			{At: Duration(4 * time.Second), Do: disablePool, Pool: &Pool{Name: "pool"}},
			{At: Duration(4 * time.Second), Do: replacePods, Count: 9, Over: Duration(time.Second)},
			{At: Duration(6 * time.Second), Do: disablePool, Pool: &Pool{Name: "more"}},
			{At: Duration(7 * time.Second), Do: scalePods, Pods: 10},
		},
		For: Duration(8 * time.Second),
	}
	all, r := requests(t, s)
	res := r.finish()
	must.Eq(t, refusedPoolEmpty, all[8].Outcome)
	must.Eq(t, []Outcome{refusedPoolEmpty, refusedPoolEmpty, own}, []Outcome{all[9].Outcome, all[10].Outcome, all[11].Outcome}, must.Sprint("refused twice more"))
	must.Eq(t, "10.0.0.8", all[11].Address.String())
	for _, m := range all[12:21] {
		must.Eq(t, own, m.Outcome)
		must.True(t, s.Events[0].Pool.CIDR.Contains(m.Address), must.Sprint("the first pool is disabled"))
	}
	must.Eq(t, refusedNoPool, all[21].Outcome, must.Sprint("so is the second"))
	must.Zero(t, res.BlocksTotal)
	must.Zero(t, res.Blocks.Free)
	must.Eq(t, 2, res.Blocks.Claimed, must.Sprint("one of each"))
	must.Eq(t, 5, res.Retries, must.Sprint("three of the first, two of the last"))
	must.Eq(t, 1, res.Waiting)
	must.Eq(t, 2, res.PodsRefused)
}

func TestBlockLimit(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 31, Group: Group{Nodes: 1, PodsPerNode: 3}, StrictAffinity: true, MaxBlocksPerHost: 1,
		Events: []Event{{At: 1, Do: setBlockLimit, Limit: 2}, {At: 2, Do: scalePods, Pods: 6}, {At: 3, Do: setBlockLimit}, {At: 4, Do: scalePods, Pods: 7}},
	}
	all, _ := requests(t, s)
	var outcomes []Outcome
	for _, m := range all {
		outcomes = append(outcomes, m.Outcome)
	}
	must.Eq(t, []Outcome{own, own, refusedBlockLimit, own, own, refusedBlockLimit, own}, outcomes)
}

// TestReplacedByName: a node's name stands for its successor, whose name nobody has.
func TestReplacedByName(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 29, Group: Group{Nodes: 2, PodsPerNode: 1, NumberFrom: 3},
		Groups: []Group{{Nodes: 1, NodeFormat: "%d-node"}},
		Events: []Event{
			{At: 1, Do: interruptNodes, Nodes: []string{"node-3"}},
			{At: 2, Do: addNodes, Group: &Group{Nodes: 1}},
			{At: 3, Do: replaceNodes, Nodes: []string{"node-3", "node-5"}},
			{At: 4, Do: removeNodes, Nodes: []string{"node-3"}},
			{At: 5, Do: undrainNodes, Nodes: []string{"node-5"}},
		},
	}
	all, r := requests(t, s)
	must.Eq(t, []string{"node-3", "node-4", "node-6", "node-5", "node-7", "node-8", "0-node"}, nodesOf(all), must.Sprint("0-node is the emptiest"))
	must.Nil(t, r.places[0])
	res := r.finish()
	must.Eq(t, 7, res.NodesStarted)
	must.Eq(t, 1, res.Unheld, must.Sprint("of the pod that was interrupted"))
	must.Eq(t, 3, res.Blocks.Dead, must.Sprint("node-3, node-6 and node-5 left theirs behind"))
}

// TestWindows: Windows nodes keep four addresses of each block, and need strict
// affinity (§10).
func TestWindows(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.74.0.0/23"), BlockSize: 28, StrictAffinity: true,
		Group: Group{Nodes: 10, PodsPerNode: 14, Windows: true},
	}
	r, err := Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, 20, r.BlocksClaimed, must.Sprint("12 pods fit a block"))
	must.Eq(t, 140, r.Own)
	s.Windows = false
	r, err = Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, 10, r.BlocksClaimed, must.Sprint("16 pods fit a block"))

	s.Windows, s.StrictAffinity = true, false
	_, err = Run(s, Options{})
	must.ErrorContains(t, err, "windows true without strictAffinity")

	// It must stay on, whenever the nodes come up.
	s.Windows, s.StrictAffinity = false, true
	s.Events = []Event{
		{Do: addNodes, Group: &Group{Nodes: 1, Windows: true}},
		{Do: startPod, Pod: "x/y", Nodes: []string{"node-10"}, Address: netip.MustParseAddr("10.74.1.3")},
		{Do: setStrictAffinity},
	}
	_, err = Run(s, Options{})
	must.ErrorContains(t, err, "events[2].strict false with Windows nodes: Calico then refuses them every address; leave strictAffinity on")
	s.Events = s.Events[:2]
	res, err := begin(s, Options{})
	must.NoError(t, err)
	for _, b := range res.engine.State().Blocks {
		if b.Owner.Name == "node-10" && b.CIDR.Addr() == netip.MustParseAddr("10.74.1.0") {
			must.Len(t, 5, b.Allocations, must.Sprint("a pod that asks for its address has the block made like others"))
			must.Zero(t, res.result.Refused())
			return
		}
	}
	must.Eq(t, 1, res.result.RefusedTaken, must.Sprint("the first three are the node's"))
}

// TestWindowsBlocks: what a host keeps is neither in use nor borrowed, and a block of
// nothing else is empty.
func TestWindowsBlocks(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.74.0.0/24"), BlockSize: 28, StrictAffinity: true,
		Group: Group{Nodes: 1, PodsPerNode: 13, Windows: true}, Events: []Event{{Do: scalePods, Pods: 1}},
	}
	res, err := consistent(s, Options{Samples: 2, Map: true, PerNode: true})
	must.NoError(t, err)
	must.Eq(t, 1, res.Blocks.Empty)
	must.Eq(t, 1, res.Blocks.OnePod)
	must.Eq(t, Cell{InUse: 1}, replay(res.Map))
	// Four addresses have no room for a pod, and fewer none for what the host keeps.
	s.Events = nil
	for size := 30; size <= 32; size++ {
		s.BlockSize = size
		res, err := Run(s, Options{})
		must.NoError(t, err)
		must.Eq(t, 13, res.RefusedNoPool, must.Sprintf("/%d", size))
	}
}
