package sim

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"os"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// TestPlan runs every scenario of the recordings and compares every field but
// the datastore calls, which this allocator does not make.
func TestPlan(t *testing.T) {
	property.Slow(t)
	f, err := os.Open("../../testdata/plan.jsonl")
	must.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	scenarios := 0
	for lines.Scan() {
		var s Scenario
		var want Result
		must.NoError(t, json.Unmarshal(lines.Bytes(), &s))
		must.NoError(t, json.Unmarshal(lines.Bytes(), &want))
		got, err := Run(s, Options{})
		must.NoError(t, err)
		must.Eq(t, want.Totals, got.Totals, must.Sprintf("%s /%d", s.Name, s.BlockSize))
		scenarios++
	}
	must.NoError(t, lines.Err())
	must.Eq(t, 12, scenarios)
}

func TestInvalid(t *testing.T) {
	good := Scenario{Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28, Group: Group{Nodes: 1, NodeFormat: "n%d", PodsPerNode: 1}, Order: roundRobin}
	_, err := Run(good, Options{})
	must.NoError(t, err)
	for name, spoil := range map[string]func(*Scenario){
		"no nodes":       func(s *Scenario) { s.Nodes = 0 },
		"negative pods":  func(s *Scenario) { s.PodsPerNode = -1 },
		"unknown order":  func(s *Scenario) { s.Order = "backwards" },
		"no %d":          func(s *Scenario) { s.NodeFormat = "node" },
		"other verbs":    func(s *Scenario) { s.NodeFormat = "node-%d-%s" },
		"IPv6 pool":      func(s *Scenario) { s.Pool = netip.MustParsePrefix("fd00::/64") },
		"no pool at all": func(s *Scenario) { s.Pool = netip.Prefix{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			spoil(&s)
			_, err := Run(s, Options{})
			must.ErrorIs(t, err, ErrInvalid)
		})
	}
}

// TestEmptyHandles: before v3.33 a release of several addresses in one block leaves
// handles behind.
func TestEmptyHandles(t *testing.T) {
	for v, want := range map[calico.Version]int{calico.V3(31): 1, calico.V3(33): 0} {
		a := ipam.New(ipam.Options{Calico: v})
		must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24")}))
		must.NoError(t, a.SetNode(ipam.Node{Name: "n"}))
		for _, id := range []string{"two", "One"} {
			_, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 2, Handle: id, Use: pool.Workload})
			must.NoError(t, err)
		}
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "n", Num4: 2, Handle: "gone", Use: pool.Workload})
		must.NoError(t, err)
		_, _, err = a.ReleaseIPs(ipam.Release{IP: v4.IPs[0].Addr()}, ipam.Release{IP: v4.IPs[1].Addr()})
		must.NoError(t, err)
		must.Eq(t, want, emptyHandles(a.State()), must.Sprintf("%s", v))
	}
}
