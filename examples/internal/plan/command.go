// Package plan is the program plan: which block size to take for a cluster.
package plan

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/workload"
)

// Run runs the program with its arguments and returns its exit status.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// Memory that is never touched, and so never there. The collector waits until as
	// much again is in use, which most scenarios never need, and they end sooner.
	ballast := make([]byte, 64<<20)
	defer runtime.KeepAlive(ballast)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status := make(chan int, 1)
	go func() { status <- run(ctx, args, stdin, stdout, stderr) }()
	select {
	case s := <-status:
		return s
	case <-ctx.Done():
	}
	select {
	case s := <-status:
		return s
	case <-time.After(time.Second): // it waits for somebody else: standard input
		fmt.Fprintln(stderr, "plan: interrupted")
		return interrupted
	}
}

// What the program ends with.
const (
	fine        = 0
	found       = 1 // nothing fits, or there are differences
	bad         = 2
	interrupted = 130 // as shells say for Ctrl-C
)

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return fine
	}
	if err != nil {
		fmt.Fprintf(stderr, "plan: %v (-h for help)\n", err)
		return bad
	}
	entries, err := load(&o, stdin)
	if err != nil {
		fmt.Fprintf(stderr, "plan: %v\n", err)
		return bad
	}
	var status int
	if o.check {
		status, err = check(ctx, &o, entries, stdout, stderr)
	} else {
		status, err = makePlans(ctx, &o, entries, stdout, stderr)
	}
	if errors.Is(err, workload.ErrStopped) {
		fmt.Fprintln(stderr, "plan: interrupted")
		return interrupted
	}
	if err != nil {
		fmt.Fprintf(stderr, "plan: %v\n", err)
		return bad
	}
	return status
}

// makePlans makes and prints the plans of all scenarios.
func makePlans(ctx context.Context, o *options, entries []entry, stdout, stderr io.Writer) (int, error) {
	var report *cli.Output
	if o.report == "-" {
		report = cli.StandardOutput()
	} else if o.report != "" {
		var err error
		if report, err = cli.NewOutput("-o", o.report, stdout); err != nil {
			return bad, err
		}
	}
	if report != nil && report.IsStandard() && (o.json || o.wide) {
		return bad, fmt.Errorf("-o %s: the report is printed instead of the table: not with -json or -wide", o.report)
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
	status := fine
	var plans []*plan
	err := c.plans(entries, extras{samples: o.samples, headroom: o.wide || o.report != ""}, func(p *plan) error {
		if !p.fits() {
			status = found
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
		return bad, err
	}
	if report != nil {
		p := sections(plans)[0].plan // there is one, see load
		err := report.Write(ctx, stdout, func(w io.Writer) error { return writeReport(w, p) })
		if errors.Is(err, context.Canceled) {
			err = workload.ErrStopped
		}
		if err != nil || report.IsStandard() {
			return ended(status, err)
		}
	}
	switch {
	case o.lines:
		// All is written. That a scenario does not fit is no failure of the shard.
		if o.shards > 0 {
			status = fine
		}
		return status, nil
	case o.json:
		err = writeDocument(out, plans[0])
	default:
		writePage(out, o, plans)
	}
	if err == nil {
		err = out.Flush()
	}
	return status, err
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
				return workload.ErrStopped
			}
		case <-ctx.Done():
			return workload.ErrStopped
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
