package snapshot

import (
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// maxDepth is how deep the YAML of an object may nest. The resources read here
// nest less than ten deep; encoding/json has a limit of its own, 10,000.
const maxDepth = 100

const refusedAlias = "anchors and aliases (& and *) are not read; write what they stand for"

// appendNode appends a YAML node as JSON. It refuses anchors and aliases: an alias
// can stand for a text of any size, and kubectl prints none.
func appendNode(out []byte, n *yaml.Node, depth int) (_ []byte, err error) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return nil, nodeError(n, refusedAlias)
	case depth > maxDepth:
		return nil, nodeError(n, "object nests deeper than %d levels", maxDepth)
	case n.Kind == yaml.ScalarNode:
		return appendScalar(out, n)
	case n.Kind == yaml.MappingNode:
		return appendMapping(out, n, depth)
	}
	out = append(out, '[')
	for i, e := range n.Content {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendNode(out, e, depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

// appendMapping appends a mapping. Its keys are texts, as they are written.
func appendMapping(out []byte, n *yaml.Node, depth int) (_ []byte, err error) {
	seen := make(map[string]bool, len(n.Content)/2)
	out = append(out, '{')
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind == yaml.AliasNode || key.Anchor != "":
			return appendNode(nil, key, depth) // says why not
		case key.Kind != yaml.ScalarNode:
			return nil, nodeError(key, "a key must be text, this is a map or a list")
		case seen[key.Value]:
			return nil, nodeError(key, "key %s already set", quote(key.Value))
		}
		seen[key.Value] = true
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, key.Value), ':')
		if out, err = appendNode(out, value, depth+1); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// appendScalar appends a text, number, boolean or null.
func appendScalar(out []byte, n *yaml.Node) ([]byte, error) {
	switch n.Tag {
	case "!!null":
		return append(out, "null"...), nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return append(out, n.Value...), nil // all digits of it
		}
		fallthrough
	case "!!bool":
		var value any
		if err := n.Decode(&value); err != nil {
			return nil, err
		}
		if text, err := json.Marshal(value); err == nil { // infinities have no JSON
			return append(out, text...), nil
		}
	case "!!str":
		if n.Style == 0 && len(n.Value) <= len("false") {
			switch n.Value {
			// kubectl reads and writes YAML 1.1, where these are booleans.
			case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON":
				return append(out, "true"...), nil
			case "n", "N", "no", "No", "NO", "off", "Off", "OFF":
				return append(out, "false"...), nil
			}
		}
	}
	return appendText(out, n.Value), nil
}

// appendText appends a JSON text.
func appendText(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			quoted, _ := json.Marshal(text) // a string always can be
			return append(out, quoted...)
		}
	}
	return append(append(append(out, '"'), text...), '"')
}

// nodeError says what is wrong with a node, in the form of the parser's errors.
func nodeError(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}
