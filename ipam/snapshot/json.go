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
	j := &jsonReader{l: l, text: text, dec: json.NewDecoder(text)}
	for {
		t, err := j.dec.Token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, new(*json.SyntaxError)):
			err = fmt.Errorf("%w (if YAML begins here, give it in a file of its own)", err)
		case err != nil:
		case t == json.Delim('['):
			err = j.array(listHead{}, "[")
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
				head := headOf(parts)
				j.l.kindComes = head.kind == ""
				defer func() { j.l.endKindless(headOf(parts)) }()
				if err := j.array(head, `{"items":[`); err != nil {
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
		j.l.endList(at, headOf(parts).kind)
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

// headOf returns what the parts of a list say of it, as far as they came.
func headOf(parts map[string]json.RawMessage) listHead {
	return listHead{textOf(parts["kind"]), textOf(parts["apiVersion"])}
}

// textOf returns the text of a JSON text, "" for anything else.
func textOf(raw json.RawMessage) string {
	var text string
	_ = decode(raw, &text)
	return text
}

// array reads the objects of an array, whose bracket is read already, in that text or one
// like it. The kind of the list, if it is known by now, is that of objects that do not say.
func (j *jsonReader) array(of listHead, text string) error {
	kind, group := of.itemKind(), of.itemGroup()
	j.text.take(j.dec.InputOffset())
	if j.quickly(kind, group) {
		j.restart(text + "[]")
	}
	for j.dec.More() {
		var text json.RawMessage
		if err := j.dec.Decode(&text); err != nil {
			return err
		}
		_, line := trimSeparators(j.text.take(j.dec.InputOffset()))
		j.odd(line, text, kind, group)
	}
	_, err := j.dec.Token() // the closing bracket
	return err
}

// quickly reads objects of an array for as long as they are sound, past the decoder, which
// would look at each byte several times. It reports whether it read any.
func (j *jsonReader) quickly(kind, group string) (did bool) {
	w := j.text
	alone := 0 // bytes read since others took part
	for !j.l.careful {
		q := quickJSON{rest: w.text}
		comma := !did || q.next(',')
		if comma && q.goesOn() && q.rest[0] == '{' {
			before := w.text[:len(w.text)-len(q.rest)]
			n, short := j.item(w.line+bytes.Count(before, newline), q.rest, kind, group)
			if n > 0 {
				var s seam
				if alone += len(before) + n; did && alone >= j.l.batch {
					s = seamOf(before, q.rest)
				}
				w.skip(len(before) + n)
				did = true
				if s.between != nil {
					j.together(&s, kind, group)
					alone = 0
				}
				continue
			}
			q.short = short
		}
		if !q.short || w.more() != nil {
			break // the decoder says what is wrong, if anything
		}
	}
	return did
}

// item reads an object from the beginning of a text, and returns its length; 0 if it is not
// sound, or not whole, which short says.
func (j *jsonReader) item(line int, text []byte, kind, group string) (n int, short bool) {
	at := j.l.here(line)
	if n, short = j.l.quickText(at, text, kind, group, false); n > 0 {
		return n, false
	}
	j.l.met-- // nothing has this place yet
	if short {
		return 0, true
	}
	q := quickJSON{rest: text, any: true}
	if !q.skip(0) {
		return 0, q.short
	}
	if n = len(text) - len(q.rest); !j.odd(line, text[:n], kind, group) {
		return 0, false
	}
	return n, false
}

// odd reads an object that cannot be read quickly, and reports whether it is sound.
func (j *jsonReader) odd(line int, text []byte, kind, group string) bool {
	var e envelope
	err := decode(text, &e)
	if err != nil && !errors.As(err, new(*json.UnmarshalTypeError)) {
		return false
	}
	if !utf8.Valid(text) {
		err = errNotUTF8
	}
	j.l.objectOr(j.l.here(line), &e, err, text, kind, group)
	return true
}

// restart has the decoder go on behind what was read without it: in an array that begins
// so.
func (j *jsonReader) restart(begin string) {
	j.text.ahead, j.text.offset = 0, int64(len(begin))
	j.dec = json.NewDecoder(io.MultiReader(strings.NewReader(begin), j.text))
	for j.dec.InputOffset() < j.text.offset {
		_, _ = j.dec.Token() // the beginning is sound
	}
}

// A window reads for a decoder, and keeps what was not taken yet, to count lines and bytes.
type window struct {
	r      io.Reader
	err    error  // of r
	room   []byte // in which the text lies
	text   []byte
	ahead  int   // how much of the text the decoder has
	offset int64 // of the text within what the decoder reads
	line   int   // in which the text begins
}

// Read hands out what the decoder has not had yet.
func (w *window) Read(p []byte) (int, error) {
	if w.ahead == len(w.text) {
		if err := w.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.text[w.ahead:])
	w.ahead += n
	return n, nil
}

// more reads on. It refuses to read more of an object than it may have.
func (w *window) more() error {
	const least = 64 << 10
	switch {
	case len(w.text) >= maxObject:
		return errTooLarge
	case w.err != nil:
		return w.err
	}
	if cap(w.text)-len(w.text) < least {
		if len(w.text) > len(w.room)/2 || len(w.room) == 0 {
			w.room = make([]byte, 2*len(w.room)+2*least)
		}
		w.text = w.room[:copy(w.room, w.text)]
	}
	n, err := w.r.Read(w.text[len(w.text):min(cap(w.text), maxObject)])
	w.text, w.err = w.text[:len(w.text)+n], err
	if n > 0 {
		return nil
	}
	return err
}

// take returns the text up to an offset of the stream, valid until the next Read,
// and the line where it begins. The window then begins behind it.
func (w *window) take(offset int64) (text []byte, line int) {
	text, line = w.text[:offset-w.offset], w.line
	w.skip(len(text))
	w.ahead, w.offset = w.ahead-len(text), offset
	return text, line
}

// skip goes on so many bytes.
func (w *window) skip(n int) {
	w.line += bytes.Count(w.text[:n], newline)
	w.text = w.text[n:]
}

var newline = []byte{'\n'}

// trimSeparators returns a text from its first value on, and the line of that.
func trimSeparators(text []byte, line int) ([]byte, int) {
	value := bytes.TrimLeft(text, ",: \t\r\n")
	return value, line + bytes.Count(text[:len(text)-len(value)], newline)
}
