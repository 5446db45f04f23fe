package protocol

import (
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// upTo runs a program up to the first request of that verb and key, and does
// something else before that request.
func upTo(c *Cluster, verb Verb, key Key, program func(*Client), meanwhile func(alone *Client)) {
	p := Start(func(access Access) { program(c.Client(access, nil)) })
	for {
		r, waiting := p.Request()
		if !waiting {
			return
		}
		if r.Verb == verb && r.Key == key && meanwhile != nil {
			meanwhile(c.Client(nil, nil))
			meanwhile = nil
		}
		p.Answer(c.Store().Do(r))
	}
}

// Releasing affinity when something else happens before its update or delete of
// the block. A missing object means that there is nothing more to do; after a
// conflict all but ReleaseBlockAffinity try again (§15).
func TestReleaseAffinityMeanwhile(t *testing.T) {
	n := affinity.HostOwner("n")
	first := netip.MustParsePrefix("10.0.0.0/30")
	take := func(c *Client) {
		must.NoError(t, c.AssignIP(ipam.AssignIPArgs{IP: first.Addr().Next(), Host: "n"}))
	}
	drop := func(c *Client) { must.True(t, c.DropBlock(first)) }
	for _, how := range []struct {
		name    string
		release func(c *Client) error
		once    bool
	}{
		{"ReleaseAffinity", func(c *Client) error { return c.ReleaseAffinity(first, n, false) }, false},
		{"ReleaseHostAffinities", func(c *Client) error { return c.ReleaseHostAffinities(n, false) }, false},
		{"ReleasePoolAffinities", func(c *Client) error { return c.ReleasePoolAffinities(first) }, false},
		{"RemoveIPAMHost", func(c *Client) error { return c.RemoveIPAMHost(n) }, false},
		{"ReleaseBlockAffinity", func(c *Client) error { return c.ReleaseBlockAffinity(first, false) }, true},
	} {
		for _, when := range []struct {
			name      string
			verb      Verb
			inUse     bool
			meanwhile func(*Client)
			conflict  bool
			left      affinity.State // of the affinity
		}{
			{"another takes an address", Update, true, take, true, affinity.None},
			{"another takes the first address", Delete, false, take, true, affinity.None},
			{"another deletes the block in use", Update, true, drop, false, affinity.PendingDeletion},
			{"another deletes the empty block", Delete, false, drop, false, affinity.None},
		} {
			t.Run(how.name+", "+when.name, func(t *testing.T) {
				c := cluster(t, "n")
				alone := c.Client(nil, nil)
				_, _, err := alone.ClaimAffinity(first, n)
				must.NoError(t, err)
				if when.inUse {
					must.NoError(t, alone.AssignIP(ipam.AssignIPArgs{IP: first.Addr(), Host: "n"}))
				}
				upTo(c, when.verb, blockKey(first), func(c *Client) { err = how.release(c) }, when.meanwhile)
				left := when.left
				if how.once && when.conflict {
					must.ErrorIs(t, err, codes.Conflict)
					must.Eq(t, codes.Conflict, codes.Of(err))
					left = affinity.PendingDeletion
				} else {
					must.NoError(t, err)
				}
				state := affinity.None
				for _, a := range c.State().Affinities {
					state = a.State
				}
				must.Eq(t, left, state)
			})
		}
	}
}

// A stale affinity that another client writes before its deletion stays, and still
// counts as stale: no error.
func TestStaleAffinityBestEffort(t *testing.T) {
	c := cluster(t, "n", "m")
	alone := c.Client(nil, nil)
	n, m := affinity.HostOwner("n"), affinity.HostOwner("m")
	first := netip.MustParsePrefix("10.0.0.0/30")
	_, _, err := alone.ClaimAffinity(first, m)
	must.NoError(t, err)
	must.NoError(t, alone.PutAffinity(n, first, affinity.Pending))
	upTo(c, Delete, affinityKey(n, first), func(c *Client) { err = c.ReleaseHostAffinities(n, true) }, func(c *Client) {
		must.NoError(t, c.PutAffinity(n, first, affinity.Confirmed))
	})
	must.NoError(t, err)
	must.Eq(t, 1, c.Store().Counts().Conflicts, must.Sprint("no second try"))
	must.Len(t, 2, c.State().Affinities)
}

// A host and a virtual owner of one name have one affinity object for a block,
// which is listed for the one that made it.
func TestNamesakes(t *testing.T) {
	host, virtual := affinity.HostOwner("n"), affinity.VirtualOwner("n")
	first := netip.MustParsePrefix("10.0.0.0/30")
	c := cluster(t, "n")
	alone := c.Client(nil, nil)
	s := c.Store()
	must.NoError(t, alone.PutAffinity(host, first, affinity.Pending))
	must.Eq(t, s.Look(affinityKey(host, first)), s.Look(affinityKey(virtual, first)))
	must.Len(t, 1, s.LookList(OwnerKey(host, true)))
	must.SliceEmpty(t, s.LookList(OwnerKey(virtual, true)))

	// A claim finishes the claim of the owner with the same name, and the object
	// stays that owner's.
	claimed, _, err := alone.ClaimAffinity(first, virtual)
	must.NoError(t, err)
	must.Eq(t, []netip.Prefix{first}, claimed)
	_, owner, _ := c.BlockOf(first.Addr())
	must.Eq(t, virtual, owner)
	must.Eq(t, host, c.State().Affinities[0].Owner)
	must.Eq(t, affinity.Confirmed, c.State().Affinities[0].State)

	// To the host the block has another owner, so it deletes the object, the only
	// one.
	_, failed, err := alone.ClaimAffinity(first, host)
	must.NoError(t, err)
	must.Eq(t, []netip.Prefix{first}, failed)
	must.SliceEmpty(t, c.State().Affinities)

	// A raw edit of the object changes the type.
	must.NoError(t, alone.PutAffinity(host, first, affinity.Pending))
	must.NoError(t, alone.PutAffinity(virtual, first, affinity.Pending))
	must.Len(t, 1, s.LookList(AffinitiesKey))
	must.SliceEmpty(t, s.LookList(OwnerKey(host, true)))
	must.True(t, alone.DropAffinity(host, first))
	must.SliceEmpty(t, s.LookList(AffinitiesKey))
}

// On Windows an operation ends after it has read the configuration, without a
// write, unless affinity is strict (§10).
func TestWindows(t *testing.T) {
	ip := netip.MustParseAddr("10.0.0.1")
	reserve := &ipam.HostReservation{StartOfBlock: 1, Handle: block.HostReservedHandle}
	for name, do := range map[string]func(*Client) error{
		"AutoAssign": func(c *Client) error {
			_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 1, Use: pool.Workload, Windows: true})
			return err
		},
		"AssignIP": func(c *Client) error { return c.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n", Windows: true}) },
		"EnsureBlock": func(c *Client) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n", HostReserved4: reserve, Windows: true})
			return err
		},
		"ReleaseIPs": func(c *Client) error {
			_, _, err := c.ReleaseIPs(ipam.Release{IP: ip}, ipam.Release{IP: ip.Next(), Windows: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t, "n")
			w := &watched{Store: c.Store()}
			must.ErrorIs(t, do(c.Client(w, nil)), codes.StrictAffinityRequired)
			must.Eq(t, []string{"get config missing"}, w.calls)
			must.NoError(t, c.Client(nil, nil).SetIPAMConfig(ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true}))
			must.NoError(t, do(c.Client(w, nil)))
		})
	}
}
