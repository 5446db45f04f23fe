// Package pool is the part of Calico's IPAM that says where addresses may come
// from: IP pools, the reservations that keep addresses out of automatic
// assignment, the selectors that tie pools to nodes and namespaces, and the order
// in which a host tries the blocks of a pool.
//
// Its rules:
//
//   - A pool is a CIDR cut into blocks of one size. The number of blocks is always a power of two, up to 2^128, so a block
//     number is an [Index] of 128 bits. CIDR and block size never change, and the pools of a [Set] never overlap (§1).
//   - A host's start in a pool is a pure function of its name, or of the clock if
//     blocks hold a single address. From there the host walks up, round the end,
//     once (§2).
//   - Pools are walked in byte order of their names (§1).
//   - Selectors are Calico's own language, not Kubernetes' label selectors (§1).
//   - Reservations only concern automatic assignment (§1).
//
// What it is not: a pool does not know which of its blocks exist, who owns them or
// what is free in them; it yields prefixes. Package ipam decides which of several
// pools a request may use (§3).
//
// Nothing here reads a clock, the environment or a random source: host names and times are arguments, and the same
// arguments give the same answers on every machine.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package pool
