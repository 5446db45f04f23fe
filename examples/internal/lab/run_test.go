package lab

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// run is the program without its process.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Execute(context.Background(), Command(), args, stdin, stdout, stderr)
}

// parse returns the settings that these flags ask for.
func parse(args ...string) (s settings, err error) {
	o := new(options)
	cmd := cli.New("lab", "", "")
	o.define(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err = o.settings(cmd.Flags(), args)
		return err
	}
	cli.Execute(context.Background(), cmd, args, nil, io.Discard, io.Discard)
	return s, err
}
