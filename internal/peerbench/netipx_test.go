package peerbench

import (
	"net/netip"
	"testing"

	"go4.org/netipx"
)

// netipxSet is netipx's IPSet, a sorted list of ranges of addresses: those that
// are free. A set never changes, so that it is safe for concurrent use; to take
// an address, or to give one back, is to build another set, which goes through
// all ranges. It holds CIDRs of any size and both families at once, and it is
// small and fast while the taken addresses lie together: take is best fit, from
// the smallest free CIDR, so that an address given back can be given at once.
//
// It leaves out owner, handle, blocks, order of release, sequence numbers and
// cooldown.
type netipxSet struct {
	numbers
	free *netipx.IPSet
}

func newNetipx(tb testing.TB, cidr netip.Prefix) pool {
	var b netipx.IPSetBuilder
	b.AddPrefix(cidr)
	free, err := b.IPSet()
	if err != nil {
		tb.Fatal(err)
	}
	return &netipxSet{numbersOf(cidr), free}
}

func (p *netipxSet) seed(taken []netip.Addr, _ []string) error {
	var b netipx.IPSetBuilder
	b.AddSet(p.free)
	for _, ip := range taken {
		b.Remove(ip)
	}
	return p.build(&b)
}

func (p *netipxSet) build(b *netipx.IPSetBuilder) (err error) {
	p.free, err = b.IPSet()
	return err
}

// next walks the ranges: of its own the set only says whether it has an address.
func (p *netipxSet) next(at netip.Addr) (netip.Addr, bool) {
	for _, r := range p.free.Ranges() {
		switch {
		case at.Less(r.From()):
			return r.From(), true
		case !r.To().Less(at):
			return at, true
		}
	}
	return netip.Addr{}, false
}

func (p *netipxSet) take(string) (netip.Addr, error) {
	prefix, rest, ok := p.free.RemoveFreePrefix(32)
	if !ok {
		return netip.Addr{}, errFull
	}
	p.free = rest
	return prefix.Addr(), nil
}

func (p *netipxSet) give(_ string, ip netip.Addr) error {
	var b netipx.IPSetBuilder
	b.AddSet(p.free)
	b.Add(ip)
	return p.build(&b)
}
