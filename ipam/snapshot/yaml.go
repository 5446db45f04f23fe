package snapshot

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A yamlReader cuts a stream of YAML into documents, and a List into items, so
// that the parser, which keeps a tree of what it reads, gets one object at a time.
//
// The items of a List begin with "- " at one indentation, and everything in them
// stands deeper. kubectl and every printer of block style write them so; a List
// in another style is parsed whole, up to the size of one object.
type yamlReader struct {
	l    *Loader
	line int // of what was read last

	head   chunk // the document's own lines
	item   chunk // the item being read
	next   bool  // "items:" was read last
	indent int   // of the items being read; -1 outside
	taken  int   // how many items the document has so far

	first string   // key of the document
	keys  [2]bool  // whether the document's own lines have an apiVersion and a kind
	says  listHead // of the items being read, what stands before them
}

// chunk is text for the parser.
type chunk struct {
	text  []byte
	lines []int // which lines of the file they are
	large bool  // more than can be
}

// yaml reads YAML documents one after the other. Behind the text, cutOff reports
// whether its last line has no end.
func (l *Loader) yaml(r io.Reader, line int, cutOff func() bool) error {
	y := &yamlReader{l: l, line: line - 1, indent: -1}
	scan := bufio.NewScanner(r)
	scan.Buffer(make([]byte, 0, 64<<10), maxObject)
	for scan.Scan() {
		y.line++
		y.add(scan.Bytes())
	}
	err := scan.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		err = nil
		y.current().large = true
		y.current().add(y.line+1, nil)
	case err != nil:
		err = &syntaxError{y.line + 1, err}
	}
	y.last(err != nil || cutOff(), err == nil)
	return err
}

// last reads the document and the item at the end of the text, which may be cut off.
// An item of a List whose kind did not come is, for kubectl writes that behind the
// items. Of any other there is no saying if it looks sound.
func (y *yamlReader) last(mayBeCut, report bool) {
	l := y.l
	guarded := func(read func()) {
		if !mayBeCut || y.current().large || !y.hasKind() {
			read()
			return
		}
		problems, blocks, at := len(l.problems), len(l.blocks), l.here(y.current().first())
		read()
		if anyHarmful(l.problems[problems:]) {
			l.problems, l.blocks = l.problems[:problems], l.blocks[:min(blocks, len(l.blocks))]
			if report {
				l.cutOffAt(at)
			}
		}
	}
	if y.indent >= 0 && !y.keys[1] && len(y.head.lines) > 0 {
		l.endKindless(listHead{})
		if report {
			l.cutOffAt(l.here(y.item.first()))
		}
		l.lists++
		return
	}
	guarded(y.endItem)
	guarded(y.end)
}

// hasKind reports whether the document or the item being read looks like a resource.
func (y *yamlReader) hasKind() bool {
	if len(y.head.lines) == 0 { // a list without a head
		return bytes.Contains(y.item.text, []byte("kind:"))
	}
	return y.indent >= 0 || y.keys != [2]bool{}
}

// cutOffAt reports an object in which the file is cut off.
func (l *Loader) cutOffAt(at place) {
	l.problemAt(at, "the file is cut off in this object, which is left out").cutOff = true
}

// add takes a line to where it belongs.
func (y *yamlReader) add(line []byte) {
	text := bytes.TrimLeft(line, " ")
	indent := len(line) - len(text)
	isDash := isMark(text, "-")
	switch {
	case bytes.HasPrefix(line, []byte("===")) && len(bytes.Trim(line, "=\r")) == 0: // calicoctl datastore migrate export
		y.end()
	case isMark(line, "---"), isMark(line, "..."):
		y.end()
		y.add(append([]byte("   "), line[3:]...))
	case isBlankOrComment(text):
		if c := y.current(); len(c.lines) > 0 {
			c.add(y.line, line)
		}
	case line[0] == '%' && len(y.head.lines) == 0: // a directive
	case y.indent >= 0 && indent > y.indent:
		y.item.add(y.line, line)
	case isDash && (y.next || indent == y.indent || y.indent < 0 && len(y.head.lines) == 0):
		y.endItem()
		if y.next {
			y.beginItems()
		}
		y.next, y.indent = false, indent
		y.item.add(y.line, line)
	default:
		y.endItem()
		key, value, _ := bytes.Cut(line, []byte(":"))
		name := ""
		if line[0] != ' ' && line[0] != '-' {
			name = strings.Trim(strings.TrimSpace(string(key)), `"'`)
			y.begin(name)
		}
		y.next, y.indent = name == "items" && isBlankOrComment(value), -1
		y.head.add(y.line, line)
	}
}

// begin ends the document where a key shows that the next one begins: what kubectl
// printed twice stands in one file without a mark in between.
func (y *yamlReader) begin(key string) {
	i := slices.Index([]string{"apiVersion", "kind"}, key)
	if i >= 0 && y.keys[i] || key == y.first {
		y.end()
	}
	if y.first = cmp.Or(y.first, key); i >= 0 {
		y.keys[i] = true
	}
}

// beginItems reads what the document says before its items.
func (y *yamlReader) beginItems() {
	y.says = listHead{}
	if text, err := y.head.json(); err == nil {
		y.says, _, _ = headOfList(text)
	}
	y.l.kindComes = y.says.kind == ""
}

// current returns the chunk that is being read.
func (y *yamlReader) current() *chunk {
	if y.indent >= 0 {
		return &y.item
	}
	return &y.head
}

func isMark(line []byte, mark string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(mark))
	return ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t')
}

func isBlankOrComment(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r")
	return len(text) == 0 || text[0] == '#'
}

func (c *chunk) add(line int, text []byte) {
	c.lines = append(c.lines, line)
	if c.large = c.large || len(c.text)+len(text) >= maxObject; !c.large {
		c.text = append(append(c.text, text...), '\n')
	}
}

// first returns the line where the chunk begins.
func (c *chunk) first() int {
	if len(c.lines) == 0 {
		return 0
	}
	return c.lines[0]
}

func (c *chunk) reset() { *c = chunk{text: c.text[:0], lines: c.lines[:0]} }

// endItem reads the item that has ended, if any. The items end with it, unless add
// begins another.
func (y *yamlReader) endItem() {
	if y.indent < 0 {
		return
	}
	y.taken++
	at := y.l.here(y.item.lines[0])
	if text, ok := y.l.parse(at, &y.item); ok {
		text = text[1 : len(text)-1] // the item is a list of one
		y.l.objectText(at, text, y.says.itemKind(), y.says.itemGroup())
	}
	y.item.reset()
	y.indent = -1
}

// end reads the document that has ended.
func (y *yamlReader) end() {
	y.endItem()
	taken := y.taken
	y.next, y.indent, y.taken, y.first, y.keys, y.says = false, -1, 0, "", [2]bool{}, listHead{}
	if len(y.head.lines) == 0 {
		return
	}
	at := y.l.here(y.head.lines[0])
	text, ok := y.l.parse(at, &y.head)
	y.head.reset()
	switch {
	case !ok:
		y.l.endKindless(listHead{})
		y.l.objects++
	case taken > 0:
		y.l.lists++
		head, _, err := headOfList(text)
		y.l.endKindless(head)
		if err != nil {
			y.l.problemAt(at, err.Error())
			return
		}
		y.l.endList(at, head.kind)
	case string(text) != "null":
		y.l.document(at, text)
	}
}

// document reads a whole document: one object, or a List in flow style.
func (l *Loader) document(at place, text []byte) {
	if text[0] == '[' {
		var items []json.RawMessage
		_ = decode(text, &items) // it is a list
		for _, item := range items {
			l.objectText(l.here(int(at.line)), item, "", "")
		}
		return
	}
	head, items, err := headOfList(text)
	if err != nil || !strings.HasSuffix(head.kind, "List") {
		l.objectText(at, text, "", "")
		return
	}
	l.lists++
	l.list(head.kind)
	for _, item := range items {
		l.objectText(l.here(int(at.line)), item, head.itemKind(), head.itemGroup())
	}
}

// listHead is what a list says of itself.
type listHead struct{ kind, group string }

// itemKind returns the kind of the items that do not say theirs, "" if it tells nothing.
func (h listHead) itemKind() string {
	kind, isList := strings.CutSuffix(h.kind, "List")
	if !isList {
		return ""
	}
	return kind
}

// itemGroup returns the API group of those items.
func (h listHead) itemGroup() string {
	if h.itemKind() == "" {
		return ""
	}
	return h.group
}

// headOfList returns what an object says of itself, and its items if it has any.
func headOfList(text []byte) (head listHead, items []json.RawMessage, err error) {
	var list struct {
		Kind  field[string]            `json:"kind"`
		Group field[string]            `json:"apiVersion"`
		Items field[[]json.RawMessage] `json:"items"`
	}
	if err := decode(text, &list); err != nil {
		return listHead{}, nil, fmt.Errorf("is no Kubernetes object: %s", plain(err))
	}
	if list.Items.wrong != "" {
		return listHead{}, nil, fmt.Errorf("items: %s", list.Items.wrong)
	}
	return listHead{list.Kind.value, list.Group.value}, list.Items.value, nil
}

var (
	errNotUTF8 = errors.New("is not UTF-8")
	errBreak   = errors.New("holds a line break that most programs do not take for one (CR alone, NEL, LS or PS)")
)

// parse returns YAML as JSON, or false with a problem.
func (l *Loader) parse(at place, c *chunk) ([]byte, bool) {
	out, err := c.json()
	if err == nil {
		return out, true
	}
	reason := strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " ")
	if strings.HasPrefix(reason, "unknown anchor") {
		reason = refusedAlias
	}
	if m := lineOfError.FindStringSubmatch(reason); m != nil {
		n, _ := strconv.Atoi(m[1])
		at.line = int32(c.lines[min(max(n, 1), len(c.lines))-1])
		reason = reason[len(m[0]):]
	}
	l.problemAt(at, reason)
	return nil, false
}

// lineOfError is how the parser's errors begin; the line is that of the chunk.
var lineOfError = regexp.MustCompile(`^line (\d+): `)

// json parses the chunk. What the parser panics with becomes an error.
func (c *chunk) json() (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("cannot be parsed: %v", p)
		}
	}()
	switch {
	case c.large:
		return nil, errTooLarge
	case !utf8.Valid(c.text):
		return nil, errNotUTF8
	}
	if out, ok := c.quick(); ok {
		return out, nil
	}
	return c.parsed()
}

// parsed parses any YAML.
func (c *chunk) parsed() ([]byte, error) {
	for _, strange := range []string{"\r", "\u0085", "\u2028", "\u2029"} {
		if bytes.Contains(c.text, []byte(strange)) {
			return nil, errBreak
		}
	}
	dec := yaml.NewDecoder(bytes.NewReader(c.text))
	var node, more yaml.Node
	if err := dec.Decode(&node); errors.Is(err, io.EOF) {
		return []byte("null"), nil
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, cmp.Or(err, errors.New("goes on behind its end"))
	}
	return appendNode(nil, node.Content[0], 0)
}
