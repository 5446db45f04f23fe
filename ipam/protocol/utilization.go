package protocol

import (
	"math/big"
	"net/netip"

	"github.com/ipamsim/ipamsim/ipam"
)

// GetUtilization returns the usage of every pool and of the blocks in none, as
// [ipam.Allocator.GetUtilization] does, of blocks as last written. Recordings do
// not show its requests: it lists the blocks. Nil if that fails.
func (c *Client) GetUtilization() []ipam.PoolUsage {
	blocks, err := list[*Block](c, BlocksKey)
	if err != nil {
		return nil
	}
	var usage []ipam.PoolUsage
	for _, p := range c.pools.All() {
		capacity := new(big.Int).Lsh(big.NewInt(1), uint(p.CIDR().Addr().BitLen()-p.CIDR().Bits()))
		reserved := c.reservations.CountIn(p.CIDR())
		u := ipam.PoolUsage{Name: p.Name(), CIDR: p.CIDR(), Usage: ipam.Usage{
			Capacity: capacity, InUse: new(big.Int), Reserved: reserved,
			Available: new(big.Int).Sub(capacity, reserved), // where there are no blocks
		}}
		for _, b := range blocks {
			if c.pools.Covering(b.CIDR) != p {
				continue
			}
			one := c.blockUsage(b)
			u.InUse.Add(u.InUse, one.InUse)
			u.Available.Sub(u.Available, one.Capacity)
			u.Available.Add(u.Available, one.Reserved)
			u.Available.Add(u.Available, one.Available)
			u.Blocks = append(u.Blocks, one)
		}
		usage = append(usage, u)
	}
	orphans := ipam.PoolUsage{Name: ipam.OrphanedBlocks, CIDR: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Usage: ipam.Usage{
		Capacity: new(big.Int), InUse: new(big.Int), Reserved: new(big.Int), Available: new(big.Int),
	}}
	for _, b := range blocks {
		if c.pools.Covering(b.CIDR) == nil {
			orphans.Blocks = append(orphans.Blocks, c.blockUsage(b))
		}
	}
	return append(usage, orphans)
}

// blockUsage counts the addresses of a block as last written.
func (c *Client) blockUsage(b *Block) ipam.BlockUsage {
	count := func(n int) *big.Int { return big.NewInt(int64(n)) }
	return ipam.BlockUsage{CIDR: b.CIDR, Usage: ipam.Usage{
		Capacity:  count(len(b.Index)),
		InUse:     count(len(b.Index) - len(b.Queue)),
		Reserved:  c.reservations.CountIn(b.CIDR),
		Available: count(len(b.available(c.reservations))),
	}}
}
