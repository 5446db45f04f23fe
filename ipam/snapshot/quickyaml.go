package snapshot

import (
	"bytes"
	"strings"
)

// This file turns YAML as kubectl prints it into JSON, many times quicker than the
// parser, which keeps a tree with a position for every value. A dump is mostly handles
// that differ in little but their names.

// quickYAML reads the part of YAML that kubectl prints for most objects: maps and lists
// in block style, with texts of printable ASCII that stand on one line. Whatever is
// written otherwise, or could be read in another way, is left to the parser: ok is false.
type quickYAML struct {
	rest []byte // from the beginning of a line
	line []byte // the line being looked at, without its indentation
	in   int    // its indentation; -1 behind the end
	out  []byte
	keys [][]byte // of the maps that are open
}

// quick returns the chunk as JSON, as the parser would, or false.
func (c *chunk) quick() (_ []byte, ok bool) {
	for _, b := range c.text {
		if (b < ' ' || b > '~') && b != '\n' {
			return nil, false
		}
	}
	q := &quickYAML{rest: c.text, out: make([]byte, 0, len(c.text)+len(c.text)/4)}
	if !q.next() || q.in < 0 || !q.block(q.in, 0) || q.in >= 0 {
		return nil, false
	}
	return q.out, true
}

// next goes to the next line. It returns false for one that is blank, a comment or more.
func (q *quickYAML) next() bool {
	if len(q.rest) == 0 {
		q.line, q.in = nil, -1
		return true
	}
	end := bytes.IndexByte(q.rest, '\n')
	if end < 0 {
		end = len(q.rest)
	}
	line := q.rest[:end]
	q.rest = q.rest[min(end+1, len(q.rest)):]
	q.in = 0
	for q.in < len(line) && line[q.in] == ' ' {
		q.in++
	}
	q.line = line[q.in:]
	n := len(q.line)
	return n > 0 && q.line[n-1] != ' ' && q.line[0] != '#' && q.line[0] != '%'
}

// quickDepth is how deep quickYAML goes; the parser reports what is deeper than it
// should be.
const quickDepth = 32

// block reads the map or list whose lines have that indentation.
func (q *quickYAML) block(indent, depth int) bool {
	if depth > quickDepth {
		return false
	}
	if isItem(q.line) {
		return q.list(indent, depth)
	}
	return q.mapping(indent, depth)
}

func isItem(line []byte) bool { return len(line) > 1 && line[0] == '-' && line[1] == ' ' }

// list reads the items of a list, as far as lines begin with a dash.
func (q *quickYAML) list(indent, depth int) bool {
	q.out = append(q.out, '[')
	for first := true; q.in == indent && isItem(q.line); first = false {
		if !first {
			q.out = append(q.out, ',')
		}
		item := q.line[2:]
		if item[0] == ' ' || isItem(item) || bytes.Equal(item, []byte("-")) {
			return false
		}
		if _, _, isMap := cutKey(item); isMap {
			q.line, q.in = item, indent+2
			if !q.mapping(q.in, depth+1) {
				return false
			}
			continue
		}
		if !q.scalar(item) || !q.next() || q.in > indent { // it goes on
			return false
		}
	}
	q.out = append(q.out, ']')
	return q.in <= indent
}

// mapping reads the entries of a map.
func (q *quickYAML) mapping(indent, depth int) bool {
	open := len(q.keys)
	q.out = append(q.out, '{')
	for first := true; q.in == indent && !isItem(q.line); first = false {
		key, value, isMap := cutKey(q.line)
		if !isMap || q.has(open, key) {
			return false
		}
		q.keys = append(q.keys, key)
		if !first {
			q.out = append(q.out, ',')
		}
		q.out = append(append(append(q.out, '"'), key...), '"', ':')
		if len(value) > 0 {
			if !q.scalar(value) || !q.next() || q.in > indent { // it goes on
				return false
			}
			continue
		}
		if !q.next() {
			return false
		}
		switch {
		case q.in > indent:
			if !q.block(q.in, depth+1) || q.in > indent {
				return false
			}
		case q.in == indent && isItem(q.line):
			if !q.list(indent, depth+1) {
				return false
			}
		default:
			q.out = append(q.out, "null"...)
		}
	}
	q.out, q.keys = append(q.out, '}'), q.keys[:open]
	return q.in <= indent
}

// has reports whether the map that is open has the key already. Maps of more keys than
// can be looked through are left to the parser.
func (q *quickYAML) has(open int, key []byte) bool {
	if len(q.keys)-open > 64 {
		return true
	}
	for _, k := range q.keys[open:] {
		if string(k) == string(key) {
			return true
		}
	}
	return false
}

// quickKey is the longest key that quickYAML takes, in bytes. YAML has a limit of its own.
const quickKey = 512

// cutKey cuts a line into key and value. Of keys it knows those that need no quotes.
func cutKey(line []byte) (key, value []byte, isMap bool) {
	for i, b := range line {
		switch {
		case isAlnum(b) || i > 0 && strings.IndexByte("-./_", b) >= 0:
		case b != ':' || i == 0 || i > quickKey:
			return nil, nil, false
		case i == len(line)-1:
			return line[:i], nil, true
		case line[i+1] == ' ':
			if value = line[i+2:]; value[0] == ' ' { // lines do not end in blanks
				return nil, nil, false
			}
			return line[:i], value, true
		}
	}
	return nil, nil, false
}

func isAlnum(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// scalar reads a value that ends with its line.
func (q *quickYAML) scalar(text []byte) bool {
	last := len(text) - 1
	switch b := text[0]; {
	case b == '"', b == '\'':
		if last == 0 || text[last] != b || bytes.IndexByte(text[1:last], b) >= 0 || b == '"' && bytes.IndexByte(text, '\\') >= 0 {
			return false
		}
		q.text(text[1:last])
		return true
	case string(text) == "{}", string(text) == "[]", string(text) == "null", string(text) == "true", string(text) == "false":
		q.out = append(q.out, text...)
		return true
	case !isAlnum(b), text[last] == ':', bytes.Contains(text, []byte(": ")), bytes.Contains(text, []byte(" #")):
		return false
	case b > '9':
		if last < len("false") && isWord(text) {
			return false
		}
		q.text(text)
		return true
	}
	switch isNumber, isText := numeric(text); {
	case isNumber:
		q.out = append(q.out, text...)
	case isText:
		q.text(text)
	default:
		return false
	}
	return true
}

// isWord reports whether a text may be a word for a boolean or for nothing.
func isWord(text []byte) bool {
	switch strings.ToLower(string(text)) {
	case "y", "yes", "n", "no", "on", "off", "true", "false", "null":
		return true
	}
	return false
}

// numeric looks at a text that begins with a digit: whether it is a number as JSON has
// them, or can be none in YAML, such as an address, a CIDR or a time.
func numeric(text []byte) (isNumber, isText bool) {
	digits, dots, dashes := 0, 0, 0
	for _, b := range text {
		switch {
		case '0' <= b && b <= '9':
			digits++
		case b == '.':
			dots++
		case b == '-':
			dashes++
		case b == '/' || b == ':' || b == ' ':
			isText = true
		}
	}
	if digits == len(text) && digits <= 15 && (text[0] != '0' || digits == 1) {
		return true, false
	}
	return false, isText || dots > 1 || dashes > 1
}

// text appends a JSON text.
func (q *quickYAML) text(text []byte) {
	if bytes.IndexByte(text, '"') >= 0 || bytes.IndexByte(text, '\\') >= 0 {
		q.out = appendText(q.out, string(text))
		return
	}
	q.out = append(append(append(q.out, '"'), text...), '"')
}
