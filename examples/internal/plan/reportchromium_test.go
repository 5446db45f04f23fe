package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/chromium"
)

// browser is one that shows reports.
type browser struct {
	*chromium.Chromium
	t *testing.T
}

// startBrowser starts one, for as long as the test lasts.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	return &browser{chromium.Start(t, "the report"), t}
}

// on returns the same browser for a part of the test.
func (b *browser) on(t *testing.T) *browser { return &browser{b.On(t), t} }

// open shows a report in a new tab of that width and returns when it is ready.
func (b *browser) open(page []byte, width int64) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "report.html")
	must.NoError(b.t, os.WriteFile(path, page, 0o600))
	b.Open("file://"+path, width, `!document.getElementById("map-card") || "ready" in document.getElementById("map-card").dataset`)
}

// silent requires that the page has had nothing to complain of, and has asked for
// nothing but itself.
func (b *browser) silent() {
	b.t.Helper()
	b.Settle()
	must.SliceEmpty(b.t, b.Complaints())
	requests := b.Requests()
	must.SliceNotEmpty(b.t, requests)
	for _, url := range requests {
		must.True(b.t, strings.HasPrefix(url, "file://") && strings.HasSuffix(url, "/report.html"), must.Sprint(url))
	}
}
