// Package churn is the program churn: whether a pool suffices for nodes that come and go.
package churn

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/sim"
	"github.com/ipamsim/ipamsim/pool"
)

const usage = `Live through a day of nodes that come and go, and see whether the pool suffices.

Usage: ipamsim churn [flags]

Every node is replaced once in -replace-every by one of a new name, as many pods
start on it, and what the old one leaves behind is for the cleaning controller.

  ipamsim churn -nodes 250 -replace-every 15m -pods 20 \
      -pool 10.0.0.0/16
  ipamsim churn -pool 10.0.0.0/17 -compare=false -o day.svg
  ipamsim churn -drain -replace-pods-every 10m -leaks 0.05 -grace 1h
  ipamsim churn -f day.yaml
  ipamsim churn -json |
      jq '.runs[] | {name, suffices, peakDeadBlocks}'

Exit status: 0 the pool suffices; 1 it does not; 2 bad usage or unwritable
output; 130 interrupted.
`

// options are the flags.
type options struct {
	scenario  sim.Scenario // of the flags, or of the file
	files     []string
	file      string // what the scenario is from, empty for the flags
	every     time.Duration
	drain     bool
	podsEvery time.Duration
	reaction  time.Duration
	length    time.Duration
	together  bool
	upgrade   int
	grace     time.Duration
	calico    calico.Version
	down      time.Duration
	compare   bool
	only      bool // the older way to say that
	json      bool
	chart     string
}

// Command returns the program.
func Command() *cobra.Command {
	o := new(options)
	cmd := cli.New("churn", "does a pool suffice for nodes that come and go", usage)
	o.define(cmd.Flags())
	cli.Calico(cmd, &o.calico, "the `RELEASE` of Calico, v3.22 to v3.33, whose allocator and controller the cluster has")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.finish(cmd.Flags(), args, cmd.InOrStdin()); err != nil {
			return cli.Usage(err)
		}
		return o.run(cmd)
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// run lives through the day and prints what came of it.
func (o *options) run(cmd *cobra.Command) (err error) {
	stdout := cmd.OutOrStdout()
	var chart *cli.Output
	if o.chart != "" {
		if chart, err = cli.NewOutput("-o", o.chart, stdout); err != nil {
			return err
		}
	}
	for _, w := range o.scenario.Warnings() {
		if w.Path == "calico" {
			cli.Warn(cmd, w.Text)
		}
	}
	runs, err := live(cmd.Context(), o, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	switch {
	case chart != nil && chart.IsStandard(): // instead of the page
	case o.json:
		err = writeJSON(out, o, runs)
	default:
		writePage(out, o, runs)
	}
	if err := cmp.Or(err, out.Flush()); err != nil {
		return err
	}
	if chart != nil {
		err := chart.Write(cmd.Context(), stdout, func(w io.Writer) error {
			_, err := w.Write(svg(&runs[0].result))
			return err
		})
		if err != nil {
			return err
		}
	}
	if !suffices(&runs[0].result) {
		return cli.ErrNo
	}
	return nil
}

// define defines the flags.
func (o *options) define(flags *pflag.FlagSet) {
	s := &o.scenario
	cli.PrefixVar(flags, &s.Pool, "pool", "10.0.0.0/16", "", "the pool of addresses, of either family")
	flags.IntVar(&s.BlockSize, "block-size", 0, "prefix `length` of its blocks (default 26, for IPv6 122)")
	flags.IntVar(&s.Nodes, "nodes", 250, "nodes at any time")
	flags.IntVar(&s.PodsPerNode, "pods", 20, "pods on each")
	cli.DurationVar(flags, &o.every, "replace-every", 15*time.Minute, "how long a node lives")
	flags.BoolVar(&o.drain, "drain", false, "drain nodes first, so that addresses are given back (default: they vanish, as spot instances do)")
	cli.DurationVar(flags, &o.podsEvery, "replace-pods-every", 0, "how long a pod lives on a node that stays; 0 for as long as its node")
	flags.Float64Var(&s.Leaks, "leaks", 0, "the `share` of releases, 0 to 1, of which the allocator never hears")
	flags.BoolVar(&o.together, "together", false, "replace all nodes at one moment (default: evenly over -replace-every)")
	flags.IntVar(&o.upgrade, "upgrade", 0, "half-way, upgrade all nodes as well, `N` at a time, a step a minute")
	flags.BoolVar(&s.StrictAffinity, "strict", false, "strict affinity: no borrowing")
	flags.IntVar(&s.MaxBlocksPerHost, "max-blocks", 0, "how many blocks a node may have (default 20)")
	cli.SecondsVar(flags, &s.IPCooldownSeconds, "cooldown", ipam.MaxCooldownSeconds, "how long a released address rests, up to 20m")
	cli.DurationVar(flags, &o.grace, "grace", 15*time.Minute, "the controller's grace period; 0 to release no suspect of a node that exists")
	cli.DurationVar(flags, &o.reaction, "reaction", 10*time.Second, "how long after a change the controller looks at it")
	cli.DurationVar(flags, &o.down, "down", time.Hour, "how long the controller is down in the comparison, from half-way on")
	cli.DurationVar(flags, &o.length, "for", 24*time.Hour, "how long to run")
	flags.Int64Var(&s.Seed, "seed", 1, "decides which nodes go first and whose releases are lost")
	flags.StringArrayVarP(&o.files, "file", "f", nil, "the scenario in this `FILE` instead of the flags above: several pools, groups of nodes, other events; - is standard input")
	flags.BoolVar(&o.compare, "compare", true, "compare with other grace periods, releases and so on; -compare=false for only what is asked for")
	flags.BoolVar(&o.only, "only", false, "-compare=false")
	_ = flags.MarkHidden("only")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVarP(&o.chart, "output", "o", "", "write the chart to this SVG `FILE`, too; - prints it instead of the page")
	cli.Renamed(flags, map[string]string{"chart": "output", "scenario": "file", "profile": "calico"})
}

// finish makes what was given a scenario that can be run.
func (o *options) finish(flags *pflag.FlagSet, args []string, stdin io.Reader) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q: everything is a flag", args[0])
	}
	if o.chart == "-" && o.json {
		return errors.New("-o -: not with -json: both would go to standard output")
	}
	o.compare = o.compare && !o.only
	if o.down < time.Second {
		return fmt.Errorf("-down %s: must be 1s or more", cli.Short(o.down))
	}
	if len(o.files) > 0 {
		return o.read(flags, stdin)
	}
	s := &o.scenario
	if flags.Changed("calico") {
		s.Calico = o.calico.String()
	}
	for _, f := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{{"replace-every", o.every, time.Second}, {"reaction", o.reaction, time.Second}, {"grace", o.grace, 0}, {"for", o.length, time.Second}} {
		if f.value < f.least {
			return fmt.Errorf("-%s %s: must be %s or more", f.name, cli.Short(f.value), cli.Short(f.least))
		}
	}
	if s.Leaks > 0 && !o.drain && o.podsEvery == 0 {
		return errors.New("-leaks needs -drain or -replace-pods-every: nodes that vanish leak everything anyway")
	}
	if o.podsEvery != 0 && o.podsEvery < time.Second {
		return fmt.Errorf("-replace-pods-every %s: must be 1s or more, or 0", cli.Short(o.podsEvery))
	}
	if flags.Changed("upgrade") && o.upgrade == 0 {
		return errors.New("-upgrade 0: must be 1 or more nodes at a time; without -upgrade there is none")
	}
	o.fill()
	if err := s.Validate(); err != nil {
		return o.inFlags(err)
	}
	if total := blocks(s); total > mostBlocks {
		return fmt.Errorf("-pool %s: has %s blocks, must have at most %s", s.Pool, cli.Number(total), cli.Number(mostBlocks))
	}
	return nil
}

// fill makes the scenario what the flags say. Each node comes up whole, and its pods
// ask again every minute, as a kubelet does.
func (o *options) fill() {
	s := &o.scenario
	grace := sim.Duration(o.grace)
	s.Cleaner = &sim.Cleaner{GracePeriod: &grace, Reaction: sim.Duration(o.reaction)}
	s.NodeFormat, s.NumberFrom, s.TunnelIPPerNode, s.Order = "node-%06d", 1, true, "one-by-one"
	s.RetryEvery, s.For = sim.Duration(time.Minute), sim.Duration(o.length)

	every := sim.Duration(o.every)
	e := sim.Event{At: every, Do: "interrupt", Count: s.Nodes, Every: every, Over: every}
	if o.drain {
		e.Do = "replace-nodes"
	}
	if o.together {
		e.Over = 0
	}
	s.Events = []sim.Event{e}
	if every := sim.Duration(o.podsEvery); every > 0 && s.Nodes*s.PodsPerNode > 0 {
		add(s, sim.Event{Do: "replace-pods", Count: s.Nodes * s.PodsPerNode, Every: every, Over: every})
	}
	if o.upgrade != 0 {
		add(s, sim.Event{At: s.For / 2, Do: "upgrade", Count: o.upgrade, Every: sim.Duration(time.Minute)})
	}
}

// inFlags puts what is wrong with the scenario of the flags, the first thing of
// several, in their terms.
func (o *options) inFlags(err error) error {
	var wrong *sim.InvalidError
	if !errors.As(err, &wrong) {
		return err
	}
	name := map[string]string{
		"pool": "pool", "blockSize": "block-size", "nodes": "nodes", "podsPerNode": "pods", "leaks": "leaks", "for": "for", "maxBlocksPerHost": "max-blocks",
	}[wrong.Path]
	for i, e := range o.scenario.Events {
		if !strings.HasPrefix(wrong.Path, fmt.Sprintf("events[%d].", i)) {
			continue
		}
		switch e.Do {
		case "upgrade":
			name = "upgrade"
		case "replace-pods":
			name = "replace-pods-every"
		default:
			name = "replace-every"
		}
	}
	if name == "" {
		return err
	}
	return fmt.Errorf("-%s %s", name, wrong.Reason)
}

// forFiles are the flags that go with a scenario of a file.
var forFiles = []string{"file", "down", "compare", "only", "json", "output"}

// read reads the scenario of the file.
func (o *options) read(flags *pflag.FlagSet, stdin io.Reader) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if err == nil && !slices.Contains(forFiles, f.Name) {
			err = fmt.Errorf("%s: not with -f, whose FILE says what the cluster is", cli.Flag(f))
		}
	})
	if err != nil {
		return err
	}
	if len(o.files) > 1 {
		return errors.New("-f: churn is about one scenario: give it once")
	}
	in, name, err := cli.Open(o.files[0], stdin)
	if err != nil {
		return err
	}
	defer in.Close()
	o.file = name
	entries, err := sim.Read(name, in)
	if err != nil {
		return err
	}
	if dualStack(entries) {
		return fmt.Errorf("-f %s: has pools of both families, and churn is about one: take out the pools of IPv4, or those of IPv6", o.files[0])
	}
	if len(entries) > 1 {
		return fmt.Errorf("-f %s: has %s, and churn is about one", o.files[0], cli.Count(len(entries), "scenario"))
	}
	o.scenario = entries[0].Scenario
	s := &o.scenario
	wrong := func(format string, args ...any) error {
		return &sim.FileError{File: name, Line: entries[0].Line, Err: fmt.Errorf(format, args...)}
	}
	if s.For == 0 {
		return wrong("for is missing: how long to run, 24h say")
	}
	if err := s.Validate(); err != nil {
		return wrong("%w", err)
	}
	if total := blocks(s); total > mostBlocks {
		return wrong("%s blocks in all, must be at most %s", cli.Number(total), cli.Number(mostBlocks))
	}
	o.calico = s.Release()
	return nil
}

// dualStack reports whether scenarios are the two families of one: then they begin on one
// line.
func dualStack(entries []sim.Entry) bool {
	if len(entries) != 2 || entries[0].Line != entries[1].Line {
		return false
	}
	four, six := entries[0].Pools, entries[1].Pools
	return len(four) > 0 && len(six) > 0 && four[0].CIDR.Addr().Is4() && six[0].CIDR.Addr().Is6()
}

// mostBlocks is how many blocks can be drawn.
const mostBlocks = 1 << 24

// blocks returns how many blocks the pools have room for, which are valid.
func blocks(s *sim.Scenario) (n int) {
	for _, p := range append([]sim.Pool{{CIDR: s.Pool, BlockSize: s.BlockSize}}, s.Pools...) {
		if spec := (pool.Spec{CIDR: p.CIDR, BlockSize: p.BlockSize}).WithDefaults(); spec.CIDR.IsValid() {
			n += 1 << (spec.BlockSize - spec.CIDR.Bits())
		}
	}
	return n
}
