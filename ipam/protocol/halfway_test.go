package protocol

import (
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// During a ReleaseByHandle another client empties and deletes its block. If
// ReleaseByHandle would have deleted the block too, it goes on. If it would have
// updated the block, which has an owner, it ends with the error of an unknown
// handle, as it tries again only after conflicts (§15). Then the handle still
// holds addresses in later blocks, and the client cannot tell.
func TestReleaseByHandleEndsHalfway(t *testing.T) {
	first, second := netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("10.0.0.4/30")
	ips := []netip.Addr{first.Addr(), second.Addr()}
	n := affinity.HostOwner("n")
	for _, verb := range []Verb{Delete, Update} {
		t.Run(string(verb), func(t *testing.T) {
			c := cluster(t, "n")
			alone := c.Client(nil, nil)
			for _, ip := range ips {
				must.NoError(t, alone.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n", Handle: "h"}))
			}
			if verb == Delete {
				must.NoError(t, alone.ReleaseHostAffinities(n, false))
			}
			var err error
			p := Start(func(access Access) { err = c.Client(access, nil).ReleaseByHandle("h") })
			for r, _ := p.Request(); r.Verb != verb || r.Key != blockKey(first); r, _ = p.Request() {
				p.Answer(c.Store().Do(r))
			}
			_, released := alone.ReleaseIP(ipam.Release{IP: first.Addr()})
			must.NoError(t, released)
			must.NoError(t, alone.ReleaseAffinity(first, n, true))
			run(c, p, toTheEnd)
			if verb == Delete {
				must.NoError(t, err)
				must.SliceEmpty(t, c.State().Handles)
				return
			}
			must.ErrorIs(t, err, codes.DoesNotExist)
			held, err := alone.IPsByHandle("h")
			must.NoError(t, err)
			must.Eq(t, ips[1:], held)
		})
	}
}

// Another client empties and deletes the block of a ReleaseByHandle, and both lower
// the handle for it (§15). If the handle gets an address of the block in between, it
// ends without a count for that address, which it holds nevertheless.
func TestReleaseByHandleLowersTwice(t *testing.T) {
	block := netip.MustParsePrefix("10.0.0.0/30")
	n := affinity.HostOwner("n")
	c := cluster(t, "n")
	alone := c.Client(nil, nil)
	take := ipam.AssignIPArgs{IP: block.Addr(), Host: "n", Handle: "h"}
	must.NoError(t, alone.AssignIP(take))
	must.NoError(t, alone.ReleaseAffinity(block, n, false))

	var err error
	p := Start(func(access Access) { err = c.Client(access, nil).ReleaseByHandle("h") })
	r, _ := p.Request()
	for ; r.Verb != Delete; r, _ = p.Request() {
		p.Answer(c.Store().Do(r))
	}
	must.Eq(t, blockKey(block), r.Key)
	_, released := alone.ReleaseIP(ipam.Release{IP: block.Addr()})
	must.NoError(t, released)
	missing := c.Store().Do(r)
	must.Eq(t, Missing, missing.Result)
	p.Answer(missing)
	must.NoError(t, alone.AssignIP(take))
	run(c, p, toTheEnd)

	must.NoError(t, err)
	_, err = alone.IPsByHandle("h")
	must.ErrorIs(t, err, codes.DoesNotExist)
	held, err := alone.GetAssignmentAttributes(block.Addr())
	must.NoError(t, err)
	must.Eq(t, "h", held.Handle)
}
