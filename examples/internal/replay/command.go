// Package replay is the program replay: the library held against recordings.
package replay

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

const usage = `Replay recordings and report where the library diverges from them.

Usage: ipamsim replay [flags] FILE...

Each FILE is a recording as JSON Lines, plain or gzip; - is standard input. For
a file that diverges, the first divergence is printed with its context. One that
begins with a snapshot finds it beside itself: NAME.v1.yaml.gz, or without .gz,
or .json instead of .yaml; with -snapshot v3, NAME.v3.yaml.gz and so on.

  ipamsim replay testdata/traces/*.gz
  ipamsim replay testdata/lifecycle/*.gz
  ipamsim replay -all testdata/traces/churn-0.jsonl.gz
  ipamsim replay -snapshot v3 testdata/snapshots/*.jsonl.gz
  ipamsim replay -json testdata/traces/*.gz |
      jq 'select(.divergences > 0)'

Exit status: 0 no divergence; 1 divergence; 2 bad usage, unreadable file or
unwritable output; 130 interrupted.
`

// fileResult is what -json prints, a line a file.
type fileResult struct {
	File        string   `json:"file"`
	Operations  int      `json:"operations"`
	Divergences int      `json:"divergences"`
	Details     []string `json:"details,omitempty"`
	Error       string   `json:"error,omitempty"`
}

// options are the flags.
type options struct {
	all   bool
	json  bool
	group string

	calico   calico.Version // replaces the release of the recordings
	recorded bool           // it does not
}

// as returns the options of the allocator for a recording made on those.
func (o *options) as(recorded ipam.Options) ipam.Options {
	if !o.recorded {
		recorded.Calico = o.calico
	}
	return recorded
}

// Command returns the program.
func Command() *cobra.Command {
	o := new(options)
	cmd := cli.New("replay", "hold the library against recordings of the real allocator", usage)
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "print every divergence, not just the first of a file")
	flags.BoolVar(&o.json, "json", false, "print one JSON object a file and no total")
	flags.StringVar(&o.group, "snapshot", "v1", "which snapshot to go on from: `v1` (crd.projectcalico.org/v1) or v3 (projectcalico.org/v3)")
	_ = cmd.RegisterFlagCompletionFunc("snapshot", cobra.FixedCompletions([]string{"v1", "v3"}, cobra.ShellCompDirectiveNoFileComp))
	cli.Calico(cmd, &o.calico, "replay as this `RELEASE` of Calico, in place of the one that the recording names")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		o.recorded = !cmd.Flags().Changed("calico")
		if o.group != "v1" && o.group != "v3" {
			return cli.Usagef("-snapshot %s: must be v1 or v3", o.group)
		}
		if len(files) == 0 {
			return cli.Usagef("no recording given: name a FILE, or - for standard input")
		}
		return o.replayAll(cmd, files)
	}
	return cmd
}

// replayAll replays every file, a line of output each.
func (o *options) replayAll(cmd *cobra.Command, files []string) error {
	var total fileResult
	return cli.CheckFiles(cmd, files, o.json, func(file string) cli.Found {
		r := o.replay(cmd, file)
		total.Operations += r.Operations
		total.Divergences += r.Divergences
		return r.found()
	}, func() string {
		return fmt.Sprintf("%s in %s", cli.Count(total.Divergences, "divergence"), cli.Count(total.Operations, "operation"))
	})
}

// unread is what -json prints of a file that was not read to its end: without a
// number of divergences unless there are some, for 0 would say that it agrees.
type unread struct {
	fileResult
	Divergences int `json:"divergences,omitempty"` // hides the other
}

// found is the result for people.
func (f fileResult) found() cli.Found {
	of := cli.Found{
		File: f.File, Holds: fmt.Sprintf("%18s", cli.Count(f.Operations, "operation")),
		Details: f.Details, Error: f.Error, Nothing: f.Operations == 0, JSON: f,
	}
	if f.Error != "" {
		of.JSON = unread{f, f.Divergences}
	}
	if f.Divergences > 0 {
		of.Differs = cli.Count(f.Divergences, "operation") + " diverge"
	}
	return of
}

// replay replays one file, as far as it can be read.
func (o *options) replay(cmd *cobra.Command, file string) fileResult {
	result := fileResult{File: file}
	var r *trace.Reader
	var err error
	if file == "-" {
		r, err = trace.NewReader("standard input", cmd.InOrStdin())
	} else {
		r, err = trace.Open(file)
	}
	if err != nil {
		result.Error = err.Error()
		if other := cli.Misplaced(cmd, file, "a recording of operations"); file != "-" && other != "" {
			result.Error = other
		}
		return result
	}
	defer r.Close()
	recorded, _ := calico.Parse(r.Header().Calico) // whoever replays it says what is wrong
	if caveat := o.as(ipam.Options{Calico: recorded}).Calico.Caveat(); caveat != "" {
		cli.Warn(cmd, file+": "+caveat)
	}
	var done trace.Result
	if name := r.Header().Snapshot; name == "" {
		done, err = trace.Replay(r, func(recorded ipam.Options) trace.Engine { return ipam.New(o.as(recorded)) })
	} else {
		done, err = o.goOn(r, file, name)
	}
	if err != nil {
		result.Error = err.Error()
	}
	result.Operations, result.Divergences = done.Operations, len(done.Divergences)
	for i := range done.Divergences {
		if i == 0 || o.all {
			result.Details = append(result.Details, done.Divergences[i].String())
		}
	}
	return result
}
