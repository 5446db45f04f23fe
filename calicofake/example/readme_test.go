package example

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadme: what the README shows as the test after the change is in the test.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	test, err := os.ReadFile("controller_test.go")
	require.NoError(t, err)
	_, after, _ := strings.Cut(string(readme), "After:\n\n```go\n")
	after, _, ok := strings.Cut(after, "```")
	require.True(t, ok)
	require.NotEmpty(t, after)
	for line := range strings.Lines(after) {
		require.Contains(t, string(test), "\t"+line)
	}
}
