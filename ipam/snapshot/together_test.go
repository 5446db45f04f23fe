package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

// longList draws Lists of many objects, most of them sound, and a faulty end.
func longList(src property.Source) string {
	lists := make([]string, 1+src.Pick("lists", 2))
	for i := range lists {
		var objects []string
		for range 10 + src.Pick("objects", 30) {
			text := quickObjects[src.Pick("object", len(quickObjects))]
			switch src.Pick("odd", 40) {
			case 0:
				text = strings.Replace(text, `"name":"`, `"name":"é`, 1)
			case 1:
				text = strings.Replace(text, `"metadata":{`, `"metadata":{"more":[{"apiVersion":"a"},{"apiVersion":"b","kind":"c"},`+"\n"+`{"apiVersion":"b","kind":"c"}],`, 1)
			case 2:
				text = strings.Replace(text, `"kind":`, `"kind":"x","kind":`, 1)
			case 3:
				text = strings.Replace(text, `"spec":`, `"spec":[],"x":`, 1)
			case 4:
				if src.Pick("unsound", 8) == 0 {
					text = strings.Replace(text, `"metadata":`, `"metadata"`, 1)
				}
			}
			objects = append(objects, text)
		}
		between := []string{",", ",\n", "\n,\n  ", ", ", ",\n{}\n,"}[src.Pick("between", 5)]
		lists[i] = `{"apiVersion":"v1","items":[` + strings.Join(objects, between) + `],"kind":"List"}`
		if src.Pick("indented", 3) == 0 {
			var indented bytes.Buffer
			if json.Indent(&indented, []byte(lists[i]), "", "    ") == nil {
				lists[i] = indented.String()
			}
		}
	}
	text := strings.Join(lists, "\n")
	switch src.Pick("end", 8) {
	case 0:
		text = text[:src.Pick("cut", len(text))]
	case 1:
		text = strings.TrimSuffix(text, "]}")
	}
	return text
}

// togetherDiffers returns how a text is read otherwise in batches than by encoding/json.
func togetherDiffers(text string, size int, readers *int) error {
	fast, slow := NewLoader(Options{Lenient: true}), NewLoader(Options{Lenient: true})
	fast.batch, slow.careful = size, true
	var said [2]error
	var read [2]*Snapshot
	for i, l := range []*Loader{fast, slow} {
		if err := l.Add("x", strings.NewReader(text)); err != nil {
			return err
		}
		read[i], said[i] = l.Snapshot()
	}
	for _, r := range fast.others {
		if len(r.shared) > 0 {
			*readers++
			break
		}
	}
	if !reflect.DeepEqual(said[0], said[1]) || !reflect.DeepEqual(read[0], read[1]) {
		return fmt.Errorf("%s is read in batches of %d as %+v, %v\nand by encoding/json as %+v, %v", text, size, read[0], said[0], read[1], said[1])
	}
	return nil
}

// TestTogether: a list is read in batches as encoding/json reads it, wherever the batches
// end, whatever is odd about its objects, and wherever it ends.
func TestTogether(t *testing.T) {
	together, cases := 0, 0
	property.Check(t, 1000, 1, func(t *rapid.T) {
		src := property.Rapid(t)
		cases++
		if err := togetherDiffers(longList(src), 800+src.Pick("size", 3000), &together); err != nil {
			t.Fatal(err)
		}
	})
	if !testing.Short() { // which has few cases
		must.Greater(t, cases, 2*together, must.Sprint("lists that others helped to read"))
	}
}

// TestSeam: the last object begins where others do, and not within an object.
func TestSeam(t *testing.T) {
	for _, between := range []string{",", ",\n", "\n\t, "} {
		object := `{"a":[{"b":1}` + between + `{"b":1,"c":[{"a":1}` + between + `{"a":1}]}],"b":"},{"}`
		list := between + object + between + object + between + object
		s := seamOf([]byte(between), []byte(object))
		for n := range len(list) + 1 {
			got := s.last([]byte(list[:n]))
			must.Zero(t, got%(len(between)+len(object)), must.Sprint(list[:n]))
		}
		must.Eq(t, 2*(len(between)+len(object)), s.last([]byte(list)), must.Sprint(list))
	}
	must.Nil(t, seamOf([]byte(","), []byte(`{"a":1}`)).between)
}

// TestBrokenTogether: the property catches readers that take guesses for granted.
func TestBrokenTogether(t *testing.T) {
	for name, broken := range map[string]func(string) string{
		"loses an object":  func(text string) string { return strings.Replace(text, `"kind":"Namespace"`, `"kind":"Lease"`, 1) },
		"miscounts lines":  func(text string) string { return strings.Replace(text, ",\n", ",", 1) },
		"skips what fails": func(text string) string { return strings.ReplaceAll(text, `"metadata"{`, `"metadata":{`) },
	} {
		t.Run(name, func(t *testing.T) {
			must.True(t, property.Breaks(t, 5000, 1, func(t *rapid.T) {
				src := property.Rapid(t)
				text := longList(src)
				got, gotErr := readBy(broken(text), false, false)
				want, wantErr := readBy(text, true, false)
				if gotErr != wantErr || fmt.Sprint(got.Objects, got.Skipped, got.Problems) != fmt.Sprint(want.Objects, want.Skipped, want.Problems) {
					t.Fatal("differs")
				}
			}))
		})
	}
}
