package ipam

import (
	"math"
	"math/big"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/pool"
)

// OrphanedBlocks is the name under which [Allocator.GetUtilization] lists the
// blocks that no pool covers.
const OrphanedBlocks = "orphaned allocation blocks"

// Usage counts addresses, up to 2^63-1: Calico counts in 64 bits (§9). In use and
// reserved may overlap.
type Usage struct {
	Capacity *big.Int `json:"capacity"` // all addresses
	InUse    *big.Int `json:"inUse"`    // not in a free queue: cooling and host-reserved ones too
	Reserved *big.Int `json:"reserved"` // covered by reservations
	// Available is neither in use nor reserved. In a pool with 2^63 or more of
	// them outside its blocks, adding those of the blocks overflows, as it does in
	// Calico: the number is negative then.
	Available *big.Int `json:"available"`
}

// BlockUsage is the usage of one block.
type BlockUsage struct {
	CIDR netip.Prefix `json:"cidr"`
	Usage
}

// PoolUsage is the usage of one pool.
type PoolUsage struct {
	Name string       `json:"name"`
	CIDR netip.Prefix `json:"cidr"`
	Usage
	Blocks []BlockUsage `json:"blocks,omitempty"` // by name
}

// GetUtilization returns the usage of the pools, given by name or CIDR, in name
// order, disabled ones too; names of no pool have no effect. Without any it returns
// all pools and one more entry, named [OrphanedBlocks], with CIDR 0.0.0.0/0, no
// totals and the IPv4 blocks that no pool covers; IPv6 blocks in no pool are not
// listed. Blocks count as they were last written (§9). The result is the caller's.
func (a *Allocator) GetUtilization(pools ...string) []PoolUsage {
	a.begin()
	defer a.mu.Unlock()
	usage := make([]PoolUsage, 0, len(a.pools.All())+1)
	for _, p := range a.pools.All() {
		if len(pools) == 0 || slices.Contains(pools, p.Name()) || slices.Contains(pools, p.CIDR().String()) {
			usage = append(usage, a.poolUsage(p))
		}
	}
	if len(pools) > 0 {
		return usage
	}
	orphans := PoolUsage{
		Name:  OrphanedBlocks,
		CIDR:  netip.PrefixFrom(netip.IPv4Unspecified(), 0),
		Usage: Usage{new(big.Int), new(big.Int), new(big.Int), new(big.Int)},
	}
	for _, b := range a.straysInOrder() {
		if b.CIDR().Addr().Is6() || a.poolOf(b.CIDR().Addr()) != nil {
			continue // the entry is an IPv4 CIDR; strays in a pool are counted there
		}
		orphans.Blocks = append(orphans.Blocks, BlockUsage{b.CIDR(), a.usage(b)})
	}
	return append(usage, orphans)
}

// poolUsage adds up the pool's blocks and the space outside them.
func (a *Allocator) poolUsage(p *pool.Pool) PoolUsage {
	if !a.rules.ReservationsInUsage {
		return a.plainUsage(p)
	}
	capacity := new(big.Int).Lsh(big.NewInt(1), uint(p.CIDR().Addr().BitLen()-p.CIDR().Bits()))
	reserved := a.reservations.CountIn(p.CIDR())
	u := PoolUsage{Name: p.Name(), CIDR: p.CIDR()}
	// Outside blocks all unreserved addresses are available.
	outside := new(big.Int).Sub(capacity, reserved)
	inUse, available := int64(0), int64(0)
	for _, b := range a.blocksIn(p) {
		used := a.usage(b)
		inUse += used.InUse.Int64()
		available += used.Available.Int64()
		outside.Sub(outside, used.Capacity)
		outside.Add(outside, used.Reserved)
		u.Blocks = append(u.Blocks, BlockUsage{b.CIDR(), used})
	}
	available += atMost63(outside).Int64()
	u.Usage = Usage{atMost63(capacity), big.NewInt(inUse), atMost63(reserved), big.NewInt(available)}
	return u
}

// blocksIn returns the blocks that begin in the pool, strays too, by name.
func (a *Allocator) blocksIn(p *pool.Pool) []*ipamBlock {
	blocks := a.poolBlocks[p.Name()].appendBlocks(nil)
	for _, b := range a.strays {
		if p.Contains(b.CIDR().Addr()) {
			blocks = append(blocks, b)
		}
	}
	return byName(blocks)
}

// plainUsage is poolUsage before Calico v3.33, without reservations. Calico
// returned only the blocks, and calicoctl added up the pool: available are all
// addresses of the CIDR less those in use in its blocks.
func (a *Allocator) plainUsage(p *pool.Pool) PoolUsage {
	capacity := new(big.Int).Lsh(big.NewInt(1), uint(p.CIDR().Addr().BitLen()-p.CIDR().Bits()))
	u := PoolUsage{Name: p.Name(), CIDR: p.CIDR()}
	inUse := new(big.Int)
	for _, b := range a.blocksIn(p) {
		used := a.usage(b)
		inUse.Add(inUse, used.InUse)
		u.Blocks = append(u.Blocks, BlockUsage{b.CIDR(), used})
	}
	u.Usage = Usage{capacity, inUse, new(big.Int), new(big.Int).Sub(capacity, inUse)}
	return u
}

// atMost63 returns the number, or 2^63-1 if it is larger.
func atMost63(n *big.Int) *big.Int {
	if n.IsInt64() {
		return n
	}
	return big.NewInt(math.MaxInt64)
}

// usage counts the addresses of the block as last written.
func (a *Allocator) usage(b *ipamBlock) Usage {
	reserved := b.reserved
	if !a.rules.ReservationsInUsage {
		reserved = nil
	}
	return Usage{
		Capacity:  big.NewInt(int64(b.Size())),
		InUse:     big.NewInt(int64(b.InUse())),
		Reserved:  big.NewInt(int64(reserved.Len())),
		Available: big.NewInt(int64(b.FreeUnreserved(reserved))),
	}
}
