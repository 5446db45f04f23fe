// Churn says whether a pool of addresses suffices for nodes that come and go:
//
//	go run ./examples/churn -nodes 250 -replace-every 15m -pods 20 -pool 10.0.0.0/16
//
// It lives through the day in virtual time, on the allocator's and the cleaning
// controller's own rules, and again with other grace periods, with the controller
// down for an hour, and as older versions would. Exit status: 0 when the pool
// suffices as it is asked, 1 when it does not, 2 on bad usage or unwritable output.
package main

import (
	"os"

	"github.com/ipamsim/ipamsim/examples/internal/churn"
)

func main() { os.Exit(churn.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
