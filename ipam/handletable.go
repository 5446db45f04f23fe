package ipam

import (
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/block"
)

// A handleTable finds handles by id. A cluster has one for nearly every pod, and a
// Go map of pointers would add half of the memory of everything else for an
// address. So this is a table of its own: handles in chunks that never move, 32
// bytes each, and an index with linear probing. A freed handle is given out again
// before a new one is made. The zero table is not usable; make one with
// newHandleTable.
//
// The hash of an id is that of blocks, and the same in every process.
type handleTable struct {
	index  []slot // a power of two long
	chunks [][]handle
	spare  []uint32 // numbers of handles that were freed
	made   uint32   // handles in the chunks, number 0 included, which is none
	live   int
	// several holds the counts of handles that count in more than one block,
	// by block name. Few do.
	several map[*handle][]count
}

// slot is a place of the index: the number of a handle, 0 for none, and its hash. With
// the hash, searches and removals read hardly any handle but the right one: those of a
// large cluster are in no cache.
type slot struct{ number, hash uint32 }

// chunkLen is how many handles a chunk has.
const chunkLen = 1 << 10

func newHandleTable() handleTable {
	return handleTable{index: make([]slot, 16), made: 1, several: make(map[*handle][]count)}
}

// at returns handle number n.
func (t *handleTable) at(n uint32) *handle { return &t.chunks[n/chunkLen][n%chunkLen] }

// find returns the handle with the id, in any letters, or nil. No handle has the id
// "".
func (t *handleTable) find(id string) *handle {
	if id == "" {
		return nil
	}
	h, _ := t.search(block.MakeHandle(id))
	return h
}

// search returns the handle with the id, in any letters, or nil, and the hash that
// it carries or would carry: that of its key. Simple ids are their own keys. Of the
// others it tries the id as it is first.
func (t *handleTable) search(id block.Handle) (h *handle, hash uint32) {
	hash = id.Hash()
	if h = t.lookup(id.String(), hash); h == nil && !id.Simple() {
		hash = hashOf(id.String())
		h = t.lookup(id.String(), hash)
	}
	return h, hash
}

// hashOf returns the hash that the handle with the id carries.
func hashOf(id string) uint32 { return block.MakeHandle(handleKey(id)).Hash() }

// lookup returns the handle with this id, in any letters, if it carries this hash,
// or nil. Ids are long and similar, so it compares hashes first.
func (t *handleTable) lookup(id string, hash uint32) *handle {
	mask := uint32(len(t.index) - 1)
	for i := hash & mask; t.index[i].number != 0; i = (i + 1) & mask {
		if t.index[i].hash != hash {
			continue
		}
		if h := t.at(t.index[i].number); h.id == id || handleKey(h.id) == handleKey(id) {
			return h
		}
	}
	return nil
}

// add returns a new handle called id, whose key has this hash and must not be
// there, without counts.
func (t *handleTable) add(id string, hash uint32) *handle {
	if 3*len(t.index) < 4*(t.live+1) {
		t.grow()
	}
	var n uint32
	if last := len(t.spare) - 1; last >= 0 {
		n, t.spare = t.spare[last], t.spare[:last]
	} else {
		n = t.made
		t.made++
		if int(n/chunkLen) == len(t.chunks) {
			t.chunks = append(t.chunks, make([]handle, chunkLen))
		}
	}
	t.index[t.free(hash)] = slot{n, hash}
	t.live++
	h := t.at(n)
	h.id, h.hash = id, hash
	return h
}

// free returns the empty place of the index for a new handle with this hash.
func (t *handleTable) free(hash uint32) uint32 {
	mask := uint32(len(t.index) - 1)
	i := hash & mask
	for t.index[i].number != 0 {
		i = (i + 1) & mask
	}
	return i
}

// place returns the place in the index of an existing handle.
func (t *handleTable) place(h *handle) uint32 {
	mask := uint32(len(t.index) - 1)
	i := h.hash & mask
	for t.index[i].hash != h.hash || t.at(t.index[i].number) != h {
		i = (i + 1) & mask
	}
	return i
}

// grow doubles the index.
func (t *handleTable) grow() {
	old := t.index
	t.index = make([]slot, 2*len(old))
	for _, s := range old {
		if s.number != 0 {
			t.index[t.free(s.hash)] = s
		}
	}
}

// remove removes an existing handle.
func (t *handleTable) remove(h *handle) {
	mask := uint32(len(t.index) - 1)
	gap := t.place(h)
	t.spare = append(t.spare, t.index[gap].number)
	t.live--
	*h = handle{}
	// Entries that a taken place had pushed past the gap move back: searches end
	// at an empty place and must still find them.
	for i := (gap + 1) & mask; t.index[i].number != 0; i = (i + 1) & mask {
		home := t.index[i].hash & mask
		if (i-home)&mask >= (i-gap)&mask {
			t.index[gap] = t.index[i]
			gap = i
		}
	}
	t.index[gap] = slot{}
}

// all returns the handles sorted by id.
func (t *handleTable) all() []*handle {
	handles := make([]*handle, 0, t.live)
	for _, s := range t.index {
		if s.number != 0 {
			handles = append(handles, t.at(s.number))
		}
	}
	slices.SortFunc(handles, func(x, y *handle) int { return strings.Compare(x.id, y.id) })
	return handles
}
