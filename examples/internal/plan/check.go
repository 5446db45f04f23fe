package plan

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// checked is what -check tells of a file, with -json a line a file.
type checked struct {
	File        string   `json:"file"`
	Scenarios   int      `json:"scenarios"` // with results to compare with
	Without     int      `json:"withoutResults,omitempty"`
	Requests    int      `json:"requests"`
	Differences int      `json:"differences"`
	Details     []string `json:"details,omitempty"` // a line a difference
}

// compared is what came of one scenario.
type compared struct {
	requests    int
	differences []string
}

// check runs the scenarios of files that have results beside them, and prints where
// what comes out differs.
func check(ctx context.Context, o *options, entries []entry, stdout, stderr io.Writer) error {
	total := 0
	with := 0
	for i := range entries {
		e := &entries[i]
		if len(e.Want) == 0 {
			continue
		}
		with++
		total += requests(&e.Scenario)
		if calls(e) != nil {
			total += requests(&e.Scenario)
		}
	}
	if with == 0 && !o.json {
		what := "0 scenarios"
		if len(entries) > 0 {
			what += " with results"
		}
		_, err := fmt.Fprintf(stdout, "%s in shard %d/%d\n", what, o.shard, o.shards)
		return err
	}
	c := newCrew(ctx, o.workers, stderr, total)
	results := make([]compared, len(entries))
	err := cli.Wait(ctx, func() error {
		return together(len(entries), func(i int) error {
			err := c.compare(&entries[i], &results[i])
			if err != nil {
				return entries[i].wrong(err)
			}
			return nil
		})
	})
	c.bar.Stop()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	files, sum := perFile(entries, results)
	width := 0
	for i := range files {
		width = max(width, len(files[i].File))
	}
	for i := range files {
		if o.json {
			_ = json.NewEncoder(out).Encode(&files[i]) // a failure shows when flushing
		} else {
			files[i].show(out, width)
		}
	}
	if !o.json {
		fmt.Fprintf(out, "%s, %s: %s\n", cli.Count(sum.Scenarios, "scenario"), cli.Count(sum.Requests, "request"), cli.Count(sum.Differences, "difference"))
	}
	var answer error
	if sum.Differences > 0 {
		answer = cli.ErrNo
	}
	return cmp.Or(out.Flush(), answer)
}

// without returns a file of which no scenario has results, or nothing.
func without(entries []entry) string {
	some := make(map[string]bool)
	for i := range entries {
		some[entries[i].File] = some[entries[i].File] || len(entries[i].Want) > 0
	}
	for i := range entries {
		if !some[entries[i].File] {
			return entries[i].File
		}
	}
	return ""
}

// datastoreOps is the key of a scenario's results for how many calls to the datastore
// it takes.
const datastoreOps = "datastoreOps"

// calls returns how many calls to the datastore a scenario should take, or nil.
func calls(e *entry) json.RawMessage { return e.Want[datastoreOps] }

// compare runs a scenario, on both allocators if it says how many datastore calls it
// takes: the fast one makes none. What comes out is to be the same with both.
func (c *crew) compare(e *entry, into *compared) error {
	if len(e.Want) == 0 {
		return nil
	}
	r, err := c.run(&e.Scenario, sim.Options{}, requests(&e.Scenario))
	if err != nil {
		return err
	}
	into.requests = r.Requests
	into.differences = e.Differences(&r)
	if calls(e) == nil {
		return nil
	}
	slow, n, err := c.reference(&e.Scenario)
	if err != nil {
		return err
	}
	if got := fmt.Sprint(n); got != string(calls(e)) {
		into.differences = append(into.differences, fmt.Sprintf("%s: %s, want %s", datastoreOps, got, calls(e)))
	}
	for _, d := range e.Differences(&slow) {
		into.differences = append(into.differences, "with a datastore: "+d)
	}
	apart, err := between(&r, &slow)
	into.differences = append(into.differences, apart...)
	return err
}

// between returns where two results of one scenario differ, of the allocator with a
// datastore and the one without.
func between(fast, slow *sim.Result) (lines []string, err error) {
	text, err := json.Marshal(fast)
	if err != nil {
		return nil, err
	}
	var as sim.Entry
	if err := json.Unmarshal(text, &as.Want); err != nil {
		return nil, err
	}
	for _, d := range as.Differences(slow) {
		lines = append(lines, "with a datastore: "+d+" as without")
	}
	return lines, nil
}

// perFile sorts out what came of the scenarios by file, and of all.
func perFile(entries []entry, results []compared) (files []checked, sum checked) {
	for i := range entries {
		e, r := &entries[i], &results[i]
		if len(files) == 0 || files[len(files)-1].File != e.File {
			files = append(files, checked{File: e.File})
		}
		f := &files[len(files)-1]
		if len(e.Want) == 0 {
			f.Without++
			continue
		}
		f.Scenarios++
		f.Requests += r.requests
		f.Differences += len(r.differences)
		for _, d := range r.differences {
			f.Details = append(f.Details, fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.label(), d))
		}
	}
	for i := range files {
		sum.Scenarios += files[i].Scenarios
		sum.Requests += files[i].Requests
		sum.Differences += files[i].Differences
	}
	return files, sum
}

// show writes what is known of a file, its name in a column of this width.
func (f *checked) show(w io.Writer, width int) {
	verdict := "ok"
	switch {
	case f.Scenarios == 0:
		verdict = "no results to compare with"
	case f.Differences > 0:
		verdict = cli.Count(f.Differences, "difference")
	}
	if f.Without > 0 && f.Scenarios > 0 {
		verdict += fmt.Sprintf(" (%d more without results)", f.Without)
	}
	fmt.Fprintf(w, "%-*s %13s %16s  %s\n", width, f.File, cli.Count(f.Scenarios, "scenario"), cli.Count(f.Requests, "request"), verdict)
	for _, d := range f.Details {
		fmt.Fprintln(w, d)
	}
}
