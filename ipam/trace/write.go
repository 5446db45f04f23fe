package trace

import (
	"bytes"
	"encoding/json"
	"io"
)

// A Writer writes a recording. Make one with [NewWriter]. For a gzip
// recording, give it a gzip.Writer and close that at the end.
type Writer struct {
	w io.Writer
	n int
}

// NewWriter writes the header to w, with its version set to [Version].
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Version = Version
	t := &Writer{w: w}
	return t, t.line(h)
}

// Write writes one operation and numbers it: the first is 1.
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
	_, err := t.w.Write(text.Bytes())
	return err
}
