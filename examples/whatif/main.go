// Command whatif takes a live cluster, as kubectl prints it, and says what would
// become of it.
//
//	$ go run ./examples/whatif -f cluster.yaml
//	$ go run ./examples/whatif -f cluster.yaml -strict -drain node-07
//
// It prints the cluster as it stands, then every change in the order given and what
// it changed: who was moved, who was refused and why. Nothing of the real cluster is
// touched.
//
// Exit codes: 0; 1 if somebody was refused; 2 for bad usage or input.
package main

import (
	"os"

	"github.com/ipamsim/ipamsim/examples/internal/whatif"
)

func main() { os.Exit(whatif.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
