// Package pool is the part of Calico's IPAM that says where addresses may come from: IP pools, the reservations that keep
// addresses out of automatic assignment, the selectors that tie pools to nodes and namespaces, and the order in which a
// host looks at the blocks of a pool. Section numbers in its documentation are those of the project's description of
// Calico's behaviour.
//
// Its rules:
//
//   - A pool is a CIDR cut into blocks of one size. The number of blocks is always a power of two, up to 2^128, so a block
//     number is an [Index] of 128 bits. CIDR and block size never change, and the pools of a [Set] never overlap (§1).
//   - Where a host starts in a pool is a pure function of its name, or of the clock where blocks hold a single address;
//     from there it walks up, round the end, once (§2).
//   - Pools are walked in byte order of their names (§1).
//   - Selectors are Calico's own language, not Kubernetes' label selectors (§1).
//   - Reservations concern automatic assignment alone (§1).
//
// What it is not: a pool does not know which of its blocks exist, who owns them or what is free in them, and never asks.
// It yields prefixes. Which of several pools a request may use (§3) is decided by the package that composes pools with
// blocks and owners.
//
// Nothing here reads a clock, the environment or a random source: host names and times are arguments, and the same
// arguments give the same answers on every machine.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package pool
