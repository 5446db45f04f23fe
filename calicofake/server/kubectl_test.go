package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// TestKubectl: the commands of the lab on Calico IPAM, by kubectl itself, and writes
// that the allocator sees.
func TestKubectl(t *testing.T) {
	program, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("there is no kubectl (Debian has it as the package kubernetes-client)")
	}
	f, s := started(t, fake.Options{})
	config := filepath.Join(t.TempDir(), "config")
	must.NoError(t, os.WriteFile(config, s.Kubeconfig(), 0o600))
	kubectl := func(stdin string, args ...string) (string, error) {
		cmd := exec.Command(program, append([]string{"--kubeconfig", config, "--cache-dir", t.TempDir()}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	does := func(stdin string, args ...string) string {
		t.Helper()
		out, err := kubectl(stdin, args...)
		must.NoError(t, err, must.Sprintf("%s: %s", args, out))
		return out
	}

	must.StrContains(t, does(`
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: blue}
spec: {cidr: 10.0.0.0/24, blockSize: 26, nodeSelector: all()}
`, "create", "-f", "-"), "ippool.crd.projectcalico.org/blue created")
	ips, err := assign(f, "a", 2)
	must.NoError(t, err)
	must.Len(t, 2, ips)

	must.RegexMatch(t, regexp.MustCompile(`^NAME +AGE\nnode-1-10-0-0-\d+-26 +\S+\n$`), does("", "get", "blockaffinities"))
	must.RegexMatch(t, regexp.MustCompile(`^node-1 10\.0\.0\.\d+/26 confirmed$`), does("", "get", "blockaffinities", "-o", `jsonpath={.items[0].spec.node} {.items[0].spec.cidr} {.items[0].spec.state}`))
	yaml := does("", "get", "blockaffinities", "-o", "yaml")
	for _, line := range []string{"apiVersion: v1\nitems:\n- apiVersion: crd.projectcalico.org/v1\n  kind: BlockAffinity\n", `    deleted: "false"`, "    node: node-1\n", "    state: confirmed\n", "kind: List\n"} {
		must.StrContains(t, yaml, line)
	}
	must.RegexMatch(t, regexp.MustCompile(`^NAME +STATUS +ROLES +AGE +VERSION\nnode-1 `), does("", "get", "nodes"))
	must.StrContains(t, does("", "get", "ipamblocks", "-o", "json"), `"handle_id": "a"`)

	// What kubectl deletes is gone for the allocator, too.
	must.StrContains(t, does("", "delete", "ippools", "blue"), `"blue" deleted`)
	_, err = assign(f, "b", 1)
	must.ErrorContains(t, err, "cannot find a qualified ippool")

	for _, bad := range []struct {
		args []string
		want string
	}{
		{[]string{"get", "ippools", "green"}, `"green" not found`},
		{[]string{"get", "networkpolicies.crd.projectcalico.org"}, `the server doesn't have a resource type "networkpolicies"`},
		{[]string{"patch", "nodes", "node-1", "--type=json", "-p", `[{"op":"remove","path":"/metadata/labels"}]`}, "this server takes application/merge-patch+json"},
	} {
		out, err := kubectl("", bad.args...)
		must.Error(t, err, must.Sprint(out))
		must.StrContains(t, out, bad.want)
	}
}
