package snapshot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of one object's text. Kubernetes stores no object above 1.5 MB, and the
// resources read here nest less than ten deep.
const (
	maxObject = 16 << 20
	maxDepth  = 100
)

// A jsonReader takes a stream of JSON values apart, an object of a List at a
// time, without holding more than one.
type jsonReader struct {
	r    *bufio.Reader
	line int
	buf  []byte // of the value being read
}

// json reads JSON values one after the other: Lists, arrays, single objects.
func (l *Loader) json(r *bufio.Reader, line int) error {
	j := &jsonReader{r: r, line: line}
	for {
		c, err := j.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch c {
		case '[':
			err = l.array(j, "", "")
		case '{':
			err = l.top(j)
		default:
			err = j.fail("a JSON object begins with {, not %q", c)
		}
		if err != nil {
			return err
		}
	}
}

func (j *jsonReader) fail(format string, args ...any) error {
	return &syntaxError{j.line, fmt.Errorf(format, args...)}
}

// cut is the error of a stream that ends too early, or what ended it.
func (j *jsonReader) cut(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &syntaxError{j.line, err}
}

// next returns the next byte that is no white space.
func (j *jsonReader) next() (byte, error) {
	for {
		c, err := j.r.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case '\n':
			j.line++
		case ' ', '\t', '\r':
		default:
			return c, nil
		}
	}
}

// top reads an object whose brace is read already: a List, whose items are read
// as they come, or any other, which is read whole.
func (l *Loader) top(j *jsonReader) error {
	at := l.here(j.line)
	parts := make(map[string]json.RawMessage)
	size, isList := 0, false
	for first := true; ; first = false {
		c, err := j.next()
		if err != nil {
			return j.cut(err)
		}
		if c == '}' {
			break
		}
		if !first {
			if c != ',' {
				return j.fail("expected , or } after a value, not %q", c)
			}
			if c, err = j.next(); err != nil {
				return j.cut(err)
			}
		}
		key, err := j.key(c)
		if err != nil {
			return err
		}
		if c, err = j.next(); err != nil {
			return j.cut(err)
		}
		if key == "items" && c == '[' {
			isList = true
			if err := l.array(j, unquoted(parts["kind"]), unquoted(parts["apiVersion"])); err != nil {
				return err
			}
			continue
		}
		if _, twice := parts[key]; twice {
			return j.fail("key %s is given twice", quote(key))
		}
		value, err := j.value(c)
		if err != nil {
			return err
		}
		if size += len(value); size > maxObject {
			return j.fail("object is larger than %d bytes", maxObject)
		}
		parts[key] = bytes.Clone(value)
	}
	if isList {
		l.lists++
		l.endList(at, unquoted(parts["kind"]))
		return nil
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return &syntaxError{int(at.line), err}
	}
	l.document(at, text)
	return nil
}

// endList checks that what held items was a List.
func (l *Loader) endList(at place, kind string) {
	if !strings.HasSuffix(kind, "List") {
		reason := fmt.Sprintf("has items, but its kind is %s, not List", quote(kind))
		if kind == "" {
			reason = "has items, but no kind: the file is cut off, or no List"
		}
		l.problemAt(at, reason)
	}
}

// key reads what stands before a value, the first byte being read already.
func (j *jsonReader) key(c byte) (string, error) {
	if c != '"' {
		return "", j.fail("expected a key in quotes, not %q", c)
	}
	text, err := j.value(c)
	if err != nil {
		return "", err
	}
	var key string
	if err := json.Unmarshal(text, &key); err != nil {
		return "", j.fail("%v", err)
	}
	if c, err = j.next(); err != nil {
		return "", j.cut(err)
	} else if c != ':' {
		return "", j.fail("expected : after key %s, not %q", quote(key), c)
	}
	return key, nil
}

// unquoted returns the text of a JSON text, "" for anything else.
func unquoted(raw json.RawMessage) string {
	var text string
	_ = json.Unmarshal(raw, &text)
	return text
}

// array reads the objects of an array, whose bracket is read already. The kind
// of the list, if it is known by now, is that of objects that do not say.
func (l *Loader) array(j *jsonReader, kind, group string) error {
	kind = strings.TrimSuffix(kind, "List")
	if kind == "" {
		group = ""
	}
	for first := true; ; first = false {
		c, err := j.next()
		if err != nil {
			return j.cut(err)
		}
		if c == ']' {
			return nil // a comma before it is forgiven
		}
		if !first {
			if c != ',' {
				return j.fail("expected , or ] after an item, not %q", c)
			}
			if c, err = j.next(); err != nil {
				return j.cut(err)
			}
		}
		at := l.here(j.line)
		text, err := j.value(c)
		switch {
		case errors.Is(err, errTooLarge), errors.Is(err, errTooDeep):
			l.objects++
			l.problemAt(at, err.Error())
		case err != nil:
			return err
		default:
			l.crew.submit(job{at: at, text: text, kind: kind, group: group})
		}
	}
}

var (
	errTooLarge = fmt.Errorf("object is larger than %d bytes; Kubernetes stores none above 1.5 MB", maxObject)
	errTooDeep  = fmt.Errorf("object nests deeper than %d levels", maxDepth)
)

// value reads a value, whose first byte, c, was read last. The text is valid until
// the next one is read. Of a value that is too large or nests too deep all is read,
// and errTooLarge or errTooDeep returned. Whether it is valid JSON shows when it is
// decoded.
func (j *jsonReader) value(c byte) ([]byte, error) {
	j.buf = j.buf[:0]
	v := valueEnd{closed: isEnd(c)}
	_ = j.r.UnreadByte() // it was read last
	var tooMuch error
	for !v.done {
		ahead, err := j.r.Peek(max(1, j.r.Buffered()))
		if len(ahead) == 0 {
			if !v.closed && len(j.buf) > 0 {
				break // a number or a word ends with the file
			}
			return nil, j.cut(err)
		}
		n := v.scan(ahead)
		if room := maxObject - len(j.buf); n > room {
			tooMuch = errTooLarge
			j.buf = append(j.buf, ahead[:room]...)
		} else {
			j.buf = append(j.buf, ahead[:n]...)
		}
		_, _ = j.r.Discard(n)
	}
	j.line += v.lines
	switch {
	case tooMuch != nil:
		return nil, tooMuch
	case v.deepest > maxDepth:
		return nil, errTooDeep
	case !utf8.Valid(j.buf):
		return nil, j.fail("is not UTF-8")
	}
	return j.buf, nil
}

// A valueEnd looks for the end of a JSON value in a text that comes piece by piece.
type valueEnd struct {
	closed          bool // it ends with what closes it; otherwise before what follows
	inText, escaped bool
	depth, deepest  int
	lines           int
	done            bool
}

// scan returns how many bytes of the piece belong to the value.
func (v *valueEnd) scan(piece []byte) int {
	for i := 0; i < len(piece); i++ {
		c := piece[i]
		switch {
		case v.escaped:
			v.escaped = false
			continue
		case v.inText:
			switch c {
			case '\\':
				v.escaped = true
				continue
			case '"':
				v.inText = false
			default:
				continue
			}
		default:
			switch c {
			case '"':
				v.inText = true
				continue
			case '{', '[':
				v.depth++
				v.deepest = max(v.deepest, v.depth)
				continue
			case '}', ']':
				if v.depth == 0 { // of a number or a word, which stands in something
					v.done = true
					return i
				}
				v.depth--
			case '\n':
				v.lines++
			}
			if !v.closed && bytes.IndexByte([]byte(",: \t\r\n"), c) >= 0 {
				v.done = true
				if c == '\n' {
					v.lines--
				}
				return i
			}
		}
		if v.closed && v.depth == 0 {
			v.done = true
			return i + 1
		}
	}
	return len(piece)
}

// isEnd reports whether a value that begins with c ends with what closes it.
func isEnd(c byte) bool { return c == '"' || c == '{' || c == '[' }
