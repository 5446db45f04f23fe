package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the greatest width of a help.
const helpWidth = 80

// Help writes the help of a command to its output.
func Help(cmd *cobra.Command) {
	var out strings.Builder
	out.WriteString(Called(cmd, cmd.Long))
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			fmt.Fprintf(&out, "  %-12s%s\n", sub.Name(), strings.ToLower(sub.Short[:1])+sub.Short[1:])
		}
	}
	if cmd.HasSubCommands() {
		fmt.Fprintf(&out, "\n%s COMMAND -h tells more.\n", cmd.CommandPath())
	}
	PrintFlags(&out, cmd.Flags())
	_, err := io.WriteString(cmd.OutOrStdout(), out.String())
	if ctx := cmd.Root().Context(); ctx != nil && err != nil {
		if unwritten, ok := ctx.Value(unwrittenHelp{}).(*error); ok {
			*unwritten = err
		}
	}
}

// unwrittenHelp is the key of a context's *error: why the help could not be written, which
// cobra's functions of help do not return.
type unwrittenHelp struct{}

// Called replaces "ipamsim NAME" in a text by how the user called the command,
// which may be "go run ./examples/NAME".
func Called(cmd *cobra.Command, text string) string {
	if cmd.HasParent() {
		return text
	}
	return strings.ReplaceAll(text, "ipamsim "+cmd.Name(), "go run ./examples/"+cmd.Name())
}

// Sibling returns how the user calls another program.
func Sibling(cmd *cobra.Command, name string) string {
	if cmd.HasParent() {
		return "ipamsim " + name
	}
	return "go run ./examples/" + name
}

// group is the annotation of a flag that has its heading in the help.
const group = "group"

// Group puts flags under a heading of their own in the help. Headings are in the
// order of their first flags.
func Group(flags *pflag.FlagSet, heading string, names ...string) {
	for _, name := range names {
		_ = flags.SetAnnotation(name, group, []string{heading}) // fails if there is no such flag
	}
}

// PrintFlags describes each flag, in lines of at most 80 columns.
func PrintFlags(w io.Writer, flags *pflag.FlagSet) {
	const column = 22 // where texts begin
	last := "none"
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || f.Name == "version" {
			return
		}
		heading := "Flags"
		if g := f.Annotations[group]; len(g) > 0 {
			heading = g[0]
		}
		if heading != last {
			fmt.Fprintf(w, "\n%s:\n\n", heading)
			last = heading
		}
		what, says := unquote(f)
		left := strings.TrimRight(fmt.Sprintf("  %s %s", Flag(f), what), " ")
		lines := Wrap(says+byDefault(f), helpWidth-column)
		if len(left) > column-2 {
			fmt.Fprintln(w, left)
			left = ""
		}
		for _, line := range lines {
			fmt.Fprintf(w, "%-*s%s\n", column, left, line)
			left = ""
		}
	})
}

// unquote returns the name of a flag's value and the flag's description.
func unquote(f *pflag.Flag) (what, says string) {
	what, says = pflag.UnquoteUsage(f)
	if rest, ok := strings.CutPrefix(f.Usage, "`"+what+"`: "); ok { // it stands beside it anyway
		says = rest
	}
	switch what {
	case "int":
		what = "N"
	case "float":
		what = "X"
	case "duration":
		what = "TIME"
	case "string", "value":
		what = "TEXT"
	}
	return what, says
}

// byDefault describes the default of a flag: nothing if the text does, or if the
// default is empty.
func byDefault(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "0", "0s", "false", "[]", "none":
		return ""
	}
	if strings.Contains(f.Usage, "(default") {
		return ""
	}
	return " (default " + f.DefValue + ")"
}
