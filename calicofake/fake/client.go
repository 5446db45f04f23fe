package fake

import (
	"context"
	"errors"
	"net/netip"

	"github.com/projectcalico/calico/libcalico-go/lib/backend/model"
	"github.com/projectcalico/calico/libcalico-go/lib/ipam"
	cnet "github.com/projectcalico/calico/libcalico-go/lib/net"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	sim "github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// client is one process that uses the fake.
type client struct {
	fake    *Fake
	windows bool
}

var _ ipam.Interface = (*client)(nil)

// IPAM returns Calico's interface of the fake. All that it returns work on one
// cluster.
func (f *Fake) IPAM() ipam.Interface { return &client{fake: f} }

// IPAMOnWindows is [Fake.IPAM] for a client that runs on a Windows node, where
// nothing can be borrowed: while affinity is not strict it is refused (§10).
func (f *Fake) IPAMOnWindows() ipam.Interface {
	return &client{fake: f, windows: true}
}

// run does an operation with a client of the protocol of its own.
func (c *client) run(ctx context.Context, name string, args []any, operation func(*access, *protocol.Client) error) error {
	a := &access{fake: c.fake, ctx: ctx}
	return c.fake.do(ctx, a, name, args, func() error {
		return operation(a, c.fake.cluster.Client(a, c.fake.options.Now))
	})
}

// host returns the host of a request: that of the machine if it names none.
func (c *client) host(name string) string {
	if name == "" {
		return c.fake.options.Hostname
	}
	return name
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func reservation(r *ipam.HostReservedAttr) *sim.HostReservation {
	if r == nil {
		return nil
	}
	return &sim.HostReservation{StartOfBlock: r.StartOfBlock, EndOfBlock: r.EndOfBlock, Handle: r.Handle, Note: r.Note}
}

// AssignIP gives the host one given address (§9).
func (c *client) AssignIP(ctx context.Context, args ipam.AssignIPArgs) error {
	return c.run(ctx, "AssignIP", []any{args}, func(_ *access, p *protocol.Client) error {
		err := p.AssignIP(sim.AssignIPArgs{
			IP: addrOf(args.IP.IP), Host: c.host(args.Hostname), Handle: text(args.HandleID), Attrs: block.MakeAttrs(args.Attrs),
			HostReserved: reservation(args.HostReservedAttr), Windows: c.windows,
		})
		return assignIPError(err, args.IP)
	})
}

// AutoAssign gives the host addresses (§3 to §8). Fewer than asked for are no
// error: see IPAMAssignments.PartialFulfillmentError.
func (c *client) AutoAssign(ctx context.Context, args ipam.AutoAssignArgs) (v4, v6 *ipam.IPAMAssignments, err error) {
	err = c.run(ctx, "AutoAssign", []any{args}, func(a *access, p *protocol.Client) error {
		if err := c.fake.pullReservations(ctx); err != nil {
			return err
		}
		request := sim.AutoAssignArgs{
			Host: c.host(args.Hostname), Num4: args.Num4, Num6: args.Num6, Handle: text(args.HandleID), Attrs: block.MakeAttrs(args.Attrs),
			Use: pool.Use(args.IntendedUse), Pools4: prefixesOf(args.IPv4Pools), Pools6: prefixesOf(args.IPv6Pools),
			MaxBlocksPerHost: args.MaxBlocksPerHost, HostReserved4: reservation(args.HostReservedAttrIPv4s), HostReserved6: reservation(args.HostReservedAttrIPv6s),
			Windows: c.windows,
		}
		if err := request.Validate(); err != nil {
			return err
		}
		if odd := request.Use != "" && !request.Use.Valid() || request.Use == pool.LoadBalancer && !c.fake.cluster.Calico().Rules().LoadBalancer; odd {
			return c.oddUse(p, &request)
		}
		// One family at a time, as the allocator does it: so each has its own error.
		if args.Num4 > 0 {
			only := request
			only.Num6 = 0
			answer, _, err := p.AutoAssign(only)
			if a.begun(err) {
				v4 = assignments(4, args.Num4, args.HostReservedAttrIPv4s, answer)
			}
			if err != nil {
				return autoAssignError(err, &request)
			}
		}
		if args.Num6 > 0 {
			only := request
			only.Num4 = 0
			a.looked = false
			_, answer, err := p.AutoAssign(only)
			if a.begun(err) {
				v6 = assignments(6, args.Num6, args.HostReservedAttrIPv6s, answer)
			}
			if errors.Is(err, codes.WrongFamily) {
				v4 = nil // given out all the same (§3)
			}
			return autoAssignError(err, &request)
		}
		return nil
	})
	return v4, v6, err
}

// oddUse refuses a use that the release does not know, as Calico does: no pool
// allows it.
func (c *client) oddUse(p *protocol.Client, request *sim.AutoAssignArgs) error {
	if request.Num4 <= 0 && request.Num6 <= 0 {
		return nil
	}
	if _, known := p.Store().Look(keyOf(nodeKey(request.Host)).Key()).(*protocol.Node); !known {
		return autoAssignError(&sim.Error{Code: codes.DoesNotExist, Host: request.Host}, request)
	}
	return noUse(&sim.Error{Code: codes.NoQualifiedPool, Host: request.Host, Want: string(request.Use)}, request.Use)
}

// assignments returns the answer for one family.
func assignments(version, requested int, reserved *ipam.HostReservedAttr, a sim.Assignment) *ipam.IPAMAssignments {
	out := &ipam.IPAMAssignments{IPVersion: version, NumRequested: requested, HostReservedAttr: reserved}
	for _, p := range a.IPs {
		out.IPs = append(out.IPs, netOf(p))
	}
	for _, msg := range a.Msgs {
		out.AddMsg(messageOf(msg))
	}
	return out
}

// ReleaseIPs releases addresses and returns those that were not allocated (§9).
func (c *client) ReleaseIPs(ctx context.Context, ips ...ipam.ReleaseOptions) (unallocated []cnet.IP, err error) {
	args := make([]any, len(ips))
	for i, r := range ips {
		args[i] = r
	}
	err = c.run(ctx, "ReleaseIPs", args, func(_ *access, p *protocol.Client) error {
		var releases []sim.Release
		for i := range ips {
			ip, err := ips[i].AsNetIP()
			if err != nil {
				return err
			}
			releases = append(releases, sim.Release{IP: addrOf(ip.IP), Handle: ips[i].Handle, Sequence: ips[i].SequenceNumber, Windows: c.windows})
		}
		free, _, err := p.ReleaseIPs(releases...)
		unallocated = ipsOf(free)
		return releaseError(err)
	})
	return unallocated, err
}

// GetAssignmentAttributes returns the attributes and the handle of an address (§9).
func (c *client) GetAssignmentAttributes(ctx context.Context, addr cnet.IP) (attrs map[string]string, handle *string, err error) {
	err = c.run(ctx, "GetAssignmentAttributes", []any{addr}, func(_ *access, p *protocol.Client) error {
		held, err := p.GetAssignmentAttributes(addrOf(addr.IP))
		if err != nil {
			return attributesError(err, addr)
		}
		if attrs = held.Active.Map(); held.Handle != "" {
			handle = &held.Handle
		}
		return nil
	})
	return attrs, handle, err
}

// IPsByHandle returns the addresses that the handle holds (§9).
func (c *client) IPsByHandle(ctx context.Context, handleID string) (ips []cnet.IP, err error) {
	err = c.run(ctx, "IPsByHandle", []any{handleID}, func(_ *access, p *protocol.Client) error {
		held, err := p.IPsByHandle(handleID)
		if err != nil {
			return handleError(err, handleID)
		}
		ips = ipsOf(held)
		return nil
	})
	return ips, err
}

// ReleaseByHandle releases everything that the handle holds (§9).
func (c *client) ReleaseByHandle(ctx context.Context, handleID string) error {
	return c.run(ctx, "ReleaseByHandle", []any{handleID}, func(_ *access, p *protocol.Client) error {
		return handleError(p.ReleaseByHandle(handleID), handleID)
	})
}

// ClaimAffinity claims the blocks of the CIDR for the host (§9).
func (c *client) ClaimAffinity(ctx context.Context, cidr cnet.IPNet, host string) (claimed, failed []cnet.IPNet, err error) {
	err = c.run(ctx, "ClaimAffinity", []any{cidr, host}, func(a *access, p *protocol.Client) error {
		yes, no, err := p.ClaimAffinity(prefixOf(cidr.IPNet), affinity.HostOwner(c.host(host)))
		if err == nil || a.looked {
			claimed, failed = netsOf(yes), netsOf(no)
		}
		return claimError(err, cidr)
	})
	return claimed, failed, err
}

// ReleaseAffinity gives up the host's claims on the blocks of the CIDR (§9).
func (c *client) ReleaseAffinity(ctx context.Context, cidr cnet.IPNet, host string, mustBeEmpty bool) error {
	return c.run(ctx, "ReleaseAffinity", []any{cidr, host, mustBeEmpty}, func(_ *access, p *protocol.Client) error {
		return claimError(p.ReleaseAffinity(prefixOf(cidr.IPNet), affinity.HostOwner(c.host(host)), mustBeEmpty), cidr)
	})
}

// ReleaseHostAffinities gives up all claims of the host (§9).
func (c *client) ReleaseHostAffinities(ctx context.Context, host string, mustBeEmpty bool) error {
	return c.run(ctx, "ReleaseHostAffinities", []any{host, mustBeEmpty}, func(_ *access, p *protocol.Client) error {
		return claimError(p.ReleaseHostAffinities(affinity.HostOwner(c.host(host)), mustBeEmpty), cnet.IPNet{})
	})
}

// ReleasePoolAffinities gives up all claims on blocks in the pool (§9).
func (c *client) ReleasePoolAffinities(ctx context.Context, pool cnet.IPNet) error {
	return c.run(ctx, "ReleasePoolAffinities", []any{pool}, func(_ *access, p *protocol.Client) error {
		return claimError(p.ReleasePoolAffinities(prefixOf(pool.IPNet)), pool)
	})
}

// ReleaseBlockAffinity gives up the claim of the block's owner, as the block says
// (§9).
func (c *client) ReleaseBlockAffinity(ctx context.Context, block *model.AllocationBlock, mustBeEmpty bool) error {
	return c.run(ctx, "ReleaseBlockAffinity", []any{block, mustBeEmpty}, func(_ *access, p *protocol.Client) error {
		read := sim.BlockState{CIDR: prefixOf(block.CIDR.IPNet)}
		if host := block.Host(); host != "" {
			read.Owner = affinity.HostOwner(host)
		}
		return claimError(p.ReleaseBlockAffinityOf(read, mustBeEmpty), block.CIDR)
	})
}

// GetIPAMConfig returns the configuration, the default if there is none.
func (c *client) GetIPAMConfig(ctx context.Context) (config *ipam.IPAMConfig, err error) {
	err = c.run(ctx, "GetIPAMConfig", nil, func(a *access, p *protocol.Client) error {
		s := p.GetIPAMConfig()
		if a.failure != nil { // of which the protocol's client says nothing
			return a.failure
		}
		config = &ipam.IPAMConfig{StrictAffinity: s.StrictAffinity, AutoAllocateBlocks: s.AutoAllocateBlocks, MaxBlocksPerHost: s.MaxBlocksPerHost}
		return nil
	})
	return config, err
}

// SetIPAMConfig replaces the configuration. What the type does not have, such as the
// cooldown, stays as it is.
func (c *client) SetIPAMConfig(ctx context.Context, cfg ipam.IPAMConfig) error {
	return c.run(ctx, "SetIPAMConfig", []any{cfg}, func(_ *access, p *protocol.Client) error {
		config := sim.DefaultConfig()
		if there, ok := p.Store().Look((&protocol.Config{}).Key()).(*protocol.Config); ok {
			config = there.Config
		}
		config.StrictAffinity, config.AutoAllocateBlocks, config.MaxBlocksPerHost = cfg.StrictAffinity, cfg.AutoAllocateBlocks, cfg.MaxBlocksPerHost
		return configError(p.SetIPAMConfig(config), cfg)
	})
}

// RemoveIPAMHost gives up all claims of the host, also on blocks in use (§9).
func (c *client) RemoveIPAMHost(ctx context.Context, host string) error {
	return c.run(ctx, "RemoveIPAMHost", []any{host}, func(_ *access, p *protocol.Client) error {
		return claimError(p.RemoveIPAMHost(affinity.HostOwner(c.host(host))), cnet.IPNet{})
	})
}

// GetUtilization returns the usage of the pools, named by name or CIDR, or of all
// and of the blocks in none (§9).
func (c *client) GetUtilization(ctx context.Context, args ipam.GetUtilizationArgs) (usage []*ipam.PoolUtilization, err error) {
	err = c.run(ctx, "GetUtilization", []any{args}, func(a *access, p *protocol.Client) error {
		if err := c.fake.pullReservations(ctx); err != nil {
			return err
		}
		for _, u := range p.GetUtilization(args.Pools...) {
			out := &ipam.PoolUtilization{Name: u.Name, CIDR: netOf(u.CIDR).IPNet}
			for _, b := range u.Blocks {
				out.Blocks = append(out.Blocks, ipam.BlockUtilization{
					CIDR: netOf(b.CIDR).IPNet, Capacity: int(b.Capacity.Int64()), Available: int(b.Available.Int64()),
				})
			}
			usage = append(usage, out)
		}
		return a.failure // of which the protocol's client says nothing
	})
	return usage, err
}

// EnsureBlock returns a block of the host in each family with a reservation (§9).
func (c *client) EnsureBlock(ctx context.Context, args ipam.BlockArgs) (v4, v6 *cnet.IPNet, err error) {
	err = c.run(ctx, "EnsureBlock", []any{args}, func(_ *access, p *protocol.Client) error {
		if err := c.fake.pullReservations(ctx); err != nil {
			return err
		}
		b4, b6, err := p.EnsureBlock(sim.EnsureBlockArgs{
			Host: c.host(args.Hostname), Pools4: prefixesOf(args.IPv4Pools), Pools6: prefixesOf(args.IPv6Pools),
			HostReserved4: reservation(args.HostReservedAttrIPv4s), HostReserved6: reservation(args.HostReservedAttrIPv6s), Windows: c.windows,
		})
		v4, v6 = blockNet(b4), blockNet(b6)
		return autoAssignError(err, &sim.AutoAssignArgs{Host: c.host(args.Hostname), Use: pool.Workload})
	})
	return v4, v6, err
}

func blockNet(p netip.Prefix) *cnet.IPNet {
	if !p.IsValid() {
		return nil
	}
	n := netOf(p)
	return &n
}
