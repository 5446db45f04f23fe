package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
	require.NoError(b.t, os.WriteFile(path, page, 0o600))
	b.Open("file://"+path, width, `!document.getElementById("map-card") || "ready" in document.getElementById("map-card").dataset`)
}

// silent requires that the page has had nothing to complain of, and has asked for
// nothing but itself.
func (b *browser) silent() {
	b.t.Helper()
	b.Settle()
	require.Empty(b.t, b.Complaints())
	requests := b.Requests()
	require.NotEmpty(b.t, requests)
	for _, url := range requests {
		require.True(b.t, strings.HasPrefix(url, "file://") && strings.HasSuffix(url, "/report.html"), url)
	}
}
