package explore

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// Bounds limit an exploration. The zero value is a million states at most, two
// conflicts in an operation, nobody dying and every call answered, up to the first
// violation.
type Bounds struct {
	// States is how many different states [Exhaustive] looks at, at most; 0
	// stands for [DefaultStates]. It takes some 50 bytes of memory for each.
	States int
	// Conflicts is how many conflicts one operation meets, at most; 0 stands for [DefaultConflicts]. Clients try again a
	// hundred times, and two can keep each other from finishing all that time.
	Conflicts int
	// Deaths is how many clients die in one schedule, at most: at every call
	// that one makes.
	Deaths int
	// Failures is how many calls in one schedule fail or have their answers
	// lost, at most.
	Failures int
	// Stale is how many reads in one schedule are answered with what was there
	// before the last write.
	Stale int
	// Findings is after how many violations the exploration stops; 0 stands for
	// 1.
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

// ErrBounds is matched by errors about bounds that are none.
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

// A Report is what came of an exploration, complete or not.
type Report struct {
	States int // different ones
	Steps  int // from one of them to another
	Deaths int // of these, in which a client dies
	Ends   int // states in which all are at rest
	// Schedules is how many complete schedules there are through these states:
	// as many as would have had to be carried out one by one.
	Schedules float64
	// Cut is how many steps were not followed further, since they led to more
	// conflicts than the bounds allow.
	Cut int
	// Complete is true when there is nothing else within the bounds.
	Complete bool
	Findings []Finding
}

// A Finding is a violation and the schedule that leads to it.
type Finding struct {
	Violation
	Schedule Schedule
}

// Exhaustive carries the program out under every schedule within the bounds. A
// state that it has come to before, whatever the way, is not explored again. When
// it stops at a bound, the report has what was found until then.
//
// Progress is called now and then with what the report has so far; nil for no
// calls. Errors match [ErrProgram] or [ErrBounds].
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

// explorer goes through the states of a program, depth first.
type explorer struct {
	program  *Program
	options  Options
	bounds   Bounds
	progress func(Report)
	clock    bool // whether clients move it
	report   Report
	path     Schedule           // to where it is
	seen     map[digest]float64 // how many schedules lead on from a state
}

// again carries out the path once more. Clients are coroutines, of which there is
// no copying.
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

// done reports whether enough was found, and that whatever is left is not looked
// at.
func (e *explorer) done() bool {
	if len(e.report.Findings) < e.bounds.Findings {
		return false
	}
	e.report.Complete = false
	return true
}

// visit explores what can follow from where the run stands, and ends the run. It
// returns how many schedules lead on.
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

// moves returns what can come next: first that who moved last goes on. A read of
// what nobody writes is made at once, and before its client may die: it makes no
// difference to anybody else when.
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
			if !reads { // of a read nobody can tell
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
	return r.Verb == protocol.Get && (r.Key == new(protocol.Config).Key() || strings.HasPrefix(string(r.Key), "node/"))
}

// movesClock reports whether a client moves the clock: then it makes a difference
// when it comes to that, whatever it reads before.
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
