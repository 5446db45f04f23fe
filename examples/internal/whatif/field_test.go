package whatif

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
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
			"Note: there are no handles, so they count as holding what the blocks say (kubectl get ipamhandles -o yaml).",
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

		{"15-stopped-machine", "-check -gc -drain n1", []string{
			nothing, "1 address of virtual machines was not looked at", "0 addresses that leaked", "0 pods moved from n1",
		}, []string{"kubectl delete", "ipam release"}},
		{"16-pods-that-ask-for-addresses", "-check -gc -drain n1", []string{
			"(pod-annotation)", "(floating-address-allocated)", "0 addresses that leaked", "3 pods moved from n1 to other nodes, 0 could not.", "shop/db-0 n2 10.72.0.11 borrowed",
		}, []string{"kubectl delete", "ipam release"}},
	} {
		_, out, errs := do(append([]string{"-f", "../../../testdata/field/" + c.file + ".yaml"}, strings.Fields(c.args)...)...)
		must.Eq(t, "", errs)
		out = strings.Join(strings.Fields(out), " ")
		for _, want := range c.want {
			must.StrContains(t, out, want, must.Sprint(c.file))
		}
		for _, not := range c.not {
			must.StrNotContains(t, out, not, must.Sprint(c.file))
		}
	}
}

// TestOldHandles: the handle of an address may have a carriage return in the block, and
// none in its object, as clusters that were migrated from Calico 2 have it.
func TestOldHandles(t *testing.T) {
	text := strings.Replace(small, "handle_id: hX", `handle_id: "hX\r\n"`, 1) + handleOf("hX", "10.0.0.0/29: 1")
	must.NotEq(t, small+handleOf("hX", "10.0.0.0/29: 1"), text)
	_, out, errs := about(text, "-check", "-gc", "-drain", "a")
	must.Eq(t, "", errs)
	must.StrContains(t, out, "Nothing was found.")
	must.StrContains(t, out, "1 pod moved from a to other nodes, 0 could not.")
	must.StrContains(t, out, "0 handles without addresses were given back.")
}

// TestNothingSteersTheTerminal: names with control characters come out escaped, in
// tables, findings and errors.
func TestNothingSteersTheTerminal(t *testing.T) {
	text := strings.ReplaceAll(small, "pod: x", `pod: "x\e[2J\a"`)
	text = strings.ReplaceAll(text, "name: p}", `name: "p\e[1m"}`)
	text += "---\napiVersion: v1\nkind: Pod\nmetadata: {name: y, namespace: shop}\nspec: {nodeName: a}\nstatus: {podIP: 10.0.0.0}\n"
	for _, args := range [][]string{{"-check"}, {"-drain", "a", "-strict", "-disable-pool", "z"}, {"-resize-pool", "q:28"}, {"-strict-input"}, {"-lenient", "-check"}} {
		_, out, errs := raw(text, args...)
		for _, r := range out + errs {
			must.False(t, r != '\n' && unicode.IsControl(r), must.Sprintf("%q", out+errs))
		}
	}
}

// raw runs the program on a text and returns what it prints as it is.
func raw(text string, args ...string) (status int, out, errs string) {
	var stdout, stderr bytes.Buffer
	status = run(append([]string{"-f", "-"}, args...), strings.NewReader(text), &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

// TestPoolsOfNamespaces: a pod asks for the pools of its namespace, unless it asks for
// its own.
func TestPoolsOfNamespaces(t *testing.T) {
	text, err := os.ReadFile("../../../testdata/field/05-pod-asks-for-its-pool.yaml")
	must.NoError(t, err)
	const annotation = "annotations: {cni.projectcalico.org/ipv4pools: '%s'}"
	pod := strings.Replace(string(text), ", annotations: {cni.projectcalico.org/ipv4pools: '[\"fixed\"]'}", "", 1)
	must.NotEq(t, string(text), pod)
	namespace := func(pools string) string {
		return "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, " + fmt.Sprintf(annotation, pools) + "}\n"
	}
	for _, c := range []struct{ text, want string }{
		{pod, "shop/db-0 n2 10.64.0."},
		{pod + namespace(`["fixed"]`), "shop/db-0 n2 10.64.1."},
		{pod + namespace(`["10.64.1.0/24"]`), "shop/db-0 n2 10.64.1."},
		{string(text) + namespace(`["default"]`), "shop/db-0 n2 10.64.1."},
		{pod + namespace(`["none"]`), "REFUSED: 1 shop/db-0 on n2: its annotation asks for pool none, which does not exist"},
		{strings.Replace(string(text), "[\"fixed\"]", "fixed", 1), "shop/db-0 n2 10.64.0."},
	} {
		_, out, errs := about(c.text, "-drain", "n1")
		must.Eq(t, "", errs)
		must.StrContains(t, out, c.want)
	}
}

// TestFiguresWithoutKinds: figures go by what is there, and say so.
func TestFiguresWithoutKinds(t *testing.T) {
	property.Slow(t)
	text, err := os.ReadFile(sample)
	must.NoError(t, err)
	for _, c := range []struct{ kind, says, figure string }{
		{"BlockAffinity", "there are no affinities, so every owner of a block counts as having a confirmed one", "routes: confirmed blocks and borrowed addresses 107 43"},
		{"IPAMHandle", "there are no handles, so they count as holding what the blocks say", "routes: confirmed blocks and borrowed addresses 107 43"},
		{"IPPool", "there are no pools, so no block counts as a pool's", "addresses in use 383 343"},
		{"Node", "there are no nodes; add nodes to what kubectl gets", "of these in blocks that no node owns 0 0"},
	} {
		_, out, errs := about(string(withoutKinds(text, c.kind)))
		must.Eq(t, "", errs)
		must.StrContains(t, out, c.says)
		must.StrContains(t, out, c.figure, must.Sprint(c.kind))
	}
	_, out, _ := about(string(text))
	must.StrNotContains(t, out, "there are no")
}
