// Package whatif is the program whatif: what would become of a live cluster.
package whatif

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

const usage = `Take a live cluster, and say what would become of it.

Usage: ipamsim whatif -f FILE [-f FILE]... [CHANGE]... [-o FILE]

It prints the cluster as it stands, then every change in the order given and
what that changed: who was moved, who was refused and why. Nothing of the real
cluster is touched. FILE is what kubectl prints, one kind after the other:

  for kind in ippools ipreservations ipamblocks blockaffinities ipamhandles \
    ipamconfigs ipamconfigurations clusterinformations nodes namespaces \
    kubecontrollersconfigurations services pods
  do kubectl get $kind -A -o json; done > cluster.json

It complains of kinds that the cluster does not have, which does no harm. Pods
are not needed, but only with them leaks are known. What a cluster does depends
on its release of Calico, which clusterinformations tells.

  ipamsim whatif -f testdata/sample.yaml -strict -drain node-07
  ipamsim whatif -f testdata/sample.yaml -add-nodes 50:big-%d:zone=a
  ipamsim whatif -f testdata/sample.yaml -gc -resize-pool blue:29
  kubectl get ippools,ipamblocks,… -o json | ipamsim whatif -f - -gc

  ipamsim whatif -f cluster.json -summary -fail-below 5
  ipamsim whatif -f cluster.json -o report.html
  ipamsim whatif -f cluster.json -explain shop/web-0
  ipamsim whatif -f monday.json -f-then friday.json

Exit status: 0 nobody was refused; 1 somebody was, -explain found why, fewer
blocks are left than -fail-below wants, or a pool is not -apart; 2 bad usage,
unreadable input or unwritable output; 130 interrupted.
`

// options are what the flags say.
type options struct {
	files   []string
	check   bool
	lenient bool
	grace   *time.Duration
	strict  bool     // of the input
	then    []string // files of a later dump
	summary bool
	below   int // blocks left; 0 is not asked
	metrics bool
	apart   []netip.Prefix // that the pools must not overlap
	explain string         // NAMESPACE/POD
	node    string         // whose next pod is explained
	json    bool
	out     string
	steps   []step
	calico  calico.Version
}

// Command returns the program.
func Command() *cobra.Command {
	o := new(options)
	cmd := cli.New("whatif", "your cluster as it stands, and what changes would do to it", usage)
	o.define(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			return cli.Usagef("%q: there are no arguments, only flags; files go with -f", args[0])
		case o.strict && o.lenient:
			return cli.Usagef("-strict-input refuses what -lenient takes: give one of them")
		case o.metrics && (o.json || o.summary):
			return cli.Usagef("-prometheus is a form of its own: not with -json or -summary")
		case o.explain != "" && o.node != "":
			return cli.Usagef("-explain and -explain-node: give one of them")
		case o.explain+o.node != "" && (o.metrics || o.summary || len(o.then) > 0):
			return cli.Usagef("-explain is a page of its own: not with -summary, -prometheus or -f-then")
		case len(o.then) > 0 && len(o.steps) > 0:
			return cli.Usagef("-f-then compares two dumps as they stand: not with %s", o.steps[0].text)
		case len(o.files) == 0:
			return cli.Usagef("no cluster: give the output of kubectl with -f FILE")
		}
		return cli.Wait(cmd.Context(), func() error { return o.run(cmd) })
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// run reads the cluster and makes the changes.
func (o *options) run(cmd *cobra.Command) error {
	stdout := cmd.OutOrStdout()
	var after *cli.Output
	if o.out != "" {
		var err error
		if after, err = cli.NewOutput("-o", o.out, stdout); err != nil {
			return err
		}
		if after.IsStandard() && o.json {
			return cli.Usagef("-o %s: not with -json: both would go to standard output", o.out)
		}
	}
	s, err := o.load(cmd, o.files)
	if err != nil {
		return o.mendable(err)
	}
	calico, err := o.release(s, cmd.Flags().Changed("calico"))
	if err != nil {
		return err
	}
	if o.grace != nil {
		s.GracePeriod, s.GracePeriodFrom = *o.grace, "given with -gc-grace"
	}
	w, err := newWorld(s)
	if err != nil {
		return o.mendable(err)
	}
	if err := w.namesOf(o.steps); err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	r := &result{Calico: calico, Cluster: w.last, Skipped: s.Skipped, LeftOut: s.LeftOut, Deleted: s.Deleted}
	if o.check {
		r.Check = w.Report()
		handles := w.handleFigures()
		r.Handles = &handles
		r.Moves = w.progress(s.Cluster.Blocks)
	}
	p := &printer{out: cli.PrintableLines(out), quiet: o.json || o.summary || o.metrics || o.explain+o.node != "" || after != nil && after.IsStandard()}
	p.cluster(w, s, r)
	if err := o.change(cmd, w, r, p); err != nil {
		_ = out.Flush()
		return err
	}
	if after != nil {
		err := after.Write(cmd.Context(), out, func(to io.Writer) error {
			if strings.HasSuffix(o.out, ".html") {
				return w.writePage(to, s, r)
			}
			return write(to, o.out, &snapshot.Snapshot{Cluster: w.a.Cluster(), Calico: s.Calico})
		})
		if err != nil {
			_ = out.Flush()
			return err
		}
	}
	if err := o.left(cmd, w, s, r, p); err != nil {
		_ = out.Flush()
		return err
	}
	if o.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		_ = e.Encode(r) // a failure shows when flushing
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if slices.ContainsFunc(r.Ranges, func(x overlap) bool { return x.Asked }) ||
		len(r.Below) > 0 || r.Explain != nil && !r.Explain.OK {
		return cli.ErrNo
	}
	for _, c := range r.Steps {
		if len(c.Refused) > 0 {
			return cli.ErrNo
		}
	}
	return nil
}

// left says what is left of the pools, and what a later dump has changed.
func (o *options) left(cmd *cobra.Command, w *world, s *snapshot.Snapshot, r *result, p *printer) error {
	if len(o.then) > 0 {
		later, err := o.load(cmd, o.then)
		if err != nil {
			return o.mendable(err)
		}
		later.Calico = s.Calico
		w2, err := newWorld(later)
		if err != nil {
			return o.mendable(err)
		}
		if r.Since, err = compare(w, w2, s, later); err != nil {
			return err
		}
		if !p.quiet {
			p.since(r.Since, &r.Cluster)
		}
		w = w2
	}
	if o.check || len(o.apart) > 0 {
		r.Ranges = w.overlaps(s, o.apart)
		if !p.quiet && (len(o.apart)+len(r.Ranges) > 0) {
			p.overlaps(r.Ranges, s, o.apart)
		}
	}
	if o.explain+o.node != "" {
		var err error
		if o.explain != "" {
			r.Explain, err = w.explainPod(s, o.explain)
		} else {
			r.Explain, err = w.explainNode(s, o.node)
		}
		if err != nil {
			return err
		}
		if !o.json && o.out != "-" {
			p.explained(r.Explain)
		}
	}
	if o.below == 0 && !o.metrics && !o.summary {
		return nil
	}
	rooms := w.room()
	if o.below > 0 {
		r.Below = w.below(rooms, o.below)
	}
	switch {
	case o.json:
		if o.summary {
			r.Room = rooms
		}
	case o.metrics:
		p.metrics(w, rooms)
	case o.summary:
		p.rooms(rooms)
	}
	if o.below > 0 && !o.json && !o.metrics && o.out != "-" {
		p.shortages(r.Below, o.below)
	}
	return nil
}

// change makes the changes, one after the other.
func (o *options) change(cmd *cobra.Command, w *world, r *result, p *printer) error {
	bar := cli.NewCount(cmd.ErrOrStderr(), "changes", int64(len(o.steps)))
	defer bar.Stop()
	for _, st := range o.steps {
		change, err := w.apply(st)
		if err != nil {
			return fmt.Errorf("%s: %w", st.text, err)
		}
		r.Steps = append(r.Steps, change)
		p.step(change)
		bar.Add(1)
	}
	return nil
}

// mendable says what to do about an error of the input, where there is something.
func (o *options) mendable(err error) error {
	if errors.Is(err, snapshot.ErrInvalid) && o.strict {
		return fmt.Errorf("%w\nmend the file, or leave out what is odd by leaving out -strict-input", err)
	}
	if errors.Is(err, snapshot.ErrInvalid) {
		return fmt.Errorf("%w\nmend the file, or take it as far as it makes sense with -lenient", err)
	}
	return err
}

// load reads the files, with a progress bar where it takes long.
func (o *options) load(cmd *cobra.Command, files []string) (*snapshot.Snapshot, error) {
	var size int64
	unknown := false
	for _, file := range files {
		switch info, err := os.Stat(file); {
		case err != nil:
		case info.IsDir():
			unknown = true
		default:
			size += info.Size()
		}
	}
	if unknown {
		size = 0
	}
	bar := cli.NewProgress(cmd.ErrOrStderr(), "reading", size)
	defer bar.Stop()
	l := snapshot.NewLoader(snapshot.Options{Lenient: o.lenient, SkipOdd: !o.strict, Progress: bar.Set})
	for _, file := range files {
		var err error
		if file == "-" {
			err = l.Add("standard input", cmd.InOrStdin())
		} else {
			err = l.AddFile(file)
		}
		if err != nil {
			return nil, err
		}
	}
	return l.Snapshot()
}

// write writes the cluster as resources, as JSON if the file's name says so.
func write(w io.Writer, path string, s *snapshot.Snapshot) error {
	if strings.HasSuffix(path, ".json") {
		return s.WriteJSON(w, snapshot.V1)
	}
	return s.WriteYAML(w, snapshot.V1)
}
