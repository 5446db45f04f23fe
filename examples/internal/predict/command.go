// Package predict is the program predict: the first block of each node of a cluster.
package predict

import (
	"bufio"
	"cmp"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

const usage = `Print the first block that each node gets on an empty Calico cluster.

Usage: ipamsim predict -pool CIDR [flags] NODE...
       ipamsim predict -pool CIDR [flags] -f FILE

Nodes are named in the order in which they come up. A NODE that is - stands for
standard input, too.

  ipamsim predict -pool 10.244.0.0/16 minikube
  ipamsim predict -pool 192.168.0.0/16 node-a node-b node-c
  kubectl get nodes -o name | cut -d/ -f2 |
      ipamsim predict -pool 10.0.0.0/8 -block-size 24 -

Exit status: 0; 1 a node gets no block: standard error names it and why, and the
others are printed all the same; 2 bad usage, unreadable names or unwritable
output; 130 interrupted.
`

// options are the flags.
type options struct {
	pool        pool.Spec
	files       []string
	independent bool
	json        bool
	at          time.Time
	calico      calico.Version
}

// Command returns the program.
func Command() *cobra.Command {
	o := &options{pool: pool.Spec{Name: "pool"}, at: epoch}
	cmd := cli.New("predict", "the first block that each node of a cluster will get", usage)
	o.define(cmd.Flags())
	cli.Calico(cmd, &o.calico, "the `RELEASE` of Calico; since v3.32 a node may take the block of one that came before it, once that is empty")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("pool") {
			return cli.Usagef("-pool is missing: the CIDR of the pool, such as 10.244.0.0/16")
		}
		names, err := readNames(args, o.files, cmd.InOrStdin())
		if err != nil {
			return err
		}
		return o.print(cmd, names)
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func (o *options) define(flags *pflag.FlagSet) {
	cli.PrefixVar(flags, &o.pool.CIDR, "pool", "", "10.244.0.0/16", "the pool's addresses, such as 10.244.0.0/16 or fd00::/112")
	flags.IntVar(&o.pool.BlockSize, "block-size", 0, "prefix length of its blocks (default 26, for IPv6 122)")
	flags.BoolVar(&o.independent, "independent", false, "every node as if it were the only one")
	flags.BoolVar(&o.json, "json", false, `print an array of {"node","block"} or {"node","error"} objects`)
	flags.StringArrayVarP(&o.files, "file", "f", nil, "names from this `FILE`, one a line; blank lines and # comments are skipped; - is standard input; may be repeated")
	flags.Func("at", "the `TIME`, as RFC 3339 (default 1970-01-01T00:00:00Z); matters only for blocks of one address (/32, /128), which Calico places by the clock and not by the name", func(text string) (err error) {
		if o.at, err = time.Parse(time.RFC3339, text); err != nil {
			return errors.New("not a time such as 2026-01-01T00:00:00Z")
		}
		return nil
	})
}

// print prints the block of each node.
func (o *options) print(cmd *cobra.Command, names []string) error {
	p, err := newPredictor(*o, names)
	if err != nil {
		return cli.Usage(err)
	}
	cli.Warn(cmd, o.calico.Caveat())
	if p.byClock() && o.at.Equal(epoch) {
		cli.Warn(cmd, "note: Calico places blocks of one address by the clock, not by the node's name; these are for 1970-01-01T00:00:00Z, -at sets another time")
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
	refused, err := o.printAll(cmd, out, p, names)
	if err := cmp.Or(err, out.Flush()); err != nil {
		return err
	}
	if refused {
		return cli.ErrNo
	}
	return nil
}

// epoch is the time if -at is not given.
var epoch = time.Unix(0, 0).UTC()
