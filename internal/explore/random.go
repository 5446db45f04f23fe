package explore

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"

	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// MaxRuns is the greatest number of schedules that one [Random] draws: more would
// run forever.
const MaxRuns = 100_000_000

// Random runs the program under random schedules, as many as runs says. Each is
// drawn from its own seed: seed, seed+1 and so on, so any of them can be drawn
// again. Calls in any schedule may meet deaths, failures and stale reads, within
// the bounds.
//
// Clients have priorities. The first client with work left goes on, until one of a
// few random steps at which it becomes the last. Most faults need few switches:
// one that needs d switches at the right steps is found in about one of n^d
// schedules of n steps.
//
// The report counts steps and deaths; its states are the different final states. A
// violation is reported with a shorter schedule if one breaks the same invariant
// (see [Shorten]). Errors match [ErrProgram] or [ErrBounds].
func Random(p *Program, seed int64, runs int, b Bounds, o Options, progress func(Report)) (Report, error) {
	if err := errors.Join(b.validate(), p.newest()); err != nil {
		return Report{}, err
	}
	if runs < 1 || runs > MaxRuns {
		return Report{}, fmt.Errorf("%w: %d schedules, want 1 to %d", ErrBounds, runs, MaxRuns)
	}
	length, err := lengthOf(p, o)
	if err != nil {
		return Report{}, err
	}
	var report Report
	ends := make(map[digest]bool)
	for i := range runs {
		d := newDraw(seed+int64(i), p, length, b)
		r, s, err := d.run(p, o, &report)
		if err != nil {
			return report, err
		}
		ends[r.identity()] = true
		if r.broken() == nil {
			r.rest()
		}
		r.end()
		report.States, report.Ends = len(ends), len(ends)
		report.Schedules++
		if v := r.broken(); v != nil {
			f := Finding{*v, s}
			if f, err = Shorten(p, f, o); err != nil {
				return report, err
			}
			report.Findings = append(report.Findings, f)
			if len(report.Findings) >= max(1, b.Findings) {
				return report, nil
			}
		}
		if progress != nil && i%256 == 255 {
			progress(report)
		}
	}
	report.Complete = true
	return report, nil
}

// lengthOf returns the number of calls that the program makes with one client
// after the other.
func lengthOf(p *Program, o Options) (int, error) {
	r, err := begin(p, o, false)
	if err != nil {
		return 0, err
	}
	r.quiet = true
	defer r.end()
	for i, c := range r.clients {
		for c.waiting() {
			if _, err := r.move(Move{Client: i}); err != nil {
				return 0, err
			}
			if r.steps > maxMoves {
				return 0, fmt.Errorf("%w: %s makes more than %d calls", ErrProgram, name(i), maxMoves)
			}
		}
	}
	return r.steps, nil
}

// draw is a schedule that is being drawn.
type draw struct {
	random *rand.Rand
	order  []int // the clients, the first before the others
	// The steps, ascending, at which the first becomes the last, and the faults.
	switches []int
	faults   []fault
}

type fault struct {
	at   int // from this step on, as soon as it can be
	fate Fate
}

// newDraw draws the decisions for a schedule of about that length.
func newDraw(seed int64, p *Program, length int, b Bounds) *draw {
	// The sequence of a seeded source never changes.
	random := rand.New(rand.NewSource(seed))
	d := &draw{random: random, order: random.Perm(len(p.Clients))}
	for range 1 + random.Intn(4) {
		d.switches = append(d.switches, random.Intn(length+1))
	}
	slices.Sort(d.switches)
	addFaults := func(n int, fates ...Fate) {
		for range random.Intn(n + 1) {
			d.faults = append(d.faults, fault{random.Intn(length + 1), fates[random.Intn(len(fates))]})
		}
	}
	addFaults(b.Deaths, Dies)
	addFaults(b.Failures, Fails, Lost)
	addFaults(b.Stale, Stale)
	slices.SortStableFunc(d.faults, func(x, y fault) int { return x.at - y.at })
	return d
}

// run runs the program until all are at rest, or an invariant does not hold.
func (d *draw) run(p *Program, o Options, report *Report) (*run, Schedule, error) {
	r, err := begin(p, o, true)
	if err != nil {
		return nil, nil, err
	}
	r.quiet = true
	var s Schedule
	for r.broken() == nil {
		m, more := d.next(r)
		if !more {
			break
		}
		if _, err := r.move(m); err != nil {
			r.end()
			return nil, nil, err
		}
		s = append(s, m)
		report.Steps++
		if m.Fate == Dies {
			report.Deaths++
		}
		if len(s) > maxMoves {
			r.end()
			return nil, nil, fmt.Errorf("%w: a schedule of more than %d calls", ErrProgram, maxMoves)
		}
	}
	return r, s, nil
}

// next returns the next move; more is false when all are at rest.
func (d *draw) next(r *run) (m Move, more bool) {
	for len(d.switches) > 0 && r.steps >= d.switches[0] {
		d.switches = d.switches[1:]
		d.order = append(d.order[1:], d.order[0])
	}
	i := slices.IndexFunc(d.order, func(i int) bool { return r.clients[i].waiting() })
	if i < 0 {
		return m, false
	}
	m.Client = d.order[i]
	request, _ := r.clients[m.Client].process.Request()
	if len(d.faults) == 0 || r.steps < d.faults[0].at {
		return m, true
	}
	reads := request.Verb == protocol.Get || request.Verb == protocol.List
	switch fate := d.faults[0].fate; {
	case fate == Lost && reads: // it looks the same as Fails
	case fate == Stale && !(reads && r.past.has(request.Key, 1)):
	default:
		m.Fate = fate
		if fate == Stale {
			m.Back = 1
		}
		d.faults = d.faults[1:]
	}
	return m, true
}
