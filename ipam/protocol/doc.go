// Package protocol is Calico's IPAM written the way the real one runs: clients
// that read objects from a datastore, change their own copies and write them
// back with compare-and-swap (§15).
//
// A [Client] is one process: a node, a controller, an operator. Its operations
// have the names, arguments, results and errors of [ipam.Allocator]; run alone,
// one after the other, clients give the same answers as that. Run side by side
// they race, and every step of the race can be seen and decided:
//
//   - All that a client knows of the cluster it learns through its [Access], one
//     [Request] at a time. [Store] is the datastore itself; whatever stands in
//     between can count, fail, delay or falsify answers.
//   - A [Process] is a client that stops before each request until it is told
//     the answer. Whoever holds several of them decides who goes next, and may
//     kill one at any request.
//   - Every update and delete carries the revision that was read, and finds a
//     conflict when somebody else wrote in between. Anything is tried at most
//     100 times.
//
// It is the slow and obvious judge of package ipam, with which it shares types,
// pools, selectors and errors but no allocation code. What it is not: fast, or
// safe for concurrent use. Processes are coroutines, of which one runs at a
// time.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package protocol
