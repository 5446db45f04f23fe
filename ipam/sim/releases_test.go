package sim

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

// otherReleases is a release of each set of rules that makes a difference to scenarios.
var otherReleases = func() (all []calico.Version) {
	for _, text := range []string{"v3.24", "v3.27", "v3.28", "v3.29", "v3.30", "v3.31.4", "v3.31.5", "v3.31", "v3.32", "v3.33"} {
		v, err := calico.Parse(text)
		if err != nil {
			panic(err)
		}
		all = append(all, v)
	}
	return all
}()

// besideReleases is the property: what a run says of other releases is what their own
// runs say. It returns for how many releases it was the same, and for how many not known.
func besideReleases(source property.Source, breakIt func(*releases)) (same, unknown int, err error) {
	s := spotScenario(source)
	switch source.Pick("kind", 4) {
	case 1, 2: // leaks on nodes that stay, in a pool that is soon full
		s.Pool = netip.MustParsePrefix([]string{"10.0.0.0/25", "10.0.0.0/26", "10.0.0.0/27"}[source.Pick("pool", 3)])
		s.Leaks = []float64{0.1, 0.5}[source.Pick("more leaks", 2)]
		every := Duration(time.Duration(3+source.Pick("pods go", 20)) * time.Second)
		s.PodsPerNode = max(s.PodsPerNode, 1)
		count := min(1+source.Pick("how many", 8), s.Nodes*s.PodsPerNode)
		s.Events = append(s.Events, Event{At: Duration(30 * time.Second), Do: replacePods, Count: count, Every: every})
		if source.Pick("nodes stay", 2) == 1 {
			s.Events = s.Events[1:]
		}
		slices.SortStableFunc(s.Events, func(x, y Event) int { return cmp.Compare(x.At, y.At) })
	case 3:
		s = anyScenario(source)
		if source.Pick("cleans", 2) == 1 {
			s.Cleaner = &Cleaner{Reaction: Duration(time.Second)}
		}
		s.For = Duration(40 * time.Second)
		if s.Validate() != nil { // it may need a cleaner, or none
			return 0, 0, nil
		}
	}
	var moments []Moment
	plain := Options{
		SampleEvery: 10 * time.Second, Map: true, Peaks: true, PerNode: true, Handles: true,
		Each: func(m *Moment) { moments = append(moments, *m) },
	}
	o := plain
	o.Releases = otherReleases
	told := make(map[int]bool)
	o.ReleaseApart = func(i int) { told[i] = true }
	o.others = newReleases(&s, &o)
	breakIt(o.others)
	clock := ipam.NewClock(start)
	r, err := run(ipam.New(ipam.Options{Now: clock.Now, Calico: s.Release(), Matters: o.others.matters()}), clock, s, o, true)
	if err != nil {
		return 0, 0, err
	}
	asked := r.finish()
	mine := moments
	for i, v := range otherReleases {
		got, ok := asked.WithRelease(i)
		if ok == told[i] {
			return same, unknown, fmt.Errorf("%s: the same: %v; told that not: %v", v, ok, told[i])
		}
		if !ok {
			unknown++
			continue
		}
		same++
		other := s
		other.Calico = v.String()
		moments = nil
		want, err := Run(other, plain)
		if err != nil {
			return same, unknown, err
		}
		if !reflect.DeepEqual(got, want) || !slices.Equal(moments, mine) {
			return same, unknown, fmt.Errorf("%+v\n%s beside:\n%s\nalone\n%s", s, v, brief(&got), brief(&want))
		}
	}
	asked.releases = nil
	if want, err := Run(s, plain); err != nil || !reflect.DeepEqual(asked, want) {
		return same, unknown, fmt.Errorf("%+v\nbeside others: %s\nalone %s (%v)", s, brief(&asked), brief(&want), err)
	}
	return same, unknown, nil
}

// TestReleases: what a run says of other releases is what their own runs say.
func TestReleases(t *testing.T) {
	same, unknown := 0, 0
	property.Check(t, 300, 1, func(rt *rapid.T) {
		s, u, err := besideReleases(property.Rapid(rt), func(*releases) {})
		must.NoError(rt, err)
		same, unknown = same+s, unknown+u
	})
	// Both came often enough to tell.
	if !testing.Short() { // which has few cases
		must.Greater(t, (same+unknown)/5, same)
		must.Greater(t, (same+unknown)/10, unknown)
	}
}

// TestReleasesReject: where any one of these rules is said not to matter the property
// fails.
func TestReleasesReject(t *testing.T) {
	for name, rule := range map[string]func(*calico.Rules) *bool{
		"empty blocks are taken": func(r *calico.Rules) *bool { return &r.ReclaimEmptyBlocks },
		"the queue's order":      func(r *calico.Rules) *bool { return &r.QueueByOrdinal },
		"empty blocks stay":      func(r *calico.Rules) *bool { return &r.ReleasesAnyEmpty },
		"all leaks at once":      func(r *calico.Rules) *bool { return &r.ReleasesLeaksAtOnce },
		"scans of dirty nodes":   func(r *calico.Rules) *bool { return &r.ScansDirtyNodes },
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(s property.Source) error {
				_, _, err := besideReleases(s, func(r *releases) {
					for i := range r.others { // as if they had the rule in common
						*rule(&r.others[i].rules) = *rule(&r.mine)
					}
				})
				return err
			})
		})
	}
}

// TestReleasesValid: of a release for which the scenario is not valid nothing is known.
func TestReleasesValid(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/25"), Group: Group{Nodes: 1}, IPCooldownSeconds: 30, Cleaner: &Cleaner{}, For: Duration(time.Minute)}
	res, err := Run(s, Options{Releases: []calico.Version{calico.V3(32), calico.V3(33)}})
	must.NoError(t, err)
	_, same := res.WithRelease(0)
	must.False(t, same, must.Sprint("it has no cooldown"))
	_, same = res.WithRelease(1)
	must.True(t, same)
	_, same = res.WithRelease(2)
	must.False(t, same, must.Sprint("nobody asked"))
}
