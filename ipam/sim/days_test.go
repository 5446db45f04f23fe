package sim

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"
)

// hours is a small cluster for some hours, with a cleaner.
func hours(n int, events ...Event) Scenario {
	return Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28,
		Group: Group{Nodes: 4, PodsPerNode: 6}, TunnelIPPerNode: true, Order: oneByOne,
		Cleaner: new(Cleaner), RetryEvery: Duration(time.Minute),
		For: Duration(time.Duration(n) * time.Hour), Events: events, Seed: 1,
	}
}

// after returns a moment.
func after(d time.Duration) Duration { return Duration(d) }

// period returns a grace period.
func period(d time.Duration) *Duration { return (*Duration)(&d) }

// lived runs a scenario of hours, and looks at its samples.
func lived(t *testing.T, s Scenario) Result {
	t.Helper()
	r, err := Run(s, Options{SampleEvery: time.Duration(s.For) / 96, Peaks: true})
	must.NoError(t, err)
	for _, s := range r.Samples {
		must.Eq(t, r.BlocksTotal, s.Live+s.Dead+s.Empty+s.Free)
		must.GreaterEq(t, 0, s.Free)
		must.GreaterEq(t, 0, s.Unheld)
		must.GreaterEq(t, 0, s.Waiting)
	}
	must.Eq(t, r.Refused() == 0, r.PodsRefused+r.TunnelsRefused == 0)
	must.Eq(t, r.Refused(), r.PodsRefused+r.TunnelsRefused+refusedRetries(&r))
	return r
}

// refusedRetries returns how many requests of pods that asked again were refused.
func refusedRetries(r *Result) int {
	return r.Requests - r.Assigned - r.PodsRefused - r.TunnelsRefused
}

func TestQuiet(t *testing.T) {
	r := lived(t, hours(2))
	must.Zero(t, r.Refused())
	must.Eq(t, 4, r.NodesStarted)
	must.Eq(t, 24, r.PodsStarted)
	must.Eq(t, 28, r.Requests, must.Sprint("tunnels too"))
	must.Eq(t, 16, r.BlocksTotal)
	must.Zero(t, r.Cleaned.Addresses+r.Cleaned.Blocks+r.Peaks.Dead.N+r.Peaks.Unheld.N)
	must.Len(t, 97, r.Samples)
	last := r.Samples[96]
	must.Eq(t, after(2*time.Hour), last.At)
	must.Eq(t, []int{4, 0, 0, 12}, []int{last.Live, last.Dead, last.Empty, last.Free})
}

func TestReplaced(t *testing.T) {
	replaced := Event{At: after(time.Hour), Do: replaceNodes, Count: 4, Every: after(time.Hour), Over: after(40 * time.Minute)}
	r := lived(t, hours(3, replaced))
	must.Zero(t, r.Refused())
	must.Eq(t, 4+4+4+1, r.NodesStarted, must.Sprint("the last at the very end"))
	must.Eq(t, 24+48+6, r.PodsStarted)
	must.Eq(t, 8, r.Cleaned.Addresses, must.Sprint("drained: only tunnel addresses are left behind"))
	must.Eq(t, 8, r.Cleaned.Blocks)
	must.Eq(t, 1, r.Peaks.Dead.N)

	gone := replaced
	gone.Do = interruptNodes
	r = lived(t, hours(3, gone))
	must.Eq(t, 8*7, r.Cleaned.Addresses, must.Sprint("not drained: everything is"))
	must.Eq(t, Peak{N: 7, At: after(time.Hour)}, r.Peaks.Unheld)

	lossy := hours(3, replaced)
	lossy.Leaks = 0.5
	r = lived(t, lossy)
	must.Greater(t, 8, r.Cleaned.Addresses)
	must.Less(t, 8*7, r.Cleaned.Addresses)
}

func TestReplacedPods(t *testing.T) {
	s := hours(3, Event{At: after(time.Hour), Do: replacePods, Count: 2, Every: after(time.Minute)})
	r := lived(t, s)
	must.Eq(t, 24+2*121, r.PodsStarted)
	must.Eq(t, 4, r.NodesStarted)
	must.Zero(t, r.Cleaned.Addresses+r.Peaks.Unheld.N)

	s.Leaks = 1
	r = lived(t, s)
	must.Zero(t, r.Refused())
	must.InDelta(t, 2*(120-15), float64(r.Cleaned.Addresses), 20, must.Sprint("each a grace period later"))
	must.InDelta(t, 2*15, float64(r.Peaks.Unheld.N), 20)
	s.Cleaner = &Cleaner{GracePeriod: period(0)}
	r = lived(t, s)
	must.NonZero(t, r.Refused(), must.Sprint("nothing of a node that exists is released"))
	must.Zero(t, r.Cleaned.Addresses)
	s.PodsPerNode, s.Events[0].Count = 0, 1
	must.Zero(t, lived(t, s).PodsStarted, must.Sprint("no pods to replace"))
}

func TestUpgrade(t *testing.T) {
	r := lived(t, hours(1, Event{At: after(10 * time.Minute), Do: upgradeNodes, Count: 3, Every: after(time.Minute)}))
	must.Zero(t, r.Refused())
	must.Eq(t, 8, r.NodesStarted)
	must.Eq(t, 48, r.PodsStarted)
	must.Eq(t, Peak{N: 3, At: after(10 * time.Minute)}, r.Peaks.Dead, must.Sprint("the surge, before the controller looks"))
	must.Eq(t, 4, r.Samples[96].Live)
}

func TestCleanerDown(t *testing.T) {
	gone := Event{At: after(time.Minute), Do: interruptNodes, Count: 1, Every: after(time.Minute)}
	up := lived(t, hours(2, gone))
	must.Zero(t, up.Refused())
	s := hours(2, gone)
	s.Cleaner = &Cleaner{Down: []Outage{{after(time.Hour), after(105 * time.Minute)}}}
	down := lived(t, s)
	must.NonZero(t, down.Refused())
	must.Greater(t, after(time.Hour), down.FirstRefusal.At)
	must.Less(t, after(105*time.Minute), down.FirstRefusal.At)
	must.Eq(t, refusedPoolEmpty, down.FirstRefusal.Outcome)
	must.Greater(t, up.Peaks.Dead.N, down.Peaks.Dead.N)
	must.Zero(t, down.Waiting, must.Sprint("it came back"))
	must.Positive(t, down.Peaks.Waiting.N)

	two := s
	two.Cleaner = &Cleaner{Down: []Outage{{after(time.Hour), after(105 * time.Minute)}, {after(80 * time.Minute), after(90 * time.Minute)}}}
	must.Eq(t, down, lived(t, two), must.Sprint("the outage within the other ends nothing"))

	never := hours(2, gone)
	never.Cleaner = &Cleaner{Off: true}
	r := lived(t, never)
	must.Nil(t, r.Cleaned)
	must.Positive(t, r.Waiting)
	must.Positive(t, r.TunnelsRefused)
	must.Eq(t, 256, r.Peaks.Unheld.N, must.Sprint("all of them"))
	never.Cleaner = nil
	must.Eq(t, r, lived(t, never))
}

func TestNamedPods(t *testing.T) {
	s := hours(2,
		Event{At: after(time.Minute), Do: startPod, Pod: "db/a", Nodes: []string{"node-1"}, Address: netip.MustParseAddr("10.0.0.77")},
		Event{At: after(10 * time.Minute), Do: interruptNodes, Count: 4},
		Event{At: after(20 * time.Minute), Do: startPod, Pod: "db/b", Nodes: []string{"node-2"}},
		Event{At: after(30 * time.Minute), Do: stopPod, Pod: "db/a"},
	)
	s.PodsPerNode = 0
	r := lived(t, s)
	must.Eq(t, 3, r.PodsStarted, must.Sprint("a twice, b once"))
	must.Eq(t, refusedTaken, r.FirstRefusal.Outcome, must.Sprint("its address was still held by its own past"))
	must.Eq(t, "a", r.FirstRefusal.Pod)
	must.Eq(t, after(10*time.Minute), r.FirstRefusal.At)
	must.Eq(t, 20, r.RefusedTaken, must.Sprint("a pod of that name lives, so it is no leak: until the pod was stopped"))
	must.Eq(t, 19, r.Retries)
	must.Zero(t, r.Waiting)
}

// TestSeed: the same scenario gives the same result.
func TestSeed(t *testing.T) {
	s := hours(6, Event{At: after(time.Minute), Do: replaceNodes, Count: 2, Every: after(7 * time.Minute)})
	s.Leaks = 0.3
	must.Eq(t, lived(t, s), lived(t, s))
	other := s
	other.Seed = 2
	must.NotEq(t, lived(t, s).Cleaned.Addresses, lived(t, other).Cleaned.Addresses)
}

func TestOtherClusters(t *testing.T) {
	for name, change := range map[string]func(*Scenario){
		"IPv6":     func(s *Scenario) { s.Pool, s.BlockSize = netip.MustParsePrefix("fd00::/118"), 124 },
		"strict":   func(s *Scenario) { s.StrictAffinity = true },
		"cooldown": func(s *Scenario) { s.IPCooldownSeconds = 300 },
		"full":     func(s *Scenario) { s.Nodes = 40; s.StrictAffinity = true },
		"older":    func(s *Scenario) { s.Calico = "v3.27" },
		"pools": func(s *Scenario) {
			s.Pool, s.BlockSize = netip.Prefix{}, 0
			s.Pools = []Pool{
				{Name: "a", CIDR: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 28, NodeSelector: "zone == 'a'"},
				{Name: "b", CIDR: netip.MustParsePrefix("10.0.1.0/24"), BlockSize: 28, NodeSelector: "zone == 'b'"},
			}
			s.Reservations = []string{"10.0.1.0/27"}
			s.Labels = map[string]string{"zone": "a"}
			s.Groups = []Group{{Nodes: 3, NodeFormat: "b-%d", PodsPerNode: 9, Labels: map[string]string{"zone": "b"}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := hours(3, Event{At: after(time.Minute), Do: interruptNodes, Count: 2, Every: after(5 * time.Minute)})
			change(&s)
			r, err := Run(s, Options{})
			must.NoError(t, err)
			must.Positive(t, r.Cleaned.Addresses)
			must.Eq(t, name != "full", r.Refused() == 0)
			must.Eq(t, r.Assigned, r.Released+r.Cleaned.Addresses+r.Unheld+held(&r, s), must.Sprint("every address is somewhere"))
		})
	}
}

// held returns how many addresses pods and tunnels hold in the end, in a cluster whose
// pods never move.
func held(r *Result, s Scenario) (n int) {
	for _, g := range s.groups() {
		n += s.asks(&g)
	}
	if r.Refused() > 0 { // some tunnels were refused for good, so ask the samples
		again, _ := Run(s, Options{SampleEvery: time.Duration(s.For)})
		return again.Samples[len(again.Samples)-1].InUse
	}
	return n
}

// TestDaysInvalid: what only days and their events can have wrong.
func TestDaysInvalid(t *testing.T) {
	for says, change := range map[string]func(*Scenario){
		"for -1s: must be":                               func(s *Scenario) { s.For = after(-time.Second) },
		"leaks 1.5: must be a share":                     func(s *Scenario) { s.Leaks = 1.5 },
		"retryEvery 1ms: must be 1s":                     func(s *Scenario) { s.RetryEvery = after(time.Millisecond) },
		"for is missing":                                 func(s *Scenario) { s.For, s.Events = 0, nil },
		`calico "old": must be a release`:                func(s *Scenario) { s.Calico = "old" },
		"ipCooldownSeconds 300: Calico v3.28 has":        func(s *Scenario) { s.Calico, s.IPCooldownSeconds = "v3.28", 300 },
		"numberFrom -1: must be":                         func(s *Scenario) { s.NumberFrom = -1 },
		"cleaner.gracePeriod -1s: must be":               func(s *Scenario) { s.Cleaner = &Cleaner{GracePeriod: period(-time.Second)} },
		"cleaner.syncPeriod -1s: must be":                func(s *Scenario) { s.Cleaner = &Cleaner{SyncPeriod: -after(time.Second)} },
		"cleaner.reaction 1ns: must be":                  func(s *Scenario) { s.Cleaner = &Cleaner{Reaction: 1} },
		"cleaner.down[0].from -1s: must be":              func(s *Scenario) { s.Cleaner = &Cleaner{Down: []Outage{{-after(time.Second), 1}}} },
		"cleaner.down[0].to 0s: must be after":           func(s *Scenario) { s.Cleaner = &Cleaner{Down: []Outage{{}}} },
		"cleaner.down[1].from 1ns: is before":            func(s *Scenario) { s.Cleaner = &Cleaner{Down: []Outage{{2, 3}, {1, 3}}} },
		"events[0].count 5: must be 1 to 4, the nodes":   func(s *Scenario) { s.Events[0].Count = 5 },
		"events[0].count 0: must be 1 to 24, the pods":   func(s *Scenario) { s.Events[0].Count, s.Events[0].Do = 0, replacePods },
		"events[0].count and nodes":                      func(s *Scenario) { s.Events[0].Nodes = []string{"node-1"} },
		"events[0].every 1ns: must be 1s":                func(s *Scenario) { s.Events[0].Every = 1 },
		"events[0].every needs for":                      func(s *Scenario) { s.For = 0 },
		"events[0].over -1s: must be":                    func(s *Scenario) { s.Events[0].Over = -after(time.Second) },
		"events[0].over does not go with upgrade":        func(s *Scenario) { s.Events[0].Do, s.Events[0].Over = upgradeNodes, 1 },
		`events[0].do "reboot": must be drain, undrain`:  func(s *Scenario) { s.Events[0].Do = "reboot" },
		`events[1].pod "a": must be namespace/name`:      func(s *Scenario) { s.Events[1].Pod = "a" },
		"events[1].nodes is empty: start-pod":            func(s *Scenario) { s.Events[1].Nodes = nil },
		"events[1].nodes has 2: a pod runs on one":       func(s *Scenario) { s.Events[1].Nodes = []string{"node-1", "node-2"} },
		"events[1].address 10.1.0.1: is outside":         func(s *Scenario) { s.Events[1].Address = netip.MustParseAddr("10.1.0.1") },
		`events[2].pod "db/b": does not run`:             func(s *Scenario) { s.Events[2].Pod = "db/b" },
		`events[2].pod "db/a": runs already`:             func(s *Scenario) { s.Events[2].Do, s.Events[2].Nodes = startPod, []string{"node-1"} },
		"events[2].pods -1: must be":                     func(s *Scenario) { s.Events[2] = Event{At: after(time.Hour), Do: scalePods, Pods: -1} },
		"events[2].limit -1: must be":                    func(s *Scenario) { s.Events[2] = Event{At: after(time.Hour), Do: setBlockLimit, Limit: -1} },
		"events[2].pool is missing":                      func(s *Scenario) { s.Events[2] = Event{At: after(time.Hour), Do: addPool} },
		`events[2].pool.name "x": there is no such pool`: func(s *Scenario) { s.Events[2] = Event{At: after(time.Hour), Do: disablePool, Pool: &Pool{Name: "x"}} },
		"events[2].pool has more than a name": func(s *Scenario) {
			s.Events[2] = Event{At: after(time.Hour), Do: disablePool, Pool: &Pool{Name: "pool", BlockSize: 26}}
		},
		`events[2].pool.name "pool": is another pool's`: func(s *Scenario) {
			s.Events[2] = Event{At: after(time.Hour), Do: addPool, Pool: &Pool{Name: "pool", CIDR: netip.MustParsePrefix("10.1.0.0/24")}}
		},
		"events[0].count 4: replaces more than 5000000": func(s *Scenario) { s.Events[0].Count, s.Events[0].Every, s.For = 4, after(time.Second), after(maxFor) },
	} {
		s := hours(1,
			Event{Do: replaceNodes, Count: 1, Every: after(time.Minute)},
			Event{At: after(time.Minute), Do: startPod, Pod: "db/a", Nodes: []string{"node-1"}},
			Event{At: after(2 * time.Minute), Do: stopPod, Pod: "db/a"},
		)
		must.NoError(t, s.Validate())
		change(&s)
		called := false
		_, err := Run(s, Options{Each: func(*Moment) { called = true }})
		must.ErrorIs(t, err, ErrInvalid, must.Sprint(says))
		must.ErrorContains(t, err, says)
		must.False(t, called, must.Sprint("nothing was begun"))
	}
}
