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
	at := place{int32(len(l.files) - 1), int32(j.line)}
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
		l.problem(int(at.line), "", reason)
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
		at := place{int32(len(l.files) - 1), int32(j.line)}
		text, err := j.value(c)
		l.objects++
		switch {
		case errors.Is(err, errTooLarge), errors.Is(err, errTooDeep):
			l.problem(int(at.line), "", err.Error())
		case err != nil:
			return err
		default:
			l.object(at, text, kind, group)
		}
	}
}

var (
	errTooLarge = fmt.Errorf("object is larger than %d bytes; Kubernetes stores none above 1.5 MB", maxObject)
	errTooDeep  = fmt.Errorf("object nests deeper than %d levels", maxDepth)
)

// value reads a value, whose first byte is read already. The text is valid until
// the next one is read. Of a value that is too large or nests too deep all is
// read, and errTooLarge or errTooDeep returned. Whether it is valid JSON shows when
// it is decoded.
func (j *jsonReader) value(c byte) ([]byte, error) {
	j.buf = j.buf[:0]
	var tooMuch error
	var depth int
	inText, escaped := false, false
	for {
		if len(j.buf) < maxObject {
			j.buf = append(j.buf, c)
		} else {
			tooMuch = errTooLarge
		}
		switch {
		case escaped:
			escaped = false
		case inText:
			if c == '\\' {
				escaped = true
			} else if c == '"' {
				inText = false
			}
		default:
			switch c {
			case '"':
				inText = true
			case '{', '[':
				if depth++; depth > maxDepth {
					tooMuch = errTooDeep
				}
			case '}', ']':
				depth--
			case '\n':
				j.line++
			}
		}
		if depth <= 0 && !inText {
			if isEnd(j.buf[0]) || depth < 0 {
				break
			}
			// A number or a word ends where something else begins.
			ahead, err := j.r.Peek(1)
			if err != nil || bytes.IndexByte([]byte(",]}: \t\r\n"), ahead[0]) >= 0 {
				break
			}
		}
		var err error
		if c, err = j.r.ReadByte(); err != nil {
			return nil, j.cut(err)
		}
	}
	switch {
	case tooMuch != nil:
		return nil, tooMuch
	case !utf8.Valid(j.buf):
		return nil, j.fail("is not UTF-8")
	}
	return j.buf, nil
}

// isEnd reports whether a value that begins with c ends with what closes it.
func isEnd(c byte) bool { return c == '"' || c == '{' || c == '[' }
