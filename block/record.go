package block

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Record is an attribute record, which several allocations may share (§6).
type Record struct {
	// Handle is the id of the handle, empty if there is none.
	Handle string
	// Active and Alternate are the attributes of the two owners.
	Active, Alternate Attrs
	// ReleasedAt is the moment of the release in UTC, whole seconds, if the
	// addresses are cooling down; else the zero Time. A cooling record has neither
	// handle nor attributes.
	ReleasedAt time.Time
}

// record is a slot of an attribute record, kept at 48 bytes: a cluster has one for
// nearly every pod. Alternate attributes and times of release, which few records
// have, are in maps of the block.
//
// A slot with refs 0 is unused: it has no content and is on the list of spare
// slots. All others but the cooling ones are in the chain of their bucket. Slot 0
// is always unused and on no list. The number 0 ends every list and chain, so
// chain and unchain may write to the record after the last one without a branch.
type record struct {
	handle string
	active Attrs
	birth  uint32 // records are listed in this order
	sum    uint32 // sumOf handle and active
	refs   uint16 // ordinals that point here
	hint   uint16 // an ordinal that was made to point here once, or cools
	next   uint16 // chain of the bucket, or list of spare slots
	prev   uint16 // chain of the bucket
}

// cools is the hint of a cooling record: no ordinal has that number.
const cools = math.MaxUint16

func (r *record) cooling() bool { return r.hint == cools }

// cool makes the record in slot i, which is in no chain, a cooling one, released
// at these Unix seconds.
func (b *Block) cool(i uint16, at int64) {
	b.records[i].hint = cools
	if b.releases == nil {
		b.releases = make(map[uint16]int64)
	}
	b.releases[i] = at
}

// cooled reports whether the record in slot i is a cooling one that has cooled down.
func (b *Block) cooled(i uint16, cold Cold) bool {
	return b.records[i].cooling() && b.releases[i] <= int64(cold)
}

// isHost reports whether the record is that of host-reserved ordinals.
func (r *record) isHost() bool { return IsHostReserved(r.handle) }

// public returns the record in slot i as an exported Record.
func (b *Block) public(i uint16) Record {
	r := &b.records[i]
	public := Record{Handle: r.handle, Active: r.active, Alternate: b.alternates[i]}
	if r.cooling() {
		public.ReleasedAt = time.Unix(b.releases[i], 0).UTC()
	}
	return public
}

func (b *Block) bucket(sum uint32) *uint16 {
	return &b.cells[int(sum)&(len(b.cells)-1)].bucket
}

// hold returns the slot of the record for an allocation of ord to this owner, and
// adds one to its references. That is the oldest record with the same handle and
// attributes and no alternate owner, else a new one.
func (b *Block) hold(ord uint16, to *Owner) uint16 {
	sum := to.Handle.hash
	if to.Handle.id == "" {
		sum = sumOf(to.Handle, to.Active) // most owners need no call
	}
	if first := *b.bucket(sum); first != 0 {
		if i := b.find(first, sum, to); i != 0 {
			b.share(i, ord)
			return i
		}
	}
	i := b.newRecord()
	r := &b.records[i]
	r.handle = to.Handle.id
	r.active = to.Active
	r.sum = sum
	r.refs = 1
	r.hint = ord
	b.chain(i, r)
	if IsHostReserved(r.handle) { // inlined, as isHost is not
		b.host++
	}
	return i
}

// number returns the next number for the order of records.
func (b *Block) number() uint32 {
	if b.born == math.MaxUint32 {
		b.renumber()
	}
	b.born++
	return b.born - 1
}

// renumber restarts the numbers at 0 and keeps the order, when they run out: every
// 4,294,967,295 records. If it were inlined, number would be too large to be.
//
//go:noinline
func (b *Block) renumber() {
	b.born = 0
	for _, i := range b.inOrder() {
		b.records[i].birth = b.born
		b.born++
	}
}

// find looks through a chain for the record that hold wants; 0 if there is none.
// It compares sums first, so that it reads hardly any handle in vain.
func (b *Block) find(i uint16, sum uint32, to *Owner) (found uint16) {
	records := b.records
	for i != 0 {
		r := &records[i]
		if r.sum == sum && sameText(r.active.text, to.Active.text) && sameText(r.handle, to.Handle.id) && !b.hasAlternate(i) &&
			(found == 0 || r.birth < records[found].birth) {
			found = i
		}
		i = r.next
	}
	return found
}

// sameText reports whether two strings are equal. Most searches that succeed are
// for empty strings, and comparing those with == costs a call.
func sameText(x, y string) bool { return len(x) == len(y) && (x == "" || x == y) }

// hasAlternate reports whether the record in slot i has an alternate owner. Nearly
// no block has alternate owners; then there is no lookup.
func (b *Block) hasAlternate(i uint16) bool {
	return b.alternates != nil && b.alternates[i] != (Attrs{})
}

// share counts one more ordinal that points at a record.
func (b *Block) share(i, ord uint16) {
	r := &b.records[i]
	r.refs++
	r.hint = ord
}

// setAlternate sets the attributes of the alternate owner of the record in slot i.
func (b *Block) setAlternate(i uint16, attrs Attrs) {
	switch {
	case attrs == Attrs{}:
		delete(b.alternates, i)
	case b.alternates == nil:
		b.alternates = map[uint16]Attrs{i: attrs}
	default:
		b.alternates[i] = attrs
	}
}

// HostReserved returns the number of ordinals of [HostReservedHandle] (§10). Few
// blocks have any, so this counts them on demand and Take does not.
func (b *Block) HostReserved() int {
	n := 0
	if b.host > 0 {
		for i := range b.records {
			if r := &b.records[i]; r.refs > 0 && r.isHost() {
				n += int(r.refs)
			}
		}
	}
	return n
}

// newRecord returns an empty slot, not cooling, in no chain and without references.
func (b *Block) newRecord() uint16 {
	i := b.spare
	if i == 0 {
		i = b.moreRecords()
	}
	r := &b.records[i]
	b.spare = r.next
	r.birth = b.number()
	return i
}

// moreRecords returns a slot that was never used. Besides slot 0 there is room for
// 1, 4, 16, … slots, at most one for each ordinal.
func (b *Block) moreRecords() uint16 {
	n := len(b.records)
	switch {
	case cap(b.records) == 0:
		b.records = b.few[:0]
	case n == cap(b.records):
		b.records = append(make([]record, 0, min(4*n-3, int(b.size)+1)), b.records...)
		b.few = [2]record{} // or few would keep handles alive
	}
	if n == 0 {
		b.records = append(b.records, record{})
	}
	b.records = append(b.records, record{})
	return uint16(len(b.records) - 1)
}

// dropRecord empties slot i, whose record r nothing refers to any more.
func (b *Block) dropRecord(i uint16, r *record) {
	if b.host > 0 || b.alternates != nil {
		b.dropRare(i, r)
	}
	if r.cooling() {
		r.hint = 0
		delete(b.releases, i)
	} else {
		b.unchain(r)
	}
	// Only fields that hold memory must be cleared: the others are set when the
	// slot is used again.
	r.handle = ""
	r.active = Attrs{}
	r.next = b.spare
	b.spare = i
}

// dropRare drops what few records have.
func (b *Block) dropRare(i uint16, r *record) {
	if r.isHost() {
		b.host--
	}
	delete(b.alternates, i)
}

func (b *Block) chain(i uint16, r *record) {
	head := b.bucket(r.sum)
	next := *head
	r.next, r.prev = next, 0
	b.records[next].prev = i
	*head = i
}

func (b *Block) unchain(r *record) {
	next, prev := r.next, r.prev
	b.records[next].prev = prev
	if prev == 0 {
		*b.bucket(r.sum) = next
	} else {
		b.records[prev].next = next
	}
}

// Records returns the attribute records in the order in which they were made, as
// last written, those of cooling addresses too. The slice is the caller's, nil if
// nothing is in use.
func (b *Block) Records() []Record {
	var all []Record
	for _, i := range b.inOrder() {
		all = append(all, b.public(i))
	}
	return all
}

// inOrder returns the slots in use in the order in which they were made.
func (b *Block) inOrder() []uint16 {
	var slots []uint16
	for i := range b.records {
		if b.records[i].refs > 0 {
			slots = append(slots, uint16(i))
		}
	}
	slices.SortFunc(slots, func(i, j uint16) int {
		return cmp.Compare(b.records[i].birth, b.records[j].birth)
	})
	return slots
}
