// Package explore tries what can happen when clients of one cluster work at the
// same time: every interleaving of their calls to the datastore, every call at
// which one may die, calls that fail, answers that are lost or old.
//
//   - A [Program] is who does what: a cluster, what was done beforehand, clients
//     with their operations, and what a host does once it has come back after a
//     death.
//   - A [Schedule] is whose call comes next, and what befalls it. It has a form
//     that can be typed: "a*5 b*3 a:dies b* a*".
//   - [Run] carries a program out under a schedule and returns the [Trail]: each
//     step, what each client was told, how the cluster ended, and the first
//     [Violation] of an [Invariant], should there be one.
//   - [Exhaustive] goes through all schedules within bounds, each state of the
//     cluster and its clients once. [Random] draws schedules from a seed, most of
//     them with few switches between clients, for most faults need few.
//
// The same program under the same schedule gives the same trail, on every
// machine. What is held against the invariants is the allocator of package
// protocol, or whatever [Options] puts in its place.
//
// What it is not: a recording of the real allocator, as those of package race
// are. It proves nothing about what Calico does, only about what follows from
// it.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package explore
