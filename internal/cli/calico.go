package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/ipam/calico"
)

// Calico defines the flag -calico of a program, a release of Calico. The variable's
// value is the default.
func Calico(cmd *cobra.Command, v *calico.Version, usage string) {
	cmd.Flags().Var((*release)(v), "calico", usage)
	_ = cmd.RegisterFlagCompletionFunc("calico", cobra.FixedCompletions(Releases(), cobra.ShellCompDirectiveNoFileComp))
}

// Releases returns the completions of the flag -calico: other values that the
// program takes, and the releases, newest first.
func Releases(others ...string) []string {
	for line := 33; line >= 22; line-- {
		others = append(others, calico.V3(line).String())
	}
	return others
}

// release is the value of the flag.
type release calico.Version

func (v *release) String() string { return calico.Version(*v).String() }

// Type is what pflag calls the kind of value.
func (v *release) Type() string { return "string" }

// Set reads a release.
func (v *release) Set(text string) error {
	given := text
	if text == "current" { // an older spelling
		text = ""
	}
	parsed, err := calico.Parse(text)
	if err != nil || given == "" { // such as an unset shell variable
		return errors.New("must be a release of Calico such as v3.28 or v3.28.2")
	}
	*v = release(parsed)
	return nil
}
