package fleet

import (
	"container/heap"
	"math/rand"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// Start is the moment at which every fleet starts.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// retryEvery is how often a pod without an address asks again.
const retryEvery = time.Minute

// defaultReaction is [Scenario.Reaction] where it is 0.
const defaultReaction = 10 * time.Second

// Run lives through the scenario on an allocator of its own. Errors match
// [ErrInvalid] and come before anything happens: refusals are results. Progress,
// unless it is nil, is told how far it is, at every sample.
func Run(s Scenario, progress func(at time.Duration)) (Result, error) {
	if err := s.Validate(); err != nil {
		return Result{}, err
	}
	r, err := newRunner(&s)
	if err != nil {
		return Result{}, err
	}
	r.progress = progress
	r.start()
	for len(r.agenda) > 0 {
		next := heap.Pop(&r.agenda).(item)
		if next.at > s.For {
			break
		}
		r.clock.Advance(next.at - r.at)
		r.at = next.at
		next.do()
		r.look()
	}
	r.result.WaitingAtEnd = r.waiting
	return r.result, nil
}

// runner is a fleet under way.
type runner struct {
	scenario   *Scenario
	progress   func(at time.Duration)
	clock      *ipam.Clock
	at         time.Duration
	allocator  *ipam.Allocator
	cluster    *lifecycle.Cluster
	controller *lifecycle.Controller // nil while it is down
	downs      int                   // events that keep it down
	ledger     *ledger
	random     *rand.Rand
	result     Result

	agenda agenda
	filed  int // items ever

	places []*node
	order  []int // in which places lose their nodes
	turn   int   // in order
	pods   map[lifecycle.PodName]*pod

	changed         bool // since the controller looked
	nextFull        time.Duration
	allocated, held int             // addresses: all, and those of pods and nodes that live
	waiting         int             // pods without an address
	queue           []*pod          // that ask again
	v4, v6          ipam.Assignment // of the request under way
}

func newRunner(s *Scenario) (*runner, error) {
	r := &runner{scenario: s, clock: ipam.NewClock(Start), random: rand.New(rand.NewSource(s.Seed)), pods: make(map[lifecycle.PodName]*pod)}
	r.allocator = ipam.New(ipam.Options{Now: r.clock.Now, Calico: s.Profile.Calico})
	config := ipam.DefaultConfig()
	config.StrictAffinity, config.IPCooldownSeconds = s.Strict, int(s.Cooldown/time.Second)
	if err := r.allocator.SetIPAMConfig(config); err != nil {
		return nil, err
	}
	if err := r.allocator.SetPool(s.poolSpec()); err != nil {
		return nil, err
	}
	spec := r.allocator.Pools()[0] // with its defaults
	r.result.BlocksTotal = 1 << (spec.BlockSize - spec.CIDR.Bits())
	r.cluster = lifecycle.NewCluster(r.allocator)
	r.ledger = newLedger(r.cluster)
	r.order = r.random.Perm(s.Nodes)
	return r, nil
}

// item is something to be done at a moment.
type item struct {
	at time.Duration
	n  int // of two at one moment the one that was filed first
	do func()
}

// agenda is a heap of items.
type agenda []item

// Len, Less, Swap, Push and Pop are the heap's.
func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].n < a[j].n
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(item)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = item{}
	*a = (*a)[:len(*a)-1]
	return last
}

// file puts something on the agenda.
func (r *runner) file(at time.Duration, do func()) {
	r.filed++
	heap.Push(&r.agenda, item{at, r.filed, do})
}

// repeat does something now and from then on.
func (r *runner) repeat(at, every time.Duration, do func()) {
	r.file(at, func() {
		do()
		r.repeat(r.at+every, every, do)
	})
}

// start brings up the nodes, and files everything else.
func (r *runner) start() {
	s := r.scenario
	for place := range s.Nodes {
		r.places = append(r.places, nil)
		r.bringUp(place)
		r.populate(place, nil)
	}
	r.startController()
	r.look()
	for i := range s.Events {
		r.file(s.Events[i].At, func() { r.happen(&s.Events[i]) })
	}
	reaction := s.Reaction
	if reaction == 0 {
		reaction = defaultReaction
	}
	r.repeat(reaction, reaction, r.sync)
	r.repeat(retryEvery, retryEvery, r.askAgain)
	every := s.Sample
	if every == 0 {
		every = max(s.For/96, 1)
	}
	r.repeat(0, every, r.sample)
}

// look takes what just happened into account.
func (r *runner) look() {
	r.ledger.update()
	r.result.PeakDead.see(r.ledger.count[dead], r.at)
	r.result.PeakUnheld.see(r.allocated-r.held, r.at)
	r.result.PeakWaiting.see(r.waiting, r.at)
}

// sample writes down how things stand.
func (r *runner) sample() {
	r.look()
	s := r.ledger.sample(r.at, r.result.BlocksTotal)
	s.Unheld, s.Waiting = r.allocated-r.held, r.waiting
	r.result.Samples = append(r.result.Samples, s)
	if r.progress != nil {
		r.progress(r.at)
	}
}

// startController starts a controller, which knows nothing yet.
func (r *runner) startController() {
	// The policy was looked at before anything began.
	r.controller, _ = lifecycle.NewController(r.cluster, r.scenario.Profile.Policy)
	r.changed = true
	r.nextFull = r.at + r.scenario.Profile.Policy.FullEvery()
}

// sync has the controller look, if it is up and there is something to see.
func (r *runner) sync() {
	if r.controller == nil {
		return
	}
	full := r.at >= r.nextFull
	if full {
		r.nextFull = r.at + r.scenario.Profile.Policy.FullEvery()
		r.result.FullSyncs++
	} else if !r.changed {
		return
	}
	done := r.controller.Sync(full)
	r.result.Syncs++
	r.result.ReleasedIPs += len(done.ReleasedIPs)
	r.result.ReleasedBlocks += len(done.ReleasedBlocks)
	r.allocated -= len(done.ReleasedIPs)
	r.changed = done.WorkRemaining
}
