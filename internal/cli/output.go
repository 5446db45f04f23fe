package cli

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
)

// Output is where a program writes a file that a flag names. A regular file is
// replaced at once when all of it is written, and keeps its mode; links are
// followed; anything else, such as a pipe or a device, is written as it is.
type Output struct {
	flag   string      // that named it, for errors
	name   string      // as it was given
	path   string      // the file that is replaced when all is written
	stdout bool        // the same as standard output
	direct bool        // written as it comes: a device, a pipe, or a file that cannot be replaced
	mode   fs.FileMode // of the file that is there; 0 if there is none
}

// StandardOutput is the output that Write writes to standard output.
func StandardOutput() *Output { return &Output{name: "-", stdout: true} }

// IsStandard reports whether the output is standard output.
func (t *Output) IsStandard() bool { return t.stdout }

// NewOutput finds out what the name after a flag, such as "-o", refers to, and fails
// if it cannot be written: the work before may take long. It does not open pipes,
// whose reader may not be there yet. The name "-" is standard output. Errors start with
// the flag and the name.
func NewOutput(flag, name string, stdout io.Writer) (*Output, error) {
	switch name {
	case "":
		return nil, Usagef("%s: no file named; - is standard output", flag)
	case "-":
		return StandardOutput(), nil
	}
	t := &Output{flag: flag, name: name, path: name}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.path = follow(name)
		if err := t.probe(); err != nil {
			return nil, err
		}
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
		if err := t.writable(); err != nil {
			return nil, err
		}
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
func (t *Output) writable() error {
	f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
	if err != nil {
		return t.wrong(err)
	}
	return t.wrong(f.Close())
}

// probe reports why there can be no file beside the one that is to be.
func (t *Output) probe() error {
	f, err := t.beside()
	if err != nil {
		return err
	}
	return t.wrong(errors.Join(f.Close(), os.Remove(f.Name())))
}

// beside makes a file beside the one that is to be, with the rights of a new one.
func (t *Output) beside() (*os.File, error) {
	const most = 10_000
	for i := 0; ; i++ {
		name := filepath.Join(filepath.Dir(t.path), fmt.Sprintf(".ipamsim-%d-%d", os.Getpid(), i))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil || i == most || !errors.Is(err, fs.ErrExist) {
			return f, t.wrong(err)
		}
	}
}

// Write writes the output with a function. A regular file changes only when all is
// written, and not if the context has ended by then: Write returns the context's error.
func (t *Output) Write(ctx context.Context, stdout io.Writer, write func(io.Writer) error) (err error) {
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
		return ctx.Err()
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
func (t *Output) wrong(err error) error {
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
	return fmt.Errorf("%s %s: %w", t.flag, t.name, err)
}
