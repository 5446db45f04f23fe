package whatif

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// TestRemoveDeadNode: a node that is gone leaves what it had, which goes as
// kube-controllers has it go, and nothing of other dead nodes does.
func TestRemoveDeadNode(t *testing.T) {
	const field = "../../../testdata/field/07-dead-nodes-no-pods-in-the-file.yaml"
	status, out, errs := do("-f", field, "-remove-node", "gone-0")
	must.Zero(t, status, must.Sprint(errs))
	must.StrContains(t, out, "Node gone-0 was gone already: 1 address and 1 block that it had left are given\nback.\n")
	must.StrContains(t, out, "pool main: blocks claimed                    3        2\n")
	status, _, errs = do("-f", field, "-remove-node", "gone-0", "-remove-node", "gone-1", "-remove-node", "gone-0")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, `-remove-node gone-0: no node is called "gone-0"`)
	for _, args := range [][]string{{"-remove-node", "gone-7"}, {"-drain", "gone-0"}} {
		status, _, errs = do(append([]string{"-f", field}, args...)...)
		must.Eq(t, 2, status)
		must.StrContains(t, errs, "no node is called")
	}

	// What others use stays: an address that a living node has in a block of the dead one,
	// and one whose pod lives elsewhere. A pod that is still listed on it starts again.
	text, err := os.ReadFile(field)
	must.NoError(t, err)
	changed := strings.Replace(string(text), `  allocations: [0, null, null, null, null, null, null, null]
  unallocated: [1, 2, 3, 4, 5, 6, 7]
  attributes:
  - handle_id: vxlan-tunnel-addr-gone-0
`, `  allocations: [0, 1, 2, null, null, null, null, null]
  unallocated: [3, 4, 5, 6, 7]
  attributes:
  - {handle_id: vxlan-tunnel-addr-gone-0, secondary: {node: gone-0, type: vxlanTunnelAddress}}
  - {handle_id: k8s-pod-network.a, secondary: {node: n1, pod: a, namespace: shop}}
  - handle_id: k8s-pod-network.b
    secondary: {node: gone-0, pod: b, namespace: shop}
  was:
  - handle_id: vxlan-tunnel-addr-gone-0
`, 1)
	changed = strings.Replace(changed, "  was:\n  - handle_id: vxlan-tunnel-addr-gone-0\n    secondary: {node: gone-0, type: vxlanTunnelAddress}\n", "", 1)
	const pod = `---
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: shop}
spec: {nodeName: NODE}
status: {phase: Running, podIP: IP, podIPs: [{ip: IP}]}
`
	for _, name := range []string{"a", "b"} {
		changed += strings.ReplaceAll("---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMHandle\nmetadata: {name: k8s-pod-network.NAME}\nspec: {handleID: k8s-pod-network.NAME, block: {'10.66.0.0/29': 1}}\n", "NAME", name)
	}
	for name, of := range map[string][2]string{"a": {"n1", "10.66.0.1"}, "b": {"gone-0", "10.66.0.2"}} {
		changed += strings.NewReplacer("NAME", name, "NODE", of[0], "IP", of[1]).Replace(pod)
	}
	path := filepath.Join(t.TempDir(), "c.yaml")
	must.NoError(t, os.WriteFile(path, []byte(changed), 0o600))
	status, out, errs = do("-f", path, "-remove-node", "gone-0")
	must.Zero(t, status, must.Sprint(errs))
	one := strings.Join(strings.Fields(out), " ")
	must.StrContains(t, one, "1 pod moved from gone-0 to other nodes, 0 could not.")
	must.StrContains(t, one, "Node gone-0 was gone already: 2 addresses and 0 blocks that it had left are given back. 1 block of it stays: other nodes have addresses there.")
	must.StrNotContains(t, one, "that live")

	// Nobody knows which nodes there are.
	status, _, errs = do("-f", filepath.Join(t.TempDir(), "no.yaml"), "-remove-node", "gone-0")
	must.Eq(t, 2, status)
	must.NotEq(t, "", errs)
	without := strings.Replace(string(text), "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n---\n", "", 1)
	must.NoError(t, os.WriteFile(path, []byte(without), 0o600))
	status, _, errs = do("-f", path, "-remove-node", "gone-0")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "there are no nodes; add nodes to what kubectl gets")
}
