package snapshot

import "bytes"

// A lexer follows YAML line by line just closely enough to tell anchors and
// aliases, and nesting that is too deep, from text that looks like it. Both are
// refused before the parser sees them: an alias can stand for a text of any size,
// and kubectl prints none.
type lexer struct {
	refused string // why, if something was met that is refused
	at      int    // in which line

	scalar int  // indentation that lines of a block scalar are deeper than; -1 outside
	plain  int  // likewise for the lines on which a plain scalar goes on
	quote  byte // within a quoted scalar: its quote
	flow   int  // depth of [ and {
}

func newLexer() lexer { return lexer{scalar: -1, plain: -1} }

const (
	refusedAlias = "anchors and aliases (& and *) are not read; write what they stand for"
	refusedBreak = "holds a line break that is none to most programs (CR alone, NEL, LS or PS)"
)

// line takes the next line, with its end.
func (x *lexer) line(text []byte, number int) {
	if x.refused != "" {
		return
	}
	if why := x.scan(text); why != "" {
		x.refused, x.at = why, number
	}
}

func (x *lexer) scan(text []byte) string {
	text = bytes.TrimRight(text, "\n")
	text = bytes.TrimSuffix(text, []byte("\r"))
	if strangeBreak(text) {
		return refusedBreak
	}
	indent := indentation(text)
	if indent == len(text) {
		return ""
	}
	if x.scalar >= 0 {
		if indent > x.scalar {
			return ""
		}
		x.scalar = -1
	}
	if x.plain >= 0 && x.quote == 0 && x.flow == 0 && indent > x.plain {
		return ""
	}
	x.plain = -1
	return x.tokens(text, indent)
}

// strangeBreak reports whether the parser would see a line's end within the line.
func strangeBreak(text []byte) bool {
	return bytes.IndexByte(text, '\r') >= 0 ||
		bytes.Contains(text, []byte("\u0085")) || bytes.Contains(text, []byte("\u2028")) || bytes.Contains(text, []byte("\u2029"))
}

// tokens goes through a line from the byte i on.
func (x *lexer) tokens(text []byte, i int) string {
	column := i           // of the key or dash that what follows belongs to
	from := i             // where the scalar under way began
	start := x.quote == 0 // at the start of a node
	within := false       // a plain or quoted scalar has begun
	for i < len(text) {
		c := text[i]
		blankNext := i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t'
		switch {
		case x.quote != 0:
			if i = x.closeQuote(text, i); i < 0 {
				return ""
			}
			within = true
			continue
		case start:
			switch {
			case c == ' ' || c == '\t':
			case c == '#':
				return ""
			case c == '&' || c == '*':
				if !blankNext {
					return refusedAlias
				}
				start, within, from = false, true, i
			case c == '!':
				for i+1 < len(text) && text[i+1] != ' ' && text[i+1] != '\t' {
					i++
				}
			case (c == '|' || c == '>') && x.flow == 0:
				x.scalar = column
				return ""
			case c == '"' || c == '\'':
				x.quote, start, from = c, false, i
			case c == '[' || c == '{':
				if x.flow++; x.flow > maxDepth {
					return errTooDeep.Error()
				}
			case (c == ']' || c == '}') && x.flow > 0:
				x.flow--
				start = false
			case c == ',' && x.flow > 0:
			case (c == '-' || c == '?' || c == ':') && blankNext && x.flow == 0:
				if column = i; column > 4*maxDepth {
					return errTooDeep.Error()
				}
			default:
				start, within, from = false, true, i
			}
		case c == ':' && (blankNext || x.flow > 0 && bytes.IndexByte([]byte(",[]{}"), text[i+1]) >= 0):
			if x.flow == 0 {
				if column = from; column > 4*maxDepth {
					return errTooDeep.Error()
				}
			}
			start, within = true, false
		case c == ':' && x.flow > 0 && i > 0 && (text[i-1] == '"' || text[i-1] == '\''):
			start, within = true, false
		case x.flow > 0 && c == ',':
			start, within = true, false
		case x.flow > 0 && (c == '[' || c == '{'):
			x.flow++
			start = true
		case x.flow > 0 && (c == ']' || c == '}'):
			x.flow--
		case c == '#' && i > 0 && (text[i-1] == ' ' || text[i-1] == '\t'):
			return ""
		}
		i++
	}
	if within && x.flow == 0 {
		x.plain = column
	}
	return ""
}

// closeQuote returns where the text goes on behind a quoted scalar, or -1 if it
// does not end in this line.
func (x *lexer) closeQuote(text []byte, i int) int {
	for ; i < len(text); i++ {
		switch {
		case text[i] == '\\' && x.quote == '"':
			i++
		case text[i] != x.quote:
		case x.quote == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		default:
			x.quote = 0
			return i + 1
		}
	}
	return -1
}
