package trace

import (
	"errors"
	"fmt"
	"io"
)

// A Reader reads a recording. Make one with [Open] or [NewReader].
type Reader struct {
	lines    *Lines
	header   Header
	headerAt int // the header's line
}

// Open opens the recording in a file, plain or gzip, and reads its header. The
// caller closes it.
func Open(path string) (*Reader, error) {
	l, err := OpenLines(path)
	if err != nil {
		return nil, err
	}
	r, err := begin(l)
	if err != nil {
		l.Close()
		return nil, err
	}
	return r, nil
}

// NewReader reads a recording, plain or gzip, from r, beginning with its
// header. The name is for errors, which match [ErrMalformed] unless they come
// from r; those it wraps.
func NewReader(name string, r io.Reader) (*Reader, error) {
	l, err := NewLines(name, r)
	if err != nil {
		return nil, err
	}
	return begin(l)
}

// begin reads the header.
func begin(l *Lines) (*Reader, error) {
	r := &Reader{lines: l}
	err := l.Next(&r.header)
	if errors.Is(err, io.EOF) {
		l.line = 1
		return nil, l.Fail(errors.New("empty: no header"))
	}
	if err != nil {
		return nil, err
	}
	if r.header.Version != Version {
		return nil, l.Fail(fmt.Errorf("version %d, want %d", r.header.Version, Version))
	}
	r.headerAt = l.Line()
	return r, nil
}

// Header returns the setting of the recording.
func (r *Reader) Header() Header { return r.header }

// Name returns the name that the reader was made with.
func (r *Reader) Name() string { return r.lines.Name() }

// Next returns the next operation, and [io.EOF] after the last.
func (r *Reader) Next() (Op, error) {
	var op Op
	if err := r.lines.Next(&op); err != nil {
		return Op{}, err
	}
	if op.Op == "" {
		return Op{}, r.lines.Fail(errors.New(`no operation in "op"`))
	}
	op.Line = r.lines.Line()
	return op, nil
}

// Close closes the file that [Open] opened.
func (r *Reader) Close() error { return r.lines.Close() }
