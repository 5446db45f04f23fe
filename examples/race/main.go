// Race shows what happens when hosts race each other for blocks and addresses,
// on a datastore with compare-and-swap, as Calico's do.
//
//	go run ./examples/race -seed 7
//
// shows a small race, one line a step and one column a client, with what each
// client was told and how the cluster ended. With -schedule it goes as you say,
// with -explore every way that it can go is tried.
//
//	go run ./examples/race -check testdata/races.jsonl.gz
//
// holds the library against recorded races of the real allocator, call by call.
//
//	go run ./examples/race -storm 40
//
// tells what contention costs: calls, conflicts and waiting times of 40 nodes that
// start at once, by block size.
//
// Exit status: 0, 1 when an invariant does not hold, a race did not come out as
// recorded or a pod got no address, 2 on bad usage or an unreadable file.
package main

import (
	"os"

	"github.com/ipamsim/ipamsim/examples/internal/race"
)

func main() { os.Exit(race.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
