package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrMalformed is matched by every error about a recording that cannot be
// read, whose type is [*SyntaxError].
var ErrMalformed = errors.New("trace: malformed recording")

// SyntaxError tells where a recording is malformed, and how.
type SyntaxError struct {
	File string // as given to [NewReader]
	Line int    // from 1
	Err  error
}

// Error gives file, line and cause.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns [ErrMalformed] and the cause.
func (e *SyntaxError) Unwrap() []error { return []error{ErrMalformed, e.Err} }

// maxLine is the length in bytes at which a line is taken for something else
// than a recording's. State dumps of large clusters are one line.
const maxLine = 256 << 20

// A Reader reads a recording. Make one with [Open] or [NewReader].
type Reader struct {
	name     string
	origin   origin
	lines    *bufio.Reader
	line     int // of what was read last
	header   Header
	headerAt int // the header's line
	closer   io.Closer
}

// origin tells failures of the reader that a recording comes from apart from
// faults of the recording.
type origin struct {
	r   io.Reader
	err error // the first, but for the end
}

// Read goes on failing once it has failed.
func (o *origin) Read(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		o.err = err
	}
	return n, err
}

// Open opens the recording in a file, plain or gzip, and reads its header. The
// caller closes it.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := NewReader(path, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.closer = f
	return r, nil
}

// NewReader reads a recording, plain or gzip, from r, beginning with its
// header. The name is for errors, which match [ErrMalformed] unless they come
// from r; those it wraps.
func NewReader(name string, r io.Reader) (*Reader, error) {
	t := &Reader{name: name, origin: origin{r: r}}
	t.lines = bufio.NewReader(&t.origin)
	if magic, _ := t.lines.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(t.lines)
		if err != nil {
			t.line = 1
			return nil, t.unread(err)
		}
		t.lines = bufio.NewReader(z)
	}
	text, err := t.next()
	if errors.Is(err, io.EOF) {
		t.line = 1
		return nil, t.fail(errors.New("empty: no header"))
	}
	if err != nil {
		return nil, err
	}
	if err := t.decode(text, &t.header); err != nil {
		return nil, err
	}
	if t.header.Version != Version {
		return nil, t.fail(fmt.Errorf("version %d, want %d", t.header.Version, Version))
	}
	t.headerAt = t.line
	return t, nil
}

// fail returns the error err about the line read last.
func (r *Reader) fail(err error) error { return &SyntaxError{r.name, r.line, err} }

// unread returns the error err that came from reading a line: the origin's own
// failure, or a fault in what is compressed.
func (r *Reader) unread(err error) error {
	if r.origin.err != nil {
		return fmt.Errorf("%s:%d: %w", r.name, r.line, r.origin.err)
	}
	return r.fail(err)
}

// Header returns the setting of the recording.
func (r *Reader) Header() Header { return r.header }

// Name returns the name that the reader was made with.
func (r *Reader) Name() string { return r.name }

// Next returns the next operation, and [io.EOF] after the last.
func (r *Reader) Next() (Op, error) {
	text, err := r.next()
	if err != nil {
		return Op{}, err
	}
	op := Op{Line: r.line}
	if err := r.decode(text, &op); err != nil {
		return Op{}, err
	}
	if op.Op == "" {
		return Op{}, r.fail(errors.New(`no operation in "op"`))
	}
	return op, nil
}

// Close closes the file that [Open] opened.
func (r *Reader) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}

// next returns the next line that is not blank, without its end.
func (r *Reader) next() ([]byte, error) {
	for {
		r.line++
		var text []byte
		for {
			part, err := r.lines.ReadSlice('\n')
			text = append(text, part...)
			if err == nil || errors.Is(err, io.EOF) && len(text) > 0 {
				break
			}
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return nil, r.unread(err)
			}
			if len(text) > maxLine {
				return nil, r.fail(fmt.Errorf("line is longer than %d bytes", maxLine))
			}
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return text, nil
		}
	}
}

// decode reads one JSON value that is the whole line, without fields that the
// format does not have.
func (r *Reader) decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.InputOffset() != int64(len(text)) {
		err = fmt.Errorf("text after the JSON value, at byte %d", d.InputOffset()+1)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("line ends in the middle of a JSON value")
	}
	if err != nil {
		return r.fail(err)
	}
	return nil
}
