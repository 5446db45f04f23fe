package plan

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

// parse returns the options of these flags.
func parse(args ...string) (*options, error) {
	o := new(options)
	cmd := cli.New("plan", "", "")
	o.define(cmd.Flags())
	var err error
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err = o.finish(cmd.Flags(), args)
		return err
	}
	cli.Execute(context.Background(), cmd, args, nil, io.Discard, io.Discard)
	return o, err
}
