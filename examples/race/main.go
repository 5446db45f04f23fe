// Command race is "ipamsim race" alone. It shows what happens when hosts race each
// other for blocks and addresses, on a datastore with compare-and-swap, as Calico's
// do.
//
//	go run ./examples/race -seed 7
//	go run ./examples/race -check testdata/races.jsonl.gz
//	go run ./examples/race -storm 40
//
// are a small race, one line a step and one column a client; recorded races of the
// real allocator, call by call; and what contention costs 40 nodes that start at once.
//
// Its help, -h, tells the rest.
package main

import (
	"github.com/ipamsim/ipamsim/examples/internal/race"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(race.Command()) }
