// Package lifecycle cleans up after nodes and pods: it is the part of Calico's
// kube-controllers that releases leaked addresses and unused blocks.
//
// A [Cluster] is Kubernetes' side, nodes and pods, beside an allocator. A
// [Controller] looks at both and releases what has leaked: addresses of pods that
// are gone, everything of nodes that are gone, empty blocks. It follows §12, as in
// the allocator's release of Calico; a [Policy] says how long it waits.
//
// Its rules:
//
//   - An address of a pod that lives, on the node it was given out for, is never
//     released: whatever the order of events, after a restart, and when the clock
//     jumps. The controller checks every leak once more before it releases it.
//   - What one handle holds is released whole or not at all, unless an error ends
//     the sync half-way.
//   - A node that exists keeps its last block.
//   - A full scan costs time in proportion to the allocations, any other scan in
//     proportion to what changed.
//   - Time is the allocator's clock; the controller acts only in [Controller.Sync].
//
// What it is not: it starts no pods and assigns no addresses (package sim does),
// and it knows nothing of any cloud.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package lifecycle
