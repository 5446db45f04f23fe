package snapshot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// yamlText writes trees as YAML in the style of kubectl: keys sorted, lists not
// indented, texts plain where that is safe. The library that reads YAML could write
// it too, at a hundredth of the speed, and folds some line breaks.
type yamlText struct{ bytes []byte }

// item writes an object as an item of a List.
func (y *yamlText) item(o tree) { y.list([]any{o}, 0) }

func (y *yamlText) list(list []any, indent int) {
	for _, e := range list {
		y.indent(indent)
		y.bytes = append(y.bytes, '-')
		switch e := e.(type) {
		case tree:
			if len(e) > 0 {
				y.bytes = append(y.bytes, ' ')
				y.mapping(e, indent+2, true)
				continue
			}
			y.bytes = append(y.bytes, " {}\n"...)
		default:
			y.bytes = append(y.bytes, ' ')
			y.scalar(e)
			y.bytes = append(y.bytes, '\n')
		}
	}
}

// mapping writes a mapping that is not empty. The first key may stand in a line
// that has begun.
func (y *yamlText) mapping(m tree, indent int, begun bool) {
	keys := sortedKeys(m)
	slices.SortStableFunc(keys, compareKeys)
	for _, key := range keys {
		if !begun {
			y.indent(indent)
		}
		begun = false
		y.text(key)
		y.bytes = append(y.bytes, ':')
		switch v := m[key].(type) {
		case tree:
			if len(v) > 0 {
				y.bytes = append(y.bytes, '\n')
				y.mapping(v, indent+2, false)
				continue
			}
			y.bytes = append(y.bytes, " {}"...)
		case map[string]string:
			inner := make(tree, len(v))
			for k, text := range v {
				inner[k] = text
			}
			y.bytes = append(y.bytes, '\n')
			y.mapping(inner, indent+2, false)
			continue
		case []any:
			if len(v) > 0 {
				y.bytes = append(y.bytes, '\n')
				y.list(v, indent)
				continue
			}
			y.bytes = append(y.bytes, " []"...)
		default:
			y.bytes = append(y.bytes, ' ')
			y.scalar(v)
		}
		y.bytes = append(y.bytes, '\n')
	}
}

// compareKeys puts numbers into their order, as kubectl does.
func compareKeys(a, b string) int {
	if isNumber(a) && isNumber(b) {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	}
	return strings.Compare(a, b)
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

func (y *yamlText) indent(n int) {
	for range n {
		y.bytes = append(y.bytes, ' ')
	}
}

func (y *yamlText) scalar(v any) {
	switch v := v.(type) {
	case nil:
		y.bytes = append(y.bytes, "null"...)
	case string:
		y.text(v)
	case bool:
		y.bytes = strconv.AppendBool(y.bytes, v)
	case int:
		y.bytes = strconv.AppendInt(y.bytes, int64(v), 10)
	case uint64:
		y.bytes = strconv.AppendUint(y.bytes, v, 10)
	default:
		panic(fmt.Sprintf("snapshot: a tree holds a %T", v))
	}
}

// text writes a text, in quotes unless it is plainly one without.
func (y *yamlText) text(s string) {
	if isPlain(s) {
		y.bytes = append(y.bytes, s...)
		return
	}
	if isPrintable(s) && strings.ContainsAny(s, `"\`) || startsSpecial(s) && isPrintable(s) {
		y.bytes = append(y.bytes, '\'')
		y.bytes = append(y.bytes, strings.ReplaceAll(s, "'", "''")...)
		y.bytes = append(y.bytes, '\'')
		return
	}
	quoted, _ := json.Marshal(s) // a string always can be
	for _, r := range string(quoted) {
		// What JSON allows in quotes and YAML takes for a line's end, or for
		// nothing that can be printed.
		if r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfeff || r == 0xfffe || r == 0xffff {
			y.bytes = fmt.Appendf(y.bytes, `\u%04x`, r)
			continue
		}
		y.bytes = append(y.bytes, string(r)...)
	}
}

// isPlain reports whether YAML reads the text as itself without quotes, whatever
// the version: a word, or an address or CIDR.
func isPlain(s string) bool {
	if s == "" || strings.HasSuffix(s, ":") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9':
		case i > 0 && strings.IndexByte("._/:-", c) >= 0:
		default:
			return false
		}
	}
	if c := s[0] | 0x20; c < 'a' || c > 'z' {
		_, err := netip.ParsePrefix(s)
		return err == nil
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf":
		return false
	}
	return true
}

// isPrintable reports whether the text is ASCII without control characters.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// startsSpecial reports whether the text begins with what YAML has a meaning for.
func startsSpecial(s string) bool { return s != "" && strings.IndexByte("!&*[]{}|>@`%#", s[0]) >= 0 }
