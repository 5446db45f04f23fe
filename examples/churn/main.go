// Command churn is "ipamsim churn" alone. It says whether a pool of addresses suffices
// for nodes that come and go:
//
//	go run ./examples/churn -nodes 250 -replace-every 15m -pods 20 -pool 10.0.0.0/16
//
// It lives through the day in virtual time, on the allocator's and the cleaning
// controller's own rules, and again with other grace periods, with the controller
// down for an hour, and as older versions would.
//
// Its help, -h, tells the rest.
package main

import (
	"github.com/ipamsim/ipamsim/examples/internal/churn"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(churn.Command()) }
