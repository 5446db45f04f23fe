package snapshot

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
)

// This file reads handles as the API server has them, many times quicker than
// encoding/json. A dump has one for every pod that there ever was.

// A quickJSON reads JSON whose texts are printable ASCII without escapes. Whatever is
// written otherwise ends it: every method then returns false.
type quickJSON struct{ rest []byte }

func (q *quickJSON) next(b byte) bool {
	for len(q.rest) > 0 && (q.rest[0] == ' ' || q.rest[0] == '\n') {
		q.rest = q.rest[1:]
	}
	if len(q.rest) == 0 || q.rest[0] != b {
		return false
	}
	q.rest = q.rest[1:]
	return true
}

func (q *quickJSON) text() ([]byte, bool) {
	if !q.next('"') {
		return nil, false
	}
	for i, b := range q.rest {
		switch {
		case b == '"':
			text := q.rest[:i]
			q.rest = q.rest[i+1:]
			return text, true
		case b < ' ' || b > '~' || b == '\\':
			return nil, false
		}
	}
	return nil, false
}

// word reads a number or another word, as far as it has letters and digits.
func (q *quickJSON) word() []byte {
	q.next(0) // skips blanks
	n := 0
	for n < len(q.rest) && isAlnum(q.rest[n]) {
		n++
	}
	word := q.rest[:n]
	q.rest = q.rest[n:]
	return word
}

// object reads an object, whose entries no two may have one key.
func (q *quickJSON) object(entry func(key []byte) bool) bool {
	if !q.next('{') {
		return false
	}
	if q.next('}') {
		return true
	}
	for {
		key, ok := q.text()
		if !ok || !q.next(':') || !entry(key) {
			return false
		}
		if q.next('}') {
			return true
		}
		if !q.next(',') {
			return false
		}
	}
}

// quickHandle is a handle as it is read.
type quickHandle struct {
	quickJSON
	has                         uint // keys, so that each comes once
	group, kind, name, id, made []byte
	counts                      []ipam.HandleCount
	last                        []byte // text of the last block, whose texts must ascend
}

// once reports whether a key comes for the first time.
func (h *quickHandle) once(key uint) bool {
	had := h.has&(1<<key) != 0
	h.has |= 1 << key
	return !had
}

// textInto reads a text that comes once.
func (h *quickHandle) textInto(key uint, text *[]byte) (ok bool) {
	*text, ok = h.text()
	return ok && h.once(key)
}

func (h *quickHandle) entry(key []byte) bool {
	switch string(key) {
	case "apiVersion":
		return h.textInto(0, &h.group)
	case "kind":
		return h.textInto(1, &h.kind) && string(h.kind) == "IPAMHandle"
	case "metadata":
		return h.once(2) && h.object(h.metadata)
	case "spec":
		return h.once(3) && h.object(h.spec)
	}
	return false
}

func (h *quickHandle) metadata(key []byte) bool {
	var ignored []byte
	switch string(key) {
	case "name":
		return h.textInto(4, &h.name)
	case "creationTimestamp":
		return h.textInto(5, &h.made)
	case "resourceVersion":
		return h.textInto(6, &ignored)
	case "uid":
		return h.textInto(7, &ignored)
	case "generation":
		return h.once(8) && isDigits(h.word())
	}
	return false
}

func (h *quickHandle) spec(key []byte) bool {
	switch string(key) {
	case "handleID":
		return h.textInto(9, &h.id)
	case "deleted":
		return h.once(10) && string(h.word()) == "false"
	case "block":
		return h.once(11) && h.object(h.block)
	}
	return false
}

// block reads a count. The blocks must come in the order of their texts, as they do.
func (h *quickHandle) block(key []byte) bool {
	if h.last != nil && string(h.last) >= string(key) {
		return false
	}
	h.last = key
	word := h.word()
	if !isDigits(word) {
		return false
	}
	n, err := strconv.Atoi(string(word))
	cidr, wrong := netip.ParsePrefix(string(key))
	if err != nil || wrong != nil || n < 1 || cidr != cidr.Masked() || cidr.Addr().Is4In6() || !possibleBlock(cidr) {
		return false
	}
	h.counts = append(h.counts, ipam.HandleCount{Block: cidr, Count: n})
	return true
}

// isDigits reports whether a text is a number that has no leading zero, and is far below
// every limit.
func isDigits(text []byte) bool {
	return len(text) > 0 && len(text) < 9 && (text[0] != '0' || len(text) == 1) && !slices.ContainsFunc(text, func(b byte) bool { return b < '0' || b > '9' })
}

// handleText reads a handle from its JSON text, or returns false and does nothing.
func (l *Loader) handleText(at place, text []byte) bool {
	h := quickHandle{quickJSON: quickJSON{text}}
	if !h.object(h.entry) || h.next(0) || len(h.rest) > 0 {
		return false
	}
	group := string(h.group)
	if group != groupV1 && group != groupV3 || len(h.kind) == 0 || len(h.name) == 0 || len(h.name) > maxName || len(h.id) == 0 || len(h.id) > maxText {
		return false
	}
	var made time.Time
	if len(h.made) > 0 {
		var err error
		if made, err = time.Parse(time.RFC3339, string(h.made)); err != nil || made.Year() < 1970 || made.Year() > 2200 {
			return false
		}
		made = made.UTC()
		l.see(made)
	}
	l.objects++
	l.known++
	l.listed.set("IPAMHandle")
	at.v3 = group == groupV3
	l.keepHandle(at, ipam.HandleState{ID: string(h.id), Counts: h.counts}, made)
	return true
}

// looksLikeHandle spares other objects the attempt.
func looksLikeHandle(text []byte) bool {
	return bytes.Contains(text[:min(len(text), 128)], []byte(`"IPAMHandle"`))
}
