package cli

import (
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPrintFlags: long texts go on in another line, and lose no word.
func TestPrintFlags(t *testing.T) {
	flags := flag.NewFlagSet("x", flag.ContinueOnError)
	flags.Bool("a", false, "short")
	flags.Int("long", 3, strings.TrimSpace(strings.Repeat("word ", 30))+" of `nodes`")
	var plain, wrapped strings.Builder
	flags.SetOutput(&plain)
	flags.PrintDefaults()
	PrintFlags(&wrapped, flags)
	require.Equal(t, strings.Fields(plain.String()), strings.Fields(wrapped.String()))
	require.Contains(t, wrapped.String(), "  -a\tshort\n  -long nodes\n    \tword word")
	for line := range strings.Lines(wrapped.String()) {
		require.LessOrEqual(t, len(strings.Replace(line, "    \t", "        ", 1)), 80+len("\n"), line)
	}
}
