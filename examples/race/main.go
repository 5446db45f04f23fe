// Race shows what happens when hosts race each other for blocks and addresses,
// on a datastore with compare-and-swap, as Calico's do:
//
//	go run ./examples/race -check testdata/races.jsonl.gz
//
// holds the library against recorded races of the real allocator, call by call.
// It prints a line a file, the first difference of each race that differs, and a
// total. Exit status: 0 when every race came out as recorded, 1 on a difference,
// 2 on bad usage or an unreadable file.
//
//	go run ./examples/race -storm 40
//
// tells what contention costs: calls, conflicts and waiting times of 40 nodes that
// start at once, by block size.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/protocol/race"
)

const usage = `Replay recorded races, call by call, and report where the library differs.

Usage: go run ./examples/race -check [flags] FILE...

Each FILE has one race a line as JSON, plain or gzip; - is standard input. For
each race that differs, the first difference is printed. -storm N is another
thing to do: what contention costs (-storm 40 -h).

  go run ./examples/race -check testdata/races.jsonl.gz
  go run ./examples/race -check -json testdata/races.jsonl.gz | jq .details[0]

Exit status: 0 no difference, 1 difference, 2 bad usage, unreadable file or
unwritable output.

Flags:
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// fileResult is what -json prints, a line a file.
type fileResult struct {
	File      string   `json:"file"`
	Races     int      `json:"races"`
	Calls     int      `json:"calls"`
	Different int      `json:"different"`
	Details   []string `json:"details,omitempty"` // the first difference of each
	Error     string   `json:"error,omitempty"`
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if stormAsked(args) {
		return runStorm(args, stdout, stderr)
	}
	flags := flag.NewFlagSet("race", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	check := flags.Bool("check", false, "replay recorded races")
	asJSON := flags.Bool("json", false, "print one JSON object a file and no total")
	usageTo := func(w io.Writer) {
		fmt.Fprint(w, usage)
		flags.SetOutput(w)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		usageTo(stdout)
		return 0
	} else if err != nil {
		fmt.Fprintf(stderr, "race: %v (-h for help)\n", err)
		return 2
	}
	if !*check {
		fmt.Fprintln(stderr, "race: nothing to do: -check FILE replays recorded races, -storm 40 makes one (-h for help)")
		return 2
	}
	if flags.NArg() == 0 {
		fmt.Fprintln(stderr, "race: no recording given")
		usageTo(stderr)
		return 2
	}
	return checkAll(flags.Args(), *asJSON, stdin, stdout, stderr)
}

// checkAll replays the races of every file and returns the exit status.
func checkAll(files []string, asJSON bool, stdin io.Reader, stdout, stderr io.Writer) int {
	out := bufio.NewWriter(stdout)
	var total fileResult
	unreadable := false
	for _, file := range files {
		r := checkFile(file, stdin)
		total.Races += r.Races
		total.Calls += r.Calls
		total.Different += r.Different
		unreadable = unreadable || r.Error != ""
		if asJSON {
			_ = json.NewEncoder(out).Encode(r) // a failure shows when flushing
		} else {
			if r.Error != "" {
				fmt.Fprintf(stderr, "race: %s\n", r.Error)
			}
			show(out, &r)
		}
		_ = out.Flush() // a line as soon as it is known; the last one reports failure
	}
	if !asJSON {
		fmt.Fprintf(out, "%s: %s in %s, %s\n", cli.Count(len(files), "recording"), cli.Count(total.Different, "difference"),
			cli.Count(total.Races, "race"), cli.Count(total.Calls, "call"))
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintf(stderr, "race: %v\n", err)
		return 2
	}
	switch {
	case unreadable:
		return 2
	case total.Different > 0:
		return 1
	}
	return 0
}

// show writes what is known of a file.
func show(out io.Writer, r *fileResult) {
	verdict := "ok"
	if r.Different > 0 {
		verdict = fmt.Sprintf("%d differ", r.Different)
	}
	if r.Error != "" && r.Races == 0 {
		verdict = "unreadable"
	} else if r.Error != "" {
		verdict += " so far, then unreadable"
	}
	fmt.Fprintf(out, "%-40s %12s %14s  %s\n", r.File, cli.Count(r.Races, "race"), cli.Count(r.Calls, "call"), verdict)
	for _, d := range r.Details {
		fmt.Fprintln(out, d)
	}
}

// checkFile replays the races of one file, as far as it can be read.
func checkFile(file string, stdin io.Reader) fileResult {
	result := fileResult{File: file}
	err := result.replay(stdin)
	if err != nil {
		result.Error = err.Error()
	}
	return result
}

func (f *fileResult) replay(stdin io.Reader) error {
	var r *race.Reader
	var err error
	if f.File == "-" {
		r, err = race.NewReader("standard input", stdin)
	} else {
		r, err = race.Open(f.File)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		recorded, err := r.Next()
		if errors.Is(err, io.EOF) && f.Races == 0 {
			return r.Fail(errors.New("empty: no race"))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		d, err := race.Replay(recorded)
		if err != nil {
			return r.Fail(err)
		}
		f.Races++
		f.Calls += len(recorded.Calls)
		if d != nil {
			f.Different++
			f.Details = append(f.Details, d.String())
		}
	}
}
