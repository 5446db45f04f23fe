package lifecycle

import "fmt"

// This file is KubeVirt's part of a cluster. An address with the attribute vmi-name
// belongs to a virtual machine, which keeps it while its pods come and go. So the
// controller looks for the machine and not for the pod (§12, "A scan", 2).

// MachineName names a virtual machine, or an instance of one.
type MachineName struct{ Namespace, Name string }

// String returns namespace/name.
func (n MachineName) String() string { return n.Namespace + "/" + n.Name }

// validate returns what is wrong with the name, if anything.
func (n MachineName) validate() error {
	if n.Namespace == "" || n.Name == "" {
		return fmt.Errorf("%w: virtual machine %q without a name or namespace", ErrInvalid, n)
	}
	return nil
}

// machines is what KubeVirt lists.
type machines struct {
	runs      bool
	machines  map[MachineName]struct{}
	instances map[MachineName]bool // whether a machine owns it
}

func makeMachines() machines {
	return machines{machines: make(map[MachineName]struct{}), instances: make(map[MachineName]bool)}
}

// hold reports whether the machine of that name holds its addresses.
func (m *machines) hold(namespace, name string) bool {
	if !m.runs || namespace == "" || name == "" {
		return true // it cannot be found out
	}
	id := MachineName{namespace, name}
	if _, exists := m.machines[id]; exists {
		return true
	}
	owned, exists := m.instances[id]
	return exists && !owned // an instance of a machine does not count
}

// SetKubeVirt says whether KubeVirt runs in the cluster; at first it does not.
// Without KubeVirt no address of a virtual machine ever counts as leaked.
func (c *Cluster) SetKubeVirt(runs bool) { c.machines.runs = runs }

// SetMachine adds a virtual machine (a VirtualMachine of KubeVirt), running or not.
// An empty name or namespace matches [ErrInvalid].
func (c *Cluster) SetMachine(name MachineName) error {
	if err := name.validate(); err != nil {
		return err
	}
	c.machines.machines[name] = struct{}{}
	return nil
}

// DeleteMachine deletes a virtual machine and reports whether there was one.
func (c *Cluster) DeleteMachine(name MachineName) bool {
	_, existed := c.machines.machines[name]
	delete(c.machines.machines, name)
	return existed
}

// SetInstance adds an instance of a virtual machine (a VirtualMachineInstance), or
// replaces the one of its name. An instance owned by a machine holds no address:
// the machine does. An empty name or namespace matches [ErrInvalid].
func (c *Cluster) SetInstance(name MachineName, owned bool) error {
	if err := name.validate(); err != nil {
		return err
	}
	c.machines.instances[name] = owned
	return nil
}

// DeleteInstance deletes an instance and reports whether there was one.
func (c *Cluster) DeleteInstance(name MachineName) bool {
	_, existed := c.machines.instances[name]
	delete(c.machines.instances, name)
	return existed
}
