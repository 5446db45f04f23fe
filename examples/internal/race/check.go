package race

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/race"
)

const checkUsage = `Replay recorded races, call by call, and report where the library differs.

Usage: ipamsim race -check [-json] FILE...

Each FILE has one race a line as JSON, plain or gzip; - is standard input. For
each race that differs, the first difference is printed.

  ipamsim race -check testdata/races.jsonl.gz
  ipamsim race -check -json testdata/races.jsonl.gz | jq .details[0]

Exit status: 0 no difference; 1 difference; 2 bad usage, unreadable file or
unwritable output.
`

// fileResult is what -json prints, a line a file.
type fileResult struct {
	File      string   `json:"file"`
	Races     int      `json:"races"`
	Calls     int      `json:"calls"`
	Different int      `json:"different"`
	Details   []string `json:"details,omitempty"` // the first difference of each
	Error     string   `json:"error,omitempty"`
}

// check is the program with -check.
func (o *options) check(cmd *cobra.Command, files []string) error {
	if len(files) == 0 {
		return cli.Usagef("no recording given: name a FILE, or - for standard input")
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	var total fileResult
	unreadable := false
	for _, file := range files {
		r := checkFile(file, cmd.InOrStdin())
		total.Races += r.Races
		total.Calls += r.Calls
		total.Different += r.Different
		unreadable = unreadable || r.Error != ""
		if o.json {
			_ = json.NewEncoder(out).Encode(r) // a failure shows when flushing
		} else {
			if r.Error != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.CommandPath(), r.Error)
			}
			show(out, &r)
		}
		_ = out.Flush() // a line as soon as it is known; the last one reports failure
	}
	if !o.json {
		fmt.Fprintf(out, "%s: %s in %s, %s\n", cli.Count(len(files), "recording"), cli.Count(total.Different, "difference"),
			cli.Count(total.Races, "race"), cli.Count(total.Calls, "call"))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	switch {
	case unreadable:
		return cli.ErrBad
	case total.Different > 0:
		return cli.ErrNo
	}
	return nil
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
