package plan

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

const usage = `Which block size: run a cluster at every size that Calico allows, and compare.

Usage: ipamsim plan [flags]
       ipamsim plan -check [-json] FILE...

  ipamsim plan -nodes 300 -pods 40 -pool 10.0.0.0/18
  ipamsim plan -nodes 65 -pods 20 -pool 10.8.0.0/20 -block-size 26 \
      -strict
  ipamsim plan -f cluster.yaml -o report.html
  ipamsim plan -f cluster.yaml -calico all
  ipamsim plan -cluster-of cluster.json
  ipamsim plan -f testdata/plan.jsonl -shard 0/2 > 0.jsonl
  ipamsim plan -check testdata/plan.jsonl

A FILE has scenarios as JSON, one after the other, or as YAML documents; plain
or gzip; - is standard input. One that names a block size is run as it stands,
others are compared. Several pools, groups of nodes and of pods, Windows
nodes, virtual machines, services and events are for files only:

  name: two zones
  pools:
  - {name: a, cidr: 10.0.0.0/20, nodeSelector: zone == 'a'}
  - {name: b, cidr: 10.1.0.0/20, nodeSelector: zone == 'b'}
  nodes: 50
  podsPerNode: 30
  labels: {zone: a}
  groups: [{nodes: 20, nodeFormat: b-%d, podsPerNode: 60, labels: {zone: b}}]
  events: [{at: 10m, do: drain, nodes: [node-0, node-1]}]

Exit status: 0 a block size fits, for every scenario; 1 none fits, for one of
them; 2 bad usage, unreadable input or unwritable output; 130 interrupted.
With -check: 0 nothing differs, 1 something does. With -calico all: 0 every
scenario fits at a release, even if releases differ; 1 one fits at none. With
-shard: 0 all was run.
`

// options are the flags.
type options struct {
	scenario sim.Scenario // unless there are files
	churn    sim.Churn
	order    string
	churnFor time.Duration
	shardOf  string
	calico   string // a release, allReleases, or empty
	files    []string
	clusters map[string]bool // those of the files that are dumps of clusters
	check    bool
	json     bool
	lines    bool // JSON Lines
	wide     bool
	report   string
	only     string // the scenarios of this name
	samples  int
	workers  int
	shard    int
	shards   int // 0 for all in one
}

// forFiles are the flags that go with scenarios of files.
var forFiles = []string{"file", "cluster-of", "only", "check", "json", "wide", "output", "samples", "shard", "jobs", "calico"}

// flagOf is the flag for what a scenario calls its fields.
var flagOf = map[string]string{
	"nodes": "nodes", "podsPerNode": "pods", "podHistogram": "pods-histogram", "pool": "pool", "blockSize": "block-size",
	"nodeFormat": "node-format", "tunnelIPPerNode": "tunnel", "order": "order", "seed": "seed",
	"strictAffinity": "strict", "noAutoAllocateBlocks": "no-auto-allocate", "maxBlocksPerHost": "max-blocks",
	"ipCooldownSeconds": "cooldown", "reservations": "reserve", "serviceCIDR": "service-cidr", "name": "name",
	"churn.perSecond": "churn-rate", "churn.for": "churn-for", "churn": "churn-rate",
}

// orders are those in which pods may arrive.
var orders = []string{"round-robin", "node-by-node", "random", "one-by-one"}

// define defines the flags.
func (o *options) define(flags *pflag.FlagSet) {
	s := &o.scenario
	flags.IntVar(&s.Nodes, "nodes", 300, "nodes")
	flags.IntVar(&s.PodsPerNode, "pods", 40, "pods on each")
	flags.Func("pods-histogram", "`pods:nodes`: instead, 10:200,60:100 for 10 pods on each of 200 nodes, 60 on 100; shares, if -nodes says how many in all", listOf(&s.PodHistogram, bucket))
	cli.PrefixVar(flags, &s.Pool, "pool", "10.0.0.0/18", "", "the pool of addresses, of either family")
	flags.IntVar(&s.BlockSize, "block-size", 0, "only blocks of this prefix `length` (default: all, compared)")
	flags.StringVar(&s.NodeFormat, "node-format", "node-%d", "the nodes' names; who is called what decides who gets which block")
	flags.BoolVar(&s.TunnelIPPerNode, "tunnel", true, "an address for each node's tunnel, too")
	flags.StringVar(&o.order, "order", orders[0], "how pods arrive: "+strings.Join(orders, ", "))
	flags.Int64Var(&s.Seed, "seed", 0, "decides the random order, and which pods -churn-rate restarts")
	flags.BoolVar(&s.StrictAffinity, "strict", false, "strict affinity: no borrowing")
	flags.BoolVar(&s.NoAutoAllocate, "no-auto-allocate", false, "nodes claim no blocks (autoAllocateBlocks: false)")
	flags.IntVar(&s.MaxBlocksPerHost, "max-blocks", 0, "how many blocks a node may have (default 20)")
	cli.SecondsVar(flags, &s.IPCooldownSeconds, "cooldown", ipam.MaxCooldownSeconds, "how long a released address rests, up to 20m")
	flags.Func("reserve", "reserved `addresses` and CIDRs, a comma between two; may be repeated", listOf(&s.Reservations, func(text string) (string, error) { return text, nil }))
	cli.PrefixVar(flags, &s.ServiceCIDR, "service-cidr", "", "10.96.0.0/12", "the cluster's service addresses, which the pool should not touch")
	flags.Float64Var(&o.churn.PerSecond, "churn-rate", 0, "`pods` restarted a second, in the whole cluster")
	cli.DurationVar(flags, &o.churnFor, "churn-for", 10*time.Minute, "for how long pods are restarted")
	flags.StringVar(&s.Name, "name", "", "what to call it in the report")
	flags.StringArrayVarP(&o.files, "file", "f", nil, "scenarios in this `FILE` instead of all the flags above; may be repeated; - is standard input")
	flags.Func("cluster-of", "a scenario made from what kubectl prints of a live cluster, in this `FILE`: its pools, its nodes with their pods, its configuration, from the start", func(value string) error {
		if o.clusters == nil {
			o.clusters = make(map[string]bool)
		}
		o.files, o.clusters[value] = append(o.files, value), true
		return nil
	})
	flags.StringVar(&o.only, "only", "", "of the files only the scenarios of this `name`")
	flags.BoolVar(&o.check, "check", false, "compare scenarios of files with the results that stand beside them")
	flags.BoolVar(&o.json, "json", false, "print JSON; of files with several scenarios, or with -shard, a line each")
	flags.StringVarP(&o.report, "output", "o", "", "write a report of one scenario to this HTML `FILE`, too; - prints it instead of the table")
	flags.IntVar(&o.samples, "samples", 0, "how many `moments` the JSON and the report show (default 0, with -o 100)")
	flags.BoolVar(&o.wide, "wide", false, "another table: empty blocks, why requests were refused, how much room is left")
	flags.StringVar(&o.shardOf, "shard", "", "only every `I/N`th scenario: 3/16 are the fourth of 16, the twentieth, …; prints a line of JSON each")
	flags.IntVarP(&o.workers, "jobs", "j", 0, "how many runs at a time (default: as many as there are processors)")
	flags.StringVar(&o.calico, "calico", "", "the `RELEASE` of Calico, v3.22 to v3.33 (default the newest); all compares four of them, at one block size")
	cli.Renamed(flags, map[string]string{"scenario": "file"})
}

// finish looks at what was given, and completes the options.
func (o *options) finish(flags *pflag.FlagSet, args []string) error {
	given := make(map[string]bool)
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	if err := o.arguments(args); err != nil {
		return err
	}
	if err := o.others(given, o.shardOf); err != nil {
		return err
	}
	if err := o.release(given); err != nil {
		return err
	}
	if len(o.files) > 0 {
		return ofFiles(flags)
	}
	return o.finishScenario(given)
}

// release reads the release of Calico.
func (o *options) release(given map[string]bool) error {
	switch {
	case o.calico == "":
	case o.calico == allReleases:
		for _, name := range []string{"check", "output", "wide", "shard", "samples"} {
			if given[name] {
				return fmt.Errorf("-calico all: not with -%s: it prints a table of releases", strings.Replace(name, "output", "o", 1))
			}
		}
	case len(o.files) > 0:
		return errors.New("-calico: of files only all, for they say the release of their scenarios: calico: v3.28")
	default:
		if _, err := calico.Parse(o.calico); err != nil {
			return fmt.Errorf("-calico %s: must be a release of Calico such as v3.28 or v3.28.2, or all", o.calico)
		}
		o.scenario.Calico = o.calico
	}
	return nil
}

// finishScenario completes the scenario of the flags.
func (o *options) finishScenario(given map[string]bool) error {
	s := &o.scenario
	s.Order = o.order
	if len(s.PodHistogram) > 0 {
		if given["pods"] {
			return errors.New("-pods-histogram: not with -pods: it is one or the other")
		}
		s.PodsPerNode = 0
		if !given["nodes"] {
			s.Nodes, _ = shares(&s.Group)
		}
	}
	if s.NoAutoAllocate && !s.StrictAffinity {
		return errors.New("-no-auto-allocate needs -strict: Calico refuses autoAllocateBlocks off while strict affinity is off")
	}
	switch {
	case given["churn-rate"]:
		o.churn.For = sim.Duration(o.churnFor)
		s.Churn = &o.churn
	case given["churn-for"]:
		return errors.New("-churn-for: needs -churn-rate, how many pods a second")
	}
	if s.PodsPerNode == 0 && len(s.PodHistogram) == 0 && !s.TunnelIPPerNode && s.Churn == nil {
		return errors.New("-pods 0: without -tunnel nobody asks for an address")
	}
	return o.valid()
}

// arguments takes what is no flag.
func (o *options) arguments(args []string) error {
	for _, arg := range args {
		if !o.check {
			return fmt.Errorf("unexpected argument %q: everything is a flag, but files after -check", arg)
		}
		o.files = append(o.files, arg)
	}
	return nil
}

// others looks at the flags that are not about a scenario.
func (o *options) others(given map[string]bool, shard string) error {
	if o.check && len(o.files) == 0 {
		return errors.New("-check: no FILE given")
	}
	if o.check {
		for _, name := range []string{"output", "samples", "wide"} {
			if given[name] {
				return fmt.Errorf("-%s: not with -check, which prints differences only", strings.Replace(name, "output", "o", 1))
			}
		}
	}
	if given["output"] && o.report == "" {
		return errors.New("-o: no file named; - is standard output")
	}
	if given["only"] && len(o.files) == 0 {
		return errors.New("-only: needs -f FILE, of which to take the scenarios of that name")
	}
	if given["shard"] {
		if len(o.files) == 0 {
			return errors.New("-shard: needs -f FILE, of which to take every Nth")
		}
		before, after, _ := strings.Cut(shard, "/")
		index, err1 := strconv.Atoi(before)
		of, err2 := strconv.Atoi(after)
		if err1 != nil || err2 != nil || of < 1 || index < 0 || index >= of {
			return fmt.Errorf("-shard %s: must be I/N, with I from 0 to N-1", shard)
		}
		o.shard, o.shards, o.lines = index, of, !o.check
		if given["output"] {
			return errors.New("-o: not with -shard: a report is of one scenario")
		}
	}
	if o.workers < 0 {
		return fmt.Errorf("-j %d: must be 1 or more", o.workers)
	}
	if o.workers == 0 {
		o.workers = runtime.GOMAXPROCS(0)
	}
	if o.samples < 0 || o.samples == 1 {
		return fmt.Errorf("-samples %d: must be 0, or 2 and more", o.samples)
	}
	for _, name := range []string{"json", "shard"} {
		if o.wide && given[name] {
			return fmt.Errorf("-wide: not with -%s, which prints no table", name)
		}
	}
	switch {
	case o.report != "" && !given["samples"]:
		o.samples = 100
	case o.report == "" && o.samples > 0 && !o.json && !o.lines:
		return errors.New("-samples: needs -json or -o, the table shows none")
	}
	return nil
}

// ofFiles returns an error if a flag is given that scenarios of files say themselves.
func ofFiles(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if err == nil && !slices.Contains(forFiles, f.Name) {
			err = fmt.Errorf("%s: not with a FILE, which says what its scenarios are", cli.Flag(f))
		}
	})
	return err
}

// valid looks at the scenario of the flags. Where no block size is named, any will do
// that the pool is large enough for.
func (o *options) valid() error {
	s := o.scenario
	if all := sizes(&s); len(all) > 0 {
		s.BlockSize = all[0]
	}
	if err := s.Validate(); err != nil {
		return inFlags(err)
	}
	return reservedInPool(&s)
}

// reservedInPool fails where a reservation has no address of the pool: it would
// change nothing, and is likely to be mistyped.
func reservedInPool(s *sim.Scenario) error {
	for _, text := range s.Reservations {
		reserved, err := netip.ParsePrefix(text)
		if addr, wrong := netip.ParseAddr(text); wrong == nil {
			reserved, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err == nil && !reserved.Overlaps(s.Pool) {
			return fmt.Errorf("-reserve %s: no address of it is in the pool %v", text, s.Pool)
		}
	}
	return nil
}

// inFlags puts what is wrong with a scenario, the first thing of several, in terms of
// the flags.
func inFlags(err error) error {
	var wrong *sim.InvalidError
	if !errors.As(err, &wrong) {
		return cli.InFlags(err)
	}
	name := flagOf[wrong.Path]
	if name == "" {
		end := strings.IndexAny(wrong.Path+".", ".[")
		name = flagOf[wrong.Path[:end]]
	}
	if name == "" {
		return err
	}
	return fmt.Errorf("-%s %s", name, wrong.Reason)
}

// listOf returns what reads a list with commas, and adds it to the elements.
func listOf[E any](all *[]E, read func(text string) (E, error)) func(string) error {
	return func(text string) error {
		for part := range strings.SplitSeq(text, ",") {
			e, err := read(strings.TrimSpace(part))
			if err != nil {
				return err
			}
			*all = append(*all, e)
		}
		return nil
	}
}

// bucket reads pods:nodes.
func bucket(text string) (b sim.Bucket, err error) {
	pods, nodes, _ := strings.Cut(text, ":")
	var err1, err2 error
	b.Pods, err1 = strconv.Atoi(pods)
	b.Nodes, err2 = strconv.Atoi(nodes)
	if err1 != nil || err2 != nil || b.Pods < 0 || b.Nodes < 1 {
		return b, fmt.Errorf("%q is not pods:nodes", text)
	}
	return b, nil
}
