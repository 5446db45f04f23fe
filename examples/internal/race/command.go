// Package race is the program race: what happens when hosts race each other.
package race

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/explore"
	"github.com/ipamsim/ipamsim/internal/storm"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

const usage = `See what happens when hosts race each other for blocks and addresses.

Usage: ipamsim race -seed N [flags]
       ipamsim race -check [-json] FILE...
       ipamsim race -storm N [flags]

A small race, step by step; every way in which that can go; recorded races, call
by call; and 40 nodes at once, and what that costs:

  ipamsim race -seed 7
  ipamsim race -seed 7 -explore
  ipamsim race -check testdata/races.jsonl.gz
  ipamsim race -storm 40

-h after -seed, -check or -storm tells more.

Exit status: 0; 1 an invariant or a recording does not hold, or a pod got no
address; 2 bad usage, unreadable file or unwritable output; 130 interrupted.
`

// mode is something that the program can do, by the flag that asks for it.
type mode struct {
	flag  string
	usage string
	flags []string // those that go with it
	run   func(o *options, cmd *cobra.Command, args []string) error
}

// modes are what the program can do. A storm has a seed, too, so it comes first.
var modes = []mode{
	{"storm", stormUsage, []string{"storm", "pods", "pool", "block-size", "filled", "strict", "rate", "burst", "latency", "calico", "seed", "json"}, (*options).storm},
	{"check", checkUsage, []string{"check", "json"}, (*options).check},
	{"seed", seededUsage, []string{"seed", "schedule", "output", "explore", "random", "states", "conflicts", "deaths", "failures", "stale", "calico", "json"}, (*options).race},
}

// asked returns what the flags ask for, or nil.
func asked(flags *pflag.FlagSet) *mode {
	for i := range modes {
		if flags.Changed(modes[i].flag) {
			return &modes[i]
		}
	}
	return nil
}

// options are the flags.
type options struct {
	seed     string
	json     bool
	recorded bool    // -check
	small    request // -seed
	text     string  // the schedule
	weather  storm.Config
	calico   calico.Version
}

// Command returns the program.
func Command() *cobra.Command { return new(options).command() }

func (o *options) command() *cobra.Command {
	cmd := cli.New("race", "what happens when hosts race each other for blocks", usage)
	o.define(cmd.Flags())
	cli.Calico(cmd, &o.calico, "the `RELEASE` of Calico, v3.22 to v3.33, that all hosts run; of a race in a file, in place of its own")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m := asked(cmd.Flags())
		if m == nil && len(args) == 0 {
			return cli.Usagef("nothing to do: want -seed N, -check FILE or -storm N")
		}
		if m == nil {
			return cli.Usagef("%s: want -seed, -check or -storm", args[0])
		}
		if err := m.fits(cmd.Flags()); err != nil {
			return cli.Usage(err)
		}
		cli.Warn(cmd, o.calico.Caveat())
		return m.run(o, cmd, args)
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		m := asked(cmd.Flags())
		if m != nil {
			cmd.Long = m.usage
			if m.flag == "storm" {
				cmd.Flags().Lookup("calico").Usage = "the `RELEASE` of Calico, v3.22 to v3.33, that all nodes run"
				cmd.Flags().Lookup("seed").Usage = "`N` decides whose call comes first (default 1)"
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = m == nil || !slices.Contains(m.flags, f.Name) })
		cli.Help(cmd)
	})
	return cmd
}

// fits says which flag does not go with what is asked for.
func (m *mode) fits(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		switch {
		case err != nil || slices.Contains(m.flags, f.Name):
		case slices.ContainsFunc(modes, func(other mode) bool { return other.flag == f.Name }):
			err = fmt.Errorf("-%s and -%s are different things to do: give one of them", m.flag, f.Name)
		case f.Name == "calico":
			err = fmt.Errorf("-calico: not with -%s, whose recordings name their own release", m.flag)
		default:
			err = fmt.Errorf("%s: not with -%s", cli.Flag(f), m.flag)
		}
	})
	return err
}

// define defines the flags of all modes.
func (o *options) define(flags *pflag.FlagSet) {
	r, w := &o.small, &o.weather
	flags.BoolVar(&o.recorded, "check", false, "replay recorded races")
	flags.IntVar(&w.Nodes, "storm", 0, "how many nodes start at once")
	flags.StringVar(&o.seed, "seed", "", "the race that follows from a number, or one that -o wrote: `N|FILE`")

	flags.StringVar(&o.text, "schedule", "", "whose call comes next, instead of the race's own schedule")
	flags.StringVarP(&r.save, "output", "o", "", "write the race and the schedule that it took to this `FILE`, for -seed")
	flags.BoolVar(&r.explore, "explore", false, "try every schedule, each state once")
	flags.IntVar(&r.random, "random", 0, "try `N` schedules, most with few switches between clients")
	flags.IntVar(&r.bounds.States, "states", explore.DefaultStates, "at most so many states, 1 to 100000000")
	flags.IntVar(&r.bounds.Conflicts, "conflicts", explore.DefaultConflicts, "at most so many conflicts in one operation, 1 to 10")
	flags.IntVar(&r.bounds.Deaths, "deaths", 1, "at most so many clients die in a schedule")
	flags.IntVar(&r.bounds.Failures, "failures", 0, "at most so many calls fail or are not answered")
	flags.IntVar(&r.bounds.Stale, "stale", 0, "at most so many reads are old")

	flags.IntVar(&w.Pods, "pods", 1, "pods on each node, served one after the other")
	cli.PrefixVar(flags, &w.Pool, "pool", "10.0.0.0/20", "", "the pool of addresses, of either family")
	flags.IntVar(&w.BlockSize, "block-size", 0, "only blocks of this prefix `length` (default: several, compared)")
	flags.IntVar(&w.Filled, "filled", 0, "`blocks` of every hundred that are full, the others having one address in use; 0: an empty pool")
	flags.BoolVar(&w.Strict, "strict", false, "strict affinity: no borrowing")
	flags.Float64Var(&w.Rate, "rate", storm.DefaultRate, "`calls` a second that each node may make in the long run")
	flags.IntVar(&w.Burst, "burst", storm.DefaultBurst, "`calls` that each node may make before that holds")
	cli.DurationVar(flags, &w.Latency, "latency", 10*time.Millisecond, "the time that a call takes")
	flags.BoolVar(&o.json, "json", false, "print JSON: an object, with -check one a file, with -storm one a block size")
	cli.Renamed(flags, map[string]string{"save": "output"})
}
