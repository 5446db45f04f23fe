// Package predict is the program predict: the first block of each node of a cluster.
package predict

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/pool"
)

// Run runs the program with its arguments and returns its exit status.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return run(args, stdin, stdout, stderr)
}

const usage = `predict prints the first block each node gets on an empty Calico cluster.

  go run ./examples/predict -pool CIDR [flags] NODE…
        nodes in the order in which they come up
  go run ./examples/predict -pool CIDR [flags] -f FILE
        names from a file, - for standard input

  -pool CIDR        the pool's addresses, such as 10.244.0.0/16 or fd00::/112
  -block-size N     prefix length of its blocks (26 for IPv4, 122 for IPv6)
  -independent      every node as if it were the only one
  -json             an array of {"node","block"} or {"node","error"} objects
  -f FILE           names, one a line; blank lines and # comments are skipped
  -at TIME          when, as RFC 3339 (1970-01-01T00:00:00Z); matters only for
                    blocks of one address (/32, /128), which Calico places by
                    the clock and not by the name

A NODE that is - stands for standard input too.

  go run ./examples/predict -pool 10.244.0.0/16 minikube
  go run ./examples/predict -pool 192.168.0.0/16 node-a node-b node-c
  kubectl get nodes -o name | cut -d/ -f2 |
        go run ./examples/predict -pool 10.0.0.0/8 -block-size 24 -

Exit codes: 0, 1 a node gets no block, 2 bad usage.
`

// options are the flags.
type options struct {
	pool        pool.Spec
	independent bool
	json        bool
	at          time.Time
}

// run is the program without its process.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, names, err := parse(args, stdin)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "predict: %v\n", err)
		return 2
	}
	p, err := newPredictor(o, names)
	if err != nil {
		fmt.Fprintf(stderr, "predict: %v\n", err)
		return 2
	}
	if p.byClock() && o.at.Equal(epoch) {
		fmt.Fprintln(stderr, "predict: note: Calico places blocks of one address by the clock, not by the node's name; these are for 1970-01-01T00:00:00Z, -at sets another time")
	}
	out := bufio.NewWriterSize(stdout, 1<<16)
	refused := printAll(out, stderr, p, names, o.json)
	if err := out.Flush(); err != nil {
		fmt.Fprintf(stderr, "predict: %v\n", err)
		return 1
	}
	if refused {
		return 1
	}
	return 0
}

// epoch is the time if -at is not given.
var epoch = time.Unix(0, 0).UTC()

// parse reads flags and names.
func parse(args []string, stdin io.Reader) (options, []string, error) {
	o := options{at: epoch}
	flags := flag.NewFlagSet("predict", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	cidr := flags.String("pool", "", "")
	blockSize := flags.Int("block-size", 0, "")
	file := flags.String("f", "", "")
	at := flags.String("at", "", "")
	flags.BoolVar(&o.independent, "independent", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, nil, err
	}
	if *cidr == "" {
		return o, nil, errors.New("-pool is missing: the CIDR of the pool, such as 10.244.0.0/16 (-h for help)")
	}
	prefix, err := netip.ParsePrefix(*cidr)
	if err != nil {
		return o, nil, fmt.Errorf("-pool %s: not a CIDR such as 10.244.0.0/16", *cidr)
	}
	o.pool = pool.Spec{Name: "pool", CIDR: prefix, BlockSize: *blockSize}
	if *at != "" {
		if o.at, err = time.Parse(time.RFC3339, *at); err != nil {
			return o, nil, fmt.Errorf("-at %s: not a time such as 2026-01-01T00:00:00Z", *at)
		}
	}
	names, err := readNames(flags.Args(), *file, stdin)
	return o, names, err
}
