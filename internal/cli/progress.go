package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Progress is a bar that shows how much of some work is done. It appears only on a
// terminal, and only when the work takes longer than a second. Make one with
// [NewProgress] or [NewCount] and end it with Stop; nil shows nothing. Any goroutine
// may use it.
type Progress struct {
	mu      sync.Mutex
	w       io.Writer
	bar     progress.Writer
	tracker *progress.Tracker
	appears time.Time
	count   int64
	drawn   chan struct{} // closed when the bar is no longer drawn; nil before it first is
}

// patience is the time before a bar appears.
const patience = time.Second

// NewProgress returns a bar of bytes on w; nil if w is no terminal. A size of 0
// means unknown.
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
	tracker := &progress.Tracker{Message: doing, Total: size, Units: units}
	bar.AppendTracker(tracker)
	p := &Progress{w: w, bar: bar, tracker: tracker, appears: appears}
	shown.Store(p, nil)
	return p
}

// shown are the bars that were not stopped: an interrupted command leaves its own.
var shown sync.Map

// stopAll removes all bars.
func stopAll() {
	shown.Range(func(p, _ any) bool {
		p.(*Progress).Stop()
		return true
	})
}

// Set sets how much is done.
func (p *Progress) Set(done int64) { p.set(func() { p.count = done }) }

// Add adds to how much is done.
func (p *Progress) Add(more int64) { p.set(func() { p.count += more }) }

// SetOf sets how much is done, and the total as far as it is known by now.
func (p *Progress) SetOf(done, total int64) {
	p.set(func() {
		p.count = done
		p.tracker.UpdateTotal(total)
	})
}

func (p *Progress) set(change func()) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	if p.drawn == nil && time.Now().After(p.appears) {
		finished := make(chan struct{})
		p.drawn = finished
		go func() {
			p.bar.Render()
			close(finished)
		}()
	}
	if p.drawn != nil {
		p.tracker.SetValue(p.count)
	}
}

// Stop removes the bar. Later calls have no effect.
func (p *Progress) Stop() {
	if p == nil {
		return
	}
	shown.Delete(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.appears = never
	if p.drawn == nil {
		return
	}
	select {
	case <-p.drawn: // it was stopped before
		return
	default:
	}
	for !p.bar.IsRenderInProgress() {
		select {
		case <-p.drawn:
			return
		case <-time.After(time.Millisecond):
		}
	}
	p.bar.Stop()
	<-p.drawn
	// The bar is drawn a last time, with the end of the line.
	fmt.Fprint(p.w, text.CursorUp.Sprint(), text.EraseLine.Sprint())
}

// never is later than any time at which a bar could appear.
var never = time.Now().AddDate(100, 0, 0)
