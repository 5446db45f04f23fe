package explore_test

import (
	"fmt"

	"github.com/ipamsim/ipamsim/internal/explore"
	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// Two hosts claim the only block of a pool: first under one schedule, then under
// all of them, where either host may die at any call.
func Example() {
	claim := func(host string) explore.Client {
		step := race.Step{Op: "ClaimAffinity", In: trace.In{Host: host, CIDR: "10.0.0.0/26"}}
		return explore.Client{Host: host, Steps: []race.Step{step}, Back: []race.Step{step}}
	}
	p := &explore.Program{
		Setting: trace.Header{
			Version: trace.Version,
			Pools:   []trace.Pool{{Name: "p", CIDR: "10.0.0.0/26", BlockSize: 26}},
			Nodes:   []ipam.Node{{Name: "n1"}, {Name: "n2"}},
		},
		Clients: []explore.Client{claim("n1"), claim("n2")},
	}
	s, err := explore.ParseSchedule("a*2 b*3 a*3 b*")
	if err != nil {
		fmt.Println(err)
		return
	}
	trail, err := explore.Run(p, s, explore.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, step := range trail.Steps {
		fmt.Println(step.Move, step.Note)
	}
	report, err := explore.Exhaustive(p, explore.Bounds{Deaths: 1}, explore.Options{}, nil)
	fmt.Println(report.States, "states,", len(report.Findings), "violations", err)
	// Output:
	// a reads config
	// a pending 10.0.0.0/26
	// b reads config
	// b pending 10.0.0.0/26
	// b block 10.0.0.0/26 made
	// a block is n2's
	// a n2's block, 64 free
	// a affinity deleted
	// b confirmed 10.0.0.0/26
	// 250 states, 0 violations <nil>
}
