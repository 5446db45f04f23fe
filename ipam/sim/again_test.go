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
	"github.com/ipamsim/ipamsim/ipam"
)

// asker counts the requests that reach the allocator.
type asker struct {
	*ipam.Allocator
	asked int
}

func (a *asker) AutoAssignInto(args *ipam.AutoAssignArgs, v4, v6 *ipam.Assignment) error {
	a.asked++
	return a.Allocator.AutoAssignInto(args, v4, v6)
}

// ranOn runs a scenario, on an allocator that is its own or may not be.
func ranOn(s Scenario, own bool, breakIt func(*runner)) (Result, ipam.State, error) {
	clock := ipam.NewClock(start)
	a := ipam.New(ipam.Options{Now: clock.Now, Calico: s.Release()})
	r, err := prepare(a, clock, s, Options{PerNode: true, Peaks: true, Handles: true}, own)
	if err != nil {
		return Result{}, ipam.State{}, err
	}
	if breakIt != nil {
		breakIt(r)
	}
	if err := r.play(); err != nil {
		return Result{}, ipam.State{}, err
	}
	return r.finish(), a.State(), nil
}

// unasked is the property: all goes the same, whether or not requests that are known to
// be refused reach the allocator.
func unasked(source property.Source, breakIt func(*runner)) error {
	s := anyScenario(source)
	if source.Pick("cleaner", 2) == 1 {
		grace := Duration(3 * time.Second)
		s.Cleaner, s.For = &Cleaner{GracePeriod: &grace, Reaction: Duration(time.Second)}, Duration(30*time.Second)
	}
	got, gotState, err := ranOn(s, true, breakIt)
	if err != nil {
		return err
	}
	want, wantState, err := ranOn(s, false, nil)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotState, wantState) {
		return fmt.Errorf("%+v\n%+v, want %+v", s, got, want)
	}
	return nil
}

func TestAgain(t *testing.T) {
	property.Check(t, 500, 1, func(rt *rapid.T) {
		must.NoError(rt, unasked(property.Rapid(rt), nil))
	})
}

// TestAgainRejects: without what tells that something happened the property fails.
func TestAgainRejects(t *testing.T) {
	property.Rejects(t, func(s property.Source) error {
		return unasked(s, func(r *runner) { r.options.Each = func(*Moment) { r.moves = 0 } })
	})
}

// TestAgainAsks: a node whose pods are refused asks once.
func TestAgainAsks(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 28, Group: Group{Nodes: 4, PodsPerNode: 100}, Order: nodeByNode}
	clock := ipam.NewClock(start)
	a := &asker{Allocator: ipam.New(ipam.Options{Now: clock.Now})}
	r, err := run(a, clock, s, Options{}, true)
	must.NoError(t, err)
	must.Eq(t, 400-64, r.result.Refused())
	must.Eq(t, 64+4, a.asked)
}
