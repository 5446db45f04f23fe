package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/shoenig/test/must"
)

// shared is a buffer that two goroutines may write and read.
type shared struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// bar is a progress bar on w with the same timing as for users.
func bar(w *shared, doing string, total int64, units progress.Units) *Progress {
	return newProgress(w, doing, total, units, time.Now().Add(patience))
}

// pass advances the time of the test's bubble.
func pass(d time.Duration) { <-time.After(d) }

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		p := bar(&out, "reading", 1<<20, progress.UnitsBytes)
		p.Set(1 << 18)
		pass(2 * patience)
		must.Eq(t, "", out.String(), must.Sprint("nobody told it anything meanwhile"))
		p.Set(1 << 19)
		pass(time.Second)
		must.StrContains(t, out.String(), "reading")
		p.Stop()
		p.Stop()
		p.Set(1 << 20)
		must.StrContains(t, out.String(), "50.00%")
		must.StrNotContains(t, out.String(), "100.00%", must.Sprint("it was stopped"))
		gone(t, out.String())
	})
}

// gone checks that each line that was drawn was overwritten or erased.
func gone(t *testing.T, out string) {
	must.Eq(t, strings.Count(out, "\n"), strings.Count(out, text.CursorUp.Sprint()), must.Sprintf("%q", out))
	must.True(t, out == "" || strings.HasSuffix(out, text.EraseLine.Sprint()), must.Sprintf("%q", out))
}

// TestProgressOfShortWork: what is done within a second shows nothing.
func TestProgressOfShortWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		p := bar(&out, "reading", 10, progress.UnitsBytes)
		p.Set(5)
		pass(patience - time.Millisecond)
		p.Set(10)
		p.Stop()
		pass(time.Minute)
		must.Eq(t, "", out.String())
	})
}

// TestProgressStoppedAtOnce: Stop removes a bar that has just appeared, too.
func TestProgressStoppedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		p := bar(&out, "reading", 10, progress.UnitsBytes)
		pass(2 * patience)
		p.Set(1)
		p.Stop()
		gone(t, out.String())
	})
}

func TestProgressElsewhere(t *testing.T) {
	p := NewProgress(new(bytes.Buffer), "reading", 10)
	must.Nil(t, p)
	p.Set(1)
	p.Stop()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	must.NoError(t, err)
	defer f.Close()
	must.False(t, Terminal(f), must.Sprint("a file is no terminal"))
	must.Nil(t, NewCount(new(bytes.Buffer), "requests", 10))
}

// TestProgressOfMore: the bar shows the current total, which may grow.
func TestProgressOfMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		p := bar(&out, "requests", 10, progress.UnitsDefault)
		pass(2 * patience)
		p.SetOf(5, 20)
		pass(time.Second)
		p.Add(1)
		p.Stop()
		must.StrContains(t, out.String(), "25.00%")
		must.StrContains(t, out.String(), "[5 in ")
		must.StrContains(t, out.String(), "[6 in ")
		gone(t, out.String())
	})
}
