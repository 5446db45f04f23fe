// Package chromium lets tests look at pages in a browser without a window, and hears
// what goes amiss there.
package chromium

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

// Chromium is a browser and the page that it shows.
type Chromium struct {
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

// Start starts one, for as long as the test lasts and for five minutes at most. The
// test, which is of what it names, is skipped where there is none, and unless the run
// is long.
func Start(t *testing.T, what string) *Chromium {
	t.Helper()
	if !property.Long() {
		t.Skip("browsers take long; IPAMSIM_LONG=1 starts one")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skipf("no chromium in PATH: %s is not tested in a browser (Debian has it as the package chromium)", what)
	}
	deadline, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
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
	must.NoError(t, chromedp.Do(browser))
	return &Chromium{t: t, browser: browser}
}

// On returns the same browser for a part of the test.
func (c *Chromium) On(t *testing.T) *Chromium { return &Chromium{t: t, browser: c.browser} }

// Open shows the page at a URL in a new tab of that width, and returns when the page
// has loaded and an expression is true in it.
func (c *Chromium) Open(url string, width int64, ready string) {
	c.t.Helper()
	var end context.CancelFunc
	c.page = &seen{}
	c.tab, end = chromedp.NewContext(c.browser, chromedp.WithListener(c.page.told))
	c.t.Cleanup(end)
	c.Resize(width)
	c.Do(chromedp.Navigate(url))
	c.Wait(`document.readyState === "complete" && (` + ready + `)`)
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

// Do runs actions in the page.
func (c *Chromium) Do(steps ...chromedp.Action[chromedp.Void]) {
	c.t.Helper()
	must.NoError(c.t, chromedp.Do(c.tab, steps...))
}

// Resize makes the page that wide.
func (c *Chromium) Resize(width int64) {
	c.t.Helper()
	c.Do(chromedp.EmulateViewport(width, 900))
}

// Media shows the page on a medium, the screen if empty, and in a theme.
func (c *Chromium) Media(medium, theme string) {
	c.t.Helper()
	_, err := chromedp.Call(c.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
	must.NoError(c.t, err)
}

// Eval returns the value of an expression in the page, which may be a promise.
func Eval[T any](c *Chromium, expression string) T {
	c.t.Helper()
	value, err := chromedp.Run(c.tab, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	must.NoError(c.t, err, must.Sprint(expression))
	return value
}

// Run runs a script in the page.
func (c *Chromium) Run(script string) { c.t.Helper(); Eval[chromedp.Void](c, script) }

// Text is the value of an expression that is text.
func (c *Chromium) Text(expression string) string { c.t.Helper(); return Eval[string](c, expression) }

// Wait waits until an expression is true. chromedp.Poll cannot: it compiles a function
// in the page, which the page's policy forbids.
func (c *Chromium) Wait(expression string) {
	c.t.Helper()
	must.True(c.t, Eval[bool](c, fmt.Sprintf(`(async () => {
		for (const began = performance.now(); !(%s); await new Promise(done => setTimeout(done, 10)))
			if (performance.now() - began > 20000) return false;
		return true;
	})()`, expression)), must.Sprintf("never: %s", expression))
}

// Press presses keys one after the other, as the keyboard would.
func (c *Chromium) Press(keys ...string) {
	c.t.Helper()
	for _, key := range keys {
		c.Do(chromedp.KeyEvent(key))
	}
}

// Point moves the mouse to the middle of an element, or away from it by so much.
func (c *Chromium) Point(element string, dx, dy float64) {
	c.t.Helper()
	c.Run(fmt.Sprintf(`document.querySelector(%q).scrollIntoView({ block: "center" })`, element))
	c.Settle()
	at := Eval[[2]float64](c, fmt.Sprintf(`(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector(%q).getBoundingClientRect())`, element))
	c.Do(chromedp.MouseEvent(chromedp.MouseMoved, at[0]+dx, at[1]+dy))
}

// Settle waits for what is under way: pages are told of changes a frame later.
func (c *Chromium) Settle() {
	c.t.Helper()
	c.Run("(async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame); })()")
}

// Screenshot writes what the page shows now as a PNG, the whole page if it says so.
func (c *Chromium) Screenshot(path string, whole bool) {
	c.t.Helper()
	shot, err := chromedp.Call(c.tab, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &whole})
	must.NoError(c.t, err)
	must.NoError(c.t, os.WriteFile(path, shot.Data, 0o600))
}

// Complaints are what the page has had to complain of so far.
func (c *Chromium) Complaints() []string {
	c.page.mu.Lock()
	defer c.page.mu.Unlock()
	return slices.Clone(c.page.complaints)
}

// Requests are the URLs that the page has asked for so far, its own first.
func (c *Chromium) Requests() []string {
	c.page.mu.Lock()
	defer c.page.mu.Unlock()
	return slices.Clone(c.page.requests)
}
