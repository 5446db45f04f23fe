package plan

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// entry is a scenario, and which one it is in all files together.
type entry struct {
	sim.Entry
	index int
}

// load returns the scenarios to look at: that of the flags, or those of the files, a
// shard of them if so asked. With an error there are none.
func load(o *options, stdin io.Reader) ([]entry, error) {
	if len(o.files) == 0 {
		return []entry{{Entry: sim.Entry{Scenario: o.scenario}}}, nil
	}
	var all []entry
	for _, name := range o.files {
		of, err := o.read(name, stdin)
		if err != nil {
			return nil, err
		}
		for i := range of {
			all = append(all, entry{of[i], len(all)})
		}
	}
	if all = o.named(all); len(all) == 0 {
		return nil, fmt.Errorf("-only %s: no scenario of that name in %s", o.only, list(o.files))
	}
	if o.report != "" {
		if n := tables(all); n > 1 {
			return nil, fmt.Errorf("-o: a report is of one scenario, or one at several block sizes, and %s has %d: pick one with -only NAME", list(o.files), n)
		}
	}
	switch {
	case o.json && len(all) > 1 && !o.check:
		o.lines = true
	}
	if name := without(all); name != "" && o.check {
		return nil, fmt.Errorf("%s: nothing to compare with: no scenario in it has results beside it", name)
	}
	if o.shards == 0 {
		return all, nil
	}
	var some []entry
	for i := o.shard; i < len(all); i += o.shards {
		some = append(some, all[i])
	}
	return some, nil
}

// named returns the scenarios that -only asks for.
func (o *options) named(all []entry) []entry {
	if o.only == "" {
		return all
	}
	return slices.DeleteFunc(all, func(e entry) bool { return e.Name != o.only })
}

// tables returns in how many tables scenarios will be shown.
func tables(entries []entry) int {
	plans := make([]*plan, len(entries))
	for i := range entries {
		s := entries[i].Scenario
		plans[i] = &plan{Scenario: s, Rows: []row{{BlockSize: s.BlockSize}}}
	}
	return len(sections(plans))
}

// read reads the scenarios of one file.
func (o *options) read(name string, stdin io.Reader) ([]sim.Entry, error) {
	if o.clusters[name] {
		return clusterOf(name)
	}
	in, name, err := cli.Open(name, stdin)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return sim.Read(name, in)
}

// warn says what is likely to disappoint.
func (e *entry) warn(w io.Writer) {
	where := ""
	if e.File != "" {
		where = fmt.Sprintf("%s:%d: ", e.File, e.Line)
	}
	for _, text := range warnings(&e.Scenario) {
		fmt.Fprintf(w, "warning: %s%s\n", where, text)
	}
}

// wrong puts the error of a run in terms of where the scenario is from.
func (e *entry) wrong(err error) error {
	if errors.Is(err, sim.ErrStopped) {
		return err
	}
	if e.File == "" {
		return inFlags(err)
	}
	return &sim.FileError{File: e.File, Line: e.Line, Err: err}
}

// label names a scenario in a list of many.
func (e *entry) label() string {
	text := e.Name
	if text == "" {
		text = describe(&e.Scenario)
	}
	if e.BlockSize != 0 {
		text += fmt.Sprintf(" /%d", e.BlockSize)
	}
	return text
}
