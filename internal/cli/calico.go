package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/ipam"
)

// Calico defines the flag -calico of a program, a release of Calico. The variable's
// value is the default.
func Calico(cmd *cobra.Command, v *ipam.Version, usage string) {
	cmd.Flags().Var((*calico)(v), "calico", usage)
	_ = cmd.RegisterFlagCompletionFunc("calico", cobra.FixedCompletions(Releases(), cobra.ShellCompDirectiveNoFileComp))
}

// Releases returns what to offer for the flag -calico: other values that the program
// takes, and the releases, newest first.
func Releases(others ...string) []string {
	for r := ipam.V3_33; r >= ipam.V3_22; r -= ipam.V3_23 - ipam.V3_22 {
		others = append(others, r.String())
	}
	return others
}

// calico is the value of the flag.
type calico ipam.Version

func (v *calico) String() string { return ipam.Version(*v).String() }

// Type is what pflag calls the kind of value.
func (v *calico) Type() string { return "string" }

// Set reads a release.
func (v *calico) Set(text string) error {
	given := text
	if text == "current" { // an older spelling
		text = ""
	}
	parsed, err := ipam.ParseVersion(text)
	if err != nil || given == "" { // an unset variable of a shell, say
		return errors.New("must be a release of Calico such as v3.28 or v3.28.2")
	}
	*v = calico(parsed)
	return nil
}
