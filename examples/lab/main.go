// Command lab is the three-node lab of the course on Calico IPAM, on a simulated
// cluster: its seven exercises, what comes before them (how a node claims its
// first block) and after (a full block, an address that comes back, the checks
// of ranges, what to look at when something is wrong).
//
//	$ go run ./examples/lab             the whole lab
//	$ go run ./examples/lab -step 4     one exercise
//	$ go run ./examples/lab -pool 10.0.0.0/26 -block-size 28 -nodes 5
//
// Everything it prints comes from the state of the simulated cluster, which has
// the addresses and blocks that a real one would have, and a clock that moves
// only when told: the output is the same on every run and every machine.
//
// Exit codes: 0; 1 if the simulation itself fails; 2 for bad usage.
package main

import (
	"os"

	"github.com/ipamsim/ipamsim/examples/internal/lab"
)

func main() { os.Exit(lab.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
