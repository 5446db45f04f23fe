package race

import (
	"cmp"
	"fmt"

	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// A Difference is the first difference between a replay and its recording.
type Difference struct {
	Race  string // its name
	Where string // "call 17", "operation 1 of client 0", "before 2", "state", …
	Want  string
	Got   string
}

// String returns the difference in three lines.
func (d *Difference) String() string {
	return fmt.Sprintf("%s: %s\n  want: %s\n  got:  %s", d.Race, d.Where, d.Want, d.Got)
}

// nothing stands for a missing call or outcome.
const nothing = "nothing"

// Replay runs the race under its schedule and returns the first difference from
// what was recorded, nil if there is none. Its error is about the recording: an
// invalid setting or operation.
func Replay(r *Race) (*Difference, error) {
	return replay(r, func(s *protocol.Store) protocol.Access { return s })
}

// replay is Replay with calls that go through access(store).
func replay(race *Race, access func(*protocol.Store) protocol.Access) (*Difference, error) {
	if err := race.validate(); err != nil {
		return nil, err
	}
	r, err := setUp(race.Setting, access)
	if err != nil {
		return nil, err
	}
	defer r.end()
	d, err := r.held(race)
	if d != nil {
		d.Race = race.Name
	}
	return d, err
}

// held runs the race and compares every part with the recording.
func (r *run) held(race *Race) (*Difference, error) {
	if d, err := r.doAlone("before", race.Before); d != nil || err != nil {
		return d, err
	}
	for _, c := range race.Clients {
		r.start(c.Steps)
	}
	d := r.follow(race)
	if err := r.misunderstood(); err != nil {
		return nil, err
	}
	if d == nil {
		d = r.outcomes()
	}
	if d != nil {
		return d, nil
	}
	if d, err := r.doAlone("after", race.After); d != nil || err != nil {
		return d, err
	}
	key, want, got := race.State.Compare(trace.StateOf(r.cluster.State(), ""))
	return compare("state, "+key, cmp.Or(want, nothing), cmp.Or(got, nothing)), nil
}

// compare returns a difference if there is one.
func compare(where, want, got string) *Difference {
	if want == got {
		return nil
	}
	return &Difference{Where: where, Want: want, Got: got}
}

// doAlone does operations one at a time.
func (r *run) doAlone(when string, steps []Step) (*Difference, error) {
	for i, s := range steps {
		out, err := r.alone.Do(trace.Op{Op: s.Op, In: s.In})
		if err != nil {
			return nil, fmt.Errorf("%s %d: %w", when, i, err)
		}
		if d := compare(fmt.Sprintf("%s %d, %s", when, i, s.Op), s.Out.String(), out.String()); d != nil {
			return d, nil
		}
	}
	return nil, nil
}

// follow makes the calls of the schedule, and checks that no client makes more. A
// client dies before the first call that it does not make.
func (r *run) follow(race *Race) *Difference {
	for i, want := range race.Calls {
		call, made := r.step(want.Client)
		got := nothing
		if made {
			got = call.String()
		}
		if d := compare(fmt.Sprintf("call %d", i), want.String(), got); d != nil {
			return d
		}
	}
	for i, c := range r.clients {
		if dies := race.Clients[i].DiesAfter; dies != nil && c.calls >= *dies {
			if d := compare(fmt.Sprintf("client %d, which dies", i), fmt.Sprintf("%d calls", *dies), fmt.Sprintf("%d calls", c.calls)); d != nil {
				return d
			}
			c.Kill()
		}
		if request, more := c.Request(); more {
			return compare(fmt.Sprintf("client %d after its %d calls", i, c.calls), nothing,
				fmt.Sprintf("operation %d: %s %s", c.at, request.Verb, request.Key))
		}
	}
	return nil
}

// misunderstood returns the error of a client whose operation is invalid.
func (r *run) misunderstood() error {
	for i, c := range r.clients {
		if c.err != nil {
			return fmt.Errorf("operation %d of client %d: %w", c.at, i, c.err)
		}
	}
	return nil
}

// outcomes compares the outcomes of the clients' operations.
func (r *run) outcomes() *Difference {
	for i, c := range r.clients {
		for n, s := range c.steps {
			want, got := nothing, nothing
			if s.Out != nil {
				want = s.Out.String()
			}
			if n < len(c.outs) {
				got = c.outs[n].String()
			}
			if d := compare(fmt.Sprintf("operation %d of client %d, %s", n, i, s.Op), want, got); d != nil {
				return d
			}
		}
	}
	return nil
}
