package block

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// subject is what the machine can drive: a Block, the model, or a broken model.
type subject interface {
	CIDR() netip.Prefix
	Size() int
	Seq() uint64
	Commit()
	Free() int
	FreeUnreserved(*Ordinals) int
	Available(Cold, *Ordinals) int
	InUse() int
	Cooling() int
	OldestRelease() (int64, bool)
	Empty(Cold) bool
	Collect(Cold) int
	Take([]int, int, *Owner, *Ordinals) []int
	TakeOrdinal(int, *Owner) error
	ReserveForHost(int, int, *Owner) error
	Release([]int, time.Time, Cold)
	Renumber([]int)
	AppendHandle([]int, Handle) []int
	Holder(int, Cold) (string, uint64, bool)
	Allocation(int) (Allocation, bool)
	Cools(int, Cold) (bool, bool)
	Allocations() iter.Seq[Allocation]
	Queue() iter.Seq[int]
	Records() []Record
	SetOwner(int, *Attrs, *Attrs) error
	State() State
	Check() error
}

// fault is one way in which a block could be wrong and the machine must notice.
type fault string

const (
	faultless          fault = ""
	lowestFreeFirst    fault = "the lowest free ordinal goes first"
	reservedLosePlace  fault = "reserved ordinals lose their place"
	reservedTaken      fault = "reserved ordinals are taken"
	collectByRelease   fault = "collects in order of release"
	collectTooLate     fault = "an address released exactly the cooldown ago still cools"
	collectLast        fault = "collects what had cooled down after what is released"
	releaseAsGiven     fault = "releases in the order given"
	seqForgotten       fault = "an allocation remembers no sequence number"
	seqKept            fault = "what is renumbered keeps the old sequence number"
	hostSeq            fault = "host-reserved ordinals have a sequence number"
	sharedAlternate    fault = "shares a record despite its alternate owner"
	sharedYoungest     fault = "shares the youngest of equal records"
	sharedByHandle     fault = "shares a record with other attributes"
	sharedNever        fault = "every allocation has its own record"
	sharedCooling      fault = "releases of the same second share a cooling record"
	setOwnerAlone      fault = "a change of owner shows on one ordinal only"
	recordKept         fault = "an unused record is kept"
	recordMoved        fault = "a record that loses an ordinal goes last"
	hostNotEmpty       fault = "host-reserved ordinals make a block not empty"
	coolingHeld        fault = "a handle keeps what is cooling"
	coolingAvailable   fault = "cooling addresses are available"
	commitTwice        fault = "a write adds two"
	takenOrdinalToTail fault = "taking an ordinal turns the queue"
)

// model is a block made of slices and maps. It states each rule as plainly as
// possible, at any cost.
type model struct {
	fault   fault
	cidr    netip.Prefix
	size    int
	seq     uint64
	queue   []int
	alloc   map[int]*Record // ordinals not in the queue
	seqs    map[int]uint64
	records []*Record
}

func newModel(cidr netip.Prefix, seq uint64, f fault) *model {
	m := &model{fault: f, cidr: cidr, seq: seq, alloc: map[int]*Record{}, seqs: map[int]uint64{}}
	m.size = 1 << (cidr.Addr().BitLen() - cidr.Bits())
	for ord := range m.size {
		m.queue = append(m.queue, ord)
	}
	return m
}

func (m *model) CIDR() netip.Prefix { return m.cidr }
func (m *model) Size() int          { return m.size }
func (m *model) Seq() uint64        { return m.seq }
func (m *model) Free() int          { return len(m.queue) }
func (m *model) InUse() int         { return m.size - len(m.queue) }
func (m *model) Check() error       { return nil }

func (m *model) Commit() {
	m.seq++
	if m.fault == commitTwice {
		m.seq++
	}
}

// used returns the ordinals that are not free, ascending.
func (m *model) used() []int { return slices.Sorted(maps.Keys(m.alloc)) }

func (m *model) expired(r *Record, cold Cold) bool {
	if m.fault == collectTooLate {
		cold--
	}
	return !r.ReleasedAt.IsZero() && r.ReleasedAt.Unix() <= int64(cold)
}

func (m *model) FreeUnreserved(reserved *Ordinals) int {
	n := 0
	for _, ord := range m.queue {
		if !reserved.Contains(ord) {
			n++
		}
	}
	return n
}

func (m *model) Available(cold Cold, reserved *Ordinals) int {
	n := m.FreeUnreserved(reserved)
	for ord, r := range m.alloc {
		gone := m.expired(r, cold) || m.fault == coolingAvailable && !r.ReleasedAt.IsZero()
		if gone && !reserved.Contains(ord) {
			n++
		}
	}
	return n
}

func (m *model) Cooling() int {
	n := 0
	for _, r := range m.alloc {
		if !r.ReleasedAt.IsZero() {
			n++
		}
	}
	return n
}

func (m *model) OldestRelease() (int64, bool) {
	var times []int64
	for _, r := range m.records {
		if !r.ReleasedAt.IsZero() {
			times = append(times, r.ReleasedAt.Unix())
		}
	}
	if times == nil {
		return 0, false
	}
	return slices.Min(times), true
}

func (m *model) Empty(cold Cold) bool {
	for _, r := range m.alloc {
		if !m.expired(r, cold) && (strings.ToLower(r.Handle) != HostReservedHandle || m.fault == hostNotEmpty) {
			return false
		}
	}
	return true
}

func (m *model) Collect(cold Cold) int {
	var ords []int
	for _, ord := range m.used() {
		if m.expired(m.alloc[ord], cold) {
			ords = append(ords, ord)
		}
	}
	if m.fault == collectByRelease {
		slices.SortStableFunc(ords, func(a, b int) int {
			return m.alloc[a].ReleasedAt.Compare(m.alloc[b].ReleasedAt)
		})
	}
	m.toTail(ords)
	return len(ords)
}

func (m *model) toTail(ords []int) {
	for _, ord := range ords {
		delete(m.alloc, ord)
		delete(m.seqs, ord)
		m.queue = append(m.queue, ord)
	}
	m.dropUnused()
}

func (m *model) dropUnused() {
	if m.fault == recordKept {
		return
	}
	used := make(map[*Record]bool)
	for _, r := range m.alloc {
		used[r] = true
	}
	m.records = slices.DeleteFunc(m.records, func(r *Record) bool { return !used[r] })
}

func (m *model) Take(dst []int, n int, to *Owner, reserved *Ordinals) []int {
	var ords []int
	candidates := slices.Clone(m.queue)
	if m.fault == lowestFreeFirst {
		slices.Sort(candidates)
	}
	for _, ord := range candidates {
		if len(ords) >= n {
			break
		}
		if !reserved.Contains(ord) || m.fault == reservedTaken {
			ords = append(ords, ord)
		} else if m.fault == reservedLosePlace {
			m.queue = append(slices.DeleteFunc(m.queue, func(o int) bool { return o == ord }), ord)
		}
	}
	for _, ord := range ords {
		m.allocate(ord, to, m.seq)
	}
	return append(dst, ords...)
}

func (m *model) allocate(ord int, to *Owner, seq uint64) {
	i := slices.Index(m.queue, ord)
	m.queue = slices.Delete(m.queue, i, i+1)
	if m.fault == seqForgotten {
		seq = 0
	}
	m.seqs[ord] = seq
	var r *Record
	for _, have := range m.records {
		same := have.Handle == to.Handle.String() && have.ReleasedAt.IsZero() && m.fault != sharedNever &&
			(have.Active == to.Active || m.fault == sharedByHandle) &&
			(have.Alternate == Attrs{} || m.fault == sharedAlternate)
		if same && (r == nil || m.fault == sharedYoungest) {
			r = have
		}
	}
	if r == nil {
		r = &Record{Handle: to.Handle.String(), Active: to.Active}
		m.records = append(m.records, r)
	}
	m.alloc[ord] = r
}

func (m *model) TakeOrdinal(ord int, to *Owner) error {
	if ord < 0 || ord >= m.size {
		return ErrOrdinal
	}
	if m.alloc[ord] != nil {
		return ErrTaken
	}
	if i := slices.Index(m.queue, ord); m.fault == takenOrdinalToTail {
		m.queue = slices.Concat(m.queue[i:], m.queue[:i])
	}
	m.allocate(ord, to, m.seq)
	return nil
}

func (m *model) ReserveForHost(start, end int, to *Owner) error {
	if start < 0 || end < 0 {
		return ErrOrdinal
	}
	if start+end > m.size {
		return ErrTooSmall
	}
	var ords []int
	for ord := range m.size {
		if ord < start || ord >= m.size-end {
			ords = append(ords, ord)
			if m.alloc[ord] != nil {
				return ErrTaken
			}
		}
	}
	for _, ord := range ords {
		var seq uint64
		if m.fault == hostSeq {
			seq = m.seq
		}
		m.allocate(ord, to, seq)
	}
	return nil
}

func (m *model) Release(ords []int, now time.Time, cold Cold) {
	if m.fault != collectLast {
		m.Collect(cold)
	}
	r := &Record{ReleasedAt: time.Unix(now.Unix(), 0).UTC()}
	if m.fault == sharedCooling {
		for _, have := range m.records {
			if have.ReleasedAt.Equal(r.ReleasedAt) {
				r = have
			}
		}
	}
	for _, ord := range ords {
		if m.fault == recordMoved {
			old := m.alloc[ord]
			m.records = append(slices.DeleteFunc(m.records, func(r *Record) bool { return r == old }), old)
		}
		m.alloc[ord] = r
	}
	m.dropUnused()
	if len(ords) > 0 && !slices.Contains(m.records, r) {
		m.records = append(m.records, r)
	}
	if m.fault == releaseAsGiven && m.expired(r, cold) {
		m.toTail(ords)
	}
	m.Collect(cold)
}

func (m *model) Renumber(ords []int) {
	for _, ord := range ords {
		if r := m.alloc[ord]; r != nil && !r.ReleasedAt.IsZero() && m.fault != seqKept {
			m.seqs[ord] = m.seq
		}
	}
}

func (m *model) AppendHandle(dst []int, handle Handle) []int {
	for _, ord := range m.used() {
		if m.alloc[ord].Handle == handle.String() && handle.String() != "" {
			dst = append(dst, ord)
		} else if m.fault == coolingHeld && !m.alloc[ord].ReleasedAt.IsZero() {
			dst = append(dst, ord)
		}
	}
	return dst
}

func (m *model) Holder(ord int, cold Cold) (string, uint64, bool) {
	r := m.alloc[ord]
	if r == nil || m.expired(r, cold) {
		return "", 0, false
	}
	return r.Handle, m.seqs[ord], r.ReleasedAt.IsZero()
}

func (m *model) Allocation(ord int) (Allocation, bool) {
	r := m.alloc[ord]
	if r == nil {
		return Allocation{}, false
	}
	return Allocation{ord, r.Handle, r.Active, r.Alternate, r.ReleasedAt, m.seqs[ord], slices.Index(m.records, r)}, true
}

func (m *model) Cools(ord int, cold Cold) (cooling, expired bool) {
	r := m.alloc[ord]
	return r != nil && !r.ReleasedAt.IsZero(), r != nil && m.expired(r, cold)
}

func (m *model) Allocations() iter.Seq[Allocation] {
	return func(yield func(Allocation) bool) {
		for _, ord := range m.used() {
			if a, _ := m.Allocation(ord); !yield(a) {
				return
			}
		}
	}
}

func (m *model) Queue() iter.Seq[int] { return slices.Values(m.queue) }

func (m *model) Records() []Record {
	var all []Record
	for _, r := range m.records {
		all = append(all, *r)
	}
	return all
}

func (m *model) SetOwner(ord int, active, alternate *Attrs) error {
	if ord < 0 || ord >= m.size {
		return ErrOrdinal
	}
	r := m.alloc[ord]
	switch {
	case r == nil:
		return ErrNotAllocated
	case !r.ReleasedAt.IsZero():
		return ErrCooling
	}
	if m.fault == setOwnerAlone {
		alone := *r
		r = &alone
		m.alloc[ord] = r
		m.records = append(m.records, r)
		defer m.dropUnused()
	}
	if active != nil {
		r.Active = *active
	}
	if alternate != nil {
		r.Alternate = *alternate
	}
	return nil
}

func (m *model) State() State {
	s := State{CIDR: m.cidr, Seq: m.seq, Queue: slices.Clone(m.queue), Records: m.Records()}
	for ord := range m.size {
		n := -1
		if r := m.alloc[ord]; r != nil {
			n = slices.Index(m.records, r)
		}
		s.Index = append(s.Index, n)
		s.Seqs = append(s.Seqs, m.seqs[ord])
	}
	return s
}

func (m *model) String() string { return fmt.Sprintf("model %s (%s)", m.cidr, m.fault) }
