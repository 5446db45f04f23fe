package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
)

// forgetful is an engine to which no handle has an address.
type forgetful struct{ Engine }

func (f forgetful) AutoAssignInto(args *ipam.AutoAssignArgs, v4, v6 *ipam.Assignment) error {
	of := *args
	of.MaxAllocPerHandle = 0
	return f.Engine.AutoAssignInto(&of, v4, v6)
}

// TestMachines: virtual machines keep their addresses over restarts, evictions and the end
// of their nodes, and give them back when they are deleted.
func TestMachines(t *testing.T) {
	minute := func(n int) Duration { return Duration(time.Duration(n) * time.Minute) }
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28, Group: Group{Nodes: 3},
		PodGroups: []PodGroup{{Name: "vm", PodsPerNode: 4, VirtualMachines: true}, {Name: "web", PodsPerNode: 2}},
		Cleaner:   new(Cleaner), For: minute(120),
		Events: []Event{
			{At: minute(1), Do: drainNodes, Nodes: []string{"node-0"}},
			{At: minute(2), Do: interruptNodes, Nodes: []string{"node-1"}},
			{At: minute(90), Do: scalePods, Pods: 5, PodGroup: "vm"},
		},
	}
	o := Options{Samples: 10, Map: true, PerNode: true}
	r, err := begin(s, o)
	must.NoError(t, err)
	// Of node-0 four move, and of node-1 the four that it had and two of those.
	res := r.finish()
	must.Eq(t, 10, res.Kept)
	must.Eq(t, 10, res.Moved, must.Sprint("into blocks of others"))
	must.Zero(t, res.Borrowed+res.Refused()+res.Unheld)
	must.Eq(t, 5, r.groups.counts[0].running)
	_, err = consistent(s, o)
	must.NoError(t, err)

	// Each of those left has one address, its handle, and the attributes of its pod.
	machines := 0
	for _, b := range r.engine.State().Blocks {
		for _, a := range b.Allocations {
			if vm, is := a.Active.Get(ipam.AttrVMI); is {
				machines++
				pod, _ := a.Active.Get(ipam.AttrPod)
				must.Eq(t, "k8s-pod-network.default."+vm, a.Handle)
				must.True(t, strings.HasPrefix(pod, "virt-launcher-"+vm+"-"), must.Sprint(pod))
				must.Zero(t, a.Alternate.Len())
			}
		}
	}
	must.Eq(t, 5, machines)

	// Pods that restart get others; machines do not.
	s.Events = []Event{{At: minute(1), Do: replacePods, Count: 18}}
	addresses := make(map[netip.Addr]bool)
	o.Each = func(m *Moment) {
		if m.Group == "vm" {
			addresses[m.Address] = true
		}
	}
	_, err = Run(s, o)
	must.NoError(t, err)
	must.MapLen(t, 12, addresses)
}

// TestMachinesRefused: a node that may have no more blocks, and no room in those, takes no
// machine, which then waits and keeps what it had.
func TestMachinesRefused(t *testing.T) {
	s := Scenario{
		Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 30, Group: Group{Nodes: 2},
		PodGroups:      []PodGroup{{Name: "vm", PodsPerNode: 4, VirtualMachines: true}},
		StrictAffinity: true, MaxBlocksPerHost: 1, RetryEvery: Duration(time.Minute), For: Duration(10 * time.Minute),
		Events: []Event{{At: Duration(time.Second), Do: drainNodes, Nodes: []string{"node-0"}}},
	}
	res, err := consistent(s, Options{Samples: 3, Map: true, PerNode: true})
	must.NoError(t, err)
	must.Eq(t, 4, res.Waiting)
	must.Eq(t, 4, res.Unheld, must.Sprint("they are the machines'"))
	must.Zero(t, res.Released)
	s.Events = append(s.Events, Event{At: Duration(2 * time.Minute), Do: scalePods, PodGroup: "vm"})
	res, err = Run(s, Options{})
	must.NoError(t, err)
	must.Zero(t, res.Unheld+res.Waiting)
	must.Eq(t, 8, res.Released)

	s.Calico = "v3.31"
	must.ErrorContains(t, s.Validate(), "podGroups[0].virtualMachines true: Calico v3.31 lets no machine keep its address; v3.32 is the first release that does")
}
