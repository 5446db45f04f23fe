package pool

import (
	"slices"
	"strings"
)

// Selector is a condition on labels in Calico's own language (§1), compiled by [Parse]. A pool has one for nodes and one for
// namespaces.
//
//	zone == 'a'            the label is there and has this value
//	zone != 'a'            it has another value, or is not there
//	zone in {'a', 'b'}     it is there and has one of these values
//	zone not in {'a'}      it has none of these values, or is not there
//	zone contains 'a'      it is there and its value contains this text
//	zone starts with 'a'   it is there and its value starts so
//	zone ends with 'a'     it is there and its value ends so
//	has(zone)              it is there
//	all(), global()        always
//	!, &&, ||, ( )         not, and, or, in this order of precedence
//
// A nil *Selector and the zero Selector match everything. Selectors never change
// and may be shared and copied.
type Selector struct {
	root *node // nil: matches everything
}

// operator is the kind of a node.
type operator uint8

const (
	opAll operator = iota
	opGlobal
	opHas
	opEqual
	opNotEqual
	opIn
	opNotIn
	opContains
	opStartsWith
	opEndsWith
	opNot
	opAnd
	opOr
)

// words are the operators between a label and a value, as String writes them.
var words = map[operator]string{
	opEqual: "==", opNotEqual: "!=", opIn: "in", opNotIn: "not in",
	opContains: "contains", opStartsWith: "starts with", opEndsWith: "ends with",
}

// node is a node of the syntax tree. Its depth is bounded by the parser, so that recursion over it is safe.
type node struct {
	op     operator
	label  string   // opHas to opEndsWith
	value  string   // opEqual, opNotEqual, opContains to opEndsWith
	values []string // opIn, opNotIn: sorted, each once
	kids   []*node  // opNot: one, not itself an opNot; opAnd, opOr: two or more
}

// Matches reports whether an object with these labels is selected. Nil labels are
// no labels. Matches does not change the map and does not allocate.
func (s *Selector) Matches(labels map[string]string) bool {
	return s == nil || s.root == nil || s.root.matches(labels)
}

func (n *node) matches(labels map[string]string) bool {
	switch n.op {
	case opAll, opGlobal:
		return true
	case opNot:
		return !n.kids[0].matches(labels)
	case opAnd:
		for _, kid := range n.kids {
			if !kid.matches(labels) {
				return false
			}
		}
		return true
	case opOr:
		for _, kid := range n.kids {
			if kid.matches(labels) {
				return true
			}
		}
		return false
	}
	have, found := labels[n.label]
	switch n.op {
	case opNotEqual:
		return !found || have != n.value
	case opNotIn:
		return !found || !n.lists(have)
	}
	if !found {
		return false
	}
	switch n.op {
	case opEqual:
		return have == n.value
	case opIn:
		return n.lists(have)
	case opContains:
		return strings.Contains(have, n.value)
	case opStartsWith:
		return strings.HasPrefix(have, n.value)
	case opEndsWith:
		return strings.HasSuffix(have, n.value)
	}
	return true // opHas
}

func (n *node) lists(value string) bool {
	_, found := slices.BinarySearch(n.values, value)
	return found
}

// String returns the selector in a normal form that [Parse] reads back: one blank
// around operators, no needless parentheses, double negation removed, values of a
// set sorted and named once, values in double quotes unless they contain one.
// Selectors with the same normal form match the same labels. An empty selector
// becomes all().
func (s *Selector) String() string {
	if s == nil || s.root == nil {
		return "all()"
	}
	var b strings.Builder
	s.root.write(&b, opOr)
	return b.String()
}

// write appends n in normal form. The outer operator is that around n: opOr, opAnd
// or opNot, in the order of precedence.
func (n *node) write(b *strings.Builder, outer operator) {
	switch n.op {
	case opAll:
		b.WriteString("all()")
	case opGlobal:
		b.WriteString("global()")
	case opHas:
		b.WriteString("has(" + n.label + ")")
	case opNot:
		b.WriteByte('!')
		n.kids[0].write(b, opNot)
	case opAnd:
		n.writeJoined(b, " && ", opAnd, outer == opNot)
	case opOr:
		n.writeJoined(b, " || ", opOr, outer != opOr)
	case opIn, opNotIn:
		b.WriteString(n.label + " " + words[n.op] + " {")
		for i, value := range n.values {
			if i > 0 {
				b.WriteString(", ")
			}
			writeQuoted(b, value)
		}
		b.WriteByte('}')
	default:
		b.WriteString(n.label + " " + words[n.op] + " ")
		writeQuoted(b, n.value)
	}
}

func (n *node) writeJoined(b *strings.Builder, glue string, op operator, parens bool) {
	if parens {
		b.WriteByte('(')
	}
	for i, kid := range n.kids {
		if i > 0 {
			b.WriteString(glue)
		}
		kid.write(b, op)
	}
	if parens {
		b.WriteByte(')')
	}
}

// writeQuoted relies on a value never containing both kinds of quotes: it stood in
// one kind, without escapes.
func writeQuoted(b *strings.Builder, value string) {
	quote := byte('"')
	if strings.IndexByte(value, '"') >= 0 {
		quote = '\''
	}
	b.WriteByte(quote)
	b.WriteString(value)
	b.WriteByte(quote)
}
