package snapshot

import (
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// writeItem writes an object as an item of a List, in the style of kubectl.
func writeItem(w io.Writer, o tree) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	e.CompactSeqIndent()
	var item any = o
	if hasBreaks(o) {
		item = quotedNode(o)
	}
	return errors.Join(e.Encode([]any{item}), e.Close())
}

// hasBreaks reports whether a text in a tree has what YAML takes for a line's end.
// The library writes some of these texts so that they are not read as the same.
func hasBreaks(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsAny(v, "\n\u0085\u2028\u2029")
	case tree:
		for key, value := range v {
			if hasBreaks(key) || hasBreaks(value) {
				return true
			}
		}
	case map[string]string:
		for key, value := range v {
			if hasBreaks(key) || hasBreaks(value) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if hasBreaks(e) {
				return true
			}
		}
	}
	return false
}

// quotedNode returns a tree whose texts are in double quotes, line ends escaped.
func quotedNode(v any) *yaml.Node {
	n := new(yaml.Node)
	switch v := v.(type) {
	case string:
		n.Kind, n.Tag, n.Style, n.Value = yaml.ScalarNode, "!!str", yaml.DoubleQuotedStyle, v
	case tree:
		n.Kind = yaml.MappingNode
		for _, key := range sortedKeys(v) {
			n.Content = append(n.Content, quotedNode(key), quotedNode(v[key]))
		}
	case map[string]string:
		n.Kind = yaml.MappingNode
		for _, key := range sortedKeys(v) {
			n.Content = append(n.Content, quotedNode(key), quotedNode(v[key]))
		}
	case []any:
		n.Kind = yaml.SequenceNode
		for _, e := range v {
			n.Content = append(n.Content, quotedNode(e))
		}
	default:
		_ = n.Encode(v) // a number, boolean or nil
	}
	return n
}
