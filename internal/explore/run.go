package explore

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// Options are options of a run. The zero value tests the allocator of package
// protocol.
type Options struct {
	// Engine makes the allocator of a client, which must learn everything about
	// the cluster through the access. Nil stands for [protocol.Cluster.Client].
	Engine func(c *protocol.Cluster, access protocol.Access, now func() time.Time) trace.Engine
}

// A Step is a move that was made.
type Step struct {
	Move
	Life      int    // how often the client's host had come back
	Operation int    // the number of its operation, from 0 in every life
	Op        string // its name
	// The call and its result, all empty if the client died. If the answer was
	// lost, the result is that of the datastore.
	Verb   protocol.Verb
	Key    protocol.Key
	Result protocol.Result
	Note   string // the same in a few words: "pending 10.0.0.4/30"
}

// Told is the outcome of an operation as its client saw it.
type Told struct {
	Client    int
	Life      int
	Operation int
	race.Step     // Out is nil if the client died before there was an outcome
	After     int // the number of steps made by then
}

// A Trail is what happened in a run.
type Trail struct {
	// Schedule is every move that was made, one by one. It leads to the same
	// trail again.
	Schedule Schedule
	Steps    []Step // one for each of these
	Told     []Told // in the order of the steps
	// State is the final state of the cluster, before hosts recover.
	State ipam.State
	// Violation is the violation that ended the run early, nil if there was none.
	Violation *Violation
}

// Run runs the program under the schedule. When the schedule ends, clients with
// work left finish it one after the other. When all are at rest, every host
// recovers: it asks for more addresses than there are, so that it tries everything
// that it left behind. The first violation of an invariant ends the run. Two
// invariants allow more in older releases: [Queue] and [Surplus].
//
// Errors match [ErrProgram] or [ErrSchedule].
func Run(p *Program, s Schedule, o Options) (*Trail, error) {
	stale := false
	for _, m := range s {
		stale = stale || m.Fate == Stale
	}
	r, err := begin(p, o, stale)
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := s.validate(p); err != nil {
		return nil, err
	}
	t := new(Trail)
	for i, m := range s {
		made, err := t.make(r, m)
		if err == nil && made == 0 {
			err = fmt.Errorf("%s has nothing left to do", name(m.Client))
		}
		if errors.Is(err, ErrProgram) {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("%w: move %d, %s: %w", ErrSchedule, i+1, m, err)
		}
	}
	for i := range r.clients {
		if _, err := t.make(r, Move{Client: i, Fate: ToTheEnd}); err != nil {
			return nil, err
		}
	}
	t.Told, t.State = slices.Clone(r.told), r.cluster.State()
	for _, c := range r.clients {
		for i := c.finished; i < len(c.steps) && r.broken() == nil; i++ {
			t.Told = append(t.Told, Told{Client: c.number, Life: c.life, Operation: i, Step: c.steps[i], After: len(t.Steps)})
		}
	}
	r.rest()
	t.Violation = r.broken()
	return t, nil
}

// make makes a move, all steps of it if it is to the end, and returns the number
// of steps. After a violation it makes none.
func (t *Trail) make(r *run, m Move) (steps int, err error) {
	if r.broken() != nil {
		return 1, nil
	}
	one := m
	if m.Fate == ToTheEnd {
		one.Fate = Answered
	}
	for r.clients[m.Client].waiting() && r.broken() == nil {
		step, err := r.move(one)
		if err != nil {
			return steps, err
		}
		steps++
		t.Schedule = append(t.Schedule, one)
		t.Steps = append(t.Steps, step)
		if m.Fate != ToTheEnd {
			break
		}
		if steps > maxMoves {
			return steps, fmt.Errorf("%s makes more than %d calls", name(m.Client), maxMoves)
		}
	}
	return steps, nil
}

// configKey is the key of the configuration.
var configKey = new(protocol.Config).Key()

// affinityKey returns the key of an owner's affinity for a block.
func affinityKey(o affinity.Owner, cidr netip.Prefix) protocol.Key {
	return (&protocol.Affinity{Owner: o, CIDR: cidr}).Key()
}

// blockAt returns the block in the datastore, or nil.
func (r *run) blockAt(cidr netip.Prefix) *protocol.Block {
	b, _ := r.store.Look((&protocol.Block{CIDR: cidr}).Key()).(*protocol.Block)
	return b
}

// A run is a program in progress: each client is before its next call.
type run struct {
	program *Program
	options Options
	cluster *protocol.Cluster
	store   *protocol.Store
	clock   *ipam.Clock
	clients []*client
	ledger  *ledger
	past    *past // nil unless reads may be stale
	steps   int   // made so far
	told    []Told
	quiet   bool // whether steps have no notes
	// Counts of the faults so far.
	deaths, failures, stale int
}

// begin sets up the cluster and starts each client.
func begin(p *Program, o Options, stale bool) (*run, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	r := &run{program: p, options: o, cluster: protocol.NewCluster(), clock: ipam.NewClock(p.Setting.Start)}
	calico, _ := p.calico() // which validate has read
	r.cluster.SetCalico(calico)
	r.store = r.cluster.Store()
	if o.Engine == nil {
		r.options.Engine = func(c *protocol.Cluster, access protocol.Access, now func() time.Time) trace.Engine {
			return c.Client(access, now)
		}
	}
	alone := trace.PlayOn(r.cluster.Client(nil, r.clock.Now), r.clock)
	if err := alone.Set(p.Setting); err != nil {
		return nil, fmt.Errorf("%w: setting: %w", ErrProgram, err)
	}
	for i, s := range p.Before {
		if _, err := alone.Do(trace.Op{Op: s.Op, In: s.In}); err != nil {
			return nil, fmt.Errorf("%w: before %d: %w", ErrProgram, i, err)
		}
	}
	if stale {
		r.past = &past{store: r.store, answers: make(map[protocol.Key][]protocol.Response)}
	}
	r.ledger = open(r)
	for i := range p.Clients {
		c := &client{run: r, number: i, spec: &p.Clients[i]}
		r.clients = append(r.clients, c)
		if err := c.begin(c.spec.Steps); err != nil {
			r.end()
			return nil, err
		}
	}
	return r, nil
}

// end kills the clients that are still at work.
func (r *run) end() {
	for _, c := range r.clients {
		c.process.Kill()
	}
}

// broken returns the first violation, or nil.
func (r *run) broken() *Violation { return r.ledger.broken }

// errNoRead says why an answer cannot be stale.
var errNoRead = errors.New("a write's answer cannot be stale")

// move makes a move of a client with work left. Its error says why the move is
// impossible.
func (r *run) move(m Move) (Step, error) {
	c := r.clients[m.Client]
	request, _ := c.process.Request()
	step := Step{Move: m, Life: c.life, Operation: c.finished, Op: c.work.step.Op}
	if m.Fate == Dies {
		r.steps++
		r.deaths++
		step.Note = "dies"
		return step, c.die()
	}
	step.Verb, step.Key = request.Verb, request.Key
	var old protocol.Response
	if m.Fate == Stale {
		var err error
		if old, err = r.past.answer(request, m.Back); err != nil {
			return step, err
		}
	}
	writes := request.Verb != protocol.Get && request.Verb != protocol.List
	forget := func() {}
	if writes && r.past != nil {
		forget = r.past.remember(request)
	}
	r.steps++
	before := r.store.Look(request.Key)
	answer := protocol.Response{Result: protocol.Failed}
	switch m.Fate {
	case Stale:
		answer = old
	case Fails:
	default:
		answer = r.store.Do(request)
	}
	after := r.store.Look(request.Key)
	if answer.Result != protocol.OK {
		forget()
	}
	if writes && answer.Result != protocol.OK && answer.Result != protocol.Failed {
		c.refused++
	}
	if writes {
		r.ledger.wrote(c.work, request, answer.Result, before, after, m.Fate)
	}
	step.Result = answer.Result
	if !r.quiet {
		step.Note = note(request, answer, before, after, m.Fate)
	}
	if m.Fate != Answered {
		r.ledger.strike(c.work)
	}
	switch m.Fate {
	case Stale:
		r.stale++
	case Fails:
		r.failures++
	case Lost:
		r.failures++
		answer = protocol.Response{Result: protocol.Failed}
	}
	c.memory.learn(r, request, answer)
	c.process.Answer(answer)
	return step, c.err
}
