package whatif

import (
	"os"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// ofKubeVirt returns an object of KubeVirt.
func ofKubeVirt(kind, name, more string) string {
	return "---\napiVersion: kubevirt.io/v1\nkind: " + kind + "\nmetadata: {namespace: vms, name: " + name + more + "}\n"
}

// TestMachines: whose address a virtual machine's is, by which objects of KubeVirt the
// files have.
func TestMachines(t *testing.T) {
	moving, err := os.ReadFile("../../../testdata/field/12-live-migration.yaml")
	must.NoError(t, err)
	text := string(moving)
	before, _, _ := strings.Cut(text, "---\napiVersion: v1\nkind: Pod\n")
	const other = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\nstatus: {phase: Pending}\n" +
		"---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: infra}\nstatus: {phase: Pending}\n"
	stopped := strings.Replace(before, "\n    alternateOwnerAttrs: {namespace: vms, node: n2, pod: launcher-dst, vmi-name: vm1}", "", 1) + other
	must.NotEq(t, before+other, stopped)
	vm1, vm2 := ofKubeVirt("VirtualMachine", "vm1", ""), ofKubeVirt("VirtualMachine", "vm2", "")
	vmi1 := ofKubeVirt("VirtualMachineInstance", "vm1", "")
	owned := ofKubeVirt("VirtualMachineInstance", "vm1", ", ownerReferences: [{kind: VirtualMachine, name: vm1}]")
	noInstances := "---\napiVersion: kubevirt.io/v1\nkind: VirtualMachineInstanceList\nitems: []\n"
	// Two pods of a machine have its address, and the allocation names only one.
	early := strings.Replace(text, "    alternateOwnerAttrs: {namespace: vms, node: n2, pod: launcher-dst, vmi-name: vm1}\n", "", 1)
	early = strings.ReplaceAll(early, "namespace: vms}\nspec", "namespace: vms, ownerReferences: [{kind: VirtualMachineInstance, name: vm1}]}\nspec")
	migration := func(phase string) string {
		return ofKubeVirt("VirtualMachineInstanceMigration", "m", "") + "spec: {vmiName: vm1}\nstatus: {phase: " + phase + "}\n"
	}
	const nothing = "Nothing was found."
	const gone = "10.71.0.9 is allocated to VirtualMachine vms/vm1, which does not exist"
	const command = "(kubectl get virtualmachines,virtualmachineinstances,virtualmachineinstancemigrations -A -o yaml)"
	for _, c := range []struct {
		name, text, args string
		want, not        []string
	}{
		{"stopped", stopped + vm1 + noInstances, "-check -gc -drain n1", []string{nothing, "2 nodes, 0 pods with addresses", "0 addresses that leaked", "0 pods moved from n1", "addresses in use 1"}, []string{"looked at"}},
		{"stopped, nobody asked", stopped, "-check -gc", []string{
			nothing, "1 address of virtual machines was not looked at: of the virtual machines, none are among the resources " + command, "0 addresses that leaked",
		}, nil},
		{"stopped, instances not asked for", stopped + vm2, "-check -gc", []string{nothing, "was not looked at: of the instances of virtual machines, none are among the resources " + command, "0 addresses that leaked"}, nil},
		{"stopped, machines not asked for", stopped + ofKubeVirt("VirtualMachineInstance", "vm2", ""), "-check", []string{nothing, "of the virtual machines, none are"}, nil},
		{"there, instances not asked for", stopped + vm1, "-check", []string{nothing}, []string{"looked at"}},
		{"gone", stopped + vm2 + noInstances, "-check -gc", []string{gone, "nothing need be done: kube-controllers releases them once it has missed their owner for 15 minutes", "1 address that leaked"}, []string{"calicoctl ipam release"}},
		{"gone, short grace", stopped + vm2 + noInstances, "-check -gc -gc-grace 1m", []string{gone, "has missed their owner for 5 minutes", "1 address that leaked"}, nil},
		{"gone, no grace", stopped + vm2 + noInstances, "-check -gc -gc-grace 0s", []string{gone, "has missed their owner for 5 minutes", "1 address that leaked"}, nil},
		{"gone, machines of another namespace", stopped + strings.ReplaceAll(vm2, "namespace: vms", "namespace: lab") + noInstances, "-check -gc", []string{nothing, "all virtual machines among the resources are of one namespace", "0 addresses that leaked"}, nil},
		{"gone, one unreadable", stopped + vm2 + ofKubeVirt("VirtualMachine", "''", "") + noInstances, "-check", []string{"was not looked at: some of them cannot be read"}, []string{gone}},
		{"an instance alone", stopped + vm2 + vmi1, "-check", []string{nothing}, []string{"looked at"}},
		{"an instance of a machine that is gone", stopped + vm2 + owned, "-check", []string{gone}, nil},
		{"an older release", stopped + vm1 + noInstances + informationOf("v3.31.0"), "-check", []string{"10.71.0.9 is allocated to Pod vms/launcher-src, which does not exist"}, nil},

		{"moving", text + vm1, "-check", []string{nothing}, nil},
		{"moving, not named yet", early + vm1 + migration("Running"), "-check", []string{nothing}, nil},
		{"moving, nobody asked", early + vm1, "-check", []string{nothing}, nil},
		{"moved", early + vm1 + migration("Succeeded"), "-check", []string{"(two-owners) 10.71.0.9 is used by Pod vms/launcher-dst and Pod vms/launcher-src", "calicoctl ipam show --ip=10.71.0.9"}, []string{"kubectl delete"}},
		{"restarted", strings.Replace(early, "pod: launcher-src, vmi", "pod: launcher-old, vmi", 1) + vm1, "-check", []string{nothing}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, out, errs := about(c.text, strings.Fields(c.args)...)
			must.Eq(t, "", errs)
			for _, want := range c.want {
				must.StrContains(t, out, want)
			}
			for _, not := range c.not {
				must.StrNotContains(t, out, not)
			}
		})
	}
}
