package race

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/storm"
	"github.com/ipamsim/ipamsim/pool"
)

// This file is -storm: what contention costs.

const stormUsage = `Start many nodes at once on one pool and report what contention costs.

Usage: ipamsim race -storm N [flags]

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

  ipamsim race -storm 40
  ipamsim race -storm 40 -filled 95 -calico v3.28
  ipamsim race -storm 300 -pool 10.0.0.0/18 -block-size 26 \
      -rate 20 -burst 40
  ipamsim race -storm 40 -json |
      jq -c '[.blockSize, .calls, .lastSeconds]'

Exit status: 0 every pod got an address; 1 one did not; 2 bad usage or
unwritable output; 130 interrupted.
`

// storm is the program with -storm.
func (o *options) storm(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usagef("%q: -storm takes no arguments, only flags", args[0])
	}
	w := &o.weather
	w.Seed, w.Calico = 1, o.calico
	if o.seed != "" {
		var err error
		if w.Seed, err = strconv.ParseInt(o.seed, 0, 64); err != nil {
			return cli.Usagef("-seed %s: must be a whole number", o.seed)
		}
	}
	configs, full, err := o.configs()
	if err != nil {
		return cli.Usage(err)
	}
	bar := cli.NewCount(cmd.ErrOrStderr(), "pods served", int64(2*w.Nodes*w.Pods*len(configs)))
	var results []storm.Result
	err = cli.Wait(cmd.Context(), func() error {
		results = letPass(configs, func() { bar.Add(1) })
		return nil
	})
	bar.Stop()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if o.json {
		for i := range results {
			_ = json.NewEncoder(out).Encode(stormAsJSON(&configs[i], &results[i])) // a failure shows when flushing
		}
	} else {
		reportStorm(out, w, results, full)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Refused > 0 {
			return cli.ErrNo
		}
	}
	return nil
}

// configs returns a storm for each block size, those with room for the pods, and
// the sizes of those that are too full.
func (o *options) configs() (configs []storm.Config, full []int, err error) {
	for _, size := range o.sizes() {
		c := o.weather
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
func (o *options) sizes() []int {
	if o.weather.BlockSize != 0 {
		return []int{o.weather.BlockSize}
	}
	usual := pool.DefaultBlockSize6
	if o.weather.Pool.Addr().Is4() {
		usual = pool.DefaultBlockSize4
	}
	var sizes []int
	for size := max(usual-2, o.weather.Pool.Bits()); size <= usual+4; size++ {
		sizes = append(sizes, size)
	}
	if len(sizes) == 0 {
		return []int{o.weather.Pool.Bits()} // a pool of one small block
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
