package protocol

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// A ReleaseByHandle whose block somebody else empties and deletes first goes on
// where it would have deleted the block, too. Where it would have written it, for
// the block has an owner, it ends there, with the error that an unknown handle
// has: it tries again after conflicts only (§15). What the handle holds in blocks
// further on stays held then, and its client cannot tell.
func TestReleaseByHandleEndsHalfway(t *testing.T) {
	first, second := netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("10.0.0.4/30")
	ips := []netip.Addr{first.Addr(), second.Addr()}
	n := affinity.HostOwner("n")
	for _, verb := range []Verb{Delete, Update} {
		t.Run(string(verb), func(t *testing.T) {
			c := cluster(t, "n")
			alone := c.Client(nil, nil)
			for _, ip := range ips {
				require.NoError(t, alone.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n", Handle: "h"}))
			}
			if verb == Delete {
				require.NoError(t, alone.ReleaseHostAffinities(n, false))
			}
			var err error
			p := Start(func(access Access) { err = c.Client(access, nil).ReleaseByHandle("h") })
			for r, _ := p.Request(); r.Verb != verb || r.Key != blockKey(first); r, _ = p.Request() {
				p.Answer(c.Store().Do(r))
			}
			_, released := alone.ReleaseIP(ipam.Release{IP: first.Addr()})
			require.NoError(t, released)
			require.NoError(t, alone.ReleaseAffinity(first, n, true))
			run(c, p, toTheEnd)
			if verb == Delete {
				require.NoError(t, err)
				require.Empty(t, c.State().Handles)
				return
			}
			require.ErrorIs(t, err, codes.DoesNotExist)
			held, err := alone.IPsByHandle("h")
			require.NoError(t, err)
			require.Equal(t, ips[1:], held)
		})
	}
}
