// Package lab is the program lab: the lab of the course on Calico IPAM, on a simulated
// cluster.
package lab

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipamsim/ipamsim/examples/internal/course"
	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

const usage = `Go through the course's lab on Calico IPAM, on a simulated cluster.

Usage: ipamsim lab [flags]

The lab as in the course, one exercise of it, your own cluster, and one with
more nodes than blocks:

  ipamsim lab
  ipamsim lab -i
  ipamsim lab -step 4
  ipamsim lab -pool 10.244.0.0/16 -nodes 5
  ipamsim lab -pool 10.0.0.0/28 -block-size 30 -nodes 9
  ipamsim lab -f custom-resources.yaml -f kind.yaml

The exercises:

  1  containerlab inspect       5  kubectl get blockaffinities
  2  kubectl get tigerastatus   6  as YAML
  3  kubectl get nodes          7  as name, node and CIDR
  4  calicoctl ipam show

An exercise alone explains every column and field of what it prints. So does the
whole lab with -i, or with -fields.

With -i the lab waits for Enter between its parts. Ctrl-D goes on to the end,
and Ctrl-C leaves. It waits only where it prints on a terminal: into a file or a
pipe it prints all parts at once.

Headings are bold on a terminal, unless NO_COLOR is set.

Exit status: 0; 2 bad usage, unreadable input or unwritable output; 130
interrupted.
`

// maxNodes keeps the output readable and the management network large enough.
const maxNodes = 5000

// options are the flags.
type options struct {
	steps []int // none for the whole lab
	files []string
	nodes int
	pool  netip.Prefix
	size  int
	json  bool

	interactive bool // wait between parts
	fields      bool // explain every field

	// calico is the release; the course's cluster has the one of its time.
	calico calico.Version
}

// Command returns the program.
func Command() *cobra.Command {
	o := &options{calico: course.Default().Calico}
	cmd := cli.New("lab", "the lab of the course on Calico IPAM, on a simulated cluster", usage)
	o.define(cmd.Flags())
	cli.Calico(cmd, &o.calico, "the `RELEASE` of Calico, v3.22 to v3.33, whose allocator and calicoctl the cluster has")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := o.settings(cmd.Flags(), args)
		if err != nil {
			return cli.Usage(err)
		}
		out := bufio.NewWriter(cmd.OutOrStdout())
		cli.Warn(cmd, s.Calico.Caveat())
		p := &page{out: out, bold: cli.Colours(cmd.OutOrStdout()), json: o.json, explain: o.fields}
		if !cmd.Flags().Changed("fields") {
			p.explain = o.interactive || len(o.steps) > 0
		}
		var reader *pager
		if o.interactive && cli.Terminal(cmd.OutOrStdout()) {
			reader = &pager{in: bufio.NewReader(cmd.InOrStdin()), out: cmd.OutOrStdout()}
		}
		first := true
		for part, err := range course.Parts(s, o.steps...) {
			if err != nil {
				return err
			}
			if reader != nil && !first {
				if err := out.Flush(); err != nil {
					return err
				}
				if err := reader.wait(cmd.Context(), part.Title); err != nil {
					return err
				}
			}
			first = false
			p.add(part)
		}
		if err := p.finish(); err != nil {
			return err
		}
		return out.Flush()
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

func (o *options) define(flags *pflag.FlagSet) {
	flags.Func("step", "one exercise `N` only; give it once for each", func(text string) error {
		step, err := strconv.ParseInt(text, 0, 32)
		if err != nil {
			return errors.New("must be a whole number")
		}
		o.steps = append(o.steps, int(step))
		return nil
	})
	flags.BoolVarP(&o.interactive, "interactive", "i", false, "wait for Enter between the parts, and explain every field")
	flags.BoolVar(&o.fields, "fields", false, "explain every column and field of what the exercises print; -step and -i do, unless -fields=false")
	flags.StringArrayVarP(&o.files, "file", "f", nil, "what the cluster is made from: the operator's custom-resources.yaml (its pool), a Kind cluster's `FILE` (its nodes), or what kubectl get ippools,nodes -o yaml prints; give it once for each. The flags below win over the files")
	flags.BoolVar(&o.json, "json", false, "print JSON: an array of {\"title\",\"items\"}, an item being {\"says\"}, {\"command\"}, {\"prints\"}, {\"look\"} or {\"explains\"}: an array of {\"word\",\"says\"}")
	own := course.Default()
	flags.IntVar(&o.nodes, "nodes", own.Nodes, "1 to 5000 nodes, the first one the control plane")
	cli.PrefixVar(flags, &o.pool, "pool", own.Pool.CIDR.String(), "", "the pool of addresses, IPv4 or IPv6")
	flags.IntVar(&o.size, "block-size", 0, "prefix length of its blocks: 20 to 32 for IPv4 (default 26), 116 to 128 for IPv6 (default 122)")
}

// settings returns the cluster that the flags ask for.
func (o *options) settings(flags *pflag.FlagSet, args []string) (s course.Settings, err error) {
	if len(args) > 0 {
		return s, fmt.Errorf("%q: there are no arguments, only flags", args[0])
	}
	if o.interactive && o.json {
		return s, errors.New("-i waits for a reader, and -json has none: give one of them")
	}
	for _, step := range o.steps {
		if step < 1 || step > course.Steps {
			return s, fmt.Errorf("-step %d: there are exercises 1 to %d", step, course.Steps)
		}
	}
	s = course.Default()
	s.Nodes, s.Calico = o.nodes, o.calico
	if len(o.files) > 0 {
		s.Pool = pool.Spec{}
		if err := load(&s, o.files, flags.Changed("pool")); err != nil {
			return s, err
		}
	}
	if flags.Changed("nodes") {
		s.Names = nil
	}
	if n := s.Count(); n < 1 || n > maxNodes {
		return s, fmt.Errorf("-nodes %d: must be from 1 to %d", n, maxNodes)
	}
	if flags.Changed("pool") || s.Pool.Name == "" {
		s.Pool.CIDR = o.pool
		s.Pool.Name = "default-ipv4-ippool"
		if s.Pool.CIDR.Addr().Is6() {
			s.Pool.Name = "default-ipv6-ippool"
		}
	}
	if flags.Changed("block-size") {
		s.Pool.BlockSize = o.size
	}
	return s, cli.InFlags(s.Pool.Validate())
}
