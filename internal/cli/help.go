package cli

import (
	"bytes"
	"flag"
	"io"
	"strings"
)

// PrintFlags writes the flags as [flag.FlagSet.PrintDefaults] does, in lines of at
// most 80 columns. It leaves the output of the flags at w.
func PrintFlags(w io.Writer, flags *flag.FlagSet) {
	const indent, width = "    \t", 72 // a tab ends at column 8
	var text bytes.Buffer
	flags.SetOutput(&text)
	flags.PrintDefaults()
	flags.SetOutput(w)
	var out strings.Builder
	for line := range strings.Lines(text.String()) {
		says, found := strings.CutPrefix(line, indent)
		if !found {
			out.WriteString(line)
			continue
		}
		for _, part := range Wrap(says, width) {
			out.WriteString(indent + part + "\n")
		}
	}
	_, _ = io.WriteString(w, out.String()) // help that nobody reads
}
