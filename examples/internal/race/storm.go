package race

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/protocol/storm"
	"github.com/ipamsim/ipamsim/pool"
)

// This file is -storm: what contention costs.

const stormUsage = `Start many nodes at once on one pool and report what contention costs.

Usage: go run ./examples/race -storm N [flags]

N nodes come up at the same instant and ask for addresses for their first pods,
each limited to so many calls to the datastore a second. A row is a block size:

  CALLS        calls to the datastore of all nodes
  IN TURN      calls that the same pods take one after the other
  CONFLICTS    calls that found that somebody else had written since they read
  RETRIES      what was done again: after a conflict, or after a claim on a
               block that another node had created first
  WORST NODE   calls and conflicts of the node that made the most calls
  MEDIAN LAST  how long half of the pods, and the last of them, wait

Time is virtual: the output is the same on every machine.

  go run ./examples/race -storm 40
  go run ./examples/race -storm 40 -filled 95
  go run ./examples/race -storm 300 -pool 10.0.0.0/18 -block-size 26 \
      -rate 20 -burst 40
  go run ./examples/race -storm 40 -json |
      jq -c '[.blockSize, .calls, .lastSeconds]'

Exit status: 0 every pod got an address, 1 one did not, 2 bad usage or
unwritable output.

Flags:
`

// runStorm is run with -storm.
func runStorm(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintf(stderr, "race: %v (-storm 40 -h for help)\n", err)
		return 2
	}
	o, err := parseStorm(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(err)
	}
	configs, full, err := o.configs()
	if err != nil {
		return fail(err)
	}
	bar := cli.NewCount(stderr, "pods served", int64(2*o.Nodes*o.Pods*len(configs)))
	results := letPass(configs, func() { bar.Add(1) })
	bar.Stop()

	out := bufio.NewWriter(stdout)
	if o.json {
		for i := range results {
			_ = json.NewEncoder(out).Encode(stormAsJSON(&configs[i], &results[i])) // a failure shows when flushing
		}
	} else {
		reportStorm(out, &o.Config, results, full)
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintf(stderr, "race: %v\n", err)
		return 2
	}
	for _, r := range results {
		if r.Refused > 0 {
			return 1
		}
	}
	return 0
}

// stormOptions are the flags of -storm.
type stormOptions struct {
	storm.Config
	json bool
}

// parseStorm reads the flags, and writes the help where it is asked for.
func parseStorm(args []string, help io.Writer) (o stormOptions, err error) {
	flags := flag.NewFlagSet("race", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.Nodes, "storm", 0, "`nodes` that start at once")
	flags.IntVar(&o.Pods, "pods", 1, "`pods` on each node, served one after the other")
	cidr := flags.String("pool", "10.0.0.0/20", "the pool's `CIDR`, IPv4 or IPv6")
	flags.IntVar(&o.BlockSize, "block-size", 0, "prefix `length` of the pool's blocks; without it, several are compared")
	flags.IntVar(&o.Filled, "filled", 0, "`blocks` of every hundred that are full, the others having one address in use; 0: an empty pool")
	flags.BoolVar(&o.Strict, "strict", false, "strict affinity: no borrowing")
	flags.Float64Var(&o.Rate, "rate", storm.DefaultRate, "`calls` a second that each node may make in the long run")
	flags.IntVar(&o.Burst, "burst", storm.DefaultBurst, "`calls` that each node may make before that holds")
	flags.DurationVar(&o.Latency, "latency", 10*time.Millisecond, "`time` that a call takes")
	flags.Int64Var(&o.Seed, "seed", 1, "`number` that decides whose call comes first")
	flags.BoolVar(&o.json, "json", false, "print one JSON object a block size")
	check := flags.Bool("check", false, "another thing to do: not with -storm")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(help, stormUsage)
			cli.PrintFlags(help, flags)
		}
		return o, err
	}
	if *check {
		return o, errors.New("-storm and -check are different things to do: give one of them")
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q: -storm takes no arguments, only flags", flags.Arg(0))
	}
	if o.Pool, err = netip.ParsePrefix(*cidr); err != nil {
		return o, fmt.Errorf("-pool %s: not a CIDR such as 10.0.0.0/20", *cidr)
	}
	return o, nil
}

// configs returns a storm for each block size, those with room for the pods, and
// the sizes of those that are too full.
func (o *stormOptions) configs() (configs []storm.Config, full []int, err error) {
	for _, size := range o.sizes() {
		c := o.Config
		c.BlockSize = size
		invalid := c.Validate()
		var wrong *storm.InvalidError
		switch {
		case invalid == nil:
			configs = append(configs, c)
		case errors.As(invalid, &wrong) && wrong.Field == "Pool":
			full = append(full, size)
			err = invalid
		default:
			return nil, nil, stormInFlags(invalid)
		}
	}
	if len(configs) == 0 {
		return nil, nil, stormInFlags(err)
	}
	return configs, full, nil
}

// sizes returns the block sizes to compare: from blocks four times as large as
// Calico's default down to those of four addresses, as far as the pool has room.
func (o *stormOptions) sizes() []int {
	if o.BlockSize != 0 {
		return []int{o.BlockSize}
	}
	usual := pool.DefaultBlockSize6
	if o.Pool.Addr().Is4() {
		usual = pool.DefaultBlockSize4
	}
	var sizes []int
	for size := max(usual-2, o.Pool.Bits()); size <= usual+4; size++ {
		sizes = append(sizes, size)
	}
	if len(sizes) == 0 {
		return []int{o.Pool.Bits()} // a pool of one small block
	}
	return sizes
}

// stormInFlags puts what is wrong with a storm in terms of the flags.
func stormInFlags(err error) error {
	var wrong *storm.InvalidError
	if !errors.As(err, &wrong) {
		return cli.InFlags(err)
	}
	name := map[string]string{
		"Nodes": "storm", "Pods": "pods", "Pool": "pool", "Filled": "filled", "Rate": "rate", "Burst": "burst", "Latency": "latency",
	}[wrong.Field]
	return fmt.Errorf("-%s %s: %s", name, wrong.Value, wrong.Reason)
}

// letPass lets all storms pass, as many at once as there are processors, and
// returns their results in order. They must be valid.
func letPass(configs []storm.Config, step func()) []storm.Result {
	results := make([]storm.Result, len(configs))
	var all sync.WaitGroup
	processors := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, c := range configs {
		c.Answered = step
		all.Go(func() {
			processors <- struct{}{}
			var err error
			if results[i], err = storm.Run(c); err != nil {
				panic(err) // it was valid
			}
			<-processors
		})
	}
	all.Wait()
	return results
}
