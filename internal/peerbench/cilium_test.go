package peerbench

import (
	"net/netip"
	"testing"

	"github.com/cilium/cilium/pkg/ipam/service/ipallocator"
)

// cilium is the allocator of one node's pod CIDR in Cilium, which comes from
// Kubernetes' allocator of service addresses: one bit an address in a big.Int
// behind a mutex. A place is drawn at random and the first free address from
// there on, bit by bit, is taken: what has been given back may be given at once.
//
// It leaves out who holds an address (pkg/ipam keeps that in a map beside it),
// handles, blocks and other nodes, sequence numbers and cooldown. Of an IPv6 CIDR it
// hands out 65,536 addresses at most. Giving back a free address is no error.
//
// The first and last address, which it leaves out by default, are let in.
type cilium struct {
	numbers
	r *ipallocator.Range
}

func newCilium(_ testing.TB, cidr netip.Prefix) pool {
	return &cilium{numbersOf(cidr), ipallocator.NewCIDRRange(cidr, ipallocator.WithAllowFirstLastIPs())}
}

func (p *cilium) seed(taken []netip.Addr, _ []string) error {
	for _, ip := range taken {
		if err := p.r.Allocate(ip); err != nil {
			return err
		}
	}
	return nil
}

func (p *cilium) take(string) (netip.Addr, error) { return p.r.AllocateNext() }

func (p *cilium) give(_ string, ip netip.Addr) error {
	p.r.Release(ip)
	return nil
}
