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

// SyntaxError says where and why a recording is malformed.
type SyntaxError struct {
	File string // as given to [NewReader]
	Line int    // from 1
	Err  error
}

// Error gives file, line and cause.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns [ErrMalformed] and the cause.
func (e *SyntaxError) Unwrap() []error { return []error{ErrMalformed, e.Err} }

// maxLine is the length in bytes at which a line cannot be a recording's. State
// dumps of large clusters are one line.
const maxLine = 256 << 20

// Lines reads JSON Lines, plain or gzip, the format of every recording. Make one
// with [OpenLines] or [NewLines].
type Lines struct {
	name   string
	origin origin
	text   *bufio.Reader
	line   int // of the line read last
	closer io.Closer
}

// origin distinguishes errors of the underlying reader from faults of the
// recording.
type origin struct {
	r   io.Reader
	err error // the first, except the end
}

// Read keeps failing once it has failed.
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

// OpenLines opens a file, plain or gzip. The caller closes it.
func OpenLines(path string) (*Lines, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l, err := NewLines(path, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	l.closer = f
	return l, nil
}

// NewLines reads lines, plain or gzip, from r. The name is for errors, which match
// [ErrMalformed] unless they come from r; those it wraps.
func NewLines(name string, r io.Reader) (*Lines, error) {
	l := &Lines{name: name, origin: origin{r: r}}
	l.text = bufio.NewReader(&l.origin)
	if magic, _ := l.text.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(l.text)
		if err != nil {
			l.line = 1
			return nil, l.unread(err)
		}
		l.text = bufio.NewReader(z)
	}
	return l, nil
}

// Name returns the name that the lines were made with.
func (l *Lines) Name() string { return l.name }

// Line returns the number, from 1, of the line that was read last.
func (l *Lines) Line() int { return l.line }

// Fail returns the error err about the line read last.
func (l *Lines) Fail(err error) error { return &SyntaxError{l.name, l.line, err} }

// unread returns the error err that came from reading a line: the origin's own
// failure, or a fault in what is compressed.
func (l *Lines) unread(err error) error {
	if l.origin.err != nil {
		return fmt.Errorf("%s:%d: %w", l.name, l.line, l.origin.err)
	}
	return l.Fail(err)
}

// Next decodes the next line that is not blank: one JSON value, without fields
// that into does not have. After the last it returns [io.EOF].
func (l *Lines) Next(into any) error {
	text, err := l.next()
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(into)
	if err == nil && d.InputOffset() != int64(len(text)) {
		err = fmt.Errorf("text after the JSON value, at byte %d", d.InputOffset()+1)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("line ends in the middle of a JSON value")
	}
	if err != nil {
		return l.Fail(err)
	}
	return nil
}

// next returns the next line that is not blank, without its end.
func (l *Lines) next() ([]byte, error) {
	for {
		l.line++
		var text []byte
		for {
			part, err := l.text.ReadSlice('\n')
			text = append(text, part...)
			if err == nil || errors.Is(err, io.EOF) && len(text) > 0 {
				break
			}
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return nil, l.unread(err)
			}
			if len(text) > maxLine {
				return nil, l.Fail(fmt.Errorf("line is longer than %d bytes", maxLine))
			}
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return text, nil
		}
	}
}

// Close closes the file that [OpenLines] opened.
func (l *Lines) Close() error {
	if l.closer == nil {
		return nil
	}
	return l.closer.Close()
}
