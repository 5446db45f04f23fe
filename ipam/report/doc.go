// Package report prints the state of an allocator as the tools of a live cluster
// do: calicoctl's tables of `ipam show` and kubectl's of nodes and block
// affinities.
//
// Its rules:
//
//   - A function returns the output of a tool as one string, byte for byte, with
//     the newline at its end, as in the recordings of the real calicoctl (§11).
//   - Everything comes from the arguments: rows are sorted by name, ages are
//     relative to the caller's time, and nothing depends on the terminal, the
//     environment or the order of a map.
//   - Arguments are not changed.
//
// What it is not: an API to read state. [ipam.Allocator] has methods for that;
// tables are for people, and for comparison with the originals.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package report
