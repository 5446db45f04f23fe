package rules

import (
	"os"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// snippet returns the Go code that the README shows.
func snippet(readme string) string {
	_, after, _ := strings.Cut(readme, "```go\n")
	code, _, _ := strings.Cut(after, "```")
	return code
}

// contains reports whether the code stands in an example, indentation aside.
func contains(example, code string) bool {
	flat := func(text string) string {
		var lines []string
		for line := range strings.Lines(text) {
			lines = append(lines, strings.TrimSpace(line))
		}
		return strings.Join(lines, "\n")
	}
	return code != "" && strings.Contains(flat(example), flat(code))
}

// TestReadmeRuns: the README's code is an example that go test runs.
func TestReadmeRuns(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	must.NoError(t, err)
	example, err := os.ReadFile("../../ipam/example_test.go")
	must.NoError(t, err)
	code := snippet(string(readme))
	must.StrContains(t, code, "// Output:")
	must.True(t, contains(string(example), code), must.Sprintf("not in ipam/example_test.go:\n%s", code))

	must.False(t, contains(string(example), strings.Replace(code, "Num4: 2", "Num4: 3", 1)), must.Sprint("a README that was changed alone"))
	must.False(t, contains(string(example), snippet("no code")))
}
