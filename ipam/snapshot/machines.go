package snapshot

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// This file reads KubeVirt's virtual machines, which hold addresses while their pods come
// and go (§12, "A scan", 2).

// kubeVirt is what the resources tell of virtual machines, as [Snapshot] has it. A map is
// also nil where an object of its kind cannot be read.
type kubeVirt struct {
	Machines, Instances, Moving map[string]bool

	namespaces map[string]bool // of the machines and instances
}

// The API groups of KubeVirt, and its kinds.
const (
	groupKubeVirt    = "kubevirt.io/v1"
	groupKubeVirtOld = "kubevirt.io/v1alpha3"

	kindMachine   = "VirtualMachine"
	kindInstance  = "VirtualMachineInstance"
	kindMigration = "VirtualMachineInstanceMigration"
)

// machineCommand prints all of them.
const machineCommand = "kubectl get virtualmachines,virtualmachineinstances,virtualmachineinstancemigrations -A -o yaml"

// kubeVirt keeps an object of KubeVirt, or the list of one kind.
func (l *Loader) kubeVirt(kind, name string, value bool) {
	var m *map[string]bool
	switch kind {
	case kindMachine:
		m = &l.machines.Machines
	case kindInstance:
		m = &l.machines.Instances
	case kindMigration:
		m = &l.machines.Moving
	default:
		return
	}
	if *m == nil {
		*m = make(map[string]bool)
	}
	if name != "" {
		(*m)[name] = (*m)[name] || value
	}
}

// fullName returns the object's namespace and name, or reports that one is missing.
func (o *object) fullName() (string, bool) {
	namespace := o.label("metadata.namespace", o.Metadata.Namespace)
	if o.bad {
		return "", false
	}
	if namespace == "" || o.name == "" {
		o.wrong("metadata", "a virtual machine has a name and a namespace")
		return "", false
	}
	return namespace + "/" + o.name, true
}

func (o *object) machine() {
	if name, ok := o.fullName(); ok {
		o.l.kubeVirt(kindMachine, name, true)
	}
}

func (o *object) instance() {
	if name, ok := o.fullName(); ok {
		o.l.kubeVirt(kindInstance, name, o.owner(kindMachine) != "")
	}
}

func (o *object) migration() {
	var spec struct {
		Instance word `json:"vmiName"`
	}
	var status struct {
		Phase word `json:"phase"`
	}
	loose(o.Spec, &spec)
	loose(o.Status, &status)
	if name, ok := o.fullName(); ok && spec.Instance != "" {
		namespace, _, _ := strings.Cut(name, "/")
		o.l.kubeVirt(kindMigration, namespace+"/"+string(spec.Instance), status.Phase != "Succeeded" && status.Phase != "Failed")
	}
}

// owner returns the name of the object's owner of that kind, or "".
func (o *object) owner(kind string) string {
	if !bytes.Contains(o.Metadata.Owners, []byte(`"`+kind+`"`)) {
		return ""
	}
	var owners []struct {
		Kind word `json:"kind"`
		Name word `json:"name"`
	}
	loose(o.Metadata.Owners, &owners)
	for _, owner := range owners {
		if string(owner.Kind) == kind {
			return string(owner.Name)
		}
	}
	return ""
}

// machineOf returns the virtual machine that the pod runs, or "".
func (o *object) machineOf() string {
	if name := o.owner(kindInstance); name != "" {
		return name
	}
	return o.Metadata.Labels.value[machineLabel]
}

// machineLabel is the label of a pod that names its virtual machine.
const machineLabel = "vm.kubevirt.io/name"

// knownMachines returns what is told of virtual machines in full: nothing of a kind of which an
// object cannot be read.
func (s *Snapshot) knownMachines() kubeVirt {
	k := kubeVirt{s.Machines, s.Instances, s.Moving, make(map[string]bool)}
	for _, p := range s.Problems {
		if p.Harmless || p.Kind != kindUnreadable {
			continue
		}
		switch kind, _, _ := strings.Cut(p.Object, " "); kind {
		case kindMachine:
			k.Machines = nil
		case kindInstance:
			k.Instances = nil
		case kindMigration:
			k.Moving = nil
		case "":
			return kubeVirt{}
		}
	}
	for _, m := range []map[string]bool{k.Machines, k.Instances} {
		for full := range m {
			namespace, _, _ := strings.Cut(full, "/")
			k.namespaces[namespace] = true
		}
	}
	return k
}

// seesNamespace reports whether the virtual machines of a namespace are all there. Where
// all are of one, probably nobody asked for the others.
func (k *kubeVirt) seesNamespace(name string) bool {
	return len(k.namespaces) != 1 || k.namespaces[name]
}

// AddMachines tells the cluster that a controller looks at which virtual machines there
// are. Where the resources do not tell all of it, no machine counts as gone: its
// addresses are kept.
func (s *Snapshot) AddMachines(cluster *lifecycle.Cluster) {
	k := s.knownMachines()
	if k.Machines == nil || k.Instances == nil {
		return // as if KubeVirt did not run: nothing of it is released
	}
	cluster.SetKubeVirt(true)
	name := func(full string) lifecycle.MachineName {
		namespace, name, _ := strings.Cut(full, "/")
		return lifecycle.MachineName{Namespace: namespace, Name: name}
	}
	for _, full := range sortedKeys(k.Machines) {
		_ = cluster.SetMachine(name(full)) // all have names
	}
	for _, full := range sortedKeys(k.Instances) {
		_ = cluster.SetInstance(name(full), k.Instances[full])
	}
	for i := range s.Cluster.Blocks {
		for _, al := range s.Cluster.Blocks[i].Allocations {
			if of, is := machineOf(al.Active); is && !k.seesNamespace(of.Namespace) {
				_ = cluster.SetMachine(of) // one without a name is nobody's
			}
		}
	}
}

// machineOf returns the virtual machine that attributes name.
func machineOf(attrs block.Attrs) (of lifecycle.MachineName, is bool) {
	of.Name, is = attrs.Get(ipam.AttrVMI)
	of.Namespace, _ = attrs.Get(ipam.AttrNamespace)
	return of, is
}

// judgesMachines reports whether the cluster's controller asks for virtual machines, and
// not for their pods.
func (c *checker) judgesMachines() bool { return c.s.Calico.Rules().JudgesMachines }

// judgeMachine decides whether an address of a virtual machine has leaked: only if there
// is no such machine, and no instance of its own. One that is stopped keeps its address.
func (c *checker) judgeMachine(b *ipam.BlockState, al *block.Allocation, not *unjudged) (goesWithHandle bool) {
	of, _ := machineOf(al.Active)
	k := c.machines
	owned, runs := k.Instances[of.String()]
	if of.Name == "" || of.Namespace == "" || k.Machines[of.String()] || runs && !owned {
		return false
	}
	if k.Machines == nil || k.Instances == nil || !k.seesNamespace(of.Namespace) {
		not.machines++
		return false
	}
	ip := b.Addr(al.Ordinal)
	after, goes := c.report.Released[ip]
	if !goes && c.inUse(al.Handle) {
		return true
	}
	c.unused(b, al, fmt.Sprintf("is allocated to %s %s, which does not exist", kindMachine, of))
	if goes {
		c.mend(releasedText(after))
	} else {
		c.mend("look whether the machine is really gone; kube-controllers leaves the address while others of its handle are kept", lookForUser(ip)[1])
	}
	return false
}

// isOfMachine reports whether the user is a pod of the virtual machine that the allocation
// names.
func (u user) isOfMachine(al *block.Allocation) bool {
	of, is := machineOf(al.Active)
	return is && u.pod != nil && u.pod.Machine != "" && u.pod.Machine == of.Name && u.pod.Namespace == of.Namespace
}

// mayMove reports whether a live migration of the allocation's machine is under way, or
// nobody knows: then two pods of it have the address by right, also before the allocation
// names both.
func (c *checker) mayMove(al *block.Allocation) bool {
	of, is := machineOf(al.Active)
	return is && (c.machines.Moving == nil || c.machines.Moving[of.String()])
}

// whyMachines says why virtual machines were not looked at.
func (c *checker) whyMachines() string {
	switch {
	case c.s.Machines == nil:
		return "of the virtual machines, none are among the resources (" + machineCommand + ")"
	case c.s.Instances == nil:
		return "of the instances of virtual machines, none are among the resources (" + machineCommand + ")"
	case c.machines.Machines == nil || c.machines.Instances == nil:
		return "some of them cannot be read"
	}
	return "all virtual machines among the resources are of one namespace (" + machineCommand + ")"
}
