package churn

import (
	"cmp"
	"context"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
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
	if !o.compare {
		return all
	}
	vary := func(name string, change func(s *fleet.Scenario)) {
		v := variant{name: name, scenario: asked}
		change(&v.scenario)
		all = append(all, v)
	}
	for _, grace := range []time.Duration{0, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour} {
		if grace != asked.Profile.Policy.GracePeriod {
			vary("grace "+cli.Short(grace), func(s *fleet.Scenario) { s.Profile.Policy.GracePeriod = grace })
		}
	}
	vary("controller down for "+cli.Short(o.down), func(s *fleet.Scenario) {
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
// shows on w, if that is a terminal, how far it is.
func live(ctx context.Context, o *options, w io.Writer) ([]variant, error) {
	all := variants(o)
	bar := cli.NewCount(w, "minutes of "+cli.Count(len(all), "run"), int64(len(all))*minutes(o.scenario.For))
	defer bar.Stop()
	var done atomic.Int64
	err := cli.Wait(ctx, func() error {
		var wg sync.WaitGroup
		slots := make(chan struct{}, runtime.GOMAXPROCS(0))
		for i := range all {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				if ctx.Err() != nil {
					return
				}
				last := int64(0)
				// What was asked for is valid, and so is each change to it.
				all[i].result, _ = fleet.Run(all[i].scenario, func(at time.Duration) {
					now := minutes(at)
					bar.Set(done.Add(now - last))
					last = now
				})
			})
		}
		wg.Wait()
		return nil
	})
	return all, err
}

// minutes returns how many whole minutes a time span has.
func minutes(d time.Duration) int64 { return int64(d / time.Minute) }
