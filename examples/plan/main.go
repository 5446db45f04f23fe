// Plan answers the question of day 0: which block size.
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
// Exit status: 0 when a block size fits or nothing differs, 1 when none fits or
// something differs, 2 on bad usage, unreadable input or unwritable output, 130 when
// interrupted.
package main

import (
	"os"

	"github.com/ipamsim/ipamsim/examples/internal/plan"
)

func main() { os.Exit(plan.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
