package block

import "strings"

// HostReservedHandle is the handle of the addresses at both ends of a block that
// are set aside for a Windows host. They are in use, but a block with no other
// allocation is empty (§10).
const HostReservedHandle = "windows-reserved-ipam-handle"

// IsHostReserved reports whether a handle is [HostReservedHandle], in capital or
// small letters: Calico compares it in lower case (§10).
func IsHostReserved(handle string) bool {
	// Few handles begin with a w.
	return len(handle) >= len(HostReservedHandle) && handle[0]|0x20 == HostReservedHandle[0] && strings.ToLower(handle) == HostReservedHandle
}

// A Handle is the id of a handle, read once: ids are long, and a request needs the
// hash of one in several places. The zero Handle has no id. Equal ids make equal
// Handles.
type Handle struct {
	id     string
	hash   uint32
	simple bool
}

// MakeHandle returns the handle with this id; "" makes the zero Handle.
func MakeHandle(id string) Handle {
	if id == "" {
		return Handle{}
	}
	hash, all, some := readText(id)
	// Bytes with bit 5 but not bit 7 are from 0x20 to 0x3f and from 0x60 to 0x7f.
	return Handle{id, hash, all&(0x20*each)|^some&(0x80*each) == 0xa0*each}
}

// String returns the id.
func (h Handle) String() string { return h.id }

// Hash returns a hash of the id, which is the same in every process; 0 for the zero
// Handle. Every bit of the id changes every bit of the hash about half of the time.
func (h Handle) Hash() uint32 { return h.hash }

// Simple reports whether all bytes of the id are ASCII from the space on, and none is
// a capital letter or one of @[\]^_. Nearly all ids are simple: they are in lower case
// already, and have no carriage return, at which Calico cuts ids (§1, §9). The zero
// Handle is not simple.
func (h Handle) Simple() bool { return h.simple }

// Sharing returns the handle with the given string for its id if they are equal, so
// that memory keeps one copy.
func (h Handle) Sharing(id string) Handle {
	if h.id == id {
		h.id = id
	}
	return h
}
