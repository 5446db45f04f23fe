package whatif

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFieldAdvice: dumps in the shapes in which people have them, through the program.
// Nothing that it prints may hurt a pod that lives.
func TestFieldAdvice(t *testing.T) {
	const nothing = "Nothing was found."
	for _, c := range []struct {
		file string
		args string
		want []string
		not  []string
	}{
		{"01-handles-not-asked-for", "-check -gc", []string{
			nothing,
			"Note: whether the handles of addresses exist was not looked at: of the handles, none are among the resources (kubectl get ipamhandles -o yaml).",
			"No figure changed.",
		}, []string{"calicoctl", "handle-missing"}},
		{"01-handles-not-asked-for", "-drain n1 -scale 1", []string{"REFUSED: 2 shop/web-0, shop/web-1: there is no node left to move to", "IPv4: addresses in use 2 0"}, nil},

		{"02-dual-stack-half-reported", "-check -gc", []string{
			nothing,
			"Note: 1 address is not reported by its pod, but its handle holds another that is in use, so it goes with its pod: fd00:61::8.",
			"0 addresses that leaked, 0 blocks,", "No figure changed.",
		}, nil},

		{"03-live-pod-booked-on-another-node", "-check -gc", []string{
			"Note: 1 address is in use and will be given back by kube-controllers all the same; -check says which.",
			"Addresses in use that kube-controllers will give back: 1 finding (used-will-be-released)",
			"Pod shop/web-0 uses 10.62.0.10 and will lose it in 15 minutes, when kube-controllers gives it back, for it is allocated on Node n2, and the pod runs on n1",
			`kubectl patch kubecontrollersconfiguration default --type=merge -p '{"spec":{"controllers":{"node":{"leakGracePeriod":"0s"}}}}' --dry-run=server`,
			"kubectl delete pod -n shop web-0 --dry-run=server kubectl delete pod -n shop web-0",
			"0 addresses that leaked, 0 blocks, 0 stale affinities and 0 handles without addresses were given back.",
			"So is 1 address of pods that live: shop/web-0 (10.62.0.10).",
		}, nil},
		{"03-live-pod-booked-on-another-node", "-check -gc-grace 1h", []string{"will lose it in 60 minutes"}, nil},
		{"03-live-pod-booked-on-another-node", "-check -gc -gc-grace 0s", []string{
			nothing, "Kube-controllers gives back only what nodes left that are gone: it has no grace period.", "No figure changed.",
		}, nil},
		{"03-live-pod-booked-on-another-node", "-drain n1", []string{"1 pod moved from n1 to other nodes, 0 could not."}, nil},

		{"05-pod-asks-for-its-pool", "-drain n1", []string{"shop/db-0 n2 10.64.1.", "headroom: blocks left for more nodes 32"}, []string{"shop/db-0 n2 10.64.0."}},

		{"06-pool-that-no-node-may-use", "-add-nodes 7:x-%d", []string{"headroom: blocks left for more nodes 4", "IPv4: headroom 4 0"}, nil},

		{"07-dead-nodes-no-pods-in-the-file", "-check -gc", []string{
			"3 findings (allocated-not-used)",
			"-> nothing need be done: kube-controllers releases them the next time it looks, for their node is gone",
			"3 addresses that leaked, 3 blocks, 0 stale affinities", "IPv4: addresses in use 3 0",
		}, []string{"calicoctl"}},

		{"12-live-migration", "-check", []string{nothing}, []string{"two-owners", "delete"}},
	} {
		_, out, errs := do(append([]string{"-f", "../../../testdata/field/" + c.file + ".yaml"}, strings.Fields(c.args)...)...)
		require.Empty(t, errs)
		out = strings.Join(strings.Fields(out), " ")
		for _, want := range c.want {
			require.Contains(t, out, want, c.file)
		}
		for _, not := range c.not {
			require.NotContains(t, out, not, c.file)
		}
	}
}
