//go:build unix

package cli

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/shoenig/test/must"
)

// put writes text to an Output of that path.
func put(path, text string) error {
	to, err := NewOutput("-o", path, nil)
	if err != nil {
		return err
	}
	return to.Write(context.Background(), nil, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

// TestOutputReplacesFiles: a file keeps its mode, a link stays a link, and no
// temporary file is left.
func TestOutputReplacesFiles(t *testing.T) {
	for _, link := range []string{"", "relative", "absolute", "dangling"} {
		t.Run("link "+link, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "sub", "file")
			must.NoError(t, os.Mkdir(filepath.Dir(file), 0o755))
			path := file
			if link != "" {
				path = filepath.Join(dir, "link")
				to := filepath.Join("sub", "file")
				if link == "absolute" {
					to = file
				}
				must.NoError(t, os.Symlink(to, path))
			}
			if link != "dangling" {
				must.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
				must.NoError(t, os.Chmod(file, 0o604))
			}
			must.NoError(t, put(path, "new"))
			text, err := os.ReadFile(file)
			must.NoError(t, err)
			must.Eq(t, "new", string(text))
			info, err := os.Lstat(path)
			must.NoError(t, err)
			must.Eq(t, link != "", info.Mode()&fs.ModeSymlink != 0)
			if link != "dangling" {
				info, err = os.Stat(file)
				must.NoError(t, err)
				must.Eq(t, fs.FileMode(0o604), info.Mode())
			}
			left, err := os.ReadDir(filepath.Dir(file))
			must.NoError(t, err)
			must.Len(t, 1, left)
		})
	}
}

// TestOutputWritesThrough: pipes and devices are written and stay what they are.
func TestOutputWritesThrough(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	must.NoError(t, syscall.Mkfifo(pipe, 0o600))
	got := make(chan string)
	go func() {
		text, _ := os.ReadFile(pipe)
		got <- string(text)
	}()
	must.NoError(t, put(pipe, "new"))
	must.Eq(t, "new", <-got)
	info, err := os.Lstat(pipe)
	must.NoError(t, err)
	must.Eq(t, fs.ModeNamedPipe, info.Mode().Type())

	must.NoError(t, put(os.DevNull, "new"))
	device := func(path string) bool {
		info, err := os.Lstat(path)
		return err == nil && info.Mode()&fs.ModeDevice != 0
	}
	must.True(t, device(os.DevNull))
	if !device("/dev/full") {
		t.Skip("there is no /dev/full here")
	}
	err = put("/dev/full", "new")
	must.ErrorIs(t, err, syscall.ENOSPC)
	must.EqError(t, err, "-o /dev/full: no space left on device")
	must.True(t, device("/dev/full"))
}

// TestOutputFailsEarly: an output that cannot be written is refused before the
// work.
func TestOutputFailsEarly(t *testing.T) {
	dir := t.TempDir()
	_, err := NewOutput("-o", dir, nil)
	must.EqError(t, err, "-o "+dir+": is a directory")
	missing := filepath.Join(dir, "no", "file")
	_, err = NewOutput("-chart", missing, nil)
	must.EqError(t, err, "-chart "+missing+": no such file or directory")
}

// TestOutputOnFullDisk: the old file stays whole, nothing is left beside it, and the
// error does not name the temporary file.
func TestOutputOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must.NoError(t, os.WriteFile(file, []byte("old"), 0o600))
	to, err := NewOutput("-o", file, nil)
	must.NoError(t, err)
	err = to.Write(context.Background(), nil, func(w io.Writer) error {
		if _, err := io.WriteString(w, "half"); err != nil {
			return err
		}
		return &fs.PathError{Op: "write", Path: filepath.Join(dir, ".temporary"), Err: syscall.ENOSPC}
	})
	must.EqError(t, err, "-o "+file+": no space left on device")
	text, err := os.ReadFile(file)
	must.NoError(t, err)
	must.Eq(t, "old", string(text))
	left, err := os.ReadDir(dir)
	must.NoError(t, err)
	must.Len(t, 1, left)
}
