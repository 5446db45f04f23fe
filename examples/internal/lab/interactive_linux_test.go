package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
)

// A screen is a terminal with the lab on it.
type screen struct {
	t      *testing.T
	keys   *os.File
	shown  chan string
	text   string // since the last wait
	status chan int
	errs   bytes.Buffer // to read when the lab has ended
}

// open starts the lab on a terminal.
func open(t *testing.T, ctx context.Context, args ...string) *screen {
	t.Helper()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals here: ", err)
	}
	control := func(request uintptr, n *int32) {
		raw, err := keys.SyscallConn()
		must.NoError(t, err)
		must.NoError(t, raw.Control(func(fd uintptr) {
			_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(n)))
			must.Zero(t, errno)
		}))
	}
	var locked, number int32
	control(syscall.TIOCSPTLCK, &locked)
	control(syscall.TIOCGPTN, &number)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	must.NoError(t, err)
	s := &screen{t: t, keys: keys, shown: make(chan string, 1000), status: make(chan int, 1)}
	go func() {
		defer close(s.shown)
		buffer := make([]byte, 4096)
		for {
			n, err := keys.Read(buffer)
			if err != nil {
				return
			}
			s.shown <- strings.ReplaceAll(string(buffer[:n]), "\r\n", "\n")
		}
	}()
	go func() {
		s.status <- cli.Execute(ctx, Command(), args, terminal, terminal, &s.errs)
		terminal.Close()
	}()
	t.Cleanup(func() { keys.Close() })
	return s
}

// wait returns what is shown up to and including a text.
func (s *screen) wait(text string) string {
	s.t.Helper()
	for {
		if at := strings.Index(s.text, text); at >= 0 {
			before := s.text[:at+len(text)]
			s.text = s.text[at+len(text):]
			return before
		}
		select {
		case more, open := <-s.shown:
			must.True(s.t, open, must.Sprintf("no %q in %q", text, s.text))
			s.text += more
		case <-time.After(20 * time.Second):
			s.t.Fatalf("no %q in %q", text, s.text)
		}
	}
}

// press types.
func (s *screen) press(keys string) {
	s.t.Helper()
	_, err := s.keys.WriteString(keys)
	must.NoError(s.t, err)
}

// TestInteractive: Enter goes on to the next part, and Ctrl-D to the end.
func TestInteractive(t *testing.T) {
	s := open(t, t.Context(), "-i", "-step", "2", "-step", "3", "-step", "4", "-step", "5")
	first := s.wait(`Press Enter for "Exercise 3: the nodes" `)
	must.StrContains(t, first, "== Exercise 2")
	must.StrContains(t, first, "  AVAILABLE   ")
	must.StrNotContains(t, first, "== Exercise 3")
	select {
	case text := <-s.shown:
		t.Fatalf("it does not wait: %q", text)
	case <-time.After(50 * time.Millisecond):
	}
	s.press("\n")
	must.StrContains(t, s.wait(`Press Enter for "Exercise 4: the pool" `), "\n== Exercise 3")
	s.press("\x04")
	rest := s.wait("AGE    How long")
	must.StrContains(t, rest, "== Exercise 4")
	must.StrNotContains(t, rest, "Press")
	must.Zero(t, <-s.status)
	must.Eq(t, "", s.errs.String())
}

// TestInterrupted: an interrupt leaves at once, in a line of its own.
func TestInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	s := open(t, ctx, "-i")
	must.StrContains(t, s.wait(`Press Enter for "Before: one claim, step by step" `), "== The lab")
	interrupt()
	must.Eq(t, "\n", s.wait("\n"))
	must.Eq(t, cli.Interrupted, <-s.status)
	must.Eq(t, "lab: interrupted\n", s.errs.String())
}
