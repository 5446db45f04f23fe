package snapshot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// A yamlReader takes a stream of YAML documents apart by lines, so that a List of
// any length is parsed an item at a time: the parser reads a document whole, and
// would keep a tree of it.
//
// A List's items begin with "- " at one indentation, everything in them stands
// deeper, and what stands before and behind them is the List's own. That is how
// kubectl, and every printer of block style, writes them; a List in another style
// is parsed whole, up to the size of one object.
type yamlReader struct {
	l    *Loader
	r    *bufio.Reader
	line int // of what was read last

	head  chunk // the document's own lines
	item  chunk // of the item being read
	items items
	depth int // indentation of the items
}

// items says how far the list of items has come.
type items uint8

const (
	noItems     items = iota
	itemsNext         // "items:" was read
	withinItems       // an item is being read
	itemsDone
)

// chunk is text that will be parsed as one.
type chunk struct {
	line  int // where it begins; 0 for an empty one
	text  []byte
	large bool // more than can be
	lexer lexer
}

// yaml reads YAML documents one after the other.
func (l *Loader) yaml(r *bufio.Reader, line int) error {
	y := &yamlReader{l: l, r: r, line: line - 1}
	y.reset()
	for {
		text, err := y.next()
		if err != nil && len(text) == 0 {
			y.end()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return &syntaxError{y.line, err}
		}
		y.add(text)
	}
}

func (y *yamlReader) reset() {
	y.head.reset()
	y.item.reset()
	y.items = noItems
}

func (c *chunk) reset() { *c = chunk{text: c.text[:0], lexer: newLexer()} }

// next returns the next line with its end. What is beyond the largest object is
// cut off, for it will be refused in any case.
func (y *yamlReader) next() ([]byte, error) {
	y.line++
	var line []byte
	for {
		part, err := y.r.ReadSlice('\n')
		if line == nil && err == nil {
			return part, nil
		}
		if len(line) <= maxObject {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// add takes a line to where it belongs.
func (y *yamlReader) add(line []byte) {
	text := bytes.TrimRight(line, " \t\r\n")
	switch {
	case isMark(text, "---") || isMark(text, "..."):
		y.end()
		if rest := bytes.TrimSpace(text[3:]); len(rest) > 0 && rest[0] != '#' {
			y.head.add(y.line, append([]byte("    "), rest...))
			y.head.add(y.line, []byte("\n"))
		}
		return
	case len(text) == 0:
		if y.items == withinItems {
			y.item.add(y.line, line)
		} else if y.head.line > 0 {
			y.head.add(y.line, line)
		}
		return
	case text[0] == '%' && y.head.line == 0:
		return // a directive
	}
	indent := indentation(text)
	begins := text[indent] == '-' && (len(text) == indent+1 || text[indent+1] == ' ' || text[indent+1] == '\t')
	if text[indent] == '#' && (y.items != withinItems || indent <= y.depth) {
		return // a comment
	}
	switch {
	case y.items == itemsNext && begins:
		y.items, y.depth = withinItems, indent
		y.begin(line, indent)
	case y.items == withinItems && indent == y.depth && begins:
		y.endItem()
		y.begin(line, indent)
	case y.items == withinItems && indent > y.depth:
		y.item.add(y.line, line)
	default:
		switch y.items {
		case withinItems:
			y.endItem()
			y.items = itemsDone
		case itemsNext: // they were something else
			y.head.add(y.line, []byte("items:\n"))
			y.items = itemsDone
		case noItems:
			if key, value, _ := bytes.Cut(text, []byte(":")); string(key) == "items" && isBlankOrComment(value) {
				y.items = itemsNext
				y.head.at(y.line)
				return
			}
		}
		y.head.add(y.line, line)
	}
}

// begin starts an item with its first line, the dash being taken away.
func (y *yamlReader) begin(line []byte, indent int) {
	y.item.reset()
	first := bytes.Clone(line)
	first[indent] = ' '
	y.item.add(y.line, first)
	y.item.at(y.line) // an item may be nothing but a dash
}

func isMark(line []byte, mark string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(mark))
	return ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t')
}

func isBlankOrComment(text []byte) bool {
	text = bytes.TrimSpace(text)
	return len(text) == 0 || text[0] == '#'
}

func indentation(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " ")) }

func (c *chunk) at(line int) {
	if c.line == 0 {
		c.line = line
	}
}

func (c *chunk) add(line int, text []byte) {
	c.at(line)
	if len(c.text)+len(text) > maxObject {
		c.large = true
		return
	}
	c.lexer.line(text, line)
	c.text = append(c.text, text...)
}

// endItem reads the item that has ended.
func (y *yamlReader) endItem() {
	at := y.l.here(y.item.line)
	if y.l.sound(at, &y.item) {
		y.l.crew.submit(job{at: at, text: y.item.text, isYAML: true})
	} else {
		y.l.objects++
	}
}

// end reads the document that has ended.
func (y *yamlReader) end() {
	if y.items == withinItems {
		y.endItem()
		y.items = itemsDone
	}
	defer y.reset()
	if y.head.line == 0 {
		return
	}
	at := y.l.here(y.head.line)
	listed := y.items == itemsDone || y.items == itemsNext
	ok := y.l.sound(at, &y.head)
	var text []byte
	if ok {
		text, ok = y.l.parse(at, y.head.text)
	}
	switch {
	case !ok:
		y.l.objects++
	case listed:
		y.l.lists++
		if string(text) == "null" {
			text = []byte("{}")
		}
		kind, _, err := kindOfList(text)
		if err != nil {
			y.l.problemAt(at, err.Error())
			return
		}
		y.l.endList(at, kind)
	case string(text) != "null":
		y.l.document(at, text)
	}
}

// document reads a whole document: one object, or a List in flow style.
func (l *Loader) document(at place, text []byte) {
	kind, items, err := kindOfList(text)
	if err != nil || !strings.HasSuffix(kind, "List") {
		l.crew.submit(job{at: at, text: text})
		return
	}
	l.lists++
	for _, item := range items {
		l.crew.submit(job{at: l.here(int(at.line)), text: item, kind: strings.TrimSuffix(kind, "List")})
	}
}

// sound reports whether a chunk can be given to the parser, with a problem if not.
func (l *Loader) sound(at place, c *chunk) bool {
	switch {
	case c.large:
		l.problemAt(at, errTooLarge.Error())
	case c.lexer.refused != "":
		at.line = int32(c.lexer.at)
		l.problemAt(at, c.lexer.refused)
	default:
		return true
	}
	return false
}

// parse returns YAML as JSON, or false with a problem.
func (l *Loader) parse(at place, text []byte) ([]byte, bool) {
	if !utf8.Valid(text) {
		l.problemAt(at, "is not UTF-8")
		return nil, false
	}
	out, err := toJSON(text)
	if err != nil {
		l.problemAt(at, yamlReason(err, int(at.line)))
		return nil, false
	}
	return out, true
}

// toJSON parses YAML, and turns what its parser panics with into an error.
func toJSON(text []byte) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("cannot be parsed: %v", p)
		}
	}()
	return yaml.YAMLToJSONStrict(text)
}

// kindOfList returns the kind of an object, and its items if it has any.
func kindOfList(text []byte) (kind string, items []json.RawMessage, err error) {
	var list struct {
		Kind  field[string]            `json:"kind"`
		Items field[[]json.RawMessage] `json:"items"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return "", nil, fmt.Errorf("is no Kubernetes object: %s", plain(err, text))
	}
	if list.Items.wrong != "" {
		return "", nil, fmt.Errorf("items: %s", list.Items.wrong)
	}
	return list.Kind.value, list.Items.value, nil
}

var lineNumber = regexp.MustCompile(`line (\d+)`)

// yamlReason puts an error of the parser into one line, with the line numbers of
// the file and not of the chunk, which begins at that line.
func yamlReason(err error, line int) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = lineNumber.ReplaceAllStringFunc(text, func(m string) string {
		n, _ := strconv.Atoi(m[len("line "):])
		return fmt.Sprintf("line %d", n+line-1)
	})
	return strings.Join(strings.Fields(text), " ")
}
