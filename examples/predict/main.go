// Command predict prints the first block of addresses that each node of a
// Calico cluster will get, before there is a cluster.
//
//	$ go run ./examples/predict -pool 10.244.0.0/16 minikube
//	minikube	10.244.120.64/26
//
// One line a node: its name, a tab, the block. The nodes come up in the order in
// which they are named, on an empty cluster, and a node whose block is taken
// already goes on to the next, as the real allocator does.
//
// With -json it prints one array, an object a node, in which either block or
// error is there:
//
//	[
//	{"node":"minikube","block":"10.244.120.64/26"},
//	{"node":"late","error":"all 1 blocks of …"}
//	]
//
// Exit codes: 0; 1 if a node gets no block (it is named on standard error with
// the reason, the others are printed all the same) or the output cannot be
// written; 2 for bad usage or unreadable names, with nothing printed.
package main

import (
	"os"

	"github.com/ipamsim/ipamsim/examples/internal/predict"
)

func main() { os.Exit(predict.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
