package sim

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Entry is a scenario as it stands in a file.
type Entry struct {
	Scenario
	File string
	Line int // where it begins, from 1
	// Want are the results that stand beside the scenario, by the keys of [Result]
	// (but headroom, nodes, samples and map) and "datastoreOps"; empty if there are
	// none.
	Want map[string]json.RawMessage
}

// FileError is an error about a place in a file.
type FileError struct {
	File string
	Line int   // from 1; 0 for the file as a whole
	Err  error // an [InvalidError], or about the file's syntax
}

// Error implements error.
func (e *FileError) Error() string {
	text := e.Err.Error()
	var invalid *InvalidError
	if errors.As(e.Err, &invalid) {
		text = invalid.Path + " " + invalid.Reason
	}
	if e.Line == 0 {
		return e.File + ": " + text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
}

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// datastoreOps is the key of [Entry.Want] for how many calls to the datastore the
// real allocator made.
const datastoreOps = "datastoreOps"

// Read reads the scenarios of a file: JSON if it begins with a brace, one after the
// other as in plan.jsonl, or YAML documents, with the same keys. An error is a
// [FileError], of the first thing that is wrong, and no scenario comes back with one:
// each has been validated. One that names no block size may have a pool for smaller
// ones than Calico's default, and can be run with those only. One with pools of both
// families becomes two, IPv4 before IPv6, in which every pod asks for an address each.
// The name is for errors
// and entries only.
func Read(name string, r io.Reader) ([]Entry, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, &FileError{File: name, Err: err}
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	f := file{name: name}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		err = f.json(text)
	} else {
		err = f.yaml(text, 0)
	}
	if err == nil && len(f.entries) == 0 {
		err = &FileError{File: name, Err: errors.New("no scenario in it")}
	}
	if err != nil {
		return nil, err
	}
	return f.entries, nil
}

// file is one being read.
type file struct {
	name    string
	entries []Entry
}

// json reads JSON values, each of which is YAML too, but for some ways to escape
// characters.
func (f *file) json(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	line, counted := 0, 0 // lines before what is counted
	for {
		var value json.RawMessage
		err := d.Decode(&value)
		if err == io.EOF {
			return nil
		}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return &FileError{f.name, 1 + bytes.Count(text[:max(syntax.Offset-1, 0)], []byte("\n")), err}
		}
		if err != nil { // cut short
			return &FileError{f.name, 1 + bytes.Count(bytes.TrimRight(text, "\n"), []byte("\n")), err}
		}
		start := int(d.InputOffset()) - len(value)
		line += bytes.Count(text[counted:start], []byte("\n"))
		counted = start
		if yaml.Unmarshal(value, new(yaml.Node)) != nil {
			value = plain(value)
		}
		if err := f.yaml(value, line); err != nil {
			return err
		}
	}
}

// plain returns a JSON value on one line, in which only what must be is escaped.
func plain(value json.RawMessage) []byte {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var any any
	if d.Decode(&any) != nil {
		return value
	}
	text, err := json.Marshal(any)
	if err != nil {
		return value
	}
	return text
}

// yaml reads YAML documents that so many lines come before.
func (f *file) yaml(text []byte, before int) error {
	d := yaml.NewDecoder(bufio.NewReader(bytes.NewReader(text)))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return f.syntax(err, before)
		}
		if doc.Kind == 0 || len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
			continue // an empty document
		}
		if err := f.entry(doc.Content[0], before); err != nil {
			return err
		}
	}
}

// lineOf matches what the YAML package says of where an error is.
var lineOf = regexp.MustCompile(`^line (\d+): `)

// syntax returns an error of the YAML package as ours.
func (f *file) syntax(err error, before int) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.Join(strings.Fields(strings.TrimPrefix(text, "unmarshal errors:")), " ")
	line := 1
	if at := lineOf.FindStringSubmatch(text); at != nil {
		line, _ = strconv.Atoi(at[1])
		text = strings.TrimPrefix(text, at[0])
	}
	return &FileError{f.name, before + line, errors.New(text)}
}

// entry reads one scenario.
func (f *file) entry(n *yaml.Node, before int) error {
	fail := func(at *yaml.Node, err error) error { return &FileError{f.name, before + at.Line, err} }
	if n.Kind != yaml.MappingNode {
		return fail(n, errors.New("not a scenario: it has no keys"))
	}
	if at, err := odd(n); at != nil {
		return fail(at, err)
	}
	var values map[string]any
	if err := n.Decode(&values); err != nil { // aliases without end, say
		return f.syntax(err, before+n.Line-1)
	}
	if at, key := unknown(n, reflect.TypeFor[document]()); at != nil {
		return fail(at, fmt.Errorf("unknown key %q", key))
	}
	e := Entry{File: f.name, Line: before + n.Line, Want: make(map[string]json.RawMessage)}
	text, err := json.Marshal(values)
	if err == nil {
		err = json.Unmarshal(text, &e.Scenario)
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		path := strings.TrimPrefix(wrong.Field, "Group.") // which is embedded
		return fail(find(n, path), fmt.Errorf("%s: %s, must be %s", path, wrong.Value, due(wrong.Type)))
	case err != nil: // a text that cannot be read
		if at, key := quoted(n, "", err.Error()); at != nil {
			return fail(at, fmt.Errorf("%s: %w", key, err))
		}
		return fail(n, err)
	}
	entries := []Entry{e}
	families := e.families()
	if families != nil {
		entries = entries[:0]
		for i := range families {
			entries = append(entries, Entry{Scenario: families[i].Scenario, File: e.File, Line: e.Line, Want: e.Want})
		}
	}
	for i := range entries {
		err := entries[i].validate()
		if families != nil {
			err = cmp.Or(e.namesTwice(), families[i].inWhole(err))
		}
		var invalid *InvalidError
		if errors.As(err, &invalid) {
			return fail(find(n, invalid.Path), invalid)
		}
	}
	ours := keys(reflect.TypeFor[Scenario]())
	for key, value := range values {
		if _, ok := ours[key]; ok {
			continue
		}
		if families != nil {
			return fail(find(n, key), fmt.Errorf("%s: no result that can be compared: each family has its own", key))
		}
		if slices.Contains(onRequest, key) {
			return fail(find(n, key), fmt.Errorf("%s: no result that can be compared", key))
		}
		if e.Want[key], err = json.Marshal(value); err != nil {
			return fail(n, err)
		}
	}
	f.entries = append(f.entries, entries...)
	return nil
}

// validate is [Scenario.Validate] for a scenario that may leave its block size to
// whoever compares them: then the pool may be smaller than a block of Calico's
// default.
func (e *Entry) validate() error {
	s := e.Scenario
	if s.BlockSize == 0 && len(s.Pools) == 0 && s.Pool.IsValid() {
		s.BlockSize = max(s.pools()[0].spec().WithDefaults().BlockSize, s.Pool.Bits())
	}
	return s.Validate()
}

// document is all that may stand in a file: a scenario and its results.
type document struct {
	Scenario
	Result
	DatastoreOps int `json:"datastoreOps"`
}

// onRequest are the keys of results that are made only when somebody asks.
var onRequest = []string{"headroom", "peaks", "perNode", "samples", "map"}

// keys returns the JSON keys of a struct and their types.
func keys(t reflect.Type) map[string]reflect.Type {
	all := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "" {
			all[key] = f.Type
		}
	}
	return all
}

// due says what a type looks like in a file.
func due(t reflect.Type) string {
	if t == reflect.TypeFor[Duration]() {
		return "a duration such as 1m30s"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "keys with values"
	default:
		return "text"
	}
}

// quoted returns the first value under n that the text quotes, and its key; nil if
// there is none.
func quoted(n *yaml.Node, key, text string) (at *yaml.Node, of string) {
	if n.Kind == yaml.ScalarNode && strings.Contains(text, strconv.Quote(n.Value)) {
		return n, key
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			key = n.Content[i-1].Value
		}
		if at, of := quoted(child, key, text); at != nil {
			return at, of
		}
	}
	return nil, ""
}

// odd returns the first thing under n that JSON has nothing for, and what is wrong
// with it: a key that stands beside one of its name, one that is no text, a number
// that is none; nil if there is none.
func odd(n *yaml.Node) (at *yaml.Node, err error) {
	seen := make(map[string]bool)
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if child.Kind != yaml.ScalarNode || child.Tag != "!!str" {
				return child, fmt.Errorf("key %q must be text: put it in quotes", child.Value)
			}
			if seen[child.Value] {
				return child, fmt.Errorf("key %q stands there twice", child.Value)
			}
			seen[child.Value] = true
		}
		if at, err := odd(child); at != nil {
			return at, err
		}
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!float" {
		if v, err := strconv.ParseFloat(strings.Replace(n.Value, ".", "", 1), 64); err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			return n, fmt.Errorf("%s: not a number that can be reached", n.Value)
		}
	}
	return nil, nil
}

// unknown returns the first key under n that a value of the type has no room for;
// nil if there is none.
func unknown(n *yaml.Node, t reflect.Type) (at *yaml.Node, key string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch {
	case n.Kind == yaml.AliasNode:
		return unknown(n.Alias, t)
	case n.Kind == yaml.SequenceNode:
		for _, child := range n.Content {
			if at, key := unknown(child, t); at != nil {
				return at, key
			}
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		known := keys(t)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			of, ok := known[key]
			if !ok {
				return n.Content[i], key
			}
			if at, key := unknown(n.Content[i+1], of); at != nil {
				return at, key
			}
		}
	}
	return nil, ""
}

// find returns where the path of an [InvalidError] is in the file, or what there
// is of it.
func find(n *yaml.Node, path string) *yaml.Node {
	path = strings.ReplaceAll(strings.ReplaceAll(path, "[", "."), "]", "")
	for part := range strings.SplitSeq(path, ".") {
		next := child(n, part)
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// child returns the value of a key, or the element of a number; nil if there is
// none.
func child(n *yaml.Node, part string) *yaml.Node {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		for i, element := range n.Content {
			if fmt.Sprint(i) == part {
				return element
			}
		}
	}
	return nil
}

// Differences compares a result with what stands in the file, "datastoreOps"
// aside, and returns a line for each field that differs: "borrowed: 2277, want
// 2278". Of objects only the keys are compared that the file has.
func (e *Entry) Differences(got *Result) []string {
	text, err := json.Marshal(got)
	if err != nil {
		return []string{err.Error()}
	}
	var have map[string]json.RawMessage
	if err := json.Unmarshal(text, &have); err != nil {
		return []string{err.Error()}
	}
	want := maps.Clone(e.Want)
	delete(want, datastoreOps)
	if e.whole() {
		// Where there was none, plan.jsonl has no key.
		for _, key := range leftOut {
			if _, ok := want[key]; !ok {
				want[key] = json.RawMessage("0")
			}
		}
	}
	return differences("", have, want)
}

// leftOut are the keys of totals that are left out where they are 0.
var leftOut = []string{"firstBorrowRequest", "firstRefusalRequest", "refusedTaken"}

// whole reports whether the file has all totals that are never left out.
func (e *Entry) whole() bool {
	for key := range keys(reflect.TypeFor[Totals]()) {
		if _, ok := e.Want[key]; !ok && !slices.Contains(leftOut, key) {
			return false
		}
	}
	return true
}

func differences(path string, have, want map[string]json.RawMessage) (lines []string) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		var inHave, inWant map[string]json.RawMessage
		if json.Unmarshal(want[key], &inWant) == nil && json.Unmarshal(have[key], &inHave) == nil && inWant != nil && inHave != nil {
			lines = append(lines, differences(path+key+".", inHave, inWant)...)
			continue
		}
		got := have[key]
		if got == nil {
			got = json.RawMessage("0") // what is empty is left out
		}
		if !bytes.Equal(got, want[key]) {
			lines = append(lines, fmt.Sprintf("%s%s: %s, want %s", path, key, got, want[key]))
		}
	}
	return lines
}
