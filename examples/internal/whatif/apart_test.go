package whatif

import (
	"testing"

	"github.com/shoenig/test/must"
)

// TestRanges: the pools are held against services, nodes and the ranges of Kubernetes.
func TestRanges(t *testing.T) {
	ranges := func(pods, services, node string) string {
		text := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kubeadm-config, namespace: kube-system}\ndata:\n  ClusterConfiguration: |\n    networking: {podSubnet: " + pods + ", serviceSubnet: " + services + "}\n"
		return text + "---\napiVersion: v1\nkind: Node\nmetadata: {name: x1}\nspec: {podCIDR: " + node + "}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.15}]}\n"
	}
	_, out, errs := about(small+ranges("10.0.0.0/16", "10.96.0.0/12", "10.50.0.0/24"), "-check")
	must.StrNotContains(t, out, "overlaps", must.Sprint(errs))
	must.StrContains(t, out, "== Ranges pool p 10.0.0.0/28 has 10.0.0.15 of x1, which are addresses of the nodes themselves")

	_, out, _ = about(small+ranges("10.244.0.0/16", "10.0.0.0/24", "10.0.0.0/24"), "-check")
	must.StrContains(t, out, "pool p 10.0.0.0/28 overlaps the services' range 10.0.0.0/24 (ConfigMap kube-system/kubeadm-config)")
	must.StrContains(t, out, "pool p 10.0.0.0/28 lies outside the cluster's range for pods, 10.244.0.0/16")
	must.StrContains(t, out, "pool p 10.0.0.0/28 overlaps the podCIDR of 1 node, such as 10.0.0.0/24 of x1")

	// Other clusters decide the exit status.
	status, out, _ := about(small, "-apart", "10.9.0.0/16")
	must.Zero(t, status)
	must.StrContains(t, out, "The pools are apart from all that was looked at. Note: the files do not say which ranges")
	status, out, _ = about(small, "-apart", "10.9.0.0/16", "-apart", "10.0.0.8/29")
	must.Eq(t, 1, status)
	must.StrContains(t, out, "pool p 10.0.0.0/28 overlaps 10.0.0.8/29, which is to be kept apart")
	status, out, _ = about(small, "-add-pool", "r:10.9.0.0/24", "-apart", "10.9.0.0/16", "-json")
	must.Eq(t, 1, status, must.Sprint("after the changes"))
	must.StrContains(t, out, `"asked": true`)
	status, _, errs = about(small, "-apart", "x")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "must be a CIDR")
}
