// Package whatif is the program whatif: what would become of a live cluster.
package whatif

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// Run runs the program with its arguments and returns its exit status.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return run(args, stdin, stdout, stderr)
}

const usage = `whatif takes a live cluster and says what would become of it.

  go run ./examples/whatif -f FILE [-f FILE]... [CHANGE]... [-o FILE]

  -f FILE         what kubectl prints, YAML or JSON, plain or gzip; - is
                  standard input. Give it once for each file:
                    kubectl get ippools,ipreservations,ipamblocks,ipamhandles,
                      blockaffinities,ipamconfigs,nodes -o json > cluster.json
                    kubectl get pods -A -o json > pods.json
                  Pods are not needed, but only with them leaks are known
  -check          look for leaks and contradictions, as calicoctl ipam check
                  does
  -lenient        take what contradicts itself as far as it makes sense
  -json           print one JSON object
  -o FILE         write what comes of it, as resources; .json is JSON

Changes are made in the order given:

  -strict                       strict affinity on; -strict=false for off
  -max-blocks-per-host N        limit of blocks a node; 0 is the default, 20
  -cooldown SECONDS             how long a released address rests
  -add-nodes N:NAME[:LABELS]    N nodes, %d in NAME their number, labels as in
                                k=v,k=v; each starts its tunnels and one pod
  -drain NODE                   its pods move to the nodes with the fewest
  -remove-node NODE             -drain, then the node goes with its blocks
  -scale N                      every node has N pods, neither more nor fewer
  -disable-pool NAME            no new addresses from this pool
  -add-pool NAME:CIDR[:SIZE]    a pool, with blocks of that prefix length
  -resize-pool NAME:SIZE        the pool with other blocks: which stand in the
                                way, which nodes must drain, does it still fit
  -gc                           give back what nobody uses

  go run ./examples/whatif -f testdata/sample.yaml -strict -drain node-07
  go run ./examples/whatif -f testdata/sample.yaml -add-nodes 50:big-%d:zone=a
  go run ./examples/whatif -f testdata/sample.yaml -gc -resize-pool blue:29
  kubectl get ippools,ipamblocks,… -o json | go run ./examples/whatif -f - -gc

Exit status: 0 nobody was refused, 1 somebody was, 2 bad usage or input.
`

// options are what the flags say.
type options struct {
	files   []string
	check   bool
	lenient bool
	json    bool
	out     string
	steps   []step
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "whatif: %v (-h for help)\n", err)
		return 2
	}
	var after *cli.Output
	if o.out != "" {
		if after, err = cli.NewOutput("-o", o.out, stdout); err != nil {
			fmt.Fprintf(stderr, "whatif: %v\n", err)
			return 2
		}
	}
	s, err := load(o, stdin, stderr)
	if err != nil {
		complain(stderr, err)
		return 2
	}
	w, err := newWorld(s)
	if err != nil {
		complain(stderr, err)
		return 2
	}
	if err := w.nodesOf(o.steps); err != nil {
		fmt.Fprintf(stderr, "whatif: %v\n", err)
		return 2
	}
	out := bufio.NewWriter(stdout)
	w.last = w.figures()
	r := &result{Cluster: w.last}
	if o.check {
		r.Check = snapshot.Check(s)
	}
	p := &printer{out: out, quiet: o.json}
	p.cluster(w, s, r)
	for _, st := range o.steps {
		change, err := w.apply(st)
		if err != nil {
			_ = out.Flush()
			fmt.Fprintf(stderr, "whatif: %s: %v\n", st.text, err)
			return 2
		}
		r.Steps = append(r.Steps, change)
		p.step(change)
	}
	if after != nil {
		if err := write(after, o.out, out, w.a.Cluster()); err != nil {
			_ = out.Flush()
			fmt.Fprintf(stderr, "whatif: %v\n", err)
			return 2
		}
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		_ = e.Encode(r) // a failure shows when flushing
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintf(stderr, "whatif: %v\n", err)
		return 2
	}
	for _, c := range r.Steps {
		if len(c.Refused) > 0 {
			return 1
		}
	}
	return 0
}

// maxComplaints is how many lines of what is wrong with the input are printed.
const maxComplaints = 50

// complain prints an error of many lines, each with the program's name.
func complain(stderr io.Writer, err error) {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		if i == maxComplaints {
			fmt.Fprintf(stderr, "whatif: … and %d more\n", len(lines)-i)
			break
		}
		fmt.Fprintf(stderr, "whatif: %s\n", line)
	}
	if errors.Is(err, snapshot.ErrInvalid) {
		fmt.Fprintln(stderr, "whatif: mend the file, or take it as far as it makes sense with -lenient")
	}
}

// load reads the files, with a progress bar where it takes long.
func load(o *options, stdin io.Reader, stderr io.Writer) (*snapshot.Snapshot, error) {
	var size int64
	for _, file := range o.files {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	bar := cli.NewProgress(stderr, "reading", size)
	defer bar.Stop()
	l := snapshot.NewLoader(snapshot.Options{Lenient: o.lenient, Progress: bar.Set})
	for _, file := range o.files {
		var err error
		if file == "-" {
			err = l.Add("standard input", stdin)
		} else {
			err = l.AddFile(file)
		}
		if err != nil {
			return nil, err
		}
	}
	return l.Snapshot()
}

// write writes the cluster to a file, as JSON if its name says so.
func write(to *cli.Output, path string, out io.Writer, c ipam.Cluster) error {
	return to.Write(context.Background(), out, func(w io.Writer) error {
		if strings.HasSuffix(path, ".json") {
			return snapshot.WriteJSON(w, c, snapshot.V1)
		}
		return snapshot.WriteYAML(w, c, snapshot.V1)
	})
}
