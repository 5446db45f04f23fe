// Command ipamsim is all programs in one.
//
//	go install github.com/ipamsim/ipamsim/examples/ipamsim@latest
//	ipamsim whatif -f cluster.yaml -strict -drain node-07
//
// Exit status: 0; 1 the answer is no, or there are differences; 2 bad usage,
// unreadable input or unwritable output; 130 interrupted.
package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/examples/internal/churn"
	"github.com/ipamsim/ipamsim/examples/internal/lab"
	"github.com/ipamsim/ipamsim/examples/internal/plan"
	"github.com/ipamsim/ipamsim/examples/internal/predict"
	"github.com/ipamsim/ipamsim/examples/internal/race"
	"github.com/ipamsim/ipamsim/examples/internal/replay"
	"github.com/ipamsim/ipamsim/examples/internal/web"
	"github.com/ipamsim/ipamsim/examples/internal/whatif"
	"github.com/ipamsim/ipamsim/internal/cli"
)

func main() { cli.Main(command()) }

const usage = `Reproduce the IP address management of Calico, in memory.

Usage: ipamsim COMMAND [flags]

`

// command returns the program of programs.
func command() *cobra.Command {
	root := cli.New("ipamsim", "", usage)
	root.AddCommand(lab.Command(), plan.Command(), whatif.Command(), churn.Command(), race.Command(), replay.Command(), predict.Command(), web.Command())
	cobra.EnableCommandSorting = false
	root.Version = version()
	root.SetVersionTemplate("ipamsim {{.Version}}\n")
	root.FParseErrWhitelist.UnknownFlags = true // what the mistyped command would have taken
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			cmd.SetOut(cmd.ErrOrStderr())
			cli.Help(cmd)
			return cli.ErrBad
		}
		var names []string
		for _, sub := range cmd.Commands() {
			names = append(names, sub.Name())
		}
		if like := cli.Nearest(args[0], names); like != "" {
			return cli.Usagef("%s: no such command; did you mean %s?", args[0], like)
		}
		return cli.Usagef("%s: no such command", args[0])
	}
	return root
}

// version returns which version of the module this is.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return info.Main.Version
}
