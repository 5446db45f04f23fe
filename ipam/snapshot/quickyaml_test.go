package snapshot

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

// differs returns how quick differs from the parser on a text, if it reads it.
func differs(text string, quick func(*chunk) ([]byte, bool)) error {
	c := &chunk{text: []byte(text)}
	got, ok := quick(c)
	if !ok {
		return nil
	}
	want, err := c.parsed()
	if err != nil {
		return fmt.Errorf("%q is read as %s, and is refused by the parser: %w", text, got, err)
	}
	if string(got) != string(want) {
		return fmt.Errorf("%q is read as %s, and by the parser as %s", text, got, want)
	}
	return nil
}

// yamlValues are values on one line, odd ones too.
var yamlValues = []string{
	"", "", "a", "abc", "host:node-1.example.com", "10.0.0.0/26", "fd00::1", "fd00:10::/122", "0", "1", "12", "007", "1e3", "1.5", "0x1f", "0o17", "0b1", "1_000", "-5", "+5", ".5", ".inf", "NaN",
	"190:20:30", "12:30", "1:2", "2024-03-01", "2024-03-01T10:00:00Z", "2024-03-01 10:00:00.123456789 +0000 UTC", "0466178f-6749-437d-88a1-009d4345ab00", "1e5-1", "1e-5", "123456789012345", "1234567890123456789",
	"true", "True", "FALSE", "yes", "No", "on", "OFF", "y", "N", "null", "Null", "~", "NULL",
	`"a b"`, `"a\n"`, `"a" # b`, `"it's"`, `'a'`, `'it''s'`, `'a "b" c\'`, `""`, `''`, `"`, `'`, `"a"b"`, `a"b`, `a\b`, `a<b>&c`, `"<&>"`,
	"{}", "[]", "{a: 1}", "[1, 2]", "|", ">-", "&a 1", "*a", "!!str 1", "a: b", "a:", "a #b", "a#b", "# c", "a ", " a", "a, b", "a[0]", "x{y}", "@a", "`a`", "%a", "? a", "- a", "-", "--", "---", "...",
	"/var/lib", "_a", "all()", "has(x) && !y", "zone == 'b'", "<<", "=", "a\tb", "é", "1 2", "0-0", "1-1-1", "1.1.1", "0.0", "00.0.0", "0x1/2", "1/", "a:b:c", "::", "a::",
}

var yamlKeys = []string{"a", "b", "kind", "10.0.0.0/26", "fd00::/122", "k8s-app", "x_y", "1", "true", "null", "y", "\"q\"", "'q'", "f:spec", "a b", "<<", "-a", "a-", ".a", "a.", "é", "?", "a: "}

// document draws a text in block style, whose indentation is mostly right.
func document(src property.Source) string {
	var out strings.Builder
	var block func(indent, depth int)
	pick := func(of string, list []string) string { return list[src.Pick(of, len(list))] }
	block = func(indent, depth int) {
		isList := src.Pick("list", 3) == 0
		for range 1 + src.Pick("entries", 3) {
			at := indent
			if src.Pick("slip", 20) == 19 {
				at += src.Pick("by", 3)
			}
			out.WriteString(strings.Repeat(" ", at))
			if isList {
				out.WriteString("- ")
			}
			if !isList || src.Pick("map in list", 2) == 0 {
				out.WriteString(pick("key", yamlKeys))
				out.WriteString(":")
				if src.Pick("no blank", 20) != 19 {
					out.WriteString(" ")
				}
			}
			value := pick("value", yamlValues)
			if src.Pick("nests", 3) == 0 && depth < 4 {
				value = ""
			}
			text := strings.TrimRight(value, " ")
			if src.Pick("trailing blank", 30) == 29 {
				text += " "
			}
			line := out.String()
			if value == "" && src.Pick("trim", 10) != 9 {
				out.Reset()
				out.WriteString(strings.TrimRight(line, " "))
			}
			out.WriteString(text + "\n")
			switch {
			case src.Pick("blank line", 40) == 39:
				out.WriteString("\n")
			case value == "" && depth < 4:
				block(indent+2*src.Pick("deeper", 3), depth+1)
			}
		}
	}
	block(2*src.Pick("indent", 2), 0)
	return out.String()
}

// TestQuickYAML: what is read without the parser is read as the parser reads it.
func TestQuickYAML(t *testing.T) {
	property.Check(t, 20000, 20, func(t *rapid.T) {
		if err := differs(document(property.Rapid(t)), (*chunk).quick); err != nil {
			t.Fatal(err)
		}
	})
	keys := yamlKeys
	if testing.Short() {
		keys = keys[:1]
	}
	for _, value := range yamlValues {
		for _, key := range keys {
			for _, form := range []string{"%[1]s: %[2]s\n", "%[1]s: %[2]s\nz: 1\n", "- %[2]s\n", "- %[1]s: %[2]s\n  z: 1\n", "z:\n- %[2]s\n", "%[1]s: %[2]s\n%[1]s: 1\n", "z:\n  %[1]s: %[2]s\n", "%[1]s: %[2]s\n  z\n", "%[1]s:\n  %[2]s\n"} {
				must.NoError(t, differs(fmt.Sprintf(form, key, value), (*chunk).quick))
			}
		}
	}
}

// TestQuickYAMLOfRecordings: most of what printers write is read so.
func TestQuickYAMLOfRecordings(t *testing.T) {
	property.Slow(t)
	text, err := os.ReadFile("../../testdata/sample.yaml")
	must.NoError(t, err)
	items, quick := strings.Split(string(text), "\n- "), 0
	for _, item := range items[1:] {
		item = "- " + item + "\n"
		must.NoError(t, differs(item, (*chunk).quick))
		if _, ok := (&chunk{text: []byte(item)}).quick(); ok {
			quick++
		}
	}
	must.Greater(t, len(items)*9/10, quick)
}

// TestBrokenQuickYAML: the property catches readers that take too much.
func TestBrokenQuickYAML(t *testing.T) {
	for name, broken := range map[string]func(*chunk) ([]byte, bool){
		"takes words for texts": func(c *chunk) ([]byte, bool) {
			out, ok := (&chunk{text: []byte(strings.ReplaceAll(string(c.text), " yes\n", " yesx\n"))}).quick()
			return []byte(strings.ReplaceAll(string(out), "yesx", "yes")), ok
		},
		"takes keys twice": func(c *chunk) ([]byte, bool) {
			text := strings.Replace(string(c.text), "a: ", "a1: ", 1)
			out, ok := (&chunk{text: []byte(text)}).quick()
			return []byte(strings.Replace(string(out), `"a1":`, `"a":`, 1)), ok
		},
		"overlooks where a text goes on": func(c *chunk) ([]byte, bool) {
			var lines []string
			for line := range strings.Lines(string(c.text)) {
				if n := len(lines); n > 0 && strings.HasPrefix(line, "    ") && !strings.Contains(line, ":") {
					continue
				}
				lines = append(lines, line)
			}
			return (&chunk{text: []byte(strings.Join(lines, ""))}).quick()
		},
	} {
		t.Run(name, func(t *testing.T) {
			must.True(t, property.Breaks(t, 20000, 1, func(t *rapid.T) {
				if err := differs(document(property.Rapid(t)), broken); err != nil {
					t.Fatal(err)
				}
			}))
		})
	}
}
