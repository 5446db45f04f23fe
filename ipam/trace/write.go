package trace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// A Writer writes a recording. Make one with [NewWriter]. For a gzip
// recording, give it a gzip.Writer and close that at the end.
type Writer struct {
	w io.Writer
	n int
}

// NewWriter writes the header to w, with its version set to [Version]. Errors
// are w's, or match [ErrNotRecordable] for text that is not UTF-8.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Version = Version
	t := &Writer{w: w}
	return t, t.line(h)
}

// Write writes one operation and numbers it: the first is 1. Errors are as in
// [NewWriter].
func (t *Writer) Write(op Op) error {
	t.n++
	op.I = t.n
	return t.line(op)
}

// line writes v as one line of JSON.
func (t *Writer) line(v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	if replaced(text.Bytes()) {
		return fmt.Errorf("%w: text that is not UTF-8 in %s", ErrNotRecordable, bytes.TrimSpace(text.Bytes()))
	}
	_, err := t.w.Write(text.Bytes())
	return err
}

// replaced reports whether the JSON text has an escaped U+FFFD: so the encoder
// writes bytes that are not UTF-8, while it does not escape the rune itself. Read
// back, two such texts could be equal.
func replaced(text []byte) bool {
	for {
		before, after, found := bytes.Cut(text, []byte(`\ufffd`))
		if !found {
			return false
		}
		// After an odd number of backslashes this one is itself escaped.
		if (len(before)-len(bytes.TrimRight(before, `\`)))%2 == 0 {
			return true
		}
		text = after
	}
}
