package snapshot

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
)

// This file reads handles as the API server has them, in one pass over their text. A dump
// has one for every pod that there ever was.

// quickHandle is a handle as it is read.
type quickHandle struct {
	quickJSON
	keys                        keysOnce
	group, kind, name, id, made []byte
	counts                      []ipam.HandleCount
	last                        []byte // text of the last block, whose texts must ascend
	at                          time.Time
}

// textInto reads a text that comes once.
func (h *quickHandle) textInto(key uint, text *[]byte) (ok bool) {
	*text, ok = h.text()
	return ok && h.keys.first(key)
}

func (h *quickHandle) entry(key []byte) bool {
	switch string(key) {
	case "apiVersion":
		return h.textInto(0, &h.group)
	case "kind":
		return h.textInto(1, &h.kind)
	case "metadata":
		return h.keys.first(2) && h.object(h.metadata)
	case "spec":
		return h.keys.first(3) && h.object(h.spec)
	case "items":
		return false // none of a handle's
	}
	return h.skip(0)
}

func (h *quickHandle) metadata(key []byte) bool {
	switch string(key) {
	case "name":
		return h.textInto(4, &h.name)
	case "creationTimestamp":
		return h.textInto(5, &h.made)
	}
	return h.skip(0)
}

func (h *quickHandle) spec(key []byte) bool {
	switch string(key) {
	case "handleID":
		return h.textInto(6, &h.id)
	case "deleted":
		return h.keys.first(7) && string(h.word()) == "false"
	case "block":
		return h.keys.first(8) && h.object(h.block)
	}
	return h.skip(0)
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

// readQuickHandle reads a handle from the beginning of a text, or returns false.
func readQuickHandle(text []byte) (h quickHandle, ok bool) {
	h.rest = text
	if !h.object(h.entry) {
		return h, false
	}
	group := string(h.group)
	if group != groupV1 && group != groupV3 || string(h.kind) != "IPAMHandle" || len(h.name) == 0 || len(h.name) > maxName || len(h.id) == 0 || len(h.id) > maxText {
		return h, false
	}
	if len(h.made) > 0 {
		made, err := time.Parse(time.RFC3339, string(h.made))
		if err != nil || made.Year() < 1970 || made.Year() > 2200 {
			return h, false
		}
		h.at = made.UTC()
	}
	return h, true
}

// handleRead is a handle that was read quickly, apart from its text.
type handleRead struct {
	ipam.HandleState
	made time.Time
	v3   bool
}

func (h *quickHandle) result() handleRead {
	return handleRead{ipam.HandleState{ID: string(h.id), Counts: h.counts}, h.at, string(h.group) == groupV3}
}

// takeHandle keeps a handle that was read quickly.
func (l *Loader) takeHandle(at place, h *handleRead) {
	l.see(h.made)
	l.objects++
	l.known++
	l.listed.set("IPAMHandle")
	at.v3 = h.v3
	l.keepHandle(at, h.HandleState, h.made)
}

// looksLikeHandle spares other objects the attempt.
func looksLikeHandle(text []byte) bool {
	return bytes.Contains(text[:min(len(text), 128)], []byte(`"IPAMHandle"`))
}
