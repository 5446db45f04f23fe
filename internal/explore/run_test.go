package explore

import (
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// both is two hosts that want the only block of a pool.
var both = Program{Setting: setting("10.0.0.0/30", 2), Clients: []Client{
	does("n1", claim("n1", "10.0.0.0/30")),
	does("n2", claim("n2", "10.0.0.0/30"), assign("n2", 1, "h2")),
}}

func carry(t *testing.T, p *Program, schedule string) *Trail {
	t.Helper()
	s, err := ParseSchedule(schedule)
	must.NoError(t, err)
	trail, err := Run(p, s, Options{})
	must.NoError(t, err)
	must.Nil(t, trail.Violation)
	must.Len(t, len(trail.Schedule), trail.Steps)
	return trail
}

// notes are the steps' notes from the given one on, with the clients' names.
func notes(t *Trail, from int) (notes []string) {
	for _, s := range t.Steps[from:] {
		notes = append(notes, s.Move.String()+" "+s.Note)
	}
	return notes
}

func TestRun(t *testing.T) {
	trail := carry(t, &both, "a b a*2 b*4 a")
	must.Eq(t, []string{
		"a reads config",
		"b reads config",
		"a pending 10.0.0.0/30",
		"a block 10.0.0.0/30 made",
		"b pending 10.0.0.0/30",
		"b block is n1's",
		"b n1's block, 4 free",
		"b affinity deleted",
		"a confirmed 10.0.0.0/30",
	}, notes(trail, 0)[:9])
	must.Eq(t, Step{
		Move: Move{Client: 1}, Op: "ClaimAffinity", Verb: protocol.Create, Key: "block/10.0.0.0/30", Result: protocol.Exists, Note: "block is n1's",
	}, trail.Steps[5])
	var told []string
	for _, s := range trail.Told {
		told = append(told, name(s.Client)+" "+s.Op+" "+s.Out.String())
	}
	must.Eq(t, []string{
		`b ClaimAffinity {"failed":["10.0.0.0/30"]}`,
		`a ClaimAffinity {"claimed":["10.0.0.0/30"]}`,
		`b AutoAssign {"ips4":["10.0.0.0/30"]}`,
	}, told)
	must.Len(t, 1, trail.State.Blocks)

	again, err := Run(&both, trail.Schedule, Options{})
	must.NoError(t, err)
	must.Eq(t, trail, again, must.Sprint("the schedule leads to the same trail"))
}

// A host dies with a claim pending, and finishes it when it comes back.
func TestDeath(t *testing.T) {
	trail := carry(t, &both, "a*2 a:dies a*")
	must.Eq(t, []string{"a pending 10.0.0.0/30", "a:dies dies", "a reads config"}, notes(trail, 1)[:3])
	must.Eq(t, 1, trail.Steps[3].Life)
	must.Eq(t, "AutoAssign", trail.Steps[3].Op)
	must.SliceContains(t, notes(trail, 3), "a confirmed 10.0.0.0/30")
	must.Nil(t, trail.Told[0].Out, must.Sprint("it never came to an outcome"))
	must.Eq(t, Told{Client: 0, Step: race.Step{Op: "ClaimAffinity", In: both.Clients[0].Steps[0].In}, After: 3}, trail.Told[0])

	never := both
	never.Clients = slices.Clone(both.Clients)
	never.Clients[0].Back = nil
	trail = carry(t, &never, "a*2 a:dies b*")
	must.Eq(t, "pending", trail.State.Affinities[0].State.String(), must.Sprint("left by the dead"))
	_, err := Run(&never, Schedule{{}, {Fate: Dies}, {}}, Options{})
	must.ErrorContains(t, err, "move 3, a: a has nothing left to do")
}

// A consequence of §15: when a claim meets a release of the same host's block, the
// claim succeeds and its affinity is confirmed, but there is no block. Recovery
// makes it anew.
func TestOvertaken(t *testing.T) {
	p := overtaken
	p.Clients = slices.Clone(p.Clients)
	p.Clients[0].Steps = p.Clients[0].Steps[:1]
	trail := carry(t, &p, "b*5 a* b*")
	must.Eq(t, []string{
		"b giving up 10.0.0.0/30",
		"a reads config",
		"a affinity is pendingDeletion",
		"a affinity is pendingDeletion",
		"a pending 10.0.0.0/30",
		"a block is n1's",
		"a n1's block, 4 free",
		"a confirmed 10.0.0.0/30",
		"b block deleted",
		"b conflict: affinity",
		"b affinity is confirmed",
		"b no block 10.0.0.0/30",
		"b lists affinities: 0",
	}, notes(trail, 4))
	must.Eq(t, []string{"10.0.0.0/30"}, trail.Told[0].Out.Claimed)
	must.Eq(t, "", trail.Told[1].Out.Err)
	must.SliceEmpty(t, trail.State.Blocks, must.Sprint(trail.State.Blocks))
	must.Eq(t, "confirmed", trail.State.Affinities[0].State.String())
}

// A call that fails was not made; one whose answer is lost was.
func TestFailures(t *testing.T) {
	failed := carry(t, &both, "a a:fails b*")
	must.Eq(t, "a:fails create fails", notes(failed, 1)[0])
	must.Eq(t, protocol.Failed, failed.Steps[1].Result)
	must.Eq(t, protocol.ErrUnavailable.Error(), failed.Told[0].Out.Err[:len(protocol.ErrUnavailable.Error())])
	must.Len(t, 1, failed.State.Affinities)

	lost := carry(t, &both, "a a:lost b*")
	must.Eq(t, "a:lost pending 10.0.0.0/30, no answer", notes(lost, 1)[0])
	must.Eq(t, protocol.OK, lost.Steps[1].Result, must.Sprint("it came about"))
	must.Eq(t, failed.Told[0].Out, lost.Told[0].Out, must.Sprint("nobody can tell"))
	must.Len(t, 2, lost.State.Affinities)
}

// A consequence of §15: when the answer to an assignment is lost, the handle is
// lowered again, and from then on counts less than it holds.
func TestLostAssignment(t *testing.T) {
	p := Program{Setting: setting("10.0.0.0/30", 1), Clients: []Client{does("n1", assign("n1", 1, "h1"))}}
	trail := carry(t, &p, "a*12 a:lost")
	must.Eq(t, "a:lost takes 10.0.0.0, no answer", notes(trail, 12)[0])
	must.SliceContains(t, notes(trail, 13), "a handle h1 deleted")
	must.Eq(t, []string{"10.0.0.1/30"}, trail.Told[0].Out.IPs4)
	must.Len(t, 2, trail.State.Blocks[0].Allocations)
	must.Eq(t, 1, trail.State.Handles[0].Counts[0].Count)
}

// A stale read of a block leads to a conflict and another read.
func TestStale(t *testing.T) {
	p := Program{Setting: setting("10.0.0.0/30", 2), Before: []race.Step{claim("n1", "10.0.0.0/30")}, Clients: []Client{
		does("n1", assignIP("n1", "10.0.0.1", "")),
		does("n2", assignIP("n2", "10.0.0.2", "")),
	}}
	trail := carry(t, &p, "a* b b:stale b*")
	must.Eq(t, []string{
		"b:stale n1's block, 4 free (old)", "b conflict: block", "b n1's block, 3 free", "b takes 10.0.0.2",
	}, notes(trail, 4))

	for schedule, want := range map[string]string{
		"b b:stale":       "move 2, b:stale: it was written fewer times",
		"a* b b:stale2":   "it was written fewer times",
		"a a a:stale":     "a write's answer cannot be stale",
		"c":               "move 1 is of client c, and there are only a to b",
		"a*9":             "move 4, a: a has nothing left to do",
		"a* a*":           "move 2, a*: a has nothing left to do",
		"a*3 b* a:dies":   "a has nothing left to do",
		"b:stale a b b b": "it was written fewer times",
	} {
		s, err := ParseSchedule(schedule)
		must.NoError(t, err)
		_, err = Run(&p, s, Options{})
		must.ErrorIs(t, err, ErrSchedule, must.Sprint(schedule))
		must.ErrorContains(t, err, want)
	}
}

// Only the newest release is explored; one schedule may be of any.
func TestExploresNewest(t *testing.T) {
	p := both
	p.Setting.Calico = "v3.32"
	for _, explore := range []func() (Report, error){
		func() (Report, error) { return Exhaustive(&p, Bounds{}, Options{}, nil) },
		func() (Report, error) { return Random(&p, 1, 1, Bounds{}, Options{}, nil) },
	} {
		_, err := explore()
		must.ErrorIs(t, err, ErrProgram)
		must.ErrorContains(t, err, `setting is of Calico "v3.32", and only the newest release, v3.33, is explored`)
	}
	_, err := Run(&p, nil, Options{})
	must.NoError(t, err)
	p.Setting.Calico = "v3.33"
	_, err = Exhaustive(&p, Bounds{}, Options{}, nil)
	must.NoError(t, err)
}

// Before v3.33 the addresses of one ReleaseIPs join the queue sorted as text, and
// their handle is lowered by one.
func TestReleasesFree(t *testing.T) {
	free := func(ips ...string) race.Step {
		var in trace.In
		for _, ip := range ips {
			in.Releases = append(in.Releases, trace.Release{IP: ip})
		}
		return op("ReleaseIPs", in)
	}
	p := &Program{
		Setting: trace.Header{Version: trace.Version, Pools: []trace.Pool{{Name: "p", CIDR: "10.0.0.0/28", BlockSize: 28}}, Nodes: []ipam.Node{{Name: "n"}}},
		Clients: []Client{{Host: "n", Steps: []race.Step{assign("n", 12, "h"), free("10.0.0.10", "10.0.0.9", "10.0.0.2")}}},
	}
	for _, c := range []struct {
		calico string
		queue  []int
		count  int
	}{
		{"v3.28", []int{12, 13, 14, 15, 10, 2, 9}, 11},
		{"v3.32", []int{12, 13, 14, 15, 10, 2, 9}, 11},
		{"v3.33", []int{12, 13, 14, 15, 2, 9, 10}, 9},
	} {
		p.Setting.Calico = c.calico
		trail := carry(t, p, "a*")
		must.Eq(t, c.queue, trail.State.Blocks[0].Free, must.Sprint(c.calico))
		must.Eq(t, c.count, trail.State.Handles[0].Counts[0].Count, must.Sprint(c.calico))
	}

	// In the newest release both are violations.
	old := func(c *protocol.Cluster, access protocol.Access, now func() time.Time) trace.Engine {
		c.SetCalico(calico.V3(32))
		return c.Client(access, now)
	}
	violated := func() Invariant {
		trail, err := Run(p, nil, Options{Engine: old})
		must.NoError(t, err)
		must.NotNil(t, trail.Violation)
		return trail.Violation.Invariant
	}
	must.Eq(t, Queue, violated())
	p.Clients[0].Steps[1] = free("10.0.0.3", "10.0.0.2")
	must.Eq(t, Surplus, violated())
}

func TestImpossiblePrograms(t *testing.T) {
	for want, change := range map[string]func(*Program){
		"setting has version 2":         func(p *Program) { p.Setting.Version = 2 },
		`of Calico "v2"`:                func(p *Program) { p.Setting.Calico = "v2" },
		"0 clients":                     func(p *Program) { p.Clients = nil },
		"27 clients":                    func(p *Program) { p.Clients = make([]Client, 27) },
		"clock of a is -1 seconds":      func(p *Program) { p.Clients[0].Behind = -1 },
		`a cannot do "State"`:           func(p *Program) { p.Clients[0].Steps = []race.Step{op("State", trace.In{})} },
		`b cannot do "SetPool" beside`:  func(p *Program) { p.Clients[1].Back = []race.Step{op("SetPool", trace.In{})} },
		"setting: ":                     func(p *Program) { p.Setting.Pools = []trace.Pool{{Name: "p", CIDR: "10.0.0.0/33"}} },
		"before 0: trace: unknown":      func(p *Program) { p.Before = []race.Step{op("Steal", trace.In{})} },
		"operation 0 of b: AssignIP: P": func(p *Program) { p.Clients[1].Steps = []race.Step{assignIP("n", "10", "h")} },
		"operation 1 of b: AssignIP: P": func(p *Program) {
			p.Clients[1].Steps = []race.Step{claim("n2", "10.0.0.0/30"), assignIP("n", "10", "h")}
		},
	} {
		p := both
		p.Clients = slices.Clone(both.Clients)
		change(&p)
		_, err := Run(&p, nil, Options{})
		must.ErrorIs(t, err, ErrProgram, must.Sprint(want))
		must.ErrorContains(t, err, want)
	}
}
