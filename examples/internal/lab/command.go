// Package lab is the program lab: the lab of the course on Calico IPAM, on a simulated
// cluster.
package lab

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// Run runs the program with its arguments and returns its exit status.
func Run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	return run(args, stdout, stderr)
}

const usage = `lab goes through the course's lab on Calico IPAM, on a simulated cluster.

  go run ./examples/lab [-step N]... [-f FILE]... [-nodes N] [-pool CIDR]
                        [-block-size N]

  -step N         one exercise only; give it once for each:
                    1  containerlab inspect       5  kubectl get blockaffinities
                    2  kubectl get tigerastatus   6  as YAML
                    3  kubectl get nodes          7  as name, node and CIDR
                    4  calicoctl ipam show
  -f FILE         what the cluster is made from: the operator's
                  custom-resources.yaml (its pool), a Kind cluster's file (its
                  nodes), or what kubectl get ippools,nodes -o yaml prints; give
                  it once for each file. The flags below win over the files
  -nodes N        1 to 5000 nodes, the first one the control plane (3)
  -pool CIDR      the pool of addresses, IPv4 or IPv6 (192.168.0.0/16)
  -block-size N   prefix length of its blocks: 20 to 32 for IPv4 (26),
                  116 to 128 for IPv6 (122)

The lab as in the course, one exercise of it, your own cluster, and one with
more nodes than blocks:

  go run ./examples/lab
  go run ./examples/lab -step 4
  go run ./examples/lab -pool 10.244.0.0/16 -nodes 5
  go run ./examples/lab -pool 10.0.0.0/28 -block-size 30 -nodes 9
  go run ./examples/lab -f custom-resources.yaml -f kind.yaml

Headings are bold on a terminal, unless NO_COLOR is set.
`

// maxNodes keeps the output readable and the management network large enough.
const maxNodes = 5000

// run is the program without its process.
func run(args []string, stdout, stderr io.Writer) int {
	steps, s, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "lab: %v (-h for help)\n", err)
		return 2
	}
	out := bufio.NewWriter(stdout)
	l := &lab{cluster: newCluster(s), page: page{out: out, bold: cli.Colours(stdout)}}
	if err := errors.Join(l.play(steps), out.Flush()); err != nil {
		fmt.Fprintf(stderr, "lab: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the flags; there are no steps for the whole lab.
func parse(args []string) (steps []int, s settings, err error) {
	flags := flag.NewFlagSet("lab", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var files []string
	flags.Func("step", "", func(text string) error {
		step, err := strconv.ParseInt(text, 0, 32)
		if err != nil {
			return errors.New("must be a number")
		}
		steps = append(steps, int(step))
		return nil
	})
	flags.IntVar(&s.nodes, "nodes", 3, "")
	flags.Func("f", "", func(file string) error { files = append(files, file); return nil })
	cidr := flags.String("pool", "192.168.0.0/16", "")
	size := flags.Int("block-size", 0, "")
	if err := flags.Parse(args); err != nil {
		return nil, s, err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if flags.NArg() > 0 {
		return nil, s, fmt.Errorf("%q: there are no arguments, only flags", flags.Arg(0))
	}
	for _, step := range steps {
		if step < 1 || step > len(exercises) {
			return nil, s, fmt.Errorf("-step %d: there are exercises 1 to %d", step, len(exercises))
		}
	}
	s.encapsulation, s.natOutgoing = "VXLANCrossSubnet", true
	if len(files) > 0 {
		if err := s.load(files, given["pool"]); err != nil {
			return nil, s, err
		}
	}
	if given["nodes"] {
		s.names = nil
	}
	if n := s.count(); n < 1 || n > maxNodes {
		return nil, s, fmt.Errorf("-nodes %d: must be from 1 to %d", n, maxNodes)
	}
	if given["pool"] || s.pool.Name == "" {
		if s.pool.CIDR, err = netip.ParsePrefix(*cidr); err != nil {
			return nil, s, fmt.Errorf("-pool %s: not a CIDR such as 192.168.0.0/16", *cidr)
		}
		s.pool.Name = "default-ipv4-ippool"
		if s.pool.CIDR.Addr().Is6() {
			s.pool.Name = "default-ipv6-ippool"
		}
	}
	if given["block-size"] {
		s.pool.BlockSize = *size
	}
	return steps, s, cli.InFlags(s.pool.Validate())
}
