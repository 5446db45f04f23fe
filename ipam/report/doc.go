// Package report prints the state of an allocator the way the tools of a live
// cluster would: calicoctl's tables of `ipam show` and kubectl's of nodes and
// block affinities.
//
// Its rules:
//
//   - What a tool prints is returned as one string, byte for byte, with the
//     newline at its end. The recordings of the real calicoctl are the measure
//     (§11).
//   - Everything comes from the arguments: the order of rows is that of names,
//     ages are counted to the moment that the caller gives, and nothing depends
//     on the terminal, the environment or the order of a map.
//   - Arguments are only read.
//
// What it is not: a way to look at state from a program. [ipam.Allocator] has
// methods for that; tables are for people, and for comparing with the originals.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package report
