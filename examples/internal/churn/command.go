// Package churn is the program churn: whether a pool suffices for nodes that come and go.
package churn

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/lifecycle/fleet"
)

// Run runs the program with its arguments and returns its exit status.
func Run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	return run(args, stdout, stderr, cli.Terminal(stderr))
}

const usage = `Live through a day of nodes that come and go, and see whether the pool suffices.

Usage: go run ./examples/churn [flags]

Every node is replaced once in -replace-every by one of a new name, as many pods
start on it, and what the old one leaves behind is for the cleaning controller.

  go run ./examples/churn -nodes 250 -replace-every 15m -pods 20 \
      -pool 10.0.0.0/16
  go run ./examples/churn -pool 10.0.0.0/17 -only -chart day.svg
  go run ./examples/churn -drain -replace-pods-every 10m -leaks 0.05 -grace 1h
  go run ./examples/churn -json |
      jq '.runs[] | {name, suffices, peakDeadBlocks}'

Exit status: 0 the pool suffices, 1 it does not, 2 bad usage or unwritable
output.

Flags:
`

// options are the flags.
type options struct {
	scenario fleet.Scenario
	every    time.Duration
	down     time.Duration
	only     bool
	json     bool
	chart    string
}

func run(args []string, stdout, stderr io.Writer, terminal bool) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "churn: %v (-h for help)\n", err)
		return 2
	}
	var progress io.Writer
	if terminal {
		progress = stderr
	}
	var chart *cli.Output
	if o.chart != "" {
		if chart, err = cli.NewOutput("-chart", o.chart, stdout); err != nil {
			fmt.Fprintf(stderr, "churn: %v\n", err)
			return 2
		}
	}
	runs := live(&o, progress)
	out := bufio.NewWriter(stdout)
	if o.json {
		err = writeJSON(out, &o, runs)
	} else {
		writePage(out, &o, runs)
	}
	if err == nil {
		err = out.Flush()
	}
	if err == nil && chart != nil {
		err = chart.Write(context.Background(), stdout, func(w io.Writer) error {
			_, err := w.Write(svg(&runs[0].result))
			return err
		})
	}
	if err != nil {
		fmt.Fprintf(stderr, "churn: %v\n", err)
		return 2
	}
	if !runs[0].result.Suffices() {
		return 1
	}
	return 0
}

// parse reads the flags into a scenario that can be run. Help goes to stdout.
func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	s := &o.scenario
	flags := flag.NewFlagSet("churn", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	cidr := flags.String("pool", "10.0.0.0/16", "`CIDR` of the pool")
	flags.IntVar(&s.BlockSize, "block-size", 0, "prefix `length` of its blocks (default 26, for IPv6 122)")
	flags.IntVar(&s.Nodes, "nodes", 250, "nodes at any time")
	flags.IntVar(&s.PodsPerNode, "pods", 20, "pods on each")
	flags.DurationVar(&o.every, "replace-every", 15*time.Minute, "how long a node lives")
	drain := flags.Bool("drain", false, "drain nodes first, so that addresses are given back (default: they vanish, as spot instances do)")
	pods := flags.Duration("replace-pods-every", 0, "how long a pod lives on a node that stays; 0 for as long as its node")
	flags.Float64Var(&s.Leaks, "leaks", 0, "the `share` of releases, 0 to 1, of which the allocator never hears")
	together := flags.Bool("together", false, "replace all nodes at one moment (default: evenly over -replace-every)")
	upgrade := flags.Int("upgrade", 0, "half-way, upgrade all nodes as well, this `surge` at a time, a step a minute")
	flags.BoolVar(&s.Strict, "strict", false, "strict affinity: no borrowing")
	flags.DurationVar(&s.Cooldown, "cooldown", 0, "cooldown of addresses, up to 20m")
	grace := flags.Duration("grace", 15*time.Minute, "the controller's grace period; 0 to release no suspect of a node that exists")
	names := make([]string, 0, 4)
	for _, p := range lifecycle.Profiles() {
		names = append(names, p.Name)
	}
	profile := flags.String("profile", names[0], "behaviour: "+strings.Join(names, ", "))
	flags.DurationVar(&s.Reaction, "reaction", 10*time.Second, "how long after a change the controller looks at it")
	flags.DurationVar(&o.down, "down", time.Hour, "how long the controller is down in the comparison, from half-way on")
	flags.DurationVar(&s.For, "for", 24*time.Hour, "how long to run")
	flags.Int64Var(&s.Seed, "seed", 1, "decides which nodes go first and whose releases are lost")
	flags.BoolVar(&o.only, "only", false, "only what is asked for, without the comparisons")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.chart, "chart", "", "write the chart to this SVG `file` too")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		cli.PrintFlags(stdout, flags)
		return o, err
	} else if err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: everything is a flag", flags.Arg(0))
	}
	var err error
	if s.Pool, err = netip.ParsePrefix(*cidr); err != nil {
		return o, fmt.Errorf("-pool %s: not a CIDR such as 10.0.0.0/16", *cidr)
	}
	found := false
	for _, p := range lifecycle.Profiles() {
		if p.Name == *profile {
			s.Profile, found = p, true
		}
	}
	if !found {
		return o, fmt.Errorf("-profile %s: none of %s", *profile, strings.Join(names, ", "))
	}
	s.Profile.Policy.GracePeriod = *grace
	s.Tunnel = true
	for _, f := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{{"replace-every", o.every, time.Second}, {"down", o.down, time.Second}, {"reaction", s.Reaction, time.Second}, {"grace", *grace, 0}} {
		if f.value < f.least {
			return o, fmt.Errorf("-%s %v: must be %v or more", f.name, f.value, f.least)
		}
	}
	if s.Leaks > 0 && !*drain && *pods == 0 {
		return o, errors.New("-leaks needs -drain or -replace-pods-every: nodes that vanish leak everything anyway")
	}
	if *pods != 0 && *pods < time.Second {
		return o, fmt.Errorf("-replace-pods-every %v: must be 1s or more, or 0", *pods)
	}
	e := fleet.Event{At: o.every, Kind: fleet.Interrupt, Count: s.Nodes, Every: o.every, Over: o.every}
	if *drain {
		e.Kind = fleet.ReplaceNodes
	}
	if *together {
		e.Over = 0
	}
	s.Events = []fleet.Event{e}
	if *pods > 0 && s.Nodes*s.PodsPerNode > 0 {
		add(s, fleet.Event{Kind: fleet.ReplacePods, Count: s.Nodes * s.PodsPerNode, Every: *pods, Over: *pods})
	}
	given := false
	flags.Visit(func(f *flag.Flag) { given = given || f.Name == "upgrade" })
	if given && *upgrade == 0 {
		return o, errors.New("-upgrade 0: must be 1 or more nodes at a time; without -upgrade there is none")
	}
	if *upgrade != 0 {
		add(s, fleet.Event{At: s.For / 2, Kind: fleet.Upgrade, Count: *upgrade, Every: time.Minute})
	}
	if err := s.Validate(); err != nil {
		if flagged := cli.InFlags(err); flagged != err {
			return o, flagged
		}
		return o, errors.New(strings.ReplaceAll(err.Error(), fleet.ErrInvalid.Error()+": ", ""))
	}
	return o, nil
}
