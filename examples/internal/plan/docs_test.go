package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// TestScenariosPage: what docs/scenarios.md shows of a scenario is what the program
// prints of the one above it.
func TestScenariosPage(t *testing.T) {
	const name = "../../../docs/scenarios.md"
	page, err := os.ReadFile(name)
	require.NoError(t, err)
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
		require.True(t, ok, part)
		file, want, _ := strings.Cut(command, "\n")
		require.NoError(t, os.WriteFile(filepath.Base(file), []byte(scenario), 0o600))
		status, out, errs := do("-f", file)
		require.NotEqual(t, cli.Bad, status, errs)
		require.Equal(t, want, out, file)
		for line := range strings.Lines(out) {
			require.LessOrEqual(t, len([]rune(line)), pageWidth+1, line)
		}
		shown++
	}
	require.Positive(t, shown)
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
	require.Equal(t, cli.No, status)
	require.Contains(t, out, "few: 2 nodes of 3 pods, and 20 services in 2 pools: 6 requests.\n")
	require.Contains(t, out, "\nServices: 16 addresses in 4 blocks of their own, and requests are refused, 4: no\naddress is left.\n")
	require.Contains(t, out, "It does not fit: 4 services have no address.\n")
}
