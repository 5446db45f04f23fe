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
// replaced in one step once all of it is written, and keeps its mode; links are
// followed; anything else, such as a pipe or a device, is written directly.
type Output struct {
	flag   string      // the flag, for errors
	name   string      // as given
	path   string      // the file that is replaced when all is written
	stdout bool        // the same as standard output
	direct bool        // written directly: a device, a pipe, or a file that cannot be replaced
	mode   fs.FileMode // of the existing file; 0 if there is none
}

// StandardOutput is the output that Write writes to standard output.
func StandardOutput() *Output { return &Output{name: "-", stdout: true} }

// IsStandard reports whether the output is standard output.
func (t *Output) IsStandard() bool { return t.stdout }

// NewOutput finds out what the name after a flag, such as "-o", refers to, and
// fails if it cannot be written: better now than after long work. It does not open
// pipes: the reader may not be there yet. The name "-" is standard output. Errors
// start with the flag and the name.
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
		// A user who may write the file may lack the right to create another
		// beside it.
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

// follow returns the target of a link whose target does not exist yet.
func follow(name string) string {
	const most = 40 // the system follows no more
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

// sameAs reports whether w writes to that file.
func sameAs(info fs.FileInfo, w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	to, err := f.Stat()
	return err == nil && os.SameFile(info, to)
}

// writable returns why the existing file cannot be written, if so.
func (t *Output) writable() error {
	f, err := os.OpenFile(t.path, os.O_WRONLY, 0)
	if err != nil {
		return t.wrong(err)
	}
	return t.wrong(f.Close())
}

// probe returns why no file can be created beside the output, if so.
func (t *Output) probe() error {
	f, err := t.beside()
	if err != nil {
		return err
	}
	return t.wrong(errors.Join(f.Close(), os.Remove(f.Name())))
}

// beside creates a temporary file beside the output, with the rights of a new
// file.
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

// buffered writes to w in larger pieces. If w fails, it returns that error as it is, and
// not in the words of whatever wrote, which may say it more than once.
func buffered(w io.Writer, write func(io.Writer) error) error {
	out := bufio.NewWriter(w)
	err := write(out)
	if _, failed := out.Write(nil); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// wrong words an error in terms of the flag, without the name of a temporary file.
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
