// Command replay is "ipamsim replay" alone. It holds the library against recordings of
// the real allocator, and of the real controller that cleans up after it:
//
//	go run ./examples/replay testdata/traces/*.gz testdata/lifecycle/*.gz
//
// Its help, -h, tells the rest.
package main

import (
	"github.com/ipamsim/ipamsim/examples/internal/replay"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(replay.Command()) }
