package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	kjson "sigs.k8s.io/json"
)

// decode reads JSON into fields as the API server does: a key must be written in the very
// letters of the field. encoding/json takes blocksize for blockSize, too, and of both the
// one that comes last.
func decode(text []byte, into any) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(text, into)
}

// A field is one value of an object. Reading it never fails: the field keeps what
// is wrong, so that all faults of an object are reported at once.
type field[T any] struct {
	value T
	given bool
	wrong string // what is wrong with it, if anything
}

// UnmarshalJSON reads any JSON value; null counts as absent.
func (f *field[T]) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	f.given = true
	if plain, isText := any(&f.value).(*string); isText && text[0] == '"' && bytes.IndexByte(text, '\\') < 0 {
		*plain = string(text[1 : len(text)-1]) // quick: most texts have no escapes
		return nil
	}
	if err := decode(text, &f.value); err != nil {
		f.wrong = mismatch(err, text)
		if _, isTexts := any(f.value).(map[string]string); isTexts {
			f.wrong = noText(text, f.wrong)
		}
	}
	return nil
}

// noText says which value of a map is no text.
func noText(text []byte, otherwise string) string {
	var values map[string]json.RawMessage
	if err := decode(text, &values); err != nil {
		return otherwise
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		var value field[string]
		if _ = decode(values[key], &value); value.wrong != "" {
			return "has the key " + quote(key) + ", which " + value.wrong
		}
	}
	return otherwise
}

// mismatch says in plain words why a value is not of the wanted type.
func mismatch(err error, text []byte) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err.Error()
	}
	where := ""
	if wrong.Field != "" {
		where = " in " + wrong.Field
	}
	return fmt.Sprintf("is %s%s, must be %s", kindOf(wrong.Value, text), where, wanted(wrong.Type.String()))
}

// kindOf names a JSON value, and shows it if it is short.
func kindOf(kind string, text []byte) string {
	if len(text) <= maxQuoted && text[0] != '{' && text[0] != '[' {
		return "the " + kindName(text) + " " + string(text)
	}
	return "of type " + kind
}

func kindName(text []byte) string {
	switch text[0] {
	case '"':
		return "text"
	case 't', 'f':
		return "boolean"
	}
	return "number"
}

// wanted names a Go type as a user of YAML calls it.
func wanted(goType string) string {
	switch goType {
	case "string":
		return "text (in YAML, write it in quotes)"
	case "int", "int64", "uint64", "int32":
		return "a whole number in range"
	case "bool":
		return "true or false"
	case "map[string]string":
		return "a map of texts"
	case "map[string]int":
		return "a map of whole numbers"
	}
	return "of another type"
}

// flag is a boolean. One of the API groups writes some of them as text.
type flag struct{ field[bool] }

// UnmarshalJSON reads true, false, and both as text; an empty text is false.
func (f *flag) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case "null", `""`:
		return nil
	case "true", `"true"`:
		f.value = true
	case "false", `"false"`:
		f.value = false
	default:
		f.wrong = "is " + clip(string(text)) + ", must be true or false"
	}
	f.given = true
	return nil
}

// ordinals is a list of whole numbers or nulls. It has a reader of its own because
// blocks have up to 4,096 of them, and a problem names the one that is wrong.
type ordinals struct {
	list  []int // null is free
	given bool
	wrong []badOrdinal
}

// free stands for null.
const free = -1

type badOrdinal struct {
	index int // in the list; -1 for the list itself
	why   string
}

// UnmarshalJSON reads any JSON value.
func (o *ordinals) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	o.given = true
	inner, isList := bytes.CutPrefix(text, []byte("["))
	if !isList {
		o.wrong = append(o.wrong, badOrdinal{-1, "is no list"})
		return nil
	}
	inner = inner[:len(inner)-1] // it is valid JSON
	if len(bytes.TrimSpace(inner)) == 0 {
		return nil
	}
	if bytes.ContainsAny(inner, `"[{`) { // commas may not be what parts it
		var parts []json.RawMessage
		if err := decode(text, &parts); err != nil {
			return err
		}
		for _, p := range parts {
			o.add(p)
		}
		return nil
	}
	o.list = make([]int, 0, bytes.Count(inner, []byte(","))+1)
	for part := range bytes.SplitSeq(inner, []byte(",")) {
		o.add(bytes.TrimSpace(part))
	}
	return nil
}

func (o *ordinals) add(text []byte) {
	n := free
	if string(text) != "null" {
		var err error
		if n, err = strconv.Atoi(string(text)); err != nil || n < 0 {
			o.wrong = append(o.wrong, badOrdinal{len(o.list), "is " + clip(string(text)) + ", must be a whole number, 0 or more, or null"})
			n = -2
		}
	}
	o.list = append(o.list, n)
}

// clip cuts off a text that is too long to show.
func clip(text string) string {
	if len(text) > maxQuoted {
		return text[:maxQuoted] + "…"
	}
	return text
}

// maxText is the longest text of a field, in bytes. Calico's are far shorter:
// Kubernetes allows four times as much for all annotations of an object together.
const maxText = 64 << 10

// maxName is how long a Kubernetes name can be.
const maxName = 253

// text returns a text. If it is none or too long, text reports a problem and
// returns "".
func (o *object) text(name string, f field[string]) string {
	text, _ := o.short(name, f, maxText)
	return text
}

// short is [object.text] with a limit in bytes; it returns false for a problem.
func (o *object) short(name string, f field[string], most int) (string, bool) {
	switch {
	case f.wrong != "":
		o.wrong(name, "%s", f.wrong)
	case len(f.value) > most:
		o.wrong(name, "is %d bytes long, at most %d are allowed", len(f.value), most)
	default:
		return f.value, true
	}
	return "", false
}

// texts returns a map of texts.
func (o *object) texts(name string, f field[map[string]string]) map[string]string {
	if f.wrong != "" {
		o.wrong(name, "%s", f.wrong)
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(f.value)) {
		if n := max(len(key), len(f.value[key])); n > maxText {
			o.wrong(name+"."+clip(key), "is %d bytes long, at most %d are allowed", n, maxText)
			return nil
		}
	}
	return f.value
}

// get returns the value of a field of any other type, zero with a problem.
func get[T any](o *object, name string, f field[T]) T {
	if f.wrong != "" {
		o.wrong(name, "%s", f.wrong)
		var zero T
		return zero
	}
	return f.value
}

// cidr returns a CIDR. If the field has none, cidr reports a problem and returns
// false.
func (o *object) cidr(name string, f field[string]) (netip.Prefix, bool) {
	text, ok := o.short(name, f, maxText)
	if !ok {
		return netip.Prefix{}, false
	}
	return o.parseCIDR(name, text)
}

func (o *object) parseCIDR(name, text string) (netip.Prefix, bool) {
	cidr, err := netip.ParsePrefix(text)
	switch {
	case text == "":
		o.wrong(name, "is missing")
	case err != nil:
		o.wrong(name, "%s is not a CIDR such as 10.0.0.0/26", quote(text))
	case cidr != cidr.Masked():
		o.wrong(name, "%s has host bits, the network is %s", text, cidr.Masked())
	case cidr.Addr().Is4In6():
		o.wrong(name, "%s is an IPv4-mapped IPv6 CIDR", text)
	default:
		return cidr, true
	}
	return netip.Prefix{}, false
}

// moment returns a time, zero for none.
func (o *object) moment(name string, f field[string]) time.Time {
	text := o.text(name, f)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		o.wrong(name, "%s is not a time such as 2026-01-01T00:00:00Z", quote(text))
		return time.Time{}
	}
	if y := t.Year(); y < 1678 || y > 2261 {
		o.wrong(name, "%s is not within the years 1678 to 2261", text)
		return time.Time{}
	}
	t = t.UTC()
	o.l.see(t)
	return t
}
