package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/ipamsim/ipamsim/internal/property"
)

// chromium is a browser without a window and the page that it shows.
type chromium struct {
	t       *testing.T
	browser context.Context
	tab     context.Context
	page    *seen
}

// seen is what a page has done so far.
type seen struct {
	mu sync.Mutex
	// complaints are what the page has got wrong: errors and warnings of the
	// console, exceptions, violations of its policy. Requests are what it asked for.
	complaints, requests []string
}

// startChromium starts one, for as long as the test lasts. The test is skipped where
// there is none, and unless the run is long.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	if !property.Long() {
		t.Skip("browsers take long; IPAMSIM_LONG=1 starts one")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium in PATH: the report is not tested in a browser (Debian has it as the package chromium)")
	}
	deadline, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.Env("HOME=" + t.TempDir())}
	// chromedp.Headless would hide the scroll bars, which take room in a page.
	// no-sandbox: Chromium refuses to start as root without it.
	for _, flag := range []string{"headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-quic", "no-first-run",
		"disable-background-networking", "disable-component-update", "disable-sync"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(deadline, options...)
	t.Cleanup(stop)
	browser, end := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(end)
	require.NoError(t, chromedp.Do(browser))
	return &chromium{t: t, browser: browser}
}

// on returns the same browser for a part of the test.
func (c *chromium) on(t *testing.T) *chromium { return &chromium{t: t, browser: c.browser} }

// open shows a page in a new tab of that width and returns when the page is ready.
func (c *chromium) open(page []byte, width int64) {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "report.html")
	require.NoError(c.t, os.WriteFile(path, page, 0o600))
	var end context.CancelFunc
	c.page = &seen{}
	c.tab, end = chromedp.NewContext(c.browser, chromedp.WithListener(c.page.told))
	c.t.Cleanup(end)
	c.resize(width)
	c.do(chromedp.Navigate("file://" + path))
	c.wait(`document.readyState === "complete" && (!document.getElementById("map-card") || "ready" in document.getElementById("map-card").dataset)`)
}

// told keeps what a page did of its own accord. chromedp calls it before it returns
// the results of later commands.
func (s *seen) told(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	amiss := false
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		amiss = true
	case *runtime.EventConsoleAPICalled:
		amiss = e.Type == "error" || e.Type == "warning"
	case *log.EventEntryAdded:
		amiss = e.Entry.Level == "error" || e.Entry.Level == "warning"
	case *network.EventRequestWillBeSent:
		s.requests = append(s.requests, e.Request.URL)
	}
	if amiss {
		text, err := json.Marshal(event)
		s.complaints = append(s.complaints, fmt.Sprintf("%T %s %v", event, text, err))
	}
}

// do runs actions in the page.
func (c *chromium) do(steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	require.NoError(c.t, chromedp.Do(c.tab, steps...))
}

// resize makes the page that wide.
func (c *chromium) resize(width int64) {
	c.t.Helper()
	c.do(chromedp.EmulateViewport(width, 900))
}

// media shows the page on a medium, the screen if empty, and in a theme.
func (c *chromium) media(medium, theme string) {
	c.t.Helper()
	_, err := chromedp.Call(c.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
	require.NoError(c.t, err)
}

// eval returns the value of an expression in the page, which may be a promise.
func eval[T any](c *chromium, expression string) T {
	c.t.Helper()
	value, err := chromedp.Run(c.tab, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(c.t, err, expression)
	return value
}

// run runs a script in the page.
func (c *chromium) run(script string) { c.t.Helper(); eval[chromedp.Void](c, script) }

// text is the value of an expression that is text.
func (c *chromium) text(expression string) string { c.t.Helper(); return eval[string](c, expression) }

// wait waits until an expression is true. chromedp.Poll cannot: it compiles a function
// in the page, which the page's policy forbids.
func (c *chromium) wait(expression string) {
	c.t.Helper()
	require.True(c.t, eval[bool](c, fmt.Sprintf(`(async () => {
		for (const began = performance.now(); !(%s); await new Promise(done => setTimeout(done, 10)))
			if (performance.now() - began > 20000) return false;
		return true;
	})()`, expression)), "never: %s", expression)
}

// press presses a key, as the keyboard would.
func (c *chromium) press(key string) { c.t.Helper(); c.do(chromedp.KeyEvent(key)) }

// point moves the mouse to the middle of an element, or away from it by so much.
func (c *chromium) point(element string, dx, dy float64) {
	c.t.Helper()
	c.run(fmt.Sprintf(`document.querySelector(%q).scrollIntoView({ block: "center" })`, element))
	c.settle()
	at := eval[[2]float64](c, fmt.Sprintf(`(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector(%q).getBoundingClientRect())`, element))
	c.do(chromedp.MouseEvent(chromedp.MouseMoved, at[0]+dx, at[1]+dy))
}

// settle waits for what is under way: pages are told of changes a frame later.
func (c *chromium) settle() {
	c.t.Helper()
	c.run("(async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame); })()")
}

// complaints are what the page has had to complain of so far.
func (c *chromium) complaints() []string {
	c.page.mu.Lock()
	defer c.page.mu.Unlock()
	return c.page.complaints
}

// silent requires that the page has had nothing to complain of, and has asked for
// nothing but itself.
func (c *chromium) silent() {
	c.t.Helper()
	c.settle()
	require.Empty(c.t, c.complaints())
	c.page.mu.Lock()
	defer c.page.mu.Unlock()
	require.NotEmpty(c.t, c.page.requests)
	for _, url := range c.page.requests {
		require.True(c.t, strings.HasPrefix(url, "file://") && strings.HasSuffix(url, "/report.html"), url)
	}
}
