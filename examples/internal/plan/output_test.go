//go:build unix

package plan

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/internal/property"
)

const page = "<!doctype html>"

func little(report string) []string {
	return []string{"-nodes", "3", "-pods", "5", "-pool", "10.0.0.0/24", "-o", report}
}

// TestReportGoesThere: a file comes to be or is replaced, with the rights that it had
// or a new one gets; links are followed, and what is no file is written.
func TestReportGoesThere(t *testing.T) {
	property.Slow(t)
	before := syscall.Umask(0o027)
	defer syscall.Umask(before)
	for _, c := range []struct {
		name string
		make func(t *testing.T, path string) // the target, in an empty directory
		in   string                          // where the page is then
		mode fs.FileMode
	}{
		{"new", func(*testing.T, string) {}, "r.html", 0o640},
		{"old", func(t *testing.T, path string) {
			must.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
		}, "r.html", 0o600},
		{"a link", func(t *testing.T, path string) {
			must.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "to"), []byte("old"), 0o600))
			must.NoError(t, os.Symlink("to", path))
		}, "to", 0o600},
		{"a link to nothing", func(t *testing.T, path string) {
			must.NoError(t, os.Symlink("to", path))
		}, "to", 0o640},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "r.html")
			c.make(t, path)
			was, _ := os.Lstat(path)
			status, out, errs := do(little(path)...)
			must.Eq(t, cli.Fine, status, must.Sprint(errs))
			must.StrContains(t, out, "Take /")
			text, err := os.ReadFile(filepath.Join(dir, c.in))
			must.NoError(t, err)
			must.True(t, strings.HasPrefix(strings.ToLower(string(text)), page))
			info, err := os.Stat(path)
			must.NoError(t, err)
			must.Eq(t, c.mode, info.Mode().Perm())
			is, err := os.Lstat(path)
			must.NoError(t, err)
			if was != nil {
				must.Eq(t, was.Mode(), is.Mode(), must.Sprint("it is still what it was"))
			}
			files, err := os.ReadDir(dir)
			must.NoError(t, err)
			must.LessEq(t, 2, len(files), must.Sprint("nothing is left"))
		})
	}
	t.Run("a pipe", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		must.NoError(t, syscall.Mkfifo(path, 0o600))
		got := make(chan string)
		go func() {
			text, _ := os.ReadFile(path)
			got <- string(text)
		}()
		status, _, errs := do(little(path)...)
		must.Eq(t, cli.Fine, status, must.Sprint(errs))
		must.True(t, strings.HasPrefix(strings.ToLower(<-got), page))
		info, err := os.Stat(path)
		must.NoError(t, err)
		must.Eq(t, fs.ModeNamedPipe, info.Mode().Type())
	})
	t.Run("a device", func(t *testing.T) {
		status, out, errs := do(little(os.DevNull)...)
		must.Eq(t, cli.Fine, status, must.Sprint(errs))
		must.StrContains(t, out, "Take /")
		info, err := os.Stat(os.DevNull)
		must.NoError(t, err)
		must.NonZero(t, info.Mode()&fs.ModeDevice)
	})
}

// TestReportIsPrinted: to where the table would go the page goes instead.
func TestReportIsPrinted(t *testing.T) {
	property.Slow(t)
	status, out, errs := do(little("-")...)
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	must.True(t, strings.HasPrefix(strings.ToLower(out), page))
	must.StrNotContains(t, out, "\n  block  in pool")

	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	must.NoError(t, err)
	defer f.Close()
	var stderr bytes.Buffer
	must.Eq(t, cli.Fine, run(little(path), nil, f, &stderr), must.Sprint(stderr.String()))
	_, err = f.Seek(0, io.SeekStart)
	must.NoError(t, err)
	text, err := io.ReadAll(f)
	must.NoError(t, err)
	must.Eq(t, out, string(text), must.Sprint("the file that is standard output"))
}

// TestReportOfFiles: of one scenario at several block sizes, or of one by its name.
func TestReportOfFiles(t *testing.T) {
	text, err := os.ReadFile(recorded)
	must.NoError(t, err)
	nine := file(t, "nine.jsonl", strings.Join(strings.SplitAfter(string(text), "\n")[:9], ""))
	for _, args := range [][]string{
		{"-f", nine, "-samples", "2"},
		{"-f", nine, "-samples", "2", "-json"},
		{"-f", "../../plan/stories/drain.yaml", "-only", "before"},
	} {
		if !property.Long() && args[1] == nine {
			continue // it takes seconds
		}
		report := filepath.Join(t.TempDir(), "r.html")
		status, out, errs := do(append(args, "-o", report)...)
		must.NotEq(t, cli.Bad, status, must.Sprint(errs))
		must.NotEq(t, "", out)
		html, err := os.ReadFile(report)
		must.NoError(t, err)
		if args[1] == nine {
			must.StrContains(t, string(html), "Take blocks of /28")
			continue
		}
		must.Eq(t, 1, strings.Count(out, "  block"))
		must.StrContains(t, out, "before: 4 nodes")
	}
	status, out, errs := do("-f", "../../plan/stories/drain.yaml", "-only", "before", "-json")
	must.Eq(t, cli.Fine, status, must.Sprint(errs))
	var p plan
	must.NoError(t, json.Unmarshal([]byte(out), &p))
	must.Eq(t, "before", p.Scenario.Name)
}
