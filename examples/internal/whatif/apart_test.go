package whatif

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRanges: the pools are held against services, nodes and the ranges of Kubernetes.
func TestRanges(t *testing.T) {
	ranges := func(pods, services, node string) string {
		text := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kubeadm-config, namespace: kube-system}\ndata:\n  ClusterConfiguration: |\n    networking: {podSubnet: " + pods + ", serviceSubnet: " + services + "}\n"
		return text + "---\napiVersion: v1\nkind: Node\nmetadata: {name: x1}\nspec: {podCIDR: " + node + "}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.15}]}\n"
	}
	_, out, errs := about(small+ranges("10.0.0.0/16", "10.96.0.0/12", "10.50.0.0/24"), "-check")
	require.NotContains(t, out, "overlaps", errs)
	require.Contains(t, out, "== Ranges pool p 10.0.0.0/28 has 10.0.0.15 of x1, which are addresses of the nodes themselves")

	_, out, _ = about(small+ranges("10.244.0.0/16", "10.0.0.0/24", "10.0.0.0/24"), "-check")
	require.Contains(t, out, "pool p 10.0.0.0/28 overlaps the services' range 10.0.0.0/24 (ConfigMap kube-system/kubeadm-config)")
	require.Contains(t, out, "pool p 10.0.0.0/28 lies outside the cluster's range for pods, 10.244.0.0/16")
	require.Contains(t, out, "pool p 10.0.0.0/28 overlaps the podCIDR of 1 node, such as 10.0.0.0/24 of x1")

	// Other clusters decide the exit status.
	status, out, _ := about(small, "-apart", "10.9.0.0/16")
	require.Zero(t, status)
	require.Contains(t, out, "The pools are apart from all that was looked at. Note: the files do not say which ranges")
	status, out, _ = about(small, "-apart", "10.9.0.0/16", "-apart", "10.0.0.8/29")
	require.Equal(t, 1, status)
	require.Contains(t, out, "pool p 10.0.0.0/28 overlaps 10.0.0.8/29, which is to be kept apart")
	status, out, _ = about(small, "-add-pool", "r:10.9.0.0/24", "-apart", "10.9.0.0/16", "-json")
	require.Equal(t, 1, status, "after the changes")
	require.Contains(t, out, `"asked": true`)
	status, _, errs = about(small, "-apart", "x")
	require.Equal(t, 2, status)
	require.Contains(t, errs, "must be a CIDR")
}
