// Package plan is the program plan: which block size to take for a cluster.
package plan

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/spf13/cobra"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// ballast is memory that is never touched, and so never there. The collector waits
// until as much again is in use, which most scenarios never need, and they end sooner.
var ballast = sync.OnceValue(func() []byte { return make([]byte, 64<<20) })

// Command returns the program.
func Command() *cobra.Command {
	o := new(options)
	cmd := cli.New("plan", "which block size to take for a cluster, and why", usage)
	o.define(cmd.Flags())
	_ = cmd.RegisterFlagCompletionFunc("calico", cobra.FixedCompletions(cli.Releases("all"), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("order", cobra.FixedCompletions(orders, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_ = ballast()
		if err := o.finish(cmd.Flags(), args); err != nil {
			return cli.Usage(err)
		}
		return o.run(cmd)
	}
	return cmd
}

// run does what the flags ask for.
func (o *options) run(cmd *cobra.Command) error {
	ctx, stdout, stderr := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	entries, err := load(o, cmd.InOrStdin())
	if err != nil {
		return err
	}
	switch {
	case o.check:
		err = check(ctx, o, entries, stdout, stderr)
	case o.calico == allReleases:
		err = compareReleases(ctx, o, entries, stdout, stderr)
	default:
		err = makePlans(ctx, o, entries, stdout, stderr)
	}
	if errors.Is(err, sim.ErrStopped) {
		return cli.ErrInterrupted
	}
	return err
}

// makePlans makes and prints the plans of all scenarios.
func makePlans(ctx context.Context, o *options, entries []entry, stdout, stderr io.Writer) error {
	var report *cli.Output
	if o.report != "" {
		var err error
		if report, err = cli.NewOutput("-o", o.report, stdout); err != nil {
			return err
		}
	}
	if report != nil && report.IsStandard() && (o.json || o.wide) {
		return cli.Usagef("-o %s: the report is printed instead of the table: not with -json or -wide", o.report)
	}
	for i := range entries {
		entries[i].warn(stderr)
	}
	total := 0
	for i := range entries {
		s := &entries[i].Scenario
		total += requests(s) * len(sizes(s))
	}
	c := newCrew(ctx, o.workers, stderr, total)
	defer c.bar.Stop()
	out := bufio.NewWriter(stdout)
	var answer error
	var plans []*plan
	err := c.plans(entries, extras{samples: o.samples, headroom: o.wide || o.report != ""}, func(p *plan) error {
		if !p.fits() {
			answer = cli.ErrNo
		}
		if !o.lines || report != nil {
			plans = append(plans, p)
		}
		if !o.lines {
			return nil
		}
		if err := writeLine(out, p); err != nil {
			return err
		}
		return out.Flush() // a line as soon as it is known, and no half ones
	})
	c.bar.Stop()
	if err != nil {
		return err
	}
	if report != nil {
		p := sections(plans)[0].plan // there is one, see load
		err := report.Write(ctx, stdout, func(w io.Writer) error { return writeReport(w, p) })
		if err != nil {
			return err
		}
		if report.IsStandard() {
			return answer
		}
	}
	switch {
	case o.lines:
		// All is written. That a scenario does not fit is no failure of the shard.
		if o.shards > 0 {
			answer = nil
		}
		return answer
	case o.json:
		err = writeDocument(out, plans[0])
	default:
		writePage(out, o, plans)
	}
	return cmp.Or(err, out.Flush(), answer)
}

// plans makes the plans of all scenarios and hands them on in order. A few are
// under way at any time, for there can be many and each has its rows.
func (c *crew) plans(entries []entry, x extras, emit func(*plan) error) error {
	type made struct {
		plan *plan
		err  error
	}
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()
	c.ctx = ctx
	under := make(chan chan made, 2*cap(c.slots))
	go func() {
		defer close(under)
		for i := range entries {
			next := make(chan made, 1)
			select {
			case under <- next:
			case <-ctx.Done():
				return
			}
			go func() {
				p, err := c.makePlan(&entries[i].Entry, entries[i].index, x)
				next <- made{p, err}
			}()
		}
	}()
	for i := range entries {
		var m made
		select {
		case next := <-under:
			select {
			case m = <-next:
			case <-ctx.Done():
				return sim.ErrStopped
			}
		case <-ctx.Done():
			return sim.ErrStopped
		}
		if m.err != nil {
			return entries[i].wrong(m.err)
		}
		if err := emit(m.plan); err != nil {
			return err
		}
	}
	return nil
}
