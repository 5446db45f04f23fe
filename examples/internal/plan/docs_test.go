package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// TestScenariosPage: what docs/scenarios.md shows of a scenario is what the program
// prints of the one above it.
func TestScenariosPage(t *testing.T) {
	const name = "../../../docs/scenarios.md"
	page, err := os.ReadFile(name)
	must.NoError(t, err)
	t.Chdir(t.TempDir())
	parts := strings.Split(string(page), "```")
	scenario, shown := "", 0
	for i := 1; i < len(parts); i += 2 {
		part := parts[i]
		if yaml, ok := strings.CutPrefix(part, "yaml\n"); ok {
			scenario = yaml
			continue
		}
		command, ok := strings.CutPrefix(part, "\n$ ipamsim plan -f ")
		must.True(t, ok, must.Sprint(part))
		file, want, _ := strings.Cut(command, "\n")
		must.NoError(t, os.WriteFile(filepath.Base(file), []byte(scenario), 0o600))
		status, out, errs := do("-f", file)
		must.NotEq(t, cli.Bad, status, must.Sprint(errs))
		must.Eq(t, want, out, must.Sprint(file))
		for line := range strings.Lines(out) {
			must.LessEq(t, pageWidth+1, len([]rune(line)), must.Sprint(line))
		}
		shown++
	}
	must.Positive(t, shown)
}

// TestServicesView: services that are refused are no fit, and named in both views.
func TestServicesView(t *testing.T) {
	const text = `name: few
pools:
- {name: lb, cidr: 10.2.0.0/28, blockSize: 30, allowedUses: [LoadBalancer]}
- {name: pods, cidr: 10.0.0.0/24, blockSize: 28}
nodes: 2
podsPerNode: 3
services: 20
`
	status, out, _ := do("-f", file(t, "s.yaml", text))
	must.Eq(t, cli.No, status)
	must.StrContains(t, out, "few: 2 nodes of 3 pods, and 20 services in 2 pools: 6 requests.\n")
	must.StrContains(t, out, "\nServices: 16 addresses in 4 blocks of their own, and requests are refused, 4: no\naddress is left.\n")
	must.StrContains(t, out, "It does not fit: 4 services have no address.\n")
}

// TestGroupsWrong: what is wrong with groups and services is told with its line, and what
// to write instead.
func TestGroupsWrong(t *testing.T) {
	const good = "pools: [{name: p, cidr: 10.0.0.0/24}]\nnodes: 2\npodGroups: [{name: web, podsPerNode: 3}]\n"
	for more, want := range map[string]string{
		"podsPerNode: 5\n": "s.yaml:4: podsPerNode 5: with podGroups the groups say how many, or podsOf: {web: 5}",
		"services: 5\n":    "s.yaml:4: services 5: no pool is for them: add one with allowedUses: [LoadBalancer]",
		"windows: true\n":  "s.yaml:4: windows true without strictAffinity: Windows cannot route",
		"events: [{at: 1m, do: scale, pods: 5}]\n":                                           "s.yaml:4: events[0].podGroup is missing: it says which of the podGroups, web say",
		"groups: [{nodes: 1, nodeFormat: x-%d, podsOf: {db: 5}}]\n":                          `s.yaml:4: groups[0].podsOf "db": there is no such group in podGroups`,
		"strictAffinity: true\nwindows: true\nevents: [{at: 1m, do: set-strict-affinity}]\n": "s.yaml:6: events[0].strict false with Windows nodes: Calico then refuses them every address; leave strictAffinity on",
	} {
		status, out, errs := do("-f", file(t, "s.yaml", good+more))
		must.Eq(t, cli.Bad, status)
		must.Eq(t, "", out)
		must.StrContains(t, errs, want)
	}
}
