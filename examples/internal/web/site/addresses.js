// Addresses as numbers.

import { address } from "./blockmap.js";

/** parse reads an address as a number and its bits: 32 or 128. */
export function parse(text) {
  if (!text.includes(":")) return [text.split(".").reduce((sum, n) => sum * 256n + BigInt(n), 0n), 32];
  const [left, right] = text.split("::").map(half => half === "" ? [] : half.split(":"));
  const groups = right === undefined ? left : [...left, ...Array(8 - left.length - right.length).fill("0"), ...right];
  return [groups.reduce((sum, g) => (sum << 16n) + BigInt("0x" + g), 0n), 128];
}

/** range reads a CIDR: its first address, the bits of an address, and the prefix length. */
export function range(cidr) {
  const [text, length] = cidr.split("/");
  const [base, bits] = parse(text);
  return { base, bits, length: Number(length) };
}

/** addressAt is the address at an ordinal of a block. */
export function addressAt(cidr, ordinal) {
  const r = range(cidr);
  return address(r.base + BigInt(ordinal), r.bits);
}

/** blockAt is the CIDR of a pool's block. */
export function blockAt(pool, size, index) {
  const r = range(pool);
  return address(r.base + (BigInt(index) << BigInt(r.bits - size)), r.bits) + "/" + size;
}

/** ordinalOf is where an address lies in a block, or -1 if elsewhere. */
export function ordinalOf(cidr, ip) {
  const r = range(cidr), [value, bits] = parse(ip);
  if (bits !== r.bits) return -1;
  const at = value - r.base;
  return at >= 0n && at < 1n << BigInt(r.bits - r.length) ? Number(at) : -1;
}
