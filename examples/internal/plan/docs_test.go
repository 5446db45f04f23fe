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
