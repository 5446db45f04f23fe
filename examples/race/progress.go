package main

import (
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// patience is how long something may take before its progress is shown.
const patience = time.Second

// showProgress shows on w how much of the total is done, once that has taken a
// while, and nothing unless w is a terminal. Step tells that one more is done,
// from any goroutine; end must be called, and leaves nothing on the screen.
func showProgress(w io.Writer, total int, what string) (step, end func()) {
	if !cli.Terminal(w) {
		return nil, func() {}
	}
	return drawProgress(w, total, what, patience)
}

// drawProgress is showProgress for a terminal.
func drawProgress(w io.Writer, total int, what string, after time.Duration) (step, end func()) {
	bar := progress.NewWriter()
	bar.SetOutputWriter(w)
	bar.SetAutoStop(true)
	bar.SetUpdateFrequency(100 * time.Millisecond)
	tracker := &progress.Tracker{Message: what, Total: int64(total)}
	bar.AppendTracker(tracker)
	gone := make(chan struct{})
	timer := time.AfterFunc(after, func() {
		bar.Render()
		close(gone)
	})
	return func() { tracker.Increment(1) }, func() {
		tracker.MarkAsDone()
		if !timer.Stop() {
			<-gone
			fmt.Fprint(w, text.CursorUp.Sprint(), text.EraseLine.Sprint()) // the bar, complete
		}
	}
}
