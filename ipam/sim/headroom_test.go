package sim

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// counted is the property: headroom that is counted is what a search finds. It returns
// whether anything was counted.
func counted(source property.Source, breakIt func(*runner)) (any bool, err error) {
	s := anyScenario(source)
	s.Churn, s.Events, s.RetryEvery, s.For = nil, nil, 0, 0
	s.Nodes += source.Pick("more nodes", 6)
	o := Options{Headroom: true, HeadroomRequests: []int{0, 10}[source.Pick("ends", 2)]}
	find := func(searchesAll bool) (Headroom, error) {
		r, err := begin(s, o)
		if err != nil {
			return Headroom{}, err
		}
		r.finish()
		r.searchesAll = searchesAll
		if breakIt != nil && !searchesAll {
			breakIt(r)
		}
		any = any || r.tally() != nil
		h, err := r.headroom()
		if err != nil {
			return Headroom{}, err
		}
		return *h, nil
	}
	got, err := find(false)
	if err != nil {
		return any, err
	}
	want, err := find(true)
	if err == nil && got != want {
		err = fmt.Errorf("%+v\ncounted %+v, want %+v", s, got, want)
	}
	return any, err
}

func TestHeadroomCounted(t *testing.T) {
	n := 0
	property.Check(t, 1000, 1, func(rt *rapid.T) {
		any, err := counted(property.Rapid(rt), nil)
		must.NoError(rt, err)
		if any {
			n++
		}
	})
	must.Positive(t, n)
}

// TestHeadroomCountedRejects: where there seems to be a block too many, or no limit of
// blocks, the property fails.
func TestHeadroomCountedRejects(t *testing.T) {
	for name, breakIt := range map[string]func(*runner){
		"a block too many":   func(r *runner) { r.ledger.order[0].room++ },
		"no limit of blocks": func(r *runner) { r.config.MaxBlocksPerHost = 1 << 20 },
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(s property.Source) error {
				_, err := counted(s, breakIt)
				return err
			})
		})
	}
}

// TestHeadroomAsks: where headroom can be counted nobody asks for anything, and where
// only that is wanted, nobody does where it cannot be.
func TestHeadroomAsks(t *testing.T) {
	s := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/20"), Group: Group{Nodes: 40, PodsPerNode: 10}}
	find := func() *Headroom {
		r, err := begin(s, Options{HeadroomCounted: true})
		must.NoError(t, err)
		a := &asker{Allocator: r.engine.(*ipam.Allocator)}
		r.engine = a
		r.finish()
		h, err := r.headroom()
		must.NoError(t, err)
		must.Zero(t, a.asked)
		return h
	}
	s.BlockSize = 24
	must.Eq(t, &Headroom{Nodes: 369, PodsPerNode: 92}, find())
	s.BlockSize = 26
	must.Eq(t, &Headroom{Nodes: 369, NodesFit: 24, PodsPerNode: 92, PodsFit: 54}, find())
	s.Pools = []Pool{{Name: "pool", CIDR: s.Pool, BlockSize: 26, NodeSelector: "all()"}}
	s.Pool, s.BlockSize = netip.Prefix{}, 0
	must.Nil(t, find())
}
