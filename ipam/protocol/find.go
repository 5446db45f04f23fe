package protocol

import (
	"errors"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// minClaimAge is how long a claimed block is safe from being reclaimed while it
// is empty (§5).
const minClaimAge = time.Minute

// claimNew finds a block for the host and claims it (§5). Errors: [codes.NoBlock]
// with automatic allocation off, [codes.NoFreeBlocks] if none is left,
// [codes.BadHostReservation] if the block is too small for the host reservation.
func (c *Client) claimNew(d *demand) (b *Block, err error) {
	s := d.settings
	if !c.rules.ReleaseReadsConfig { // AutoAssign has read it, EnsureBlock has not
		if s, err = c.settingsOn(d.windows); err != nil {
			return nil, err
		}
	}
	if !s.AutoAllocateBlocks {
		return nil, &ipam.Error{Code: codes.NoBlock, Host: d.host}
	}
	for range maxTries {
		var cidr netip.Prefix
		if cidr, err = c.find(d); err != nil {
			return nil, err
		}
		err = retry(func() error {
			a, err := c.pend(d.owner(), cidr)
			if err == nil {
				b, err = c.recover(a, d.owner(), d.settings, d.reserve)
			}
			return err
		})
		if !errors.Is(err, errStale) && !errors.Is(err, codes.BlockClaimConflict) {
			break // another client was faster: look for another block
		}
	}
	return b, err
}

// find returns the block that the host should claim next: the first on its walk
// that does not exist, or that it owns and that has a free address; else, since
// [calico.Rules.ReclaimEmptyBlocks], an empty block of another owner, which find
// reclaims. It reclaims no block that is too small for a host reservation.
func (c *Client) find(d *demand) (netip.Prefix, error) {
	listed, err := list[*Block](c, BlocksKey)
	if err != nil {
		return netip.Prefix{}, err
	}
	blocks := make(map[netip.Prefix]*Block, len(listed))
	for _, b := range listed {
		blocks[b.CIDR] = b
	}
	var empty []*Block
	for _, p := range d.pools {
		for cidr := range p.Order(d.host, c.now()) {
			if c.reservations.CoversPrefix(cidr) {
				continue
			}
			b := blocks[cidr]
			if b == nil {
				return cidr, fits(d.reserve, cidr)
			}
			b = b.seen(c.now(), d.settings.cooldown)
			if len(b.available(c.reservations)) == 0 {
				continue
			}
			if b.Owner == d.owner() {
				return cidr, nil
			}
			if b.empty() && c.rules.ReclaimEmptyBlocks {
				empty = append(empty, b)
			}
		}
	}
	for _, b := range empty {
		if b.Owner.IsZero() || c.now().Sub(b.Claimed) < minClaimAge {
			continue
		}
		if err := fits(d.reserve, b.CIDR); err != nil {
			return b.CIDR, err
		}
		if c.reclaim(b, d.settings) == nil {
			return b.CIDR, nil
		}
	}
	return netip.Prefix{}, codes.NoFreeBlocks
}

// EnsureBlock returns, for each family with a host reservation, the first of the
// host's blocks or a newly claimed one, as [ipam.Allocator.EnsureBlock] does. It
// makes the requests of AutoAssign up to the block.
func (c *Client) EnsureBlock(args ipam.EnsureBlockArgs) (block4, block6 netip.Prefix, err error) {
	if err := args.Validate(); err != nil {
		return block4, block6, err
	}
	if args.HostReserved4 != nil {
		if err = checkRequested(args.Pools4, true); err == nil {
			block4, err = c.ensureBlock(&demand{host: args.Host, is4: true, requested: args.Pools4, reserve: args.HostReserved4, windows: args.Windows})
		}
	}
	if err == nil && args.HostReserved6 != nil {
		if err = checkRequested(args.Pools6, false); err == nil {
			requested := args.Pools6
			if !c.rules.EnsureByPools6 {
				requested = args.Pools4 // even without a look at its family
			}
			block6, err = c.ensureBlock(&demand{host: args.Host, requested: requested, reserve: args.HostReserved6, windows: args.Windows})
		}
	}
	if err != nil {
		return netip.Prefix{}, netip.Prefix{}, outcome(err)
	}
	return block4, block6, nil
}

func (c *Client) ensureBlock(d *demand) (netip.Prefix, error) {
	d.use = pool.Workload
	if err := c.prepare(d); err != nil {
		return netip.Prefix{}, err
	}
	b := c.nextAffine(d, 0)
	if b == nil {
		var err error
		if b, err = c.claimNew(d); err != nil {
			return netip.Prefix{}, err
		}
	}
	return b.CIDR, nil
}
