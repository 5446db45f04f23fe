package protocol

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// A client sleeps before it creates a block, while another one creates it, assigns
// an address of it, and releases everything. The new block begins with a sequence
// number that its addresses never had, even if the clock stands still: a release
// with the old number releases nothing.
func TestNumbersNeverRepeat(t *testing.T) {
	c := cluster(t, "n", "m")
	first := netip.MustParsePrefix("10.0.0.0/30")
	ip := first.Addr()
	sleeper := Start(func(access Access) {
		claimed, _, err := c.Client(access, nil).ClaimAffinity(first, affinity.HostOwner("n"))
		require.NoError(t, err)
		require.Len(t, claimed, 1)
	})
	for r, _ := sleeper.Request(); r.Verb != Create || r.Key != blockKey(first); r, _ = sleeper.Request() {
		sleeper.Answer(c.Store().Do(r))
	}

	other := c.Client(nil, nil)
	require.NoError(t, other.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "m"}))
	old := c.SequenceNumber(ip)
	_, err := other.ReleaseIP(ipam.Release{IP: ip, Sequence: &old})
	require.NoError(t, err)
	require.NoError(t, other.ReleaseAffinity(first, affinity.HostOwner("m"), true))
	require.Empty(t, c.State().Blocks)

	run(c, sleeper, toTheEnd)
	require.NoError(t, other.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n"}))
	require.Greater(t, c.SequenceNumber(ip), old)
	_, err = other.ReleaseIP(ipam.Release{IP: ip, Sequence: &old})
	require.ErrorIs(t, err, codes.BadSequenceNumber)
}
