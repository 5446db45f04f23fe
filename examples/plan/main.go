// Command plan is "ipamsim plan" alone. It answers the question of day 0: which block
// size.
//
//	go run ./examples/plan -nodes 300 -pods 40 -pool 10.0.0.0/18
//
// runs the cluster at every block size that Calico allows and prints a table, then
// which size to take and why, what fails first with the others, and the cheapest
// change that would make the default work; each change is tried by running it.
//
//	go run ./examples/plan -check testdata/plan.jsonl
//
// compares scenarios with the results that stand beside them.
//
// Its help, -h, tells the rest.
package main

import (
	"github.com/ipamsim/ipamsim/examples/internal/plan"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(plan.Command()) }
