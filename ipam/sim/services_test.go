package sim

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/pool"
)

// withServices is a scenario with a pool of 16 blocks of 16 addresses for services.
func withServices(services int) Scenario {
	return Scenario{
		Pools: []Pool{
			{Name: "lb", CIDR: netip.MustParsePrefix("10.2.0.0/24"), BlockSize: 28, AllowedUses: []pool.Use{pool.LoadBalancer}},
			{Name: "pods", CIDR: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28},
		},
		Group: Group{Nodes: 4, PodsPerNode: 20}, Services: services,
	}
}

// TestServices: they are counted apart, and nothing else changes.
func TestServices(t *testing.T) {
	s := withServices(100)
	o := Options{Samples: 5, Map: true, PerNode: true, Headroom: true}
	res, err := Run(s, o)
	must.NoError(t, err)
	must.Eq(t, map[Outcome]int{own: 100}, res.ServiceRequests)
	must.Eq(t, 7, res.ServiceBlocks)
	must.Zero(t, res.ServicesRefused())

	// Without them and their pool all is the same, but where blocks are on the map.
	plain := s
	plain.Services, plain.Pools = 0, s.Pools[1:]
	want, err := Run(plain, o)
	must.NoError(t, err)
	res.ServiceRequests, res.ServiceBlocks, res.Map, want.Map = nil, 0, nil, nil
	must.Eq(t, want, res)

	r, err := begin(s, Options{Handles: true})
	must.NoError(t, err)
	state := r.engine.State()
	services := 0
	for _, b := range state.Blocks {
		if b.Owner == affinity.VirtualOwner("load-balancer") {
			services += len(b.Allocations)
		}
	}
	must.Eq(t, 100, services)
	must.Eq(t, "lb-service-0", state.Handles[len(state.Handles)-100].ID)
}

// TestServicesRefused: the limit of blocks is for their owner as well.
func TestServicesRefused(t *testing.T) {
	s := withServices(300)
	res, err := Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, map[Outcome]int{own: 256, refusedPoolEmpty: 44}, res.ServiceRequests)
	s.StrictAffinity, s.MaxBlocksPerHost = true, 3
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Eq(t, map[Outcome]int{own: 48, refusedBlockLimit: 252}, res.ServiceRequests)
	must.Eq(t, 252, res.ServicesRefused())
	must.Zero(t, res.Refused())
}

// TestServicesLive: with a cleaner, groups and a node that goes they keep their addresses.
func TestServicesLive(t *testing.T) {
	s := withServices(40)
	s.PodsPerNode, s.PodGroups = 0, []PodGroup{{Name: "web", PodsPerNode: 5}}
	s.Cleaner, s.For = new(Cleaner), Duration(2*3600e9)
	s.Events = []Event{{At: Duration(60e9), Do: interruptNodes, Count: 4}}
	r, err := begin(s, Options{Samples: 5, Peaks: true})
	must.NoError(t, err)
	res := r.finish()
	must.Eq(t, map[string]map[string]int{"lb": {"services": 40}, "pods": {"web": 20}}, res.PerPool)
	must.Eq(t, 3, res.ServiceBlocks)
	must.Zero(t, res.Blocks.Dead)
	must.Eq(t, 4, res.Peaks.Dead.N)
}

func TestServicesInvalid(t *testing.T) {
	for text, want := range map[string]string{
		"pool: 10.0.0.0/24\nnodes: 1\nservices: 3\n":                                                                                 "f:3: services 3: no pool is for them: add one with allowedUses: [LoadBalancer]",
		"pool: 10.0.0.0/24\nnodes: 1\nservices: -3\n":                                                                                "f:3: services -3: must be 0 to",
		"pools: [{name: a, cidr: 10.0.0.0/24, allowedUses: [LoadBalancer]}]\nnodes: 1\nservices: 3\ncalico: v3.29\n":                 "Calico v3.29 has no use LoadBalancer",
		"pools: [{name: a, cidr: 10.0.0.0/24}, {name: b, cidr: \"fd00::/112\"}]\nnodes: 1\nservices: 3\n":                            "f:3: services 3: no pool is for them",
		"pools: [{name: a, cidr: 10.0.0.0/24, allowedUses: [LoadBalancer]}]\nnodes: 1\nservices: 3\npodGroups: [{name: services}]\n": `f:4: podGroups[0].name "services": is what results call`,
	} {
		_, err := Read("f", strings.NewReader(text))
		must.ErrorContains(t, err, want)
	}
	// Of a dual stack they are in the family that has a pool for them.
	entries, err := Read("f", strings.NewReader(`pools:
- {name: lb, cidr: 10.2.0.0/24, allowedUses: [LoadBalancer]}
- {name: a, cidr: 10.0.0.0/24}
- {name: b, cidr: "fd00::/112"}
nodes: 1
services: 3
`))
	must.NoError(t, err)
	must.Eq(t, []int{3, 0}, []int{entries[0].Services, entries[1].Services})
}
