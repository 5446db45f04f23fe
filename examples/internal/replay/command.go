// Package replay is the program replay: the library held against recordings.
package replay

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// Run runs the program with its arguments and returns its exit status.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return run(args, stdin, stdout, stderr)
}

const usage = `Replay recordings and report where the library diverges from them.

Usage: go run ./examples/replay [flags] FILE...

Each FILE is a recording as JSON Lines, plain or gzip; - is standard input. For
a file that diverges, the first divergence is printed with its context. One that
goes on from a snapshot finds it beside itself: NAME.v1.yaml.gz, or without .gz,
or .json instead of .yaml; with -snapshot v3, NAME.v3.yaml.gz and so on.

  go run ./examples/replay testdata/traces/*.gz
  go run ./examples/replay testdata/lifecycle/*.gz
  go run ./examples/replay -all testdata/traces/churn-0.jsonl.gz
  go run ./examples/replay -snapshot v3 testdata/snapshots/*.jsonl.gz
  go run ./examples/replay -json testdata/traces/*.gz |
      jq 'select(.divergences > 0)'

Exit status: 0 no divergence, 1 divergence, 2 bad usage, unreadable file or
unwritable output.

Flags:
`

// fileResult is what -json prints, a line a file.
type fileResult struct {
	File        string   `json:"file"`
	Operations  int      `json:"operations"`
	Divergences int      `json:"divergences"`
	Details     []string `json:"details,omitempty"`
	Error       string   `json:"error,omitempty"`
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	all := flags.Bool("all", false, "print every divergence, not just the first of a file")
	asJSON := flags.Bool("json", false, "print one JSON object a file and no total")
	group := flags.String("snapshot", "v1", "which snapshot to go on from: `v1` (crd.projectcalico.org/v1) or v3 (projectcalico.org/v3)")
	usageTo := func(w io.Writer) {
		fmt.Fprint(w, usage)
		cli.PrintFlags(w, flags)
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		usageTo(stdout)
		return 0
	} else if err != nil {
		fmt.Fprintf(stderr, "replay: %v (-h for help)\n", err)
		return 2
	}
	if *group != "v1" && *group != "v3" {
		fmt.Fprintf(stderr, "replay: -snapshot %s: must be v1 or v3 (-h for help)\n", *group)
		return 2
	}
	if flags.NArg() == 0 {
		fmt.Fprintln(stderr, "replay: no recording given")
		usageTo(stderr)
		return 2
	}
	out := bufio.NewWriter(stdout)
	var total fileResult
	unreadable := false
	for _, file := range flags.Args() {
		r := replay(file, stdin, *group, *all)
		total.Operations += r.Operations
		total.Divergences += r.Divergences
		unreadable = unreadable || r.Error != ""
		if *asJSON {
			_ = json.NewEncoder(out).Encode(r) // a failure shows when flushing
			_ = out.Flush()
			continue
		}
		if r.Error != "" {
			fmt.Fprintf(stderr, "replay: %s\n", r.Error)
		}
		verdict := "ok"
		if r.Divergences > 0 {
			verdict = fmt.Sprintf("%s diverge", cli.Count(r.Divergences, "operation"))
		}
		if r.Error != "" && r.Operations == 0 {
			verdict = "unreadable"
		} else if r.Error != "" {
			verdict += " so far, then unreadable"
		}
		fmt.Fprintf(out, "%-40s %18s  %s\n", r.File, cli.Count(r.Operations, "operation"), verdict)
		for _, d := range r.Details {
			fmt.Fprintln(out, d)
		}
		_ = out.Flush() // a line as soon as it is known; the last one reports failure
	}
	if !*asJSON {
		fmt.Fprintf(out, "%s: %s in %s\n", cli.Count(flags.NArg(), "recording"),
			cli.Count(total.Divergences, "divergence"), cli.Count(total.Operations, "operation"))
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintf(stderr, "replay: %v\n", err)
		return 2
	}
	switch {
	case unreadable:
		return 2
	case total.Divergences > 0:
		return 1
	}
	return 0
}

// replay replays one file, as far as it can be read.
func replay(file string, stdin io.Reader, group string, all bool) fileResult {
	result := fileResult{File: file}
	var r *trace.Reader
	var err error
	if file == "-" {
		r, err = trace.NewReader("standard input", stdin)
	} else {
		r, err = trace.Open(file)
	}
	if err != nil {
		result.Error = err.Error()
		if file != "-" && scenarios(file) {
			result.Error = fmt.Sprintf("%s: holds scenarios with results, not a recording: use go run ./examples/plan -check %s", file, file)
		}
		return result
	}
	defer r.Close()
	var done trace.Result
	if name := r.Header().Snapshot; name == "" {
		done, err = trace.Replay(r)
	} else {
		done, err = goOn(r, file, name, group)
	}
	if err != nil {
		result.Error = err.Error()
	}
	result.Operations, result.Divergences = done.Operations, len(done.Divergences)
	for i := range done.Divergences {
		if i == 0 || all {
			result.Details = append(result.Details, done.Divergences[i].String())
		}
	}
	return result
}

// scenarios reports whether a file begins like plan.jsonl, which is for another
// program.
func scenarios(file string) bool {
	l, err := trace.OpenLines(file)
	if err != nil {
		return false
	}
	defer l.Close()
	var first map[string]json.RawMessage
	if err := l.Next(&first); err != nil {
		return false
	}
	return first["pool"] != nil && first["nodes"] != nil && first["op"] == nil
}
