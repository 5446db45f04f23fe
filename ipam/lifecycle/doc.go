// Package lifecycle is what cleans up after nodes and pods: the part of Calico's
// kube-controllers that gives back the addresses and blocks which nobody gave
// back.
//
// A [Cluster] is Kubernetes' side, nodes and pods, beside an allocator. A
// [Controller] looks at both and releases what has leaked: addresses of pods that
// are gone, everything of nodes that are gone, blocks that stand empty. What it
// does is §12, as the controller of the allocator's release does it, and a [Policy]
// says how patient it is about it.
//
// Its rules:
//
//   - An address of a pod that lives, on the node it was given out for, is never
//     released: whatever the order of events, after a restart, and when the clock
//     jumps. Every suspect is looked at once more before it goes.
//   - What one handle holds is released whole or not at all, unless an error ends
//     the sync half-way.
//   - A node that exists keeps its last block.
//   - A look at everything costs in proportion to allocations, a look at what
//     changed in proportion to that.
//   - Time is the allocator's clock; nothing happens but in [Controller.Sync].
//
// What it is not: it starts no pods and asks for no address (package sim does),
// and it knows nothing of any cloud.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package lifecycle
