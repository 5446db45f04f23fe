package race

import (
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
unwritable output; 130 interrupted.
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

// unread is what -json prints of a file that was not read to its end: without a
// number of different races unless there are some, for 0 would say that it agrees.
type unread struct {
	fileResult
	Different int `json:"different,omitempty"` // hides the other
}

// check is the program with -check.
func (o *options) check(cmd *cobra.Command, files []string) error {
	if len(files) == 0 {
		return cli.Usagef("no recording given: name a FILE, or - for standard input")
	}
	var total fileResult
	return cli.CheckFiles(cmd, files, o.json, func(file string) cli.Found {
		r := checkFile(cmd, file)
		total.Races += r.Races
		total.Calls += r.Calls
		total.Different += r.Different
		return r.found()
	}, func() string {
		return fmt.Sprintf("%s in %s, %s", cli.Count(total.Different, "difference"), cli.Count(total.Races, "race"), cli.Count(total.Calls, "call"))
	})
}

// found is the result for people.
func (f fileResult) found() cli.Found {
	of := cli.Found{
		File: f.File, Holds: fmt.Sprintf("%12s %14s", cli.Count(f.Races, "race"), cli.Count(f.Calls, "call")),
		Details: f.Details, Error: f.Error, Nothing: f.Races == 0, JSON: f,
	}
	if f.Error != "" {
		of.JSON = unread{f, f.Different}
	}
	if f.Different > 0 {
		of.Differs = fmt.Sprintf("%d differ", f.Different)
	}
	return of
}

// checkFile replays the races of one file, as far as it can be read.
func checkFile(cmd *cobra.Command, file string) fileResult {
	result := fileResult{File: file}
	err := result.replay(cmd.InOrStdin())
	if err != nil {
		result.Error = err.Error()
	}
	if err != nil && result.Races == 0 && file != "-" {
		if other := cli.Misplaced(cmd, file, "recorded races"); other != "" {
			result.Error = other
		}
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
