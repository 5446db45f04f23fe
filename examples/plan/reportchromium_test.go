package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chromium is a browser without a window, told what to do over a pipe: messages of
// the DevTools protocol, each ended by a zero byte.
type chromium struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	last    int
	session string
	// complaints are what the page has got wrong so far: errors and warnings of the
	// console, exceptions, violations of its policy. Requests are what it asked for.
	complaints, requests []string
}

// devMessage is what comes and goes.
type devMessage struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// startChromium starts one, for as long as the test lasts. The test is skipped where
// there is none.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium in PATH: the report is not tested in a browser (Debian has it as the package chromium)")
	}
	home, err := os.MkdirTemp("", "chromium")
	require.NoError(t, err)
	theirIn, ourOut, err := os.Pipe()
	require.NoError(t, err)
	ourIn, theirOut, err := os.Pipe()
	require.NoError(t, err)
	// --no-sandbox: it refuses to start as root without.
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--user-data-dir="+home, "--remote-debugging-pipe", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, as it expects
	require.NoError(t, cmd.Start())
	theirIn.Close()
	theirOut.Close()
	deadline := time.AfterFunc(3*time.Minute, func() { _ = cmd.Process.Kill() })
	c := &chromium{t: t, to: ourOut, from: bufio.NewReader(ourIn)}
	t.Cleanup(func() {
		ourOut.Close() // which is how it is told to end
		_ = cmd.Wait()
		deadline.Stop()
		ourIn.Close()
		_ = os.RemoveAll(home)
	})
	return c
}

// on returns the same browser for a part of the test.
func (c *chromium) on(t *testing.T) *chromium {
	c.t = t
	return c
}

// open shows a page in a new tab of that width and returns when the page is ready.
func (c *chromium) open(page []byte, width int) {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "report.html")
	require.NoError(c.t, os.WriteFile(path, page, 0o600))
	c.session, c.complaints, c.requests = "", nil, nil
	var target struct{ TargetID, SessionID string }
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	c.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	c.session = target.SessionID
	for _, domain := range []string{"Runtime", "Log", "Network", "Page"} {
		c.call(domain+".enable", nil, nil)
	}
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false}, nil)
	c.call("Page.navigate", map[string]any{"url": "file://" + path}, nil)
	c.wait(`document.readyState === "complete" && (!document.getElementById("map-card") || "ready" in document.getElementById("map-card").dataset)`)
}

// call sends a command and waits for the answer; what is told meanwhile is kept.
func (c *chromium) call(method string, params, result any) {
	c.t.Helper()
	if params == nil {
		params = struct{}{}
	}
	text, err := json.Marshal(params)
	require.NoError(c.t, err)
	c.last++
	out, err := json.Marshal(devMessage{ID: c.last, Session: c.session, Method: method, Params: text})
	require.NoError(c.t, err)
	_, err = c.to.Write(append(out, 0))
	require.NoError(c.t, err)
	for {
		in, err := c.from.ReadBytes(0)
		require.NoError(c.t, err, "the browser ended")
		var m devMessage
		require.NoError(c.t, json.Unmarshal(bytes.TrimSuffix(in, []byte{0}), &m))
		if m.ID != c.last {
			c.told(&m)
			continue
		}
		require.Empty(c.t, string(m.Error), method)
		if result != nil {
			require.NoError(c.t, json.Unmarshal(m.Result, result))
		}
		return
	}
}

// told keeps what a page did of its own accord.
func (c *chromium) told(m *devMessage) {
	var p struct {
		Type    string
		Entry   struct{ Level, Text string }
		Request struct{ URL string }
	}
	_ = json.Unmarshal(m.Params, &p) // events have other fields, too
	switch {
	case m.Method == "Runtime.exceptionThrown",
		m.Method == "Runtime.consoleAPICalled" && (p.Type == "error" || p.Type == "warning"),
		m.Method == "Log.entryAdded" && (p.Entry.Level == "error" || p.Entry.Level == "warning"):
		c.complaints = append(c.complaints, string(m.Params))
	case m.Method == "Network.requestWillBeSent":
		c.requests = append(c.requests, p.Request.URL)
	}
}

// eval returns the value of an expression in the page, which may be a promise.
func (c *chromium) eval(expression string, result any) {
	c.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	c.call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &answer)
	require.Empty(c.t, string(answer.ExceptionDetails), expression)
	if result != nil {
		require.NoError(c.t, json.Unmarshal(answer.Result.Value, result), expression)
	}
}

// text is the value of an expression that is text.
func (c *chromium) text(expression string) (text string) {
	c.t.Helper()
	c.eval(expression, &text)
	return text
}

// wait waits until an expression is true.
func (c *chromium) wait(expression string) {
	c.t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		var ok bool
		if c.eval(expression, &ok); ok {
			return
		}
		require.Less(c.t, time.Since(began), 20*time.Second, "never: %s", expression)
	}
}

// press presses a key, as the keyboard would.
func (c *chromium) press(key string) {
	c.t.Helper()
	codes := map[string]int{"Tab": 9, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
	for _, kind := range []string{"rawKeyDown", "keyUp"} {
		c.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}, nil)
	}
}

// point moves the mouse to the middle of an element, or away from it by so much.
func (c *chromium) point(element string, dx, dy float64) {
	c.t.Helper()
	var at [2]float64
	c.eval(fmt.Sprintf(`document.querySelector(%q).scrollIntoView({ block: "center" })`, element), nil)
	c.settle()
	c.eval(fmt.Sprintf(`(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector(%q).getBoundingClientRect())`, element), &at)
	c.call("Input.dispatchMouseEvent", map[string]any{"type": "mouseMoved", "x": at[0] + dx, "y": at[1] + dy}, nil)
}

// settle waits for what is under way: pages are told of changes a frame later.
func (c *chromium) settle() {
	c.t.Helper()
	c.eval("(async () => { for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame); })()", nil)
}

// silent requires that the page has had nothing to complain of, and has asked for
// nothing but itself.
func (c *chromium) silent() {
	c.t.Helper()
	c.settle()
	require.Empty(c.t, c.complaints)
	for _, url := range c.requests {
		require.True(c.t, strings.HasPrefix(url, "file://") && strings.HasSuffix(url, "/report.html"), url)
	}
}
