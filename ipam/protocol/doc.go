// Package protocol is Calico's IPAM as the real one runs: clients read objects
// from a datastore, change their own copies and write them back with
// compare-and-swap (§15).
//
// A [Client] is one process: a node, a controller, an operator. Its operations
// have the names, arguments, results and errors of [ipam.Allocator]; clients that
// run one after the other give the same answers. Clients that run side by side
// race, and the caller sees and decides every step of the race:
//
//   - A client learns everything about the cluster through its [Access], one
//     [Request] at a time. [Store] is the datastore itself; an Access in between
//     can count, fail, delay or falsify answers.
//   - A [Process] is a client that stops before each request until it gets the
//     answer. A caller with several of them decides which goes next, and may kill
//     one at any request.
//   - Every update and delete carries the revision that was read, and meets a
//     conflict if another client wrote in between. Anything is tried at most 100
//     times.
//
// It is the slow and obvious reference for package ipam, with which it shares
// types, pools, selectors and errors but no allocation code. What it is not: fast,
// or safe for concurrent use. Processes are coroutines, of which one runs at a
// time.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package protocol
