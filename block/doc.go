// Package block is one block of Calico's IP address management: up to 4096
// consecutive addresses of one family. It knows which are free and in which order
// they are given out, who holds the others, and which are cooling down.
//
// # Rules
//
// Addresses are named by their ordinal, 0 to Size-1.
//
//   - Free ordinals wait in a queue, at first 0, 1, 2, …. [Block.Take] takes from
//     the head, released ordinals go to the tail: the address that has been free
//     longest is used again first (§6).
//   - Take passes over reserved ordinals, which keep their place in the queue; a
//     request for a certain ordinal ignores reservations (§1).
//   - Every allocation points at an attribute record: a handle or none, the
//     attributes of the active and of the alternate owner. Allocations with the
//     same handle and active attributes share one record unless it has an
//     alternate owner. Records are listed in the order in which they were made,
//     and end with their last allocation (§7).
//   - Every write of the block raises its sequence number by one. An allocation,
//     and a release into cooldown, remembers the number from before (§6).
//   - A released address cools down: nobody holds it, but it is not free. Once its
//     cooldown is over, the next write moves it to the tail of the queue, in
//     ascending order with all others that have cooled down by then (§9 Cooldown).
//   - The first and last ordinals can be set aside for the host when the block is
//     made; they are in use, but leave the block empty (§10).
//
// Addresses that have cooled down stay where they are until [Block.Collect] or
// [Block.Release] moves them. Each method says which view it gives: the block as
// last written, or as if they had been collected.
//
// # What it is not
//
// A block knows no pool, no owner and no other block; it decides neither who may
// take an address nor what is reserved, and has no clock: the caller gives it the
// reserved ordinals and the time. It keeps no handle counts. It is not safe for
// concurrent use.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package block
