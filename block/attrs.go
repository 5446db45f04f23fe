package block

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"strconv"
)

// Attrs is an immutable set of attributes: keys and values that are any strings,
// each key once. In Calico they say who holds an address: `pod`, `namespace`,
// `node`, … (§11).
//
// The zero value is the empty set. Two sets with the same content are equal under
// ==, whoever made them, so Attrs can be a map key; it is as wide as a string, free
// to copy, and safe for concurrent use.
type Attrs struct {
	// text is, for every key in byte order, the lengths and bytes of key and value:
	// no two sets have the same. Sets of pods live as long as their pods and are
	// equal to no other, so to keep one of each in a table of all would cost more
	// than everything else that is done for a pod.
	text string
}

// MakeAttrs returns the set with the content of m, which may be nil and stays the
// caller's. It sorts, and copies all keys and values: make a set once and keep it,
// rather than once a request. Sets made twice take their memory twice.
func MakeAttrs(m map[string]string) Attrs {
	if len(m) == 0 {
		return Attrs{}
	}
	// What a pod has fits into these, so that its set costs one allocation.
	var keyRoom [8]string
	var textRoom [256]byte
	keys := slices.AppendSeq(keyRoom[:0], maps.Keys(m))
	slices.Sort(keys)
	text := textRoom[:0]
	for _, k := range keys {
		text = appendText(text, k)
		text = appendText(text, m[k])
	}
	return Attrs{string(text)}
}

// With returns the set with one more key, or another value of a key that it has. It
// costs less than to make the whole set anew.
func (a Attrs) With(key, value string) Attrs {
	before, after := a.text, ""
	for text := a.text; text != ""; {
		k, rest := cutText(text)
		_, next := cutText(rest)
		if k >= key {
			before, after = a.text[:len(a.text)-len(text)], text
			if k == key {
				after = next
			}
			break
		}
		text = next
	}
	var room [256]byte
	return Attrs{string(append(appendText(appendText(append(room[:0], before...), key), value), after...))}
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// cutText is the inverse of appendText: the first string of text, and the rest.
func cutText(text string) (s, rest string) {
	var n, shift uint
	for i := 0; ; i++ {
		n |= uint(text[i]&0x7f) << shift
		if text[i] < 0x80 {
			text = text[i+1:]
			return text[:n], text[n:]
		}
		shift += 7
	}
}

// Get returns the value of key, and whether the set has it. It looks through the
// keys one by one and allocates nothing.
func (a Attrs) Get(key string) (value string, ok bool) {
	for text := a.text; text != ""; {
		var k, v string
		k, text = cutText(text)
		v, text = cutText(text)
		if k == key {
			return v, true
		}
	}
	return "", false
}

// Len returns the number of keys.
func (a Attrs) Len() int {
	n := 0
	for range a.All() {
		n++
	}
	return n
}

// All yields the keys and values in byte order of the keys.
func (a Attrs) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for text := a.text; text != ""; {
			var k, v string
			k, text = cutText(text)
			v, text = cutText(text)
			if !yield(k, v) {
				return
			}
		}
	}
}

// Map returns the content as a new map, which is the caller's; nil for the empty
// set.
func (a Attrs) Map() map[string]string {
	if a == (Attrs{}) {
		return nil
	}
	return maps.Collect(a.All())
}

// String returns the content for people to read, {"node":"n1","pod":"p1"}, keys in
// byte order and everything quoted as in Go; {} for the empty set.
func (a Attrs) String() string {
	s := []byte{'{'}
	for k, v := range a.All() {
		if len(s) > 1 {
			s = append(s, ',')
		}
		s = append(strconv.AppendQuote(s, k), ':')
		s = strconv.AppendQuote(s, v)
	}
	return string(append(s, '}'))
}
