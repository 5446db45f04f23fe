package sim

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// TestFamilies: a dual stack is two scenarios, each of which gives every pod what a
// request for both families gives it.
func TestFamilies(t *testing.T) {
	f, err := os.Open("../../testdata/field/13-plan-dual-stack.yaml")
	must.NoError(t, err)
	defer f.Close()
	entries, err := Read("x", f)
	must.NoError(t, err)
	must.Len(t, 2, entries)
	must.Eq(t, "dual stack (IPv4)", entries[0].Name)
	must.Eq(t, "dual stack (IPv6)", entries[1].Name)

	var apart [2][]netip.Addr
	for k := range entries {
		_, err := Run(entries[k].Scenario, Options{Each: func(m *Moment) { apart[k] = append(apart[k], m.Address) }})
		must.NoError(t, err)
	}
	a := ipam.New(ipam.Options{Now: ipam.NewClock(start).Now})
	for k := range entries {
		must.NoError(t, a.SetPool(entries[k].Pools[0].spec()))
	}
	for n := range entries[0].Nodes {
		must.NoError(t, a.SetNode(ipam.Node{Name: fmt.Sprintf("node-%d", n)}))
	}
	var both [2][]netip.Addr
	for p := range entries[0].PodsPerNode {
		for n := range entries[0].Nodes {
			v4, v6, err := a.AutoAssign(ipam.AutoAssignArgs{Host: fmt.Sprintf("node-%d", n), Num4: 1, Num6: 1, Handle: fmt.Sprint(n, "-", p), Use: pool.Workload})
			must.NoError(t, err)
			both[0], both[1] = append(both[0], v4.IPs[0].Addr()), append(both[1], v6.IPs[0].Addr())
		}
	}
	must.Eq(t, both, apart)
}

// TestFamiliesOfEvents: each family has its own pools and addresses, and a fault is
// told where it stands in the file.
func TestFamiliesOfEvents(t *testing.T) {
	const text = `pools:
- {name: six, cidr: "fd00::/112"}
- {name: four, cidr: 10.0.0.0/24}
nodes: 2
podsPerNode: 1
events:
- {at: 1m, do: add-pool, pool: {name: more, cidr: 10.1.0.0/24}}
- {at: 2m, do: disable-pool, pool: {name: six}}
- {at: 3m, do: start-pod, pod: x/y, nodes: [node-0], address: 10.0.0.200}
- {at: 4m, do: set-cooldown, seconds: 5}
`
	entries, err := Read("x", strings.NewReader(text))
	must.NoError(t, err)
	must.Eq(t, "(IPv4)", entries[0].Name)
	must.Len(t, 3, entries[0].Events)
	must.Len(t, 3, entries[1].Events)
	must.Eq(t, disablePool, entries[1].Events[0].Do)
	must.True(t, entries[0].Events[1].Address.IsValid())
	must.False(t, entries[1].Events[1].Address.IsValid())

	for old, c := range map[string][2]string{
		"cidr: 10.0.0.0/24":  {"cidr: 10.0.0.1/24", "x:3: pools[1].cidr 10.0.0.1/24"},
		"seconds: 5":         {"seconds: 5000", "x:10: events[3].seconds 5000"},
		`cidr: "fd00::/112"`: {`cidr: "fd00::1/112"`, "x:2: pools[0].cidr fd00::1/112"},
		"podsPerNode: 1":     {"podsPerNode: 1\nassigned: 3", "x:6: assigned: no result that can be compared"},
		"name: four":         {"name: six", `x:3: pools[1].name "six": is another pool's too`},
	} {
		_, err := Read("x", strings.NewReader(strings.Replace(text, old, c[0], 1)))
		must.ErrorContains(t, err, c[1])
	}
}
