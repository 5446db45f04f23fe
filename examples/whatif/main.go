// Command whatif is "ipamsim whatif" alone. It takes a live cluster, as kubectl prints
// it, and says what would become of it.
//
//	$ go run ./examples/whatif -f cluster.yaml
//	$ go run ./examples/whatif -f cluster.yaml -strict -drain node-07
//
// Nothing of the real cluster is touched.
//
// Its help, -h, tells the rest.
package main

import (
	"github.com/ipamsim/ipamsim/examples/internal/whatif"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(whatif.Command()) }
