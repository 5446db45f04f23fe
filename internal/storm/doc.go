// Package storm measures the cost of contention: many nodes ask for addresses of
// one pool at the same time, and a rate limit applies to each node's calls to the
// datastore.
//
// A [Config] is the storm as data, and [Run] runs it: every node is a client of
// package protocol, which makes the same calls as Calico's, and [Result] counts
// the calls and how long the pods waited. Its rules:
//
//   - Time is virtual. A node makes one call at a time, when its token bucket
//     allows it, and has the answer a latency later; the call takes effect when it
//     is made. Between calls a node needs no time.
//   - A deletion that succeeds is two writes on Kubernetes, and the node pays for
//     both; it counts as one call, as in [protocol.Counts].
//   - Calls due at the same time are made in a random order, drawn from the seed
//     anew each time. The same Config gives the same Result on every machine.
//
// Every node starts at the same instant and every call takes equally long, so
// nodes stay in step and meet as often as they can: the worst case. Pools and
// reservations are read without a call, as everywhere in package protocol.
//
// What it is not: a measurement of a datastore. The simulated datastore answers
// every call in the same time, at any load.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package storm
