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

	"github.com/stretchr/testify/require"

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
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
		}, "r.html", 0o600},
		{"a link", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "to"), []byte("old"), 0o600))
			require.NoError(t, os.Symlink("to", path))
		}, "to", 0o600},
		{"a link to nothing", func(t *testing.T, path string) {
			require.NoError(t, os.Symlink("to", path))
		}, "to", 0o640},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "r.html")
			c.make(t, path)
			was, _ := os.Lstat(path)
			status, out, errs := do(little(path)...)
			require.Equal(t, cli.Fine, status, errs)
			require.Contains(t, out, "Take /")
			text, err := os.ReadFile(filepath.Join(dir, c.in))
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(strings.ToLower(string(text)), page))
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, c.mode, info.Mode().Perm())
			is, err := os.Lstat(path)
			require.NoError(t, err)
			if was != nil {
				require.Equal(t, was.Mode(), is.Mode(), "it is still what it was")
			}
			files, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.LessOrEqual(t, len(files), 2, "nothing is left")
		})
	}
	t.Run("a pipe", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "pipe")
		require.NoError(t, syscall.Mkfifo(path, 0o600))
		got := make(chan string)
		go func() {
			text, _ := os.ReadFile(path)
			got <- string(text)
		}()
		status, _, errs := do(little(path)...)
		require.Equal(t, cli.Fine, status, errs)
		require.True(t, strings.HasPrefix(strings.ToLower(<-got), page))
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.ModeNamedPipe, info.Mode().Type())
	})
	t.Run("a device", func(t *testing.T) {
		status, out, errs := do(little(os.DevNull)...)
		require.Equal(t, cli.Fine, status, errs)
		require.Contains(t, out, "Take /")
		info, err := os.Stat(os.DevNull)
		require.NoError(t, err)
		require.NotZero(t, info.Mode()&fs.ModeDevice)
	})
}

// TestReportIsPrinted: to where the table would go the page goes instead.
func TestReportIsPrinted(t *testing.T) {
	status, out, errs := do(little("-")...)
	require.Equal(t, cli.Fine, status, errs)
	require.True(t, strings.HasPrefix(strings.ToLower(out), page))
	require.NotContains(t, out, "\n  block  in pool")

	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	var stderr bytes.Buffer
	require.Equal(t, cli.Fine, run(little(path), nil, f, &stderr), stderr.String())
	_, err = f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, out, string(text), "the file that is standard output")
}

// TestReportOfFiles: of one scenario at several block sizes, or of one by its name.
func TestReportOfFiles(t *testing.T) {
	text, err := os.ReadFile(recorded)
	require.NoError(t, err)
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
		require.NotEqual(t, cli.Bad, status, errs)
		require.NotEmpty(t, out)
		html, err := os.ReadFile(report)
		require.NoError(t, err)
		if args[1] == nine {
			require.Contains(t, string(html), "Take blocks of /28")
			continue
		}
		require.Equal(t, 1, strings.Count(out, "  block"))
		require.Contains(t, out, "before: 4 nodes")
	}
	status, out, errs := do("-f", "../../plan/stories/drain.yaml", "-only", "before", "-json")
	require.Equal(t, cli.Fine, status, errs)
	var p plan
	require.NoError(t, json.Unmarshal([]byte(out), &p))
	require.Equal(t, "before", p.Scenario.Name)
}
