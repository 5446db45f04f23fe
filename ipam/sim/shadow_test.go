package sim

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

// spotScenario makes a scenario of nodes that vanish, in which the grace period often
// makes no difference.
func spotScenario(s property.Source) Scenario {
	grace := Duration(time.Duration(2+s.Pick("grace", 20)) * time.Second)
	every := Duration(time.Duration(10+s.Pick("every", 50)) * time.Second)
	sc := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/25"), BlockSize: 28 + s.Pick("size", 3),
		Group: Group{Nodes: 1 + s.Pick("nodes", 5), PodsPerNode: s.Pick("pods", 9)}, TunnelIPPerNode: s.Pick("tunnel", 2) == 1,
		Order: oneByOne, Seed: int64(s.Pick("seed", 5)), RetryEvery: Duration(time.Second), For: Duration(3 * time.Minute),
		Cleaner: &Cleaner{GracePeriod: &grace, Reaction: Duration(time.Second)},
		Calico:  []string{"", "v3.31", "v3.27"}[s.Pick("release", 3)],
	}
	if sc.Calico == "" {
		sc.IPCooldownSeconds = []int{0, 7, 30}[s.Pick("cooldown", 3)]
	}
	e := Event{At: every, Do: []string{interruptNodes, replaceNodes}[s.Pick("drain", 2)], Count: sc.Nodes, Every: every}
	if s.Pick("over", 2) == 1 {
		e.Over = every
	}
	sc.Events = append(sc.Events, e)
	if s.Pick("pods too", 4) == 1 {
		sc.Events = append(sc.Events, Event{At: every, Do: replacePods, Count: 1, Every: every})
		sc.Leaks = []float64{0, 0.02}[s.Pick("leaks", 2)]
	}
	if s.Pick("down", 4) == 1 {
		sc.Cleaner.Down = []Outage{{Duration(time.Minute), Duration(80 * time.Second)}}
	}
	return sc
}

// TestGraces: what a run says of other grace periods is what their own runs say.
func TestGraces(t *testing.T) {
	graces := []Duration{0, Duration(3 * time.Second), Duration(8 * time.Second), Duration(time.Minute)}
	same, differ := 0, 0
	cases := 200
	if property.UnderRace {
		cases *= 3 // which tries a third of them
	}
	property.Check(t, cases, 1, func(rt *rapid.T) {
		source := property.Rapid(rt)
		s := spotScenario(source)
		if source.Pick("kind", 4) == 3 {
			s = anyScenario(source)
			s.Cleaner, s.For = &Cleaner{Reaction: Duration(time.Second)}, Duration(40*time.Second) // it may have no end
		}
		told := make(map[int]bool)
		o := Options{SampleEvery: 10 * time.Second, Map: true, Peaks: true, PerNode: true}
		plain, err := Run(s, o)
		must.NoError(rt, err)
		beside := o
		beside.Graces, beside.Apart = graces, func(i int) { told[i] = true }
		asked, err := Run(s, beside)
		must.NoError(rt, err)
		for i, grace := range graces {
			other := s
			cleaner := *s.Cleaner
			cleaner.GracePeriod = &grace
			other.Cleaner = &cleaner
			want, err := Run(other, o)
			must.NoError(rt, err)
			got, ok := asked.WithGrace(i)
			if ok == told[i] {
				rt.Fatalf("grace %s: the same: %v; told that not: %v", grace, ok, told[i])
			}
			if !ok {
				differ++
				continue
			}
			same++
			if !reflect.DeepEqual(got, want) {
				rt.Fatalf("%+v\ngrace %s:\n%s\nwant\n%s", s, grace, brief(&got), brief(&want))
			}
		}
		asked.graces = nil
		if !reflect.DeepEqual(asked, plain) {
			rt.Fatalf("%+v\nbeside others: %s\nalone %s", s, brief(&asked), brief(&plain))
		}
	})
	if !testing.Short() { // which has few cases
		must.Greater(t, 20, same)
		must.Greater(t, 20, differ)
	}
}

func brief(r *Result) string { return fmt.Sprintf("%+v %+v %+v", r.Totals, r.Cleaned, r.Peaks) }

// TestGracesValid: grace periods are checked.
func TestGracesValid(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/25"), Group: Group{Nodes: 1}, Cleaner: &Cleaner{}, For: Duration(time.Minute)}
	_, err := Run(s, Options{Graces: []Duration{0, -1}})
	must.ErrorIs(t, err, ErrInvalid)
	must.ErrorContains(t, err, "graces[1]")
	s.Cleaner = nil
	res, err := Run(s, Options{Graces: []Duration{0}})
	must.NoError(t, err)
	_, same := res.WithGrace(0)
	must.False(t, same, must.Sprint("there is no cleaner"))
}
