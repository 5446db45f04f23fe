package example

import (
	"os"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// TestReadme: what the README shows as the test after the change is in the test.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	must.NoError(t, err)
	test, err := os.ReadFile("controller_test.go")
	must.NoError(t, err)
	_, after, _ := strings.Cut(string(readme), "After:\n\n```go\n")
	after, _, ok := strings.Cut(after, "```")
	must.True(t, ok)
	must.NotEq(t, "", after)
	for line := range strings.Lines(after) {
		must.StrContains(t, string(test), "\t"+line)
	}
}
