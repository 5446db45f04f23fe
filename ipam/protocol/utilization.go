package protocol

import (
	"math/big"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// GetUtilization returns the usage of the given pools, or of all and of the blocks in
// none, as [ipam.Allocator.GetUtilization] does, of blocks as last written. Recordings do
// not show its requests: it lists the blocks. Nil if that fails.
func (c *Client) GetUtilization(pools ...string) []ipam.PoolUsage {
	blocks, err := list[*Block](c, BlocksKey)
	if err != nil {
		return nil
	}
	var usage []ipam.PoolUsage
	reservations := c.counted()
	for _, p := range c.pools.All() {
		if len(pools) > 0 && !slices.Contains(pools, p.Name()) && !slices.Contains(pools, p.CIDR().String()) {
			continue
		}
		u := ipam.PoolUsage{Name: p.Name(), CIDR: p.CIDR()}
		capacity := new(big.Int).Lsh(big.NewInt(1), uint(p.CIDR().Addr().BitLen()-p.CIDR().Bits()))
		reserved := reservations.CountIn(p.CIDR())
		unused := new(big.Int).Sub(capacity, reserved) // where there are no blocks
		inUse, inBlocks := int64(0), int64(0)
		for _, b := range blocks {
			if c.pools.ByAddr(b.CIDR.Addr()) != p {
				continue
			}
			one := c.blockUsage(b)
			inUse += one.InUse.Int64()
			inBlocks += one.Available.Int64()
			unused.Sub(unused, new(big.Int).Sub(one.Capacity, one.Reserved))
			u.Blocks = append(u.Blocks, one)
		}
		if !c.rules.ReservationsInUsage {
			// Calico counted blocks only; calicoctl added them up, in any size.
			u.Usage = ipam.Usage{
				Capacity: capacity, InUse: big.NewInt(inUse), Reserved: reserved,
				Available: new(big.Int).Sub(capacity, big.NewInt(inUse)),
			}
			usage = append(usage, u)
			continue
		}
		// Calico counts in 64 bits: a larger size is cut to the maximum, and the
		// sum overflows.
		u.Usage = ipam.Usage{
			Capacity: limited(capacity), InUse: big.NewInt(inUse), Reserved: limited(reserved),
			Available: big.NewInt(limited(unused).Int64() + inBlocks),
		}
		usage = append(usage, u)
	}
	if len(pools) > 0 {
		return usage
	}
	orphans := ipam.PoolUsage{Name: ipam.OrphanedBlocks, CIDR: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Usage: ipam.Usage{
		Capacity: new(big.Int), InUse: new(big.Int), Reserved: new(big.Int), Available: new(big.Int),
	}}
	for _, b := range blocks {
		if c.pools.ByAddr(b.CIDR.Addr()) == nil && b.CIDR.Addr().Is4() {
			orphans.Blocks = append(orphans.Blocks, c.blockUsage(b))
		}
	}
	return append(usage, orphans)
}

// counted returns the reservations that count in utilization.
func (c *Client) counted() *pool.Reservations {
	if !c.rules.ReservationsInUsage {
		return nil
	}
	return c.reservations
}

// limited returns n, at most 2^63-1.
func limited(n *big.Int) *big.Int {
	if most := big.NewInt(1<<63 - 1); n.Cmp(most) > 0 {
		return most
	}
	return n
}

// blockUsage counts the addresses of a block as last written.
func (c *Client) blockUsage(b *Block) ipam.BlockUsage {
	reservations := c.counted()
	count := func(n int) *big.Int { return big.NewInt(int64(n)) }
	return ipam.BlockUsage{CIDR: b.CIDR, Usage: ipam.Usage{
		Capacity:  count(len(b.Index)),
		InUse:     count(len(b.Index) - len(b.Queue)),
		Reserved:  reservations.CountIn(b.CIDR),
		Available: count(len(b.available(reservations))),
	}}
}
