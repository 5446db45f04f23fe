// Command lab is "ipamsim lab" alone: the three-node lab of the course on Calico
// IPAM, on a simulated cluster.
//
//	$ go run ./examples/lab             the whole lab
//	$ go run ./examples/lab -step 4     one exercise
//	$ go run ./examples/lab -pool 10.0.0.0/26 -block-size 28 -nodes 5
//
// Everything it prints comes from the state of the simulated cluster, which has
// the addresses and blocks that a real one would have, and a clock that moves
// only when told: the output is the same on every run and every machine.
//
// Its help, -h, tells the rest.
package main

import (
	"github.com/ipamsim/ipamsim/examples/internal/lab"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(lab.Command()) }
