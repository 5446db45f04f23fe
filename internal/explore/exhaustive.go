package explore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// Bounds limit an exploration. The zero value allows a million states and two
// conflicts in an operation, no deaths, failures or stale reads, and stops at the
// first violation.
type Bounds struct {
	// States is the greatest number of different states that [Exhaustive] visits;
	// 0 stands for [DefaultStates]. Each takes some 50 bytes of memory.
	States int
	// Conflicts is the greatest number of conflicts in one operation; 0 stands for
	// [DefaultConflicts]. Clients try a hundred times, and two clients can
	// conflict every time.
	Conflicts int
	// Deaths is the greatest number of deaths in one schedule. A client may die at
	// any of its calls.
	Deaths int
	// Failures is the greatest number of calls in one schedule that fail or lose
	// their answers.
	Failures int
	// Stale is the greatest number of stale reads in one schedule: their answers
	// are from before the last write.
	Stale int
	// Findings is the number of violations after which the exploration stops; 0
	// stands for 1.
	Findings int
}

// The limits of bounds: beyond these an exploration would take forever.
const (
	DefaultStates    = 1_000_000
	MaxStates        = 100_000_000
	DefaultConflicts = 2
	MaxConflicts     = 10
	MaxFaults        = 8 // deaths, failures and stale reads together
)

// ErrBounds is matched by errors about invalid bounds.
var ErrBounds = errors.New("explore: impossible bounds")

func (b *Bounds) validate() error {
	for what, n := range map[string]int{"states": b.States, "conflicts": b.Conflicts, "deaths": b.Deaths, "failures": b.Failures, "stale reads": b.Stale, "findings": b.Findings} {
		if n < 0 {
			return fmt.Errorf("%w: %d %s", ErrBounds, n, what)
		}
	}
	if b.States > MaxStates {
		return fmt.Errorf("%w: %d states would explore forever, at most %d", ErrBounds, b.States, MaxStates)
	}
	if b.Conflicts > MaxConflicts {
		return fmt.Errorf("%w: %d conflicts in an operation would explore forever, at most %d", ErrBounds, b.Conflicts, MaxConflicts)
	}
	if n := b.Deaths + b.Failures + b.Stale; n > MaxFaults {
		return fmt.Errorf("%w: %d faults in one schedule would explore forever, at most %d", ErrBounds, n, MaxFaults)
	}
	return nil
}

// A Report is the result of an exploration, complete or not.
type Report struct {
	States int // different ones
	Steps  int // from one of them to another
	Deaths int // of these, those in which a client dies
	Ends   int // states in which all are at rest
	// Schedules is the number of complete schedules through these states: without
	// recognizing states, as many runs would be necessary.
	Schedules float64
	// Cut is the number of steps that were not followed, as they led to more
	// conflicts than the bounds allow.
	Cut int
	// Complete is true if everything within the bounds was explored.
	Complete bool
	Findings []Finding
}

// A Finding is a violation and the schedule that leads to it.
type Finding struct {
	Violation
	Schedule Schedule
}

// Exhaustive runs the program under every schedule within the bounds. It explores
// a state once, even if several ways lead to it. When it stops at a bound, the
// report has what was found until then.
//
// It calls progress now and then with the report so far, unless progress is nil.
// Errors match [ErrProgram] or [ErrBounds].
func Exhaustive(p *Program, b Bounds, o Options, progress func(Report)) (Report, error) {
	if err := errors.Join(b.validate(), p.newest()); err != nil {
		return Report{}, err
	}
	e := &explorer{program: p, options: o, bounds: b, progress: progress, clock: movesClock(p), seen: make(map[digest]float64)}
	if e.bounds.States == 0 {
		e.bounds.States = DefaultStates
	}
	if e.bounds.Conflicts == 0 {
		e.bounds.Conflicts = DefaultConflicts
	}
	e.bounds.Findings = max(1, b.Findings)
	e.report.Complete = true
	r, err := e.again()
	if err != nil {
		return Report{}, err
	}
	e.report.Schedules, err = e.visit(r)
	return e.report, err
}

// explorer visits the states of a program, depth first.
type explorer struct {
	program  *Program
	options  Options
	bounds   Bounds
	progress func(Report)
	clock    bool // clients move it
	report   Report
	path     Schedule           // to the present state
	seen     map[digest]float64 // the number of schedules that go on from a state
}

// again runs the path once more: clients are coroutines, which cannot be copied.
func (e *explorer) again() (*run, error) {
	r, err := begin(e.program, e.options, e.bounds.Stale > 0)
	if err != nil {
		return nil, err
	}
	r.quiet = true
	for _, m := range e.path {
		if _, err := r.move(m); err != nil {
			r.end()
			return nil, err
		}
	}
	return r, nil
}

// done reports whether enough was found. If so, it notes that the exploration is
// not complete.
func (e *explorer) done() bool {
	if len(e.report.Findings) < e.bounds.Findings {
		return false
	}
	e.report.Complete = false
	return true
}

// visit explores everything that can follow the state of the run, and ends the
// run. It returns the number of schedules that go on from that state.
func (e *explorer) visit(r *run) (schedules float64, err error) {
	defer func() { r.end() }()
	id := r.identity()
	if schedules, seen := e.seen[id]; seen {
		return schedules, nil
	}
	if len(e.seen) >= e.bounds.States {
		e.report.Complete = false
		return 0, nil
	}
	e.seen[id] = 0
	e.report.States++
	if e.progress != nil && e.report.States%1024 == 0 {
		e.progress(e.report)
	}
	moves := e.moves(r)
	if len(moves) == 0 {
		e.report.Ends++
		r.rest()
		e.find(r)
		e.seen[id] = 1
		return 1, nil
	}
	for i, m := range moves {
		if e.done() {
			break
		}
		if i > 0 {
			r.end()
			if r, err = e.again(); err != nil {
				return 0, err
			}
		}
		if _, err := r.move(m); err != nil {
			return 0, err
		}
		e.report.Steps++
		if m.Fate == Dies {
			e.report.Deaths++
		}
		e.path = append(e.path, m)
		on := 1.0
		switch w := r.clients[m.Client].work; {
		case e.find(r):
		case w != nil && w.conflicts > e.bounds.Conflicts:
			e.report.Cut++
			on = 0
		default:
			on, err = e.visit(r)
		}
		e.path = e.path[:len(e.path)-1]
		if err != nil {
			return 0, err
		}
		schedules += on
	}
	e.seen[id] = schedules
	return schedules, nil
}

// find keeps the run's violation, and reports whether there is one.
func (e *explorer) find(r *run) bool {
	v := r.broken()
	if v == nil {
		return false
	}
	if !e.done() {
		e.report.Findings = append(e.report.Findings, Finding{*v, slices.Clone(e.path)})
	}
	return true
}

// moves returns the possible next moves. The first lets the client that moved last
// go on. A read of an object that nobody writes happens at once, before its client
// may die: the others cannot see when it happens.
func (e *explorer) moves(r *run) []Move {
	last := 0
	if len(e.path) > 0 {
		last = e.path[len(e.path)-1].Client
	}
	for i, c := range r.clients {
		if request, waiting := c.process.Request(); waiting && !e.clock && isConstant(request) {
			if r.failures < e.bounds.Failures {
				return []Move{{Client: i}, {Client: i, Fate: Fails}}
			}
			return []Move{{Client: i}}
		}
	}
	var calls, faults []Move
	for i := range r.clients {
		i = (i + last) % len(r.clients)
		c := r.clients[i]
		request, waiting := c.process.Request()
		if !waiting {
			continue
		}
		calls = append(calls, Move{Client: i})
		if r.deaths < e.bounds.Deaths {
			faults = append(faults, Move{Client: i, Fate: Dies})
		}
		reads := request.Verb == protocol.Get || request.Verb == protocol.List
		if r.failures < e.bounds.Failures {
			faults = append(faults, Move{Client: i, Fate: Fails})
			if !reads { // a read shows no difference
				faults = append(faults, Move{Client: i, Fate: Lost})
			}
		}
		if r.stale < e.bounds.Stale && reads && r.past.has(request.Key, 1) {
			faults = append(faults, Move{Client: i, Fate: Stale, Back: 1})
		}
	}
	return append(calls, faults...)
}

// isConstant reports whether a request reads what no operation writes.
func isConstant(r protocol.Request) bool {
	return r.Verb == protocol.Get && (r.Key == configKey || strings.HasPrefix(string(r.Key), "node/"))
}

// movesClock reports whether a client moves the clock. If so, the order of its
// reads matters too.
func movesClock(p *Program) bool {
	for _, c := range p.Clients {
		for _, s := range slices.Concat(c.Steps, c.Back) {
			if s.Op == "Advance" {
				return true
			}
		}
	}
	return false
}
