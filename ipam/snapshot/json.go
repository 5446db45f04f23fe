package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxObject is the largest text of one object, in bytes. Kubernetes stores no
// object above 1.5 MB.
const maxObject = 16 << 20

var errTooLarge = fmt.Errorf("object is larger than %d bytes; Kubernetes stores none above 1.5 MB", maxObject)

// A jsonReader reads a stream of JSON values, and of a List one object at a time.
type jsonReader struct {
	l    *Loader
	text *window
	dec  *json.Decoder
}

// json reads JSON values one after the other: Lists, arrays, single objects.
func (l *Loader) json(r io.Reader, line int) error {
	text := &window{r: r, line: line}
	j := &jsonReader{l, text, json.NewDecoder(text)}
	for {
		t, err := j.dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
		case t == json.Delim('['):
			err = j.array("", "")
		case t == json.Delim('{'):
			err = j.top()
		default:
			err = fmt.Errorf("a JSON object begins with {, this is %v", t)
		}
		if err != nil {
			return j.failed(err)
		}
	}
}

// failed adds to an error of the decoder the line where the text breaks off.
func (j *jsonReader) failed(err error) error {
	j.text.take(j.dec.InputOffset())
	rest, line := trimSeparators(j.text.text, j.text.line)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &syntaxError{line + bytes.Count(rest, newline), io.ErrUnexpectedEOF}
	}
	// An error within a value counts bytes from no known place: scan it again.
	var within *json.SyntaxError
	if errors.As(json.Unmarshal(rest, new(json.RawMessage)), &within) && errors.As(err, new(*json.SyntaxError)) {
		line += bytes.Count(rest[:min(within.Offset, int64(len(rest)))], newline)
	}
	return &syntaxError{line, fmt.Errorf("%w; the rest of the file is not read", err)}
}

// top reads an object whose brace is read already: a List, whose items are read
// as they come, or any other, which is read whole.
func (j *jsonReader) top() error {
	j.text.take(j.dec.InputOffset())
	at := j.l.here(j.text.line)
	parts := make(map[string]json.RawMessage)
	isList := false
	for j.dec.More() {
		t, err := j.dec.Token()
		if err != nil {
			return err
		}
		key := t.(string) // the decoder takes nothing else for a key
		if _, twice := parts[key]; twice {
			return fmt.Errorf("key %s is given twice", quote(key))
		}
		if key == "items" {
			if t, err = j.dec.Token(); err != nil {
				return err
			}
			if t == json.Delim('[') {
				isList = true
				parts[key] = nil
				if err := j.array(textOf(parts["kind"]), textOf(parts["apiVersion"])); err != nil {
					return err
				}
			} else if t != nil {
				return fmt.Errorf("items is %v, must be a list", t)
			}
			continue
		}
		var value json.RawMessage
		if err := j.dec.Decode(&value); err != nil {
			return err
		}
		parts[key] = value
	}
	if _, err := j.dec.Token(); err != nil { // the closing brace
		return err
	}
	if isList {
		j.l.lists++
		j.l.endList(at, textOf(parts["kind"]))
		return nil
	}
	if text, _ := j.text.take(j.dec.InputOffset()); !utf8.Valid(text) {
		return errNotUTF8
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	j.l.document(at, text)
	return nil
}

// endList checks that what held items was a List.
func (l *Loader) endList(at place, kind string) {
	l.list(kind)
	if !strings.HasSuffix(kind, "List") {
		reason := fmt.Sprintf("has items, but its kind is %s, not List", quote(kind))
		if kind == "" {
			reason = "has items, but no kind: the file is cut off, or no List"
		}
		l.problemAt(at, reason)
	}
}

// textOf returns the text of a JSON text, "" for anything else.
func textOf(raw json.RawMessage) string {
	var text string
	_ = json.Unmarshal(raw, &text)
	return text
}

// array reads the objects of an array, whose bracket is read already. The kind
// of the list, if it is known by now, is that of objects that do not say.
func (j *jsonReader) array(kind, group string) error {
	kind = strings.TrimSuffix(kind, "List")
	if kind == "" {
		group = ""
	}
	j.text.take(j.dec.InputOffset())
	for j.dec.More() {
		var e envelope
		err := j.dec.Decode(&e)
		var mismatch *json.UnmarshalTypeError
		if err != nil && !errors.As(err, &mismatch) {
			return err
		}
		text, line := trimSeparators(j.text.take(j.dec.InputOffset()))
		if !utf8.Valid(text) {
			err = errNotUTF8
		}
		j.l.objectOr(j.l.here(line), &e, err, text, kind, group)
	}
	_, err := j.dec.Token() // the closing bracket
	return err
}

// A window reads for a decoder, and keeps what the decoder took since the last
// object began, to count lines and bytes.
type window struct {
	r      io.Reader
	text   []byte
	offset int64 // of the text within the stream
	line   int   // in which the text begins
}

// Read refuses to read more of an object than it may have.
func (w *window) Read(p []byte) (int, error) {
	if len(w.text) >= maxObject {
		return 0, errTooLarge
	}
	n, err := w.r.Read(p[:min(len(p), maxObject-len(w.text))])
	w.text = append(w.text, p[:n]...)
	return n, err
}

// take returns the text up to an offset of the stream, valid until the next Read,
// and the line where it begins. The window then begins behind it.
func (w *window) take(offset int64) (text []byte, line int) {
	text, line = w.text[:offset-w.offset], w.line
	w.text, w.offset, w.line = w.text[len(text):], offset, line+bytes.Count(text, newline)
	return text, line
}

var newline = []byte{'\n'}

// trimSeparators returns a text from its first value on, and the line of that.
func trimSeparators(text []byte, line int) ([]byte, int) {
	value := bytes.TrimLeft(text, ",: \t\r\n")
	return value, line + bytes.Count(text[:len(text)-len(value)], newline)
}
