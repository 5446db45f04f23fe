// Replay holds the library against recordings of the real allocator, and of the
// real controller that cleans up after it:
//
//	go run ./examples/replay testdata/traces/*.gz testdata/lifecycle/*.gz
//
// It prints a line a file and a total. Exit status: 0 when every outcome was
// the recorded one, 1 on a divergence, 2 on bad usage or an unreadable file.
package main

import (
	"os"

	"github.com/ipamsim/ipamsim/examples/internal/replay"
)

func main() { os.Exit(replay.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
