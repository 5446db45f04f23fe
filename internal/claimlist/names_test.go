package claimlist

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
)

// TestClaimsOfLongHosts: claims are in the order of their names also if these are
// cut: from hosts of 209 bytes on for the longest CIDRs.
func TestClaimsOfLongHosts(t *testing.T) {
	property.Slow(t)
	for n := 200; n <= 253; n++ {
		var x Index
		c := x.Open(affinity.HostOwner(strings.Repeat("n", n)))
		for i := range 40 {
			addr := netip.AddrFrom16([16]byte{0: 0xfd, 3: byte(i * 37), 13: byte(i), 14: byte(i * 11)})
			c.Pend(netip.PrefixFrom(addr, 122).Masked(), time.Unix(0, 0))
			c.Pend(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i * 37), byte(i), 0}), 26), time.Unix(0, 0))
		}
		must.True(t, slices.IsSortedFunc(c.All(), func(a, b *Claim) int { return strings.Compare(a.Name(), b.Name()) }), must.Sprintf("%d bytes", n))
		for _, cl := range c.All() {
			must.EqOp(t, cl, c.Get(cl.CIDR))
		}
	}
}

// comparePrefixes orders prefixes by masked address, length and address, as
// netip.Prefix.Compare does, which needs Go 1.26.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(
		a.Masked().Addr().Compare(b.Masked().Addr()),
		cmp.Compare(a.Bits(), b.Bits()),
		a.Addr().Compare(b.Addr()),
	)
}
