package sim

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// This file is KubeVirt's part: pods that are virtual machines. The machine has a handle
// of its own, which may have one address (§7), so that each pod in which it starts gets the
// address that the one before it had, on whatever node. While it moves, two pods have it;
// then the new one becomes its active owner (§9).

// machine is what only a virtual machine has, beside what a named pod has.
type machine struct {
	name   lifecycle.MachineName
	starts int
	parked netip.Addr // its address while no pod of it has it; invalid otherwise
	ended  bool
}

// isMachine reports whether the pod is one of a virtual machine's.
func (p *pod) isMachine() bool { return p.named != nil && p.named.machine != nil }

// hasMachines reports whether a pod group is of virtual machines.
func (s *Scenario) hasMachines() bool {
	return slices.ContainsFunc(s.PodGroups, func(g PodGroup) bool { return g.VirtualMachines })
}

// makeMachine makes a new pod of the group one of a new virtual machine.
func (r *runner) makeMachine(p *pod) {
	g := &r.scenario.PodGroups[p.group-1]
	r.machines++
	m := &machine{name: lifecycle.MachineName{Namespace: g.namespace(), Name: g.Name + "-" + strconv.Itoa(r.machines)}}
	p.named = &named{machine: m}
	if !r.anonymous {
		p.handle = r.handle(podHandle, m.name.Namespace, ".", m.name.Name)
	}
	if r.cluster != nil {
		_ = r.cluster.SetMachine(m.name) // it has a name
	}
}

// launch gives the virtual machine of a pod its next pod.
func (p *pod) launch() {
	m := p.named.machine
	m.starts++
	p.named.name = lifecycle.PodName{Namespace: m.name.Namespace, Name: "virt-launcher-" + m.name.Name + "-" + strconv.Itoa(m.starts)}
}

// park keeps the address of a virtual machine whose pod ends.
func (r *runner) park(p *pod, ip netip.Addr) {
	p.named.machine.parked = ip
	r.abandon(ip)
}

// keeps reports whether an address is the one that the pod's virtual machine had, and
// makes the pod its owner.
func (r *runner) keeps(n *node, p *pod, ip netip.Addr) bool {
	if !p.isMachine() || p.named.machine.parked != ip {
		return false
	}
	p.named.machine.parked = netip.Addr{}
	r.settle(ip)
	owner := ipam.OwnerUpdate{Alternate: r.machineAttrs(n, p)}
	_ = r.engine.SetOwnerAttributes(ip, p.handle, owner, ipam.OwnerPreconditions{}) // it is the handle's
	owner = ipam.OwnerUpdate{Active: owner.Alternate, ClearAlternate: true}
	_ = r.engine.SetOwnerAttributes(ip, p.handle, owner, ipam.OwnerPreconditions{})
	return true
}

// machineAttrs returns the attributes of a virtual machine's address.
func (r *runner) machineAttrs(n *node, p *pod) block.Attrs {
	name := r.nameOf(p)
	return block.MakeAttrs(map[string]string{
		ipam.AttrNode: n.name, ipam.AttrPod: name.Name, ipam.AttrNamespace: name.Namespace, ipam.AttrVMI: p.named.machine.name.Name,
	})
}

// delete ends a virtual machine. Its pod ends after it, if it has one.
func (r *runner) delete(p *pod, told bool) {
	m := p.named.machine
	m.ended = true
	if r.cluster != nil {
		r.cluster.DeleteMachine(m.name)
		r.cleaner.changed = true
	}
	if ip := m.parked; ip.IsValid() && told && r.engine.ReleaseByHandle(p.handle) == nil {
		m.parked = netip.Addr{}
		r.moves++
		r.settle(ip)
		r.result.Released++
		r.givenBack(ip)
	}
}
