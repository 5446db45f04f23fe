// Package sim runs whole clusters on an allocator, for a moment or for days of virtual
// time, and counts what became of every request.
//
// A [Scenario] is data: pools, nodes, pods on each, the order in which they arrive,
// what happens to them afterwards ([Event]), and who cleans up after them ([Cleaner]).
// [Run] asks for every address of it, one at a time, and returns a [Result]. [Read]
// reads scenarios from files: YAML, or plan.jsonl, the file of scenarios that the real
// allocator was run on, where a line is a scenario with the result it must have.
//
//   - Requests that are refused are results; errors are about scenarios that cannot
//     be run, and come before anything happens.
//   - The same scenario gives the same result. Its seed decides what is random.
//   - What a run shows beyond totals is in [Options], and changes nothing.
//
// The package decides nothing about addresses: that is the allocator's, and the
// controller's of package lifecycle.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package sim

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// Errors that runs end with.
var (
	// ErrInvalid is matched by errors about a scenario that cannot be run; those
	// are [InvalidError] values, several joined.
	ErrInvalid = errors.New("sim: invalid scenario")
	// ErrStopped is returned when [Options.Progress] said so.
	ErrStopped = errors.New("sim: stopped")
)

// InvalidError is one thing that is wrong with a scenario.
type InvalidError struct {
	Path   string // in JSON's terms: "podsPerNode", "events[2].nodes[0]"
	Reason string // "-1: must not be negative"
}

// Error implements error.
func (e *InvalidError) Error() string { return ErrInvalid.Error() + ": " + e.Path + " " + e.Reason }

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// start is the moment at which every scenario starts.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// An Engine is what a scenario runs on: an [ipam.Allocator], or whatever else
// claims to do what that does. The methods are the allocator's.
type Engine interface {
	PutIPAMConfig(c ipam.Config) error
	SetIPAMConfig(c ipam.Config) error
	SetPool(spec pool.Spec) error
	SetReservations(entries []string) []pool.Warning
	SetNode(n ipam.Node) error
	DeleteNode(name string) bool
	AutoAssignInto(args *ipam.AutoAssignArgs, v4, v6 *ipam.Assignment) error
	AssignIP(args ipam.AssignIPArgs) error
	ReleaseByHandle(id string) error
	RemoveIPAMHost(owner affinity.Owner) error
	SetOwnerAttributes(ip netip.Addr, handle string, update ipam.OwnerUpdate, pre ipam.OwnerPreconditions) error
	BlockOf(ip netip.Addr) (cidr netip.Prefix, owner affinity.Owner, exists bool)
	Summary() ipam.Summary
	State() ipam.State
}

// Run runs the scenario on an allocator of its own, or on what [Options].Engine makes.
// Its errors match [ErrInvalid] or [ErrStopped]: refusals are results.
func Run(s Scenario, o Options) (Result, error) {
	r, err := begin(s, o)
	if err != nil {
		return Result{}, err
	}
	res := r.finish()
	if o.Headroom || o.HeadroomCounted {
		res.Headroom, err = r.headroom()
	}
	return res, err
}

// begin runs the scenario on an engine of its own, and leaves it there.
func begin(s Scenario, o Options) (*runner, error) {
	clock := ipam.NewClock(start)
	o.others = newReleases(&s, &o)
	if o.Engine != nil {
		return run(o.Engine(clock.Now), clock, s, o, false)
	}
	return run(ipam.New(ipam.Options{Now: clock.Now, Calico: s.Release(), Matters: o.others.matters()}), clock, s, o, true)
}

// run runs the scenario up to its end. The engine may be its own: nobody else sees it.
func run(e Engine, clock *ipam.Clock, s Scenario, o Options, own bool) (*runner, error) {
	r, err := prepare(e, clock, s, o, own)
	if err != nil {
		return nil, err
	}
	return r, r.play()
}

// prepare returns a runner before anything has happened.
func prepare(e Engine, clock *ipam.Clock, s Scenario, o Options, own bool) (*runner, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	r, err := newRunner(e, clock, s.withDefaults(), o)
	if err != nil {
		return nil, err
	}
	r.own = own
	r.anonymous = own && !r.pods.kept && !o.Handles
	return r, r.setUp()
}

// play lets everything happen.
func (r *runner) play() error {
	if r.options.Samples > 0 {
		r.sample()
		r.sampled++
	}
	r.arrive()
	if r.cluster != nil {
		r.startController()
	}
	r.peak()
	r.schedule()
	r.live()
	if r.stopped {
		return ErrStopped
	}
	return nil
}
