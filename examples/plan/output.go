package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ipamsim/ipamsim/ipam/workload"
)

// target is where a report goes.
type target struct {
	name   string      // as it was given
	path   string      // the file that is replaced when all is written
	stdout bool        // instead of the table
	direct bool        // written as it comes: a device, a pipe, or a file that cannot be replaced
	mode   fs.FileMode // of the file that is there; 0 if there is none
}

// newTarget finds out what a name is the name of, and whether it can be written: the
// runs before take long. Pipes aside, whose reader may not be there yet.
func newTarget(name string, stdout io.Writer) (*target, error) {
	t := &target{name: name, path: name}
	if name == "-" {
		t.stdout = true
		return t, nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.path = follow(name)
		return t, t.probe()
	case err != nil:
		return nil, t.wrong(err)
	case sameAs(info, stdout):
		t.stdout = name != os.DevNull
		t.direct = true
	case info.Mode().IsRegular():
		if t.path, err = filepath.EvalSymlinks(name); err != nil {
			return nil, t.wrong(err)
		}
		t.mode = info.Mode().Perm()
		if err := t.writable(); err != nil {
			return nil, err
		}
		// Who may write the file may have no right to put another in its place.
		t.direct = t.probe() != nil
	case info.Mode()&fs.ModeNamedPipe == 0:
		t.direct = true
		return t, t.writable()
	default:
		t.direct = true
	}
	return t, nil
}

// follow returns what a link names that leads nowhere yet.
func follow(name string) string {
	const most = 40 // as many as the system follows
	for range most {
		to, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Dir(name) + string(filepath.Separator) + to
		}
		name = to
	}
	return name
}

// sameAs reports whether a file is the one that w writes.
func sameAs(info fs.FileInfo, w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	to, err := f.Stat()
	return err == nil && os.SameFile(info, to)
}

// writable reports why what is there cannot be written.
func (t *target) writable() error {
	f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
	if err != nil {
		return t.wrong(err)
	}
	return t.wrong(f.Close())
}

// probe reports why there can be no file beside the one that is to be.
func (t *target) probe() error {
	f, err := t.beside()
	if err != nil {
		return err
	}
	return t.wrong(errors.Join(f.Close(), os.Remove(f.Name())))
}

// beside makes a file beside the one that is to be, with the rights of a new one.
func (t *target) beside() (*os.File, error) {
	const most = 10_000
	for i := 0; ; i++ {
		name := filepath.Join(filepath.Dir(t.path), fmt.Sprintf(".plan-%d-%d", os.Getpid(), i))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil || i == most || !errors.Is(err, fs.ErrExist) {
			return f, t.wrong(err)
		}
	}
}

// write writes the report. A file comes to be when all of it is written and not before.
func (t *target) write(ctx context.Context, stdout io.Writer, write func(io.Writer) error) (err error) {
	if t.stdout {
		return buffered(stdout, write)
	}
	if t.direct {
		f, err := os.OpenFile(t.path, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			return t.wrong(err)
		}
		return t.wrong(cmp.Or(buffered(f, write), f.Close()))
	}
	f, err := t.beside()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := buffered(f, write); err != nil {
		return t.wrong(err)
	}
	if t.mode != 0 {
		if err := f.Chmod(t.mode); err != nil {
			return t.wrong(err)
		}
	}
	if err := f.Close(); err != nil {
		return t.wrong(err)
	}
	if ctx.Err() != nil {
		return workload.ErrStopped
	}
	return t.wrong(os.Rename(f.Name(), t.path))
}

// buffered writes to w in larger pieces.
func buffered(w io.Writer, write func(io.Writer) error) error {
	out := bufio.NewWriter(w)
	if err := write(out); err != nil {
		return err
	}
	return out.Flush()
}

// wrong puts an error in terms of the flag: which files there are on the way is
// nobody's business.
func (t *target) wrong(err error) error {
	if err == nil {
		return nil
	}
	var path *fs.PathError
	var link *os.LinkError
	if errors.As(err, &path) {
		err = path.Err
	} else if errors.As(err, &link) {
		err = link.Err
	}
	return fmt.Errorf("-o %s: %w", t.name, err)
}
