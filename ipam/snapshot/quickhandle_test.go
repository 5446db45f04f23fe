package snapshot

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

// handleDiffers returns how a handle is read otherwise by the quick way, if it reads it.
func handleDiffers(text string, quick func(*Loader, place, []byte) bool) error {
	fast, slow := NewLoader(Options{Lenient: true}), NewLoader(Options{Lenient: true})
	fast.files, slow.files = []string{"x"}, []string{"x"}
	at := place{line: 1, order: 1}
	if !quick(fast, at, []byte(text)) {
		if !reflect.DeepEqual(fast, NewLoader(Options{Lenient: true})) && len(fast.given)+fast.objects > 0 {
			return fmt.Errorf("%s is left to others, and something was done", text)
		}
		return nil
	}
	slow.careful = true
	slow.objectText(at, []byte(" \n\t"+text), "", "")
	slow.careful = false
	if !reflect.DeepEqual(fast, slow) {
		return fmt.Errorf("%s is read as %+v, and by encoding/json as %+v", text, fast, slow)
	}
	return nil
}

// handleText draws a handle, odd in some way or not.
func handleText(src property.Source) string {
	pick := func(of string, list ...string) string {
		if i := src.Pick(of, 8*len(list)); i < len(list) {
			return list[i]
		}
		return list[0]
	}
	count := func() string {
		return pick("count", `"10.0.0.0/26":1`, `"10.0.0.64/26":63`, `"fd00::/122":2`, `"10.0.0.1/26":1`, `"10.0.0.0/26":0`, `"10.0.0.0/26":-1`, `"10.0.0.0/26":"1"`, `"10.0.0.0/8":1`, `"x":1`, `"::ffff:10.0.0.0/122":1`, `"10.0.0.0/26":01`, `"10.0.0.0/26":1.5`, `"10.0.0.0/26":99999999`, `"10.0.0.0/26":9999999999`, `"10.0.0.0/26":null`)
	}
	counts := count()
	if src.Pick("blocks", 3) == 2 {
		counts += "," + count()
	}
	parts := []string{
		pick("group", `"apiVersion":"crd.projectcalico.org/v1"`, `"apiVersion":"projectcalico.org/v3"`, `"apiVersion":"v1"`, `"apiVersion":1`, `"ApiVersion":"projectcalico.org/v3"`),
		pick("kind", `"kind":"IPAMHandle"`, `"kind":"IPAMBlock"`, `"kind":null`, `"Kind":"IPAMHandle"`),
		`"metadata":{` + strings.Join([]string{
			pick("name", `"name":"k8s-pod-network.a"`, `"name":""`, `"name":"a\u0062"`, `"name":"é"`, `"name":1`, `"Name":"a"`),
			pick("made", `"creationTimestamp":"2026-01-01T00:00:00Z"`, `"creationTimestamp":"2026-01-01T01:00:00+01:00"`, `"creationTimestamp":"0001-01-01T00:00:00Z"`, `"creationTimestamp":"x"`, `"creationTimestamp":null`, `"creationTimestamp":""`),
			pick("rest", `"uid":"1-2"`, `"generation":1`, `"resourceVersion":"1"`, `"labels":{"a":"b"}`, `"labels":1`, `"name":"twice"`, `"annotations":{"a":"\\u003c\\""}`, `"managedFields":[{"a":{"f:b":{}},"c":[-1.5e3,true,null,[]]}]`, `"NAME":"b"`),
		}, ",") + "}",
		`"spec":{` + strings.Join([]string{
			pick("block", `"block":{`+counts+`}`, `"block":{}`, `"block":null`, `"block":[]`),
			pick("deleted", `"deleted":false`, `"deleted":true`, `"deleted":"false"`, `"deleted":"true"`, `"deleted":0`, `"deleted":null`),
			pick("id", `"handleID":"k8s-pod-network.a"`, `"handleID":"B"`, `"handleID":""`, `"handleID":"a\r"`, `"handleID":null`, `"handleid":"c"`),
		}, ",") + "}",
	}
	if src.Pick("drop", 8) == 7 {
		i := src.Pick("which", len(parts))
		parts = append(parts[:i], parts[i+1:]...)
	}
	if src.Pick("again", 10) == 9 {
		parts = append(parts, parts[src.Pick("which", len(parts))])
	}
	text := "{" + strings.Join(parts, pick("blank", ",", ", ", ",\n  ")) + "}"
	return text + pick("end", "", " ", "\n", "x", "{}")
}

// readHandle reads a handle the quick way, if that can read it.
func readHandle(l *Loader, at place, text []byte) bool {
	h, ok := readQuickHandle(text)
	if ok = ok && !h.goesOn(); ok {
		read := h.result()
		l.takeHandle(at, &read)
	}
	return ok
}

// TestQuickHandle: a handle that is read the quick way is read as encoding/json reads it.
func TestQuickHandle(t *testing.T) {
	read := 0
	property.Check(t, 5000, 1, func(t *rapid.T) {
		err := handleDiffers(handleText(property.Rapid(t)), func(l *Loader, at place, text []byte) bool {
			ok := readHandle(l, at, text)
			if ok {
				read++
			}
			return ok
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	if !testing.Short() { // which has few cases
		must.Greater(t, 10, read)
	}
}

// TestBrokenQuickHandle: the property catches a reader that takes too much.
func TestBrokenQuickHandle(t *testing.T) {
	for name, broken := range map[string]func(l *Loader, at place, text []byte) bool{
		"overlooks deleted ones": func(l *Loader, at place, text []byte) bool {
			return readHandle(l, at, []byte(strings.Replace(string(text), `"deleted":true`, `"deleted":false`, 1)))
		},
		"forgets when it was made": func(l *Loader, at place, text []byte) bool {
			ok := readHandle(l, at, text)
			for _, piece := range l.given {
				for i := range piece {
					piece[i].made = time.Time{}
				}
			}
			return ok
		},
		"takes any count": func(l *Loader, at place, text []byte) bool {
			return readHandle(l, at, []byte(strings.Replace(string(text), `:0}`, `:1}`, 1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			must.True(t, property.Breaks(t, 5000, 1, func(t *rapid.T) {
				if err := handleDiffers(handleText(property.Rapid(t)), broken); err != nil {
					t.Fatal(err)
				}
			}))
		})
	}
}
