package ipam_test

import (
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// TestWindows: §10, while affinity is not strict, every operation that reads the
// configuration refuses a client on Windows; with strict affinity the client is
// like any other.
func TestWindows(t *testing.T) {
	reserve := &ipam.HostReservation{StartOfBlock: 1, Handle: "windows-reserved-ipam-handle"}
	for name, do := range map[string]func(c *cluster) error{
		"AutoAssign": func(c *cluster) error {
			_, _, err := c.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Use: pool.Workload, Windows: true})
			return err
		},
		"AssignIP": func(c *cluster) error {
			return c.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.9"), Host: "n1", Windows: true})
		},
		"EnsureBlock": func(c *cluster) error {
			_, _, err := c.EnsureBlock(ipam.EnsureBlockArgs{Host: "n1", HostReserved4: reserve, Windows: true})
			return err
		},
		"ReleaseIPs": func(c *cluster) error {
			_, _, err := c.ReleaseIPs(ipam.Release{IP: addr("10.0.0.2")}, ipam.Release{IP: addr("10.0.0.1"), Windows: true})
			return err
		},
		"ReleaseIP": func(c *cluster) error {
			_, err := c.ReleaseIP(ipam.Release{IP: addr("10.0.0.1"), Windows: true})
			return err
		},
	} {
		c := newCluster(t, smallPools, "n1")
		c.take("10.0.0.1", "n1", "h")
		was := c.State()
		err := do(c)
		must.ErrorIs(t, err, codes.StrictAffinityRequired, must.Sprint(name))
		must.Eq(t, codes.StrictAffinityRequired, codes.Of(err))
		must.Eq(t, was, c.State(), must.Sprint(name))

		c.configure(ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true})
		must.NoError(t, do(c), must.Sprint(name))
	}
}

// TestWindowsOfOlderReleases: until v3.32 releases did not read the configuration, and
// AutoAssign not before the node.
func TestWindowsOfOlderReleases(t *testing.T) {
	ask := ipam.AutoAssignArgs{Host: "nobody", Num4: 1, Use: pool.Workload, Windows: true}
	for v, want := range map[calico.Version]error{calico.V3(32): codes.DoesNotExist, calico.V3(33): codes.StrictAffinityRequired} {
		a := ipam.New(ipam.Options{Calico: v})
		for _, s := range smallPools {
			must.NoError(t, a.SetPool(s))
		}
		must.NoError(t, a.SetNode(ipam.Node{Name: "n1"}))
		must.NoError(t, a.AssignIP(ipam.AssignIPArgs{IP: addr("10.0.0.1"), Host: "n1"}))
		_, _, err := a.AutoAssign(ask)
		must.ErrorIs(t, err, want, must.Sprintf("%s", v))
		known := ask
		known.Host = "n1"
		_, _, err = a.AutoAssign(known)
		must.ErrorIs(t, err, codes.StrictAffinityRequired, must.Sprintf("%s", v))
		_, _, err = a.ReleaseIPs(ipam.Release{IP: addr("10.0.0.1"), Windows: true})
		must.Eq(t, v == calico.V3(32), err == nil, must.Sprintf("%s: %v", v, err))
		must.NoError(t, a.Check())
	}
}
