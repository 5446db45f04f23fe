package pool

import (
	"fmt"
	"iter"
	"net/netip"

	"go4.org/netipx"
)

// Pool is a checked and compiled [Spec]: it says which addresses a pool has, who
// may use them and for what.
//
// Make one with [New]; the zero value and nil are not usable. A Pool never
// changes, so any number of goroutines may use it and keep pointers to it. It
// knows no blocks, owners or reservations.
type Pool struct {
	spec      Spec      // valid, defaults written out; AllowedUses is never handed out or changed
	base      Index     // the CIDR's first address; its low blockBits+shift bits are 0
	shift     uint8     // a block holds 2^shift addresses, 0 to 12
	blockBits uint8     // the pool has 2^blockBits blocks, 0 to 128
	uses      uint8     // Use.bit of every allowed use
	is4       bool      // family of the CIDR
	node      *Selector // nil where all nodes may use the pool
	namespace *Selector // nil where all namespaces may
}

// New checks a spec and compiles it into a pool. The error is that of [Spec.Validate]; it then returns no pool. The spec's
// AllowedUses is copied.
func New(s Spec) (*Pool, error) {
	sel, err := s.compile()
	if err != nil {
		return nil, err
	}
	s = s.WithDefaults()
	p := &Pool{
		spec:      s,
		base:      addrIndex(s.CIDR.Addr()),
		shift:     uint8(s.CIDR.Addr().BitLen() - s.BlockSize),
		blockBits: uint8(s.BlockSize - s.CIDR.Bits()),
		is4:       s.CIDR.Addr().Is4(),
	}
	if !selectsAll(s.NodeSelector) {
		p.node = sel.node
	}
	if !selectsAll(s.NamespaceSelector) {
		p.namespace = sel.namespace
	}
	for _, u := range s.AllowedUses {
		p.uses |= u.bit()
	}
	if p.uses == 0 {
		p.uses = Workload.bit() | Tunnel.bit()
	}
	return p, nil
}

// Spec returns the spec the pool was made from, with its defaults written out as [Spec.WithDefaults] does. It is a copy and
// belongs to the caller; New accepts it and makes an equal pool.
func (p *Pool) Spec() Spec { return p.spec.WithDefaults() }

// Name returns the pool's name, which is never empty.
func (p *Pool) Name() string { return p.spec.Name }

// CIDR returns the pool's addresses as a masked prefix.
func (p *Pool) CIDR() netip.Prefix { return p.spec.CIDR }

// BlockSize returns the prefix length of the pool's blocks: 20 to 32 for IPv4, 116 to 128 for IPv6.
func (p *Pool) BlockSize() int { return p.spec.BlockSize }

// BlockBits returns the binary logarithm of the number of blocks in the pool, 0 to 128: there are 2^BlockBits, numbered
// from 0.
func (p *Pool) BlockBits() int { return int(p.blockBits) }

// Is4 reports whether the pool holds IPv4 addresses. Otherwise it holds IPv6.
func (p *Pool) Is4() bool { return p.is4 }

// Disabled reports whether the pool must give out no addresses.
func (p *Pool) Disabled() bool { return p.spec.Disabled }

// Automatic reports whether requests that do not name the pool's CIDR may use it
// (§1). It ignores whether the pool is disabled.
func (p *Pool) Automatic() bool { return p.spec.AssignmentMode == Automatic }

// SelectsNode reports whether a node with these labels may use the pool. Nil
// labels are no labels; virtual owners have none (§3). The map is not changed.
func (p *Pool) SelectsNode(labels map[string]string) bool { return p.node.Matches(labels) }

// SelectsNamespace reports whether a pod of a namespace with these labels may use
// the pool. Nil labels are no labels; a request without a namespace has none (§3).
// The map is not changed.
func (p *Pool) SelectsNamespace(labels map[string]string) bool { return p.namespace.Matches(labels) }

// Allows reports whether the pool's addresses may be used for u. It is false for a use that is not [Use.Valid].
func (p *Pool) Allows(u Use) bool { return p.uses&u.bit() != 0 }

// Contains reports whether addr is one of the pool's. Addresses of the other
// family, addresses with a zone and the zero Addr are not. An IPv4-mapped address
// counts as IPv6, so no IPv4 pool has it.
func (p *Pool) Contains(addr netip.Addr) bool { return p.spec.CIDR.Contains(addr) }

// BlockOf returns the block of addr, whether it exists or not, and whether addr is
// in the pool. If it is not, the prefix is zero.
func (p *Pool) BlockOf(addr netip.Addr) (netip.Prefix, bool) {
	if !p.Contains(addr) {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, p.spec.BlockSize).Masked(), true
}

// BlockAt returns block number i. Numbers beyond the last block wrap round: i is taken modulo 2^BlockBits.
func (p *Pool) BlockAt(i Index) netip.Prefix {
	offset := i.Low(int(p.blockBits)).shl(p.shift)
	first := Index{p.base.hi | offset.hi, p.base.lo | offset.lo}
	if p.is4 {
		return netip.PrefixFrom(first.addr4(), p.spec.BlockSize)
	}
	return netip.PrefixFrom(first.addr6(), p.spec.BlockSize)
}

// IndexOf returns the number of the block that holds addr. The address must be in
// the pool, see [Pool.Contains]; for any other the number is meaningless, though
// below 2^BlockBits.
func (p *Pool) IndexOf(addr netip.Addr) Index {
	return addrIndex(addr).shr(p.shift).Low(int(p.blockBits))
}

// Blocks yields the blocks of a size, given as a prefix length, that lie in the CIDR, in address order. The CIDR must be masked.
// One that is smaller than a block, and the zero Prefix, have none; so has a size longer than an address.
func Blocks(cidr netip.Prefix, size int) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		for first := cidr.Addr(); cidr.Bits() <= size && cidr.Contains(first); {
			block, err := first.Prefix(size)
			if err != nil || !yield(block) {
				return
			}
			first = netipx.PrefixLastIP(block).Next() // of the highest block: no address
		}
	}
}

// CheckBlock reports whether an existing block is compatible with this pool (§1).
// It returns nil for a block outside the pool and for one of the pool's own
// blocks. A block of another size inside the pool, or one around it, gives an
// error that matches [ErrBlockSize]. The zero Prefix is outside every pool.
func (p *Pool) CheckBlock(block netip.Prefix) error {
	if !block.Overlaps(p.spec.CIDR) || block.Bits() == p.spec.BlockSize {
		return nil
	}
	return fmt.Errorf("%w: pool %q has blocks of /%d in %v, where block %v exists",
		ErrBlockSize, p.spec.Name, p.spec.BlockSize, p.spec.CIDR, block)
}

// Range is a range of addresses with a name, such as the services of a cluster ("service", 10.96.0.0/16) or the network of
// its hosts.
type Range struct {
	Name   string
	Prefix netip.Prefix
}

// Touching returns those of the ranges that share addresses with the pool, in the
// order given, nil if none does. Calico allows such pools, but their clusters do
// not work: routes to pods and to services or hosts collide. The result belongs to
// the caller. Ranges need not be masked; the zero Prefix touches nothing.
func (p *Pool) Touching(ranges []Range) []Range {
	var touching []Range
	for _, r := range ranges {
		if r.Prefix.Overlaps(p.spec.CIDR) {
			touching = append(touching, r)
		}
	}
	return touching
}
