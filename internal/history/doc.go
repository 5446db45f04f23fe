// Package history records what the clients of an allocator were told, and when,
// and checks whether an allocator that does one operation at a time could have
// given these answers: whether the history is linearizable.
//
// A [Log] stands between a client and its allocator and records calls and answers.
// A [Worker] is a client that makes random calls. [Check] takes the logs of all
// clients and uses porcupine to look for an order of the operations that explains
// every answer, where each operation takes effect between its call and its return.
//
// The model says what a client may rely on for each address: it is free, held by
// one handle, or cooling; it is given only while it is free; a release that names
// a handle or a sequence number must name the right one; every sequence number is
// higher than those before. An operation about several addresses is one operation
// for each of them, as Calico's are not atomic (§15). One without an answer,
// because the client died or was not told, may have happened or not.
//
// What it is not: a check of which address is given; the recordings and the model
// in package ipam's tests check that. It is for tests only: nothing else may
// import it, so that users do not compile porcupine.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package history
