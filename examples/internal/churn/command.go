// Package churn is the program churn: whether a pool suffices for nodes that come and go.
package churn

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/lifecycle/fleet"
)

const usage = `Live through a day of nodes that come and go, and see whether the pool suffices.

Usage: ipamsim churn [flags]

Every node is replaced once in -replace-every by one of a new name, as many pods
start on it, and what the old one leaves behind is for the cleaning controller.

  ipamsim churn -nodes 250 -replace-every 15m -pods 20 \
      -pool 10.0.0.0/16
  ipamsim churn -pool 10.0.0.0/17 -compare=false -o day.svg
  ipamsim churn -drain -replace-pods-every 10m -leaks 0.05 -grace 1h
  ipamsim churn -json |
      jq '.runs[] | {name, suffices, peakDeadBlocks}'

Exit status: 0 the pool suffices; 1 it does not; 2 bad usage or unwritable
output; 130 interrupted.
`

// options are the flags.
type options struct {
	scenario  fleet.Scenario
	every     time.Duration
	drain     bool
	podsEvery time.Duration
	together  bool
	upgrade   int
	grace     time.Duration
	profile   string
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
	_ = cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(profiles(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.finish(cmd.Flags(), args); err != nil {
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
	if !runs[0].result.Suffices() {
		return cli.ErrNo
	}
	return nil
}

// profiles returns the names of the controller's behaviours.
func profiles() (names []string) {
	for _, p := range lifecycle.Profiles() {
		names = append(names, p.Name)
	}
	return names
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
	flags.BoolVar(&s.Strict, "strict", false, "strict affinity: no borrowing")
	cli.DurationVar(flags, &s.Cooldown, "cooldown", 0, "how long a released address rests, up to 20m")
	cli.DurationVar(flags, &o.grace, "grace", 15*time.Minute, "the controller's grace period; 0 to release no suspect of a node that exists")
	flags.StringVar(&o.profile, "profile", profiles()[0], "behaviour of the controller: "+strings.Join(profiles(), ", "))
	cli.DurationVar(flags, &s.Reaction, "reaction", 10*time.Second, "how long after a change the controller looks at it")
	cli.DurationVar(flags, &o.down, "down", time.Hour, "how long the controller is down in the comparison, from half-way on")
	cli.DurationVar(flags, &s.For, "for", 24*time.Hour, "how long to run")
	flags.Int64Var(&s.Seed, "seed", 1, "decides which nodes go first and whose releases are lost")
	flags.BoolVar(&o.compare, "compare", true, "compare with other grace periods, profiles and so on; -compare=false for only what is asked for")
	flags.BoolVar(&o.only, "only", false, "-compare=false")
	_ = flags.MarkHidden("only")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVarP(&o.chart, "output", "o", "", "write the chart to this SVG `FILE`, too; - prints it instead of the page")
	cli.Renamed(flags, map[string]string{"chart": "output"})
}

// finish makes what was given a scenario that can be run.
func (o *options) finish(flags *pflag.FlagSet, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q: everything is a flag", args[0])
	}
	if o.chart == "-" && o.json {
		return errors.New("-o -: not with -json: both would go to standard output")
	}
	o.compare = o.compare && !o.only
	s := &o.scenario
	found := false
	for _, p := range lifecycle.Profiles() {
		if p.Name == o.profile {
			s.Profile, found = p, true
		}
	}
	if !found {
		return fmt.Errorf("-profile %s: none of %s", o.profile, strings.Join(profiles(), ", "))
	}
	s.Profile.Policy.GracePeriod = o.grace
	s.Tunnel = true
	for _, f := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{{"replace-every", o.every, time.Second}, {"down", o.down, time.Second}, {"reaction", s.Reaction, time.Second}, {"grace", o.grace, 0}} {
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
	e := fleet.Event{At: o.every, Kind: fleet.Interrupt, Count: s.Nodes, Every: o.every, Over: o.every}
	if o.drain {
		e.Kind = fleet.ReplaceNodes
	}
	if o.together {
		e.Over = 0
	}
	s.Events = []fleet.Event{e}
	if o.podsEvery > 0 && s.Nodes*s.PodsPerNode > 0 {
		add(s, fleet.Event{Kind: fleet.ReplacePods, Count: s.Nodes * s.PodsPerNode, Every: o.podsEvery, Over: o.podsEvery})
	}
	if flags.Changed("upgrade") && o.upgrade == 0 {
		return errors.New("-upgrade 0: must be 1 or more nodes at a time; without -upgrade there is none")
	}
	if o.upgrade != 0 {
		add(s, fleet.Event{At: s.For / 2, Kind: fleet.Upgrade, Count: o.upgrade, Every: time.Minute})
	}
	if err := s.Validate(); err != nil {
		if flagged := cli.InFlags(err); flagged != err {
			return flagged
		}
		return errors.New(strings.ReplaceAll(err.Error(), fleet.ErrInvalid.Error()+": ", ""))
	}
	return nil
}
