package cli

import (
	"io"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
)

// Progress is a bar that shows how much of some work is done. It appears only on a
// terminal, and only when the work takes longer than a second. Make one with
// [NewProgress] or [NewCount] and end it with Stop; nil shows nothing. Any goroutine
// may use it.
type Progress struct {
	mu      sync.Mutex
	bar     progress.Writer
	tracker *progress.Tracker
	appears time.Time
	done    chan struct{} // closed when the bar is gone
}

// patience is how long work may take before a bar appears.
const patience = time.Second

// NewProgress returns a bar of bytes on w; nil if w is no terminal. A size of 0 is not
// known.
func NewProgress(w io.Writer, doing string, size int64) *Progress {
	if !Terminal(w) {
		return nil
	}
	return newProgress(w, doing, size, progress.UnitsBytes, time.Now().Add(patience))
}

// NewCount is [NewProgress] for anything that is counted.
func NewCount(w io.Writer, doing string, total int64) *Progress {
	if !Terminal(w) {
		return nil
	}
	return newProgress(w, doing, total, progress.UnitsDefault, time.Now().Add(patience))
}

func newProgress(w io.Writer, doing string, size int64, units progress.Units, appears time.Time) *Progress {
	bar := progress.NewWriter()
	bar.SetOutputWriter(w)
	bar.SetAutoStop(false)
	bar.SetUpdateFrequency(100 * time.Millisecond)
	bar.SetTrackerPosition(progress.PositionRight)
	tracker := &progress.Tracker{Message: doing, Total: size, Units: units, RemoveOnCompletion: true}
	bar.AppendTracker(tracker)
	return &Progress{bar: bar, tracker: tracker, appears: appears}
}

// Set tells how much is done.
func (p *Progress) Set(done int64) { p.set(done, -1) }

// SetOf tells how much is done, and of how much as far as that is known by now.
func (p *Progress) SetOf(done, total int64) { p.set(done, total) }

func (p *Progress) set(done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if total >= 0 {
		p.tracker.UpdateTotal(total)
	}
	if p.done == nil && time.Now().After(p.appears) {
		finished := make(chan struct{})
		p.done = finished
		go func() {
			p.bar.Render()
			close(finished)
		}()
	}
	if p.done != nil {
		p.tracker.SetValue(done)
	}
}

// Stop takes the bar away.
func (p *Progress) Stop() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		return
	}
	p.tracker.MarkAsDone()
	for !p.bar.IsRenderInProgress() {
		select {
		case <-p.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
	p.bar.Stop()
	<-p.done
}
