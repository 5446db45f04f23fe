// Package explore tries what can happen when clients of one cluster work at the
// same time: every interleaving of their calls to the datastore, a death at every
// call, calls that fail, answers that are lost or stale.
//
//   - A [Program] says who does what: a cluster, operations that set it up,
//     clients with their operations, and what a host does when it comes back after
//     a death.
//   - A [Schedule] says whose call comes next, and whether it fails. It has a form
//     that can be typed: "a*5 b*3 a:dies b* a*".
//   - [Run] runs a program under a schedule and returns the [Trail]: each step,
//     the answers of each client, the final state of the cluster, and the first
//     [Violation] of an [Invariant], if any.
//   - [Exhaustive] runs all schedules within bounds, and visits each state of the
//     cluster and its clients once. [Random] draws schedules from a seed, with few
//     switches between clients: most faults need few.
//
// The same program under the same schedule gives the same trail, on every machine.
// The allocator under test is that of package protocol, or the one in [Options].
//
// What it is not: a recording of the real allocator, as those of package race
// are. It proves nothing about what Calico does, only about what follows from
// it.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package explore
