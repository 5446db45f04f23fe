package protocol

import (
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"

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
		must.NoError(t, err)
		must.Len(t, 1, claimed)
	})
	for r, _ := sleeper.Request(); r.Verb != Create || r.Key != blockKey(first); r, _ = sleeper.Request() {
		sleeper.Answer(c.Store().Do(r))
	}

	other := c.Client(nil, nil)
	must.NoError(t, other.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "m"}))
	old := c.SequenceNumber(ip)
	_, err := other.ReleaseIP(ipam.Release{IP: ip, Sequence: &old})
	must.NoError(t, err)
	must.NoError(t, other.ReleaseAffinity(first, affinity.HostOwner("m"), true))
	must.SliceEmpty(t, c.State().Blocks)

	run(c, sleeper, toTheEnd)
	must.NoError(t, other.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n"}))
	must.Greater(t, old, c.SequenceNumber(ip))
	_, err = other.ReleaseIP(ipam.Release{IP: ip, Sequence: &old})
	must.ErrorIs(t, err, codes.BadSequenceNumber)
}
