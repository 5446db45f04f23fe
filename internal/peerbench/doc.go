// Package peerbench runs ipamsim and its peers under the same load: allocators
// of addresses from other projects, and the sets that one would build such an
// allocator from.
//
//	go test -C internal/peerbench -run '^$' -bench .
//
// It is a module of its own, so that only those who run it download the peers.
// It has tests only: one adapter a peer, a test that each adapter is an
// allocator, and the benchmarks. The README has results, and what each peer
// leaves out.
package peerbench
