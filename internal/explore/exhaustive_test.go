package explore

import (
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// explored explores within the bounds and requires that no invariant is broken.
func explored(t *testing.T, p *Program, b Bounds) Report {
	t.Helper()
	r, err := Exhaustive(p, b, Options{}, nil)
	must.NoError(t, err)
	for _, f := range r.Findings {
		short, err := Shorten(p, f, Options{})
		must.NoError(t, err)
		t.Errorf("%s: %v\n  by %s", p.Name, &short.Violation, short.Schedule)
	}
	t.Logf("%s, %d deaths, %d failures, %d stale: %d states, %d steps (%d of them deaths), %d ends, %.4g schedules, %d cut, complete %t",
		p.Name, b.Deaths, b.Failures, b.Stale, r.States, r.Steps, r.Deaths, r.Ends, r.Schedules, r.Cut, r.Complete)
	return r
}

// TestExhaustive explores every program: all schedules without a fault, then with
// one death, with one call that fails or is not answered, and with one stale read.
// It visits the first states of each, and many more with IPAMSIM_LONG.
func TestExhaustive(t *testing.T) {
	for _, p := range programs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			for _, b := range []Bounds{{}, {Deaths: 1}, {Failures: 1}, {Stale: 1}} {
				b.States, b.Conflicts = 300, 1
				switch {
				case property.Long():
					b.States = 10_000
				case testing.Short():
					b.States = 20
				}
				r := explored(t, &p, b)
				must.True(t, r.Complete || r.States == b.States)
			}
		})
	}
}

// TestTwoClients is the exploration that the project promises: two clients claim,
// assign, release and give up the only block of a pool, and either may die at any
// step. The counts are the same on every machine.
func TestTwoClients(t *testing.T) {
	t.Parallel()
	property.Slow(t) // 6,533 states
	p := &programs[1]
	alive := explored(t, p, Bounds{})
	must.True(t, alive.Complete)
	must.Eq(t, 6533, alive.States)
	if !property.Long() {
		return
	}
	dying := explored(t, p, Bounds{Deaths: 1})
	must.True(t, dying.Complete)
	must.Greater(t, 90_000, dying.States)
	must.Greater(t, alive.States, dying.Deaths, must.Sprint("at every state"))
}

// TestThreeClients explores everything without deaths, given the time, and as much
// as the bound allows with one death.
func TestThreeClients(t *testing.T) {
	t.Parallel()
	p := Program{Name: "three hosts, two blocks", Setting: setting("10.0.0.0/29", 3), Clients: []Client{
		does("n1", assign("n1", 1, "h1")), does("n2", assign("n2", 1, "h2")), does("n3", assign("n3", 1, "h3")),
	}}
	b := Bounds{States: 2000, Deaths: 1}
	if testing.Short() {
		b.States = 300
	}
	if property.Long() {
		alive := explored(t, &p, Bounds{})
		must.True(t, alive.Complete)
		must.Eq(t, 34_164, alive.States)
		b.States = 50_000
	}
	r := explored(t, &p, b)
	must.True(t, r.Complete || r.States == b.States)
}

// TestDeathAtEveryStep kills a client at each call of each operation, and then the
// host that came back at each of its calls. With -short it takes some operations.
func TestDeathAtEveryStep(t *testing.T) {
	t.Parallel()
	before := []race.Step{claim("n1", "10.0.0.0/30"), assign("n1", 3, "h0"), claim("n2", "10.0.0.4/30"), advance(61)}
	steps := []race.Step{
		assign("n1", 3, "h1"), assign("n2", 9, "h1"), assign("n3", 1, "h1"), assignIP("n3", "10.0.0.3", "h1"), assignIP("n3", "10.0.0.8", "h1"),
		claim("n3", "10.0.0.0/28"), free("h0"), giveUp("n1", false), giveUp("n2", true),
		release(trace.Release{IP: "10.0.0.0"}, trace.Release{IP: "10.0.0.1"}, trace.Release{IP: "10.0.0.2", Seq: "current"}),
		op("EnsureBlock", trace.In{Host: "n3", HostReserved4: &ipam.HostReservation{StartOfBlock: 1, Handle: "windows-reserved-ipam-handle"}}),
		op("ReleaseAffinity", trace.In{Host: "n1", CIDR: "10.0.0.0/28"}), op("ReleasePoolAffinities", trace.In{CIDR: "10.0.0.0/28"}),
		op("ReleaseBlockAffinity", trace.In{CIDR: "10.0.0.0/30"}), op("RemoveIPAMHost", trace.In{Host: "n2"}),
		op("SetOwnerAttributes", trace.In{IP: "10.0.0.0", Handle: "h0", ClearActive: true}),
	}
	if testing.Short() {
		steps = property.Some(steps)
	}
	for _, s := range steps {
		p := Program{Name: s.Op + " of " + s.In.Host, Setting: setting("10.0.0.0/28", 3), Before: before, Clients: []Client{{Steps: []race.Step{s}}}}
		p.Clients[0].Back = []race.Step{s, assign("n1", 1, "back")}
		r := explored(t, &p, Bounds{Deaths: 2})
		must.True(t, r.Complete)
		alone, err := Run(&p, nil, Options{})
		must.NoError(t, err)
		must.Greater(t, len(alone.Steps)/2, r.Deaths, must.Sprint("but for reads of what nobody writes"))
	}
}

// An exploration stops at its bound, says so, and keeps what it has found.
func TestBounds(t *testing.T) {
	property.Slow(t)
	p := &programs[0]
	r, err := Exhaustive(p, Bounds{States: 100}, Options{}, nil)
	must.NoError(t, err)
	must.Eq(t, 100, r.States)
	must.False(t, r.Complete)

	calls := 0
	r, err = Exhaustive(p, Bounds{States: 3000}, Options{}, func(now Report) { calls++; must.LessEq(t, 3000, now.States) })
	must.NoError(t, err)
	must.Eq(t, 2, calls)
	must.False(t, r.Complete)

	found, err := Exhaustive(p, Bounds{States: 500, Findings: 3}, faults[0].options, nil)
	must.NoError(t, err)
	must.Len(t, 3, found.Findings)
	must.False(t, found.Complete, must.Sprint("it stopped at the last"))
	all, err := Exhaustive(p, Bounds{States: 500, Findings: 1000}, faults[0].options, nil)
	must.NoError(t, err)
	must.Greater(t, 3, len(all.Findings))
	must.Eq(t, found.Findings, all.Findings[:3])

	for want, b := range map[string]Bounds{
		"-1 states":                     {States: -1},
		"200000000 states would":        {States: 200_000_000},
		"-2 deaths":                     {Deaths: -2},
		"9 faults in one schedule":      {Deaths: 3, Failures: 3, Stale: 3},
		"11 conflicts in an operation":  {Conflicts: 11},
		"-1 findings":                   {Findings: -1},
		"-1 conflicts":                  {Conflicts: -1},
		"-1 failures":                   {Failures: -1},
		"-1 stale reads":                {Stale: -1},
		"would explore forever, at mos": {Deaths: 9},
	} {
		_, err := Exhaustive(p, b, Options{}, nil)
		must.ErrorIs(t, err, ErrBounds)
		must.ErrorContains(t, err, want)
		_, err = Random(p, 1, 10, b, Options{}, nil)
		must.ErrorIs(t, err, ErrBounds)
	}
	for _, runs := range []int{-1, 0, MaxRuns + 1} {
		_, err := Random(p, 1, runs, Bounds{}, Options{}, nil)
		must.ErrorIs(t, err, ErrBounds)
	}
	_, err = Exhaustive(&Program{}, Bounds{}, Options{}, nil)
	must.ErrorIs(t, err, ErrProgram)
	_, err = Random(&Program{}, 1, 1, Bounds{}, Options{}, nil)
	must.ErrorIs(t, err, ErrProgram)
}

// states returns the identities of all states that schedules lead to, without
// skipping those seen before, and which of them are ends.
func states(t *testing.T, p *Program) (identities, ends map[digest]bool) {
	identities, ends = make(map[digest]bool), make(map[digest]bool)
	e := &explorer{program: p, bounds: Bounds{Conflicts: DefaultConflicts}}
	var visit func(r *run)
	visit = func(r *run) {
		defer func() { r.end() }()
		identities[r.identity()] = true
		moves := e.moves(r)
		if len(moves) == 0 {
			ends[r.identity()] = true
		}
		for i, m := range moves {
			if i > 0 {
				r.end()
				var err error
				r, err = e.again()
				must.NoError(t, err)
			}
			_, err := r.move(m)
			must.NoError(t, err)
			e.path = append(e.path, m)
			visit(r)
			e.path = e.path[:len(e.path)-1]
		}
	}
	r, err := e.again()
	must.NoError(t, err)
	visit(r)
	return identities, ends
}

// Skipping states that were seen skips nothing else: a program small enough to run
// every schedule has the same states and ends.
func TestNothingIsLeftOut(t *testing.T) {
	property.Slow(t)
	p := Program{Setting: setting("10.0.0.0/30", 2), Clients: []Client{
		{Steps: []race.Step{claim("n1", "10.0.0.0/30")}},
		{Steps: []race.Step{claim("n2", "10.0.0.0/30"), giveUp("n2", false)}},
	}}
	identities, ends := states(t, &p)
	r := explored(t, &p, Bounds{})
	must.MapLen(t, r.States, identities)
	must.MapLen(t, r.Ends, ends)
}
