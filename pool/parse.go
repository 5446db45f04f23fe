package pool

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// maxLabel is the longest label name in a selector, in bytes; names are ASCII, so in characters too (§1).
	maxLabel = 512
	// maxDepth bounds the nesting of parentheses and with it the depth of
	// recursion. Calico has no bound; real selectors do not come near this one.
	maxDepth = 1000
)

// SyntaxError says where and why a selector does not parse.
type SyntaxError struct {
	Selector string // the whole text
	Pos      int    // offset of the offending byte, len(Selector) if something is missing at the end
	Msg      string // what is wrong there
}

// Error returns position and reason in one line. It leaves out the text, which can
// be long and which the caller has.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("pool: selector syntax at offset %d: %s", e.Pos, e.Msg)
}

// Parse compiles a selector in Calico's language; [Selector] has its operators. The error is a [*SyntaxError]. The rules
// (§1):
//
//   - Blank and tab are white space, newline is not. A selector of nothing or of white space alone matches everything.
//   - Label names are 1 to 512 of the ASCII letters and digits and _ . / -, any of them first. Only an operator may follow
//     a name, so that in, not or all can be names too.
//   - Values stand in single or double quotes, on the right; there are no escapes, and anything but that quote may be inside.
//   - Operators are words in lower case. notin, startswith and endswith may be written together.
//   - No white space between has, all, global and their parenthesis; inside it there may be.
//   - A set may be empty and may end in a comma, but not begin with one.
//   - ! binds tighter than &&, which binds tighter than ||. !a == 'x' negates the comparison.
//
// Parentheses nest up to 1000 deep; anything else may be as long as it likes. Time and memory are linear in the length of
// the text, but for the sorting of sets.
func Parse(text string) (*Selector, error) {
	p := parser{text: text}
	if p.space(); p.rest() == "" {
		return &Selector{}, nil
	}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.rest() != "" {
		return nil, p.fail("expected &&, || or the end")
	}
	return &Selector{root}, nil
}

// parser is a recursive descent parser without a lexer: the meaning of a word
// depends on whether a name came before it. Every method leaves pos after its own
// text and the white space that follows.
type parser struct {
	text  string
	pos   int
	depth int // open parentheses
}

func (p *parser) rest() string { return p.text[p.pos:] }

func (p *parser) fail(format string, args ...any) error {
	return &SyntaxError{Selector: p.text, Pos: p.pos, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t') {
		p.pos++
	}
}

// take consumes a token and the white space after it, if the token comes next.
func (p *parser) take(token string) bool {
	if !strings.HasPrefix(p.rest(), token) {
		return false
	}
	p.pos += len(token)
	p.space()
	return true
}

// takeWords consumes two words with any or no white space between and after them;
// it takes both or nothing.
func (p *parser) takeWords(first, second string) bool {
	start := p.pos
	if p.take(first) && p.take(second) {
		return true
	}
	p.pos = start
	return false
}

func (p *parser) or() (*node, error) { return p.joined("||", opOr, p.and) }

func (p *parser) and() (*node, error) { return p.joined("&&", opAnd, p.unary) }

func (p *parser) joined(token string, op operator, operand func() (*node, error)) (*node, error) {
	first, err := operand()
	if err != nil || !strings.HasPrefix(p.rest(), token) {
		return first, err
	}
	kids := []*node{first}
	for p.take(token) {
		next, err := operand()
		if err != nil {
			return nil, err
		}
		kids = append(kids, next)
	}
	return &node{op: op, kids: kids}, nil
}

// unary counts the ! in a loop: a chain of them is no deeper than one.
func (p *parser) unary() (*node, error) {
	negate := false
	for p.take("!") {
		negate = !negate
	}
	n, err := p.primary()
	if err != nil || !negate {
		return n, err
	}
	if n.op == opNot { // !(!x)
		return n.kids[0], nil
	}
	return &node{op: opNot, kids: []*node{n}}, nil
}

func (p *parser) primary() (*node, error) {
	if strings.HasPrefix(p.rest(), "(") {
		return p.parenthesis()
	}
	name, err := p.label("expected a label name, has(…), all(), global(), ! or (")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(p.rest(), "(") {
		p.space()
		return p.comparison(name)
	}
	switch name {
	case "all":
		return p.call(&node{op: opAll})
	case "global":
		return p.call(&node{op: opGlobal})
	case "has":
		return p.call(&node{op: opHas})
	}
	return nil, p.fail("expected an operator after label %q", name)
}

func (p *parser) parenthesis() (*node, error) {
	if p.depth == maxDepth {
		return nil, p.fail("parentheses are nested more than %d deep", maxDepth)
	}
	p.take("(")
	p.depth++
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		return nil, p.fail("expected &&, || or )")
	}
	p.depth--
	return n, nil
}

// call reads the parenthesis of has, all or global.
func (p *parser) call(n *node) (_ *node, err error) {
	p.take("(")
	if n.op == opHas {
		if n.label, err = p.label("expected a label name"); err != nil {
			return nil, err
		}
		p.space()
	}
	if !p.take(")") {
		return nil, p.fail("expected )")
	}
	return n, nil
}

// label reads a label name, and leaves the white space after it: no white space
// may follow has, all and global.
func (p *parser) label(expected string) (string, error) {
	start := p.pos
	for p.pos < len(p.text) && isLabelByte(p.text[p.pos]) {
		p.pos++
	}
	name := p.text[start:p.pos]
	if name == "" {
		return "", p.fail("%s", expected)
	}
	if len(name) > maxLabel {
		p.pos = start
		return "", p.fail("label name of %d characters, at most %d are allowed", len(name), maxLabel)
	}
	return name, nil
}

func isLabelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '/' || c == '-'
}

func (p *parser) comparison(label string) (_ *node, err error) {
	n := &node{label: label}
	switch {
	case p.take("=="):
		n.op = opEqual
	case p.take("!="):
		n.op = opNotEqual
	case p.take("contains"):
		n.op = opContains
	case p.takeWords("starts", "with"):
		n.op = opStartsWith
	case p.takeWords("ends", "with"):
		n.op = opEndsWith
	case p.take("in"):
		n.op = opIn
	case p.takeWords("not", "in"):
		n.op = opNotIn
	default:
		return nil, p.fail("expected an operator after label %q", label)
	}
	if n.op == opIn || n.op == opNotIn {
		n.values, err = p.set()
	} else {
		n.value, err = p.value("expected a value in quotes")
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (p *parser) value(expected string) (string, error) {
	if p.rest() == "" || (p.text[p.pos] != '\'' && p.text[p.pos] != '"') {
		return "", p.fail("%s", expected)
	}
	start := p.pos + 1
	length := strings.IndexByte(p.text[start:], p.text[p.pos])
	if length < 0 {
		return "", p.fail("the quote is not closed")
	}
	p.pos = start + length + 1
	p.space()
	return p.text[start : start+length], nil
}

func (p *parser) set() ([]string, error) {
	if !p.take("{") {
		return nil, p.fail("expected {")
	}
	var values []string
	for !p.take("}") {
		value, err := p.value("expected a value in quotes or }")
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		if !p.take(",") && !strings.HasPrefix(p.rest(), "}") {
			return nil, p.fail("expected , or }")
		}
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}
