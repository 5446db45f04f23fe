package churn

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/lifecycle/fleet"
)

// variant is one way in which the day could go.
type variant struct {
	name     string
	scenario fleet.Scenario
	result   fleet.Result
}

// add puts an event into the scenario, in the order of time.
func add(s *fleet.Scenario, e fleet.Event) {
	s.Events = append(slices.Clone(s.Events), e)
	slices.SortStableFunc(s.Events, func(x, y fleet.Event) int { return cmp.Compare(x.At, y.At) })
}

// variants returns the day as it was asked for, and what it is compared with.
func variants(o *options) []variant {
	asked := o.scenario
	all := []variant{{name: "as asked", scenario: asked}}
	if o.only {
		return all
	}
	vary := func(name string, change func(s *fleet.Scenario)) {
		v := variant{name: name, scenario: asked}
		change(&v.scenario)
		all = append(all, v)
	}
	for _, grace := range []time.Duration{0, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour} {
		if grace != asked.Profile.Policy.GracePeriod {
			vary("grace "+short(grace), func(s *fleet.Scenario) { s.Profile.Policy.GracePeriod = grace })
		}
	}
	vary("controller down for "+short(o.down), func(s *fleet.Scenario) {
		add(s, fleet.Event{At: s.For / 2, Kind: fleet.ControllerDown, For: o.down})
	})
	vary("no controller", func(s *fleet.Scenario) { s.Profile.Policy.Off = true })
	for _, p := range lifecycle.Profiles() {
		if p.Name != asked.Profile.Name {
			vary("profile "+p.Name, func(s *fleet.Scenario) {
				p.Policy.GracePeriod = s.Profile.Policy.GracePeriod
				s.Profile = p
			})
		}
	}
	return all
}

// live lives through every variant, as many at a time as there are processors, and
// tells progress, unless that is nil, how far it is.
func live(o *options, progress io.Writer) []variant {
	all := variants(o)
	var mu sync.Mutex
	done := make([]time.Duration, len(all))
	tell := func(i int, at time.Duration) {
		if progress == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		done[i] = at
		sum := 0.0
		for _, d := range done {
			sum += d.Seconds()
		}
		part := sum / o.scenario.For.Seconds() / float64(len(all))
		fmt.Fprintf(progress, "\r\x1b[K%.0f %% of %d times %s", 100*part, len(all), short(o.scenario.For))
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i := range all {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			// What was asked for is valid, and so is each change to it.
			all[i].result, _ = fleet.Run(all[i].scenario, func(at time.Duration) { tell(i, at) })
		})
	}
	wg.Wait()
	if progress != nil {
		fmt.Fprint(progress, "\r\x1b[K")
	}
	return all
}
