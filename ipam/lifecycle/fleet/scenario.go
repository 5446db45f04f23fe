// Package fleet runs clusters whose nodes come and go: hours and days of them, in
// virtual time, on the real rules of the allocator and of the cleaning controller.
//
// A [Scenario] is data: a pool, nodes with pods, a profile of the controller, and
// the events of the day. [Run] lives through it and returns a [Result]: whether the
// pool sufficed, and what the blocks and addresses were held by all along.
//
//   - Each node stands in a place, numbered from 0. When it goes, another comes up in
//     its place, under a name that no node had before, with as many pods.
//   - A pod that gets no address waits and asks again every minute, as a kubelet
//     does.
//   - The controller looks at what changed at most every [Scenario.Reaction], and at
//     everything when its policy says so.
//   - The same scenario gives the same result; Seed decides who goes first and whose
//     release is lost.
//
// The package decides nothing about addresses: that is the allocator's and the
// controller's.
package fleet

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/pool"
)

// ErrInvalid is matched by errors about a scenario that cannot be run. Those about
// an event name it.
var ErrInvalid = errors.New("fleet: invalid scenario")

// Scenario is a fleet and what happens to it. Zero fields are what they say.
type Scenario struct {
	Pool        netip.Prefix  // of either family
	BlockSize   int           // prefix length; 0 for Calico's default
	Nodes       int           // 1 to 100,000
	PodsPerNode int           // 0 to 10,000, and no more than 10,000,000 in all
	Tunnel      bool          // each node holds a tunnel address too
	Strict      bool          // strict affinity: no borrowing
	Cooldown    time.Duration // of addresses: 0 to 20 minutes, whole seconds

	Profile lifecycle.Profile
	// Leaks is the share, 0 to 1, of pods whose release is lost: all but those of a
	// node that is interrupted, where all are.
	Leaks float64
	// Reaction is how long after a change the controller looks at it: 0 for 10
	// seconds.
	Reaction time.Duration

	For    time.Duration // how long it runs, more than 0
	Sample time.Duration // time between samples; 0 for a 96th of For
	Events []Event       // in the order of At
	Seed   int64
}

// Kind is what happens in an [Event].
type Kind string

// The kinds.
const (
	// ReplaceNodes drains nodes and deletes them: their pods go, and the allocator
	// is told, except for the share that leaks.
	ReplaceNodes Kind = "replace-nodes"
	// Interrupt takes nodes away without a drain, as a spot market does: nobody
	// tells the allocator.
	Interrupt Kind = "interrupt"
	// ReplacePods deletes pods of nodes that stay, and starts others instead: the
	// allocator is told, except for the share that leaks. Named pods stay.
	ReplacePods Kind = "replace-pods"
	// Upgrade drains and replaces every node once, Count (the surge) at a time: so
	// many new ones come up before the old ones go.
	Upgrade Kind = "upgrade"
	// ControllerDown stops the controller for a while. It comes back without its
	// memory.
	ControllerDown Kind = "controller-down"
	// StartPod starts a pod of a given name, which comes back under that name when
	// its node is replaced.
	StartPod Kind = "start-pod"
	// StopPod deletes a pod that StartPod started.
	StopPod Kind = "stop-pod"
)

// Event is something that happens to a fleet.
type Event struct {
	At   time.Duration // since the start
	Kind Kind
	// Count is how many nodes or pods ReplaceNodes, Interrupt and ReplacePods take,
	// and the surge of an Upgrade.
	Count int
	// Every repeats the first three, and is the time between the steps of an
	// Upgrade. 0: once, or all steps at once.
	Every time.Duration
	// Over spreads what one of the first three takes evenly over that time; 0: all
	// at once.
	Over time.Duration
	// For is how long a controller is down.
	For time.Duration
	// Pod is who StartPod and StopPod are about, and Place where it runs. With
	// Address it asks for that one.
	Pod     lifecycle.PodName
	Place   int
	Address netip.Addr
}

// Limits that keep a mistyped number from taking the machine's memory.
const (
	maxNodes = 100_000
	maxPods  = 10_000     // on a node
	maxFleet = 10_000_000 // pods
	maxFor   = 366 * 24 * time.Hour
)

// Validate returns an error matching [ErrInvalid], with everything that is wrong
// with the scenario, or nil. [Run] does nothing before it has looked at all of it.
func (s *Scenario) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
	}
	if p, err := pool.New(s.poolSpec()); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", ErrInvalid, err))
	} else if p.CIDR().Bits() < p.BlockSize()-24 {
		bad("pool %s has more than 2^24 blocks", s.Pool)
	}
	if s.Nodes < 1 || s.Nodes > maxNodes {
		bad("%d nodes, must be 1 to %d", s.Nodes, maxNodes)
	}
	if s.PodsPerNode < 0 || s.PodsPerNode > maxPods {
		bad("%d pods a node, must be 0 to %d", s.PodsPerNode, maxPods)
	}
	if int64(s.Nodes)*int64(s.PodsPerNode) > maxFleet {
		bad("%d nodes of %d pods, must be at most %d pods", s.Nodes, s.PodsPerNode, maxFleet)
	}
	if s.Cooldown < 0 || s.Cooldown > 20*time.Minute || s.Cooldown%time.Second != 0 {
		bad("cooldown %v, must be 0s to 20m0s in whole seconds", s.Cooldown)
	}
	if !(s.Leaks >= 0 && s.Leaks <= 1) {
		bad("share of leaks %v, must be 0 to 1", s.Leaks)
	}
	if s.Reaction < 0 {
		bad("reaction time %v is negative", s.Reaction)
	}
	if s.For <= 0 || s.For > maxFor {
		bad("duration %v, must be more than 0s and at most a year", s.For)
	}
	if s.Sample < 0 || s.Sample > 0 && s.For/s.Sample > 100_000 {
		bad("time between samples %v is negative or too short", s.Sample)
	}
	if err := s.Profile.Policy.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	if s.Nodes > 0 {
		errs = append(errs, s.checkEvents()...)
	}
	return errors.Join(errs...)
}

// poolSpec returns the pool as the allocator wants it.
func (s *Scenario) poolSpec() pool.Spec {
	return pool.Spec{Name: "pool", CIDR: s.Pool, BlockSize: s.BlockSize}
}

// checkEvents looks at each event, and at them in their order.
func (s *Scenario) checkEvents() (errs []error) {
	runs := make(map[lifecycle.PodName]int) // places by pod
	for i, e := range s.Events {
		bad := func(format string, args ...any) {
			text := fmt.Sprintf(format, args...)
			errs = append(errs, fmt.Errorf("%w: event %d (%s at %v): %s", ErrInvalid, i+1, e.Kind, e.At, text))
		}
		for _, d := range []struct {
			name  string
			value time.Duration
		}{{"at", e.At}, {"every", e.Every}, {"over", e.Over}, {"for", e.For}} {
			if d.value < 0 {
				bad("%s %v is negative", d.name, d.value)
			}
		}
		if i > 0 && e.At < s.Events[i-1].At {
			bad("out of order: event %d is at %v", i, s.Events[i-1].At)
		}
		switch e.Kind {
		case ReplaceNodes, Interrupt, Upgrade, ReplacePods:
			most, what := s.Nodes, "nodes"
			if e.Kind == ReplacePods {
				most, what = max(1, s.Nodes*s.PodsPerNode), "pods"
			}
			if e.Count < 1 || e.Count > most {
				bad("count %d, must be 1 to %d, the %s there are", e.Count, most, what)
			}
			if e.Every > 0 && e.Every < time.Second {
				bad("every %v, must be a second or more", e.Every)
			}
		case ControllerDown:
			if e.For == 0 {
				bad("for 0s, must be more")
			}
		case StartPod, StopPod:
			s.checkPod(&e, runs, bad)
		default:
			bad("no such kind of event")
		}
	}
	return errs
}

// checkPod looks at the pod of an event, given the places of those that run.
func (s *Scenario) checkPod(e *Event, runs map[lifecycle.PodName]int, bad func(string, ...any)) {
	if e.Pod.Name == "" || e.Pod.Namespace == "" {
		bad("pod %q without a name or namespace", e.Pod)
		return
	}
	at, running := runs[e.Pod]
	if e.Kind == StopPod {
		if !running {
			bad("pod %s does not run", e.Pod)
		}
		delete(runs, e.Pod)
		return
	}
	switch {
	case running && at != e.Place:
		bad("pod %s runs in place %d already: a pod cannot be on two nodes", e.Pod, at)
	case running:
		bad("pod %s runs already", e.Pod)
	}
	if e.Place < 0 || e.Place >= s.Nodes {
		bad("place %d, must be 0 to %d", e.Place, s.Nodes-1)
	}
	if e.Address.IsValid() && !s.Pool.Contains(e.Address) {
		bad("address %s is outside every pool: there is %s", e.Address, s.Pool)
	}
	runs[e.Pod] = e.Place
}
