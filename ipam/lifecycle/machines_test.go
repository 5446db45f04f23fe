package lifecycle

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// giveMachine gives an address to a virtual machine on n1.
func giveMachine(t *testing.T, c *Cluster, machine string) netip.Addr {
	t.Helper()
	attrs := block.MakeAttrs(map[string]string{ipam.AttrPod: "p", ipam.AttrNamespace: "ns", ipam.AttrNode: "n1", ipam.AttrVMI: machine})
	v4, _, err := c.Allocator().AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 1, Handle: "h", Attrs: attrs, Use: pool.Workload})
	must.NoError(t, err)
	return v4.IPs[0].Addr()
}

// TestMachineWaits: addresses of virtual machines wait for five minutes at least,
// without a grace period too.
func TestMachineWaits(t *testing.T) {
	for grace, wait := range map[time.Duration]time.Duration{0: 5 * time.Minute, time.Minute: 5 * time.Minute, 10 * time.Minute: 10 * time.Minute} {
		c, k, clock := small(t, Policy{GracePeriod: grace})
		c.SetKubeVirt(true)
		ip := giveMachine(t, c, "vm")
		must.NoError(t, c.SetPod(Pod{PodName: PodName{"ns", "p"}, Node: "n1", IPs: []netip.Addr{ip}}), must.Sprint("the pod does not count"))
		must.SliceEmpty(t, k.Sync(true).ReleasedIPs)
		clock.Advance(wait - time.Second)
		must.SliceEmpty(t, k.Sync(true).ReleasedIPs)
		clock.Advance(time.Second)
		must.Len(t, 1, k.Sync(true).ReleasedIPs)
	}
}

// TestMachineHolds: which addresses stay, by what KubeVirt lists (§12, "A scan",
// 2).
func TestMachineHolds(t *testing.T) {
	name, other := MachineName{"ns", "vm"}, MachineName{"other", "vm"}
	for what, c := range map[string]struct {
		attr string
		list func(*Cluster)
		kept bool
	}{
		"KubeVirt does not run":       {"vm", func(c *Cluster) { c.SetKubeVirt(false) }, true},
		"an empty name":               {"", func(*Cluster) {}, true},
		"nothing":                     {"vm", func(*Cluster) {}, false},
		"a machine":                   {"vm", func(c *Cluster) { succeed(c.SetMachine(name)) }, true},
		"a machine elsewhere":         {"vm", func(c *Cluster) { succeed(c.SetMachine(other)) }, false},
		"an instance":                 {"vm", func(c *Cluster) { succeed(c.SetInstance(name, false)) }, true},
		"an instance elsewhere":       {"vm", func(c *Cluster) { succeed(c.SetInstance(other, false)) }, false},
		"an instance that was one's":  {"vm", func(c *Cluster) { succeed(c.SetInstance(name, true)) }, false},
		"a machine and its instance":  {"vm", func(c *Cluster) { succeed(c.SetMachine(name)); succeed(c.SetInstance(name, true)) }, true},
		"a machine that was deleted":  {"vm", func(c *Cluster) { succeed(c.SetMachine(name)); c.DeleteMachine(name) }, false},
		"an instance that is deleted": {"vm", func(c *Cluster) { succeed(c.SetInstance(name, false)); c.DeleteInstance(name) }, false},
	} {
		t.Run(what, func(t *testing.T) {
			cluster, k, _ := small(t, Policy{GracePeriod: time.Minute})
			cluster.SetKubeVirt(true)
			c.list(cluster)
			giveMachine(t, cluster, c.attr)
			cluster.DeleteNode("n1")
			released := k.Sync(false)
			if c.kept {
				must.Eq(t, Result{}, released, must.Sprint("the node is not cleaned either"))
			} else {
				must.Len(t, 1, released.ReleasedIPs, must.Sprint("at once, for the node is gone"))
				must.Len(t, 1, released.ReleasedBlocks)
			}
		})
	}
}

// TestMachineLastLook: a machine that comes back before its address went keeps it.
func TestMachineLastLook(t *testing.T) {
	c, k, clock := small(t, Policy{GracePeriod: 5 * time.Minute})
	c.SetKubeVirt(true)
	giveMachine(t, c, "vm")
	sibling := giveSibling(t, c)
	k.Sync(true)
	clock.Advance(5 * time.Minute)
	must.True(t, k.Sync(true).WorkRemaining, must.Sprint("vm's address is a leak, the other of its handle is not"))
	must.NoError(t, c.SetMachine(MachineName{"ns", "vm"}))
	c.DeletePod(sibling)
	must.Eq(t, Result{}, k.Sync(false))
}

// giveSibling gives the handle h one more address, for a pod on n2.
func giveSibling(t *testing.T, c *Cluster) PodName {
	t.Helper()
	attrs := block.MakeAttrs(map[string]string{ipam.AttrPod: "sibling", ipam.AttrNamespace: "ns", ipam.AttrNode: "n2"})
	v4, _, err := c.Allocator().AutoAssign(ipam.AutoAssignArgs{Host: "n2", Num4: 1, Handle: "h", Attrs: attrs, Use: pool.Workload})
	must.NoError(t, err)
	name := PodName{"ns", "sibling"}
	must.NoError(t, c.SetPod(Pod{PodName: name, Node: "n2", IPs: []netip.Addr{v4.IPs[0].Addr()}}))
	return name
}

func TestBadMachines(t *testing.T) {
	c := NewCluster(ipam.New(ipam.Options{}))
	for _, name := range []MachineName{{"", "vm"}, {"ns", ""}} {
		must.ErrorIs(t, c.SetMachine(name), ErrInvalid)
		must.ErrorIs(t, c.SetInstance(name, false), ErrInvalid)
	}
	name := MachineName{"ns", "vm"}
	must.ErrorContains(t, c.SetMachine(MachineName{Name: "vm"}), `"/vm"`)
	must.NoError(t, c.SetMachine(name))
	must.True(t, c.DeleteMachine(name))
	must.False(t, c.DeleteMachine(name))
	must.NoError(t, c.SetInstance(name, true))
	must.True(t, c.DeleteInstance(name))
	must.False(t, c.DeleteInstance(name))
}
