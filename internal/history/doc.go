// Package history is what the clients of an allocator were told, and when, and
// judges whether one allocator that does one thing at a time could have told
// them that: whether the history is linearizable.
//
// A [Log] stands between a client and its allocator and keeps what was asked and
// answered. A [Worker] is a client that asks at random. [Check] takes the logs of
// all clients and looks, with porcupine, for an order of the operations that
// explains every answer, each operation somewhere between its call and its
// return.
//
// The model is what a client may rely on, address by address: nobody, one
// handle, or a cooldown has it; it is given only when nobody and no cooldown
// has it; it is given back only by those who name its handle and its sequence
// number, if they name any; every number is higher than those before. An
// operation about several addresses is one operation for each of them, for
// Calico's are no more than that (§15). One that did not end, because
// the client died or was not told, may have happened or not.
//
// What it is not: a judge of which address is given, for which the recordings
// and the model of package ipam's tests are there. It is for tests only; nothing
// else may import it, so that nobody else compiles porcupine.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package history
