package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"github.com/spf13/pflag"
)

// TestPrintFlags: long texts continue on the next line and lose no word.
func TestPrintFlags(t *testing.T) {
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.Bool("a-flag", false, "short")
	long := strings.TrimSpace(strings.Repeat("word ", 30))
	flags.Int("long", 3, long+" of `nodes`")
	flags.StringP("file", "f", "", "a `FILE`")
	DurationVar(flags, new(time.Duration), "a-flag-of-many-letters", 5*time.Minute, "how long")
	flags.Bool("old", false, "not shown")
	must.NoError(t, flags.MarkHidden("old"))
	Group(flags, "Others", "a-flag-of-many-letters")
	var out strings.Builder
	PrintFlags(&out, flags)
	must.Eq(t, `
Flags:

  -a-flag             short
  -long nodes         word word word word word word word word word word word
                      word word word word word word word word word word word
                      word word word word word word word word of nodes (default
                      3)
  -f FILE             a FILE

Others:

  -a-flag-of-many-letters TIME
                      how long (default 5m)
`, out.String())
}
