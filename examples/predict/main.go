// Command predict is "ipamsim predict" alone. It prints the first block of addresses
// that each node of a Calico cluster will get, before there is a cluster.
//
//	$ go run ./examples/predict -pool 10.244.0.0/16 minikube
//	minikube	10.244.120.64/26
//
// Its help, -h, tells the rest.
package main

import (
	"github.com/ipamsim/ipamsim/examples/internal/predict"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(predict.Command()) }
