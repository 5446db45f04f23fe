package ipam

import (
	"math/big"
	"net/netip"

	"github.com/ipamsim/ipamsim/pool"
)

// OrphanedBlocks is the name under which [Allocator.GetUtilization] lists the
// blocks that no pool covers.
const OrphanedBlocks = "orphaned allocation blocks"

// Usage counts addresses. In use and reserved may overlap.
type Usage struct {
	Capacity  *big.Int // all addresses; a /48 pool has 2^80
	InUse     *big.Int // not in a free queue: cooling and host-reserved ones too
	Reserved  *big.Int // covered by reservations
	Available *big.Int // neither in use nor reserved
}

// BlockUsage is the usage of one block.
type BlockUsage struct {
	CIDR netip.Prefix
	Usage
}

// PoolUsage is the usage of one pool.
type PoolUsage struct {
	Name string
	CIDR netip.Prefix
	Usage
	Blocks []BlockUsage // by name
}

// GetUtilization returns the usage of every pool, disabled ones too, in name
// order, and always one more entry, named [OrphanedBlocks], with CIDR
// 0.0.0.0/0, no totals and the blocks that no pool covers. Blocks count as they
// were last written (§9). The result is the caller's.
func (a *Allocator) GetUtilization() []PoolUsage {
	a.begin()
	defer a.mu.Unlock()
	usage := make([]PoolUsage, 0, len(a.pools.All())+1)
	for _, p := range a.pools.All() {
		usage = append(usage, a.poolUsage(p))
	}
	orphans := PoolUsage{
		Name:  OrphanedBlocks,
		CIDR:  netip.PrefixFrom(netip.IPv4Unspecified(), 0),
		Usage: Usage{new(big.Int), new(big.Int), new(big.Int), new(big.Int)},
	}
	for _, e := range a.orphansInOrder() {
		orphans.Blocks = append(orphans.Blocks, BlockUsage{e.CIDR(), e.usage()})
	}
	return append(usage, orphans)
}

// poolUsage adds up the pool's blocks and the space outside them.
func (a *Allocator) poolUsage(p *pool.Pool) PoolUsage {
	capacity := new(big.Int).Lsh(big.NewInt(1), uint(p.CIDR().Addr().BitLen()-p.CIDR().Bits()))
	u := PoolUsage{Name: p.Name(), CIDR: p.CIDR(), Usage: Usage{
		Capacity: capacity,
		InUse:    new(big.Int),
		Reserved: a.reservations.CountIn(p.CIDR()),
	}}
	// Outside blocks everything unreserved is available.
	u.Available = new(big.Int).Sub(capacity, u.Reserved)
	for _, e := range byName(a.spaces[p.Name()].appendBlocks(nil)) {
		b := e.usage()
		u.InUse.Add(u.InUse, b.InUse)
		u.Available.Sub(u.Available, b.Capacity)
		u.Available.Add(u.Available, b.Reserved)
		u.Available.Add(u.Available, b.Available)
		u.Blocks = append(u.Blocks, BlockUsage{e.CIDR(), b})
	}
	return u
}

// usage counts the addresses of the block as last written.
func (e *entry) usage() Usage {
	return Usage{
		Capacity:  big.NewInt(int64(e.Size())),
		InUse:     big.NewInt(int64(e.InUse())),
		Reserved:  big.NewInt(int64(e.reserved.Len())),
		Available: big.NewInt(int64(e.FreeUnreserved(e.reserved))),
	}
}
