package churn

import (
	"cmp"
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// variant is one way in which the day could go.
type variant struct {
	name     string
	scenario sim.Scenario
	result   sim.Result
	// grace is the cleaner's grace period where nothing else is different from the day
	// as asked; nil where something is.
	grace *sim.Duration
	// release is the release of Calico where nothing else is different; 0 where something
	// is, or for the day as asked.
	release calico.Version
}

// add puts an event into the scenario, in the order of time.
func add(s *sim.Scenario, e sim.Event) {
	s.Events = append(slices.Clone(s.Events), e)
	slices.SortStableFunc(s.Events, func(x, y sim.Event) int { return cmp.Compare(x.At, y.At) })
}

// cleaner returns the scenario's cleaner, which is then nobody else's. It has one after
// that.
func cleaner(s *sim.Scenario) *sim.Cleaner {
	var c sim.Cleaner
	if s.Cleaner != nil {
		c = *s.Cleaner
	}
	c.Off, c.Down = false, slices.Clone(c.Down)
	s.Cleaner = &c
	return &c
}

// grace returns the cleaner's grace period.
func grace(s *sim.Scenario) time.Duration {
	if s.Cleaner == nil || s.Cleaner.GracePeriod == nil {
		return lifecycle.DefaultPolicy().GracePeriod
	}
	return time.Duration(*s.Cleaner.GracePeriod)
}

// others are the releases that a day is compared with: one of each behaviour that
// shows. Until v3.31 a full pool takes no empty block from its owner, and until v3.27 an
// empty block also stays unless three addresses are free in its node's others
// (docs/calico.md §12, docs/calico.md §16).
var others = []calico.Version{calico.V3(33), calico.V3(31), calico.V3(27)}

// variants returns the day as it was asked for, and what it is compared with.
func variants(o *options) []variant {
	asked := o.scenario
	all := []variant{{name: "as asked", scenario: asked}}
	if !o.compare {
		return all
	}
	vary := func(name string, change func(s *sim.Scenario)) {
		v := variant{name: name, scenario: asked}
		change(&v.scenario)
		all = append(all, v)
	}
	cleans := asked.Cleaner != nil && !asked.Cleaner.Off
	for _, period := range []time.Duration{0, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour} {
		if !cleans || period != grace(&asked) {
			of := sim.Duration(period)
			vary("grace "+cli.Short(period), func(s *sim.Scenario) { cleaner(s).GracePeriod = &of })
			if cleans {
				all[len(all)-1].grace = &of
			}
		}
	}
	if cleans {
		vary("controller down for "+cli.Short(o.down), func(s *sim.Scenario) {
			c := cleaner(s)
			c.Down = append(c.Down, sim.Outage{From: s.For / 2, To: s.For/2 + sim.Duration(o.down)})
			slices.SortStableFunc(c.Down, func(x, y sim.Outage) int { return cmp.Compare(x.From, y.From) })
		})
		vary("no controller", func(s *sim.Scenario) { cleaner(s).Off = true })
	}
	for _, v := range others {
		if v.Rules() != o.calico.Rules() {
			vary("Calico "+v.String(), func(s *sim.Scenario) { s.Calico = v.String() })
			all[len(all)-1].release = v
		}
	}
	// A release may not have what was asked for, as old ones have no cooldown.
	return slices.DeleteFunc(all, func(v variant) bool { return v.scenario.Validate() != nil })
}

// beside is what the run of the day as asked tells of the variants in which only the
// grace period or the release of Calico is another: most of them need no run of their
// own.
type beside struct {
	all      []variant
	graces   []sim.Duration
	releases []calico.Version
	ofGrace  []int           // variant each of the graces is of
	ofOther  []int           // variant each of the releases is of
	apart    []chan struct{} // of each variant, closed when it makes a difference, or may
	over     chan struct{}   // closed when the day as asked is over
}

func newBeside(all []variant) *beside {
	b := &beside{all: all, apart: make([]chan struct{}, len(all)), over: make(chan struct{})}
	for i := range all {
		v := &all[i]
		if v.grace != nil {
			b.graces, b.ofGrace = append(b.graces, *v.grace), append(b.ofGrace, i)
		}
		if v.release != 0 {
			b.releases, b.ofOther = append(b.releases, v.release), append(b.ofOther, i)
		}
		b.apart[i] = make(chan struct{})
	}
	return b
}

// watch has the run of the day as asked tell of the others.
func (b *beside) watch(o *sim.Options) {
	o.Graces, o.Apart = b.graces, func(k int) { close(b.apart[b.ofGrace[k]]) }
	o.Releases, o.ReleaseApart = b.releases, func(k int) { close(b.apart[b.ofOther[k]]) }
}

// known waits until it is clear whether the variant needs a run of its own, and gives it
// its result if it does not.
func (b *beside) known(i int) (same bool) {
	grace, release := slices.Index(b.ofGrace, i), slices.Index(b.ofOther, i)
	if grace < 0 && release < 0 {
		return false
	}
	select {
	case <-b.apart[i]:
		return false
	case <-b.over:
	}
	asked, mine := &b.all[0].result, &b.all[i].result
	if grace >= 0 {
		*mine, same = asked.WithGrace(grace)
		return same
	}
	*mine, same = asked.WithRelease(release)
	mine.EmptyHandles = nil // which are counted for the day as asked
	return same
}

// live lives through every variant, as many at a time as there are processors, and
// shows on w, if that is a terminal, how far it is.
func live(ctx context.Context, o *options, w io.Writer) ([]variant, error) {
	all := variants(o)
	var mu sync.Mutex
	done, of := make([]int, len(all)), make([]int, len(all))
	bar := cli.NewCount(w, "requests of "+cli.Count(len(all), "run"), 1)
	defer bar.Stop()
	tell := func(i, doneNow, ofNow int) bool {
		mu.Lock()
		defer mu.Unlock()
		done[i], of[i] = doneNow, max(doneNow, ofNow)
		sumDone, sumOf := 0, 0
		for j := range all {
			sumDone += done[j]
			sumOf += cmp.Or(of[j], ofNow) // those that have not begun ask for about as many
		}
		bar.SetOf(int64(sumDone), int64(sumOf)+1)
		return ctx.Err() == nil
	}
	others := newBeside(all)
	errs := make([]error, len(all))
	err := cli.Wait(ctx, func() error {
		var wg sync.WaitGroup
		slots := make(chan struct{}, runtime.GOMAXPROCS(0))
		for i := range all {
			if i == 0 {
				slots <- struct{}{} // others wait for it
			}
			wg.Go(func() {
				if others.known(i) {
					tell(i, all[i].result.Requests, all[i].result.Requests)
					return
				}
				if i > 0 {
					slots <- struct{}{}
				}
				defer func() { <-slots }()
				if i == 0 {
					defer close(others.over)
				}
				if ctx.Err() != nil {
					return
				}
				options := sim.Options{
					SampleEvery: max(time.Duration(o.scenario.For)/96, 1), Peaks: true,
					Progress: func(done, of int) bool { return tell(i, done, of) },
				}
				if i == 0 {
					options.Handles = !o.calico.Rules().LowerByReleased
					others.watch(&options)
				}
				all[i].result, errs[i] = sim.Run(all[i].scenario, options)
			})
		}
		wg.Wait()
		return ctx.Err()
	})
	return all, cmp.Or(append([]error{err}, errs...)...)
}
