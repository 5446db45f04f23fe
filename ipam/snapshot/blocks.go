package snapshot

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// blockSpec is the spec of an IPAMBlock. Its strictAffinity means nothing.
type blockSpec struct {
	CIDR        field[string]       `json:"cidr"`
	Affinity    field[string]       `json:"affinity"`
	ClaimTime   field[string]       `json:"affinityClaimTime"`
	Allocations ordinals            `json:"allocations"`
	Unallocated ordinals            `json:"unallocated"`
	Attributes  field[[]attributes] `json:"attributes"`
	Sequence    field[uint64]       `json:"sequenceNumber"`
	Sequences   sequences           `json:"sequenceNumberForAllocation"`
	Deleted     flag                `json:"deleted"`
}

// attributes is an attribute record of a block.
type attributes struct {
	Handle     field[string] `json:"handle_id"`
	Active     attributeSet  `json:"secondary"`
	Alternate  attributeSet  `json:"alternateOwnerAttrs"`
	ReleasedAt field[string] `json:"releasedAt"`
}

// attributeSet is a map of texts, or a set that was made of it already.
type attributeSet struct {
	field[map[string]string]
	set block.Attrs
}

// sequences are the sequence numbers of ordinals, in a map or in the order of its keys.
type sequences struct {
	field[map[string]uint64]
	list []sequence
}

type sequence struct {
	key string // the ordinal
	n   uint64
}

func (o *object) block() {
	spec, quick := o.quickBlock()
	if !quick {
		*spec = blockSpec{}
		if !o.part("spec", o.Spec, spec) || o.skip(spec.Deleted) {
			return
		}
	}
	cidr, ok := o.cidr("spec.cidr", spec.CIDR)
	if ok && !possibleBlock(cidr) {
		inUse := 0
		for _, n := range spec.Allocations.list {
			if n != free {
				inUse++
			}
		}
		o.wrong("spec.cidr", "%s has more than the 4,096 addresses of the largest block that Calico makes (§1); %s in use there, which nothing here counts", cidr, plural(inUse, "address is", "addresses are"))
		ok = false
	}
	b := ipam.BlockState{CIDR: cidr, Sequence: get(o, "spec.sequenceNumber", spec.Sequence)}
	b.Owner, b.Claimed = o.blockOwner(spec)
	records := o.records(spec)
	if !ok {
		return
	}
	if name := affinity.CIDRName(cidr); o.name != name && o.name != "" {
		o.odd("metadata.name", "is not %s, as its CIDR has it", name)
	}
	o.kept = true
	// Faults from here on are mended by taking the allocations as true.
	allocated := o.allocations(spec, &b, records)
	o.queue(spec, &b, allocated)
	o.l.blocks = append(o.l.blocks, located[ipam.BlockState]{o.at, b})
}

// blockOwner returns who owns the block and since when.
func (o *object) blockOwner(spec *blockSpec) (affinity.Owner, time.Time) {
	owner, err := affinity.ParseOwner(o.text("spec.affinity", spec.Affinity))
	if err != nil {
		o.wrong("spec.affinity", "%s is neither host:NAME nor virtual:NAME", quote(spec.Affinity.value))
		owner = affinity.Owner{}
	} else if len(owner.Name) > maxName {
		o.wrong("spec.affinity", "names an owner of %d bytes, at most %d are allowed", len(owner.Name), maxName)
		owner = affinity.Owner{}
	}
	claimed := o.moment("spec.affinityClaimTime", spec.ClaimTime)
	if owner.IsZero() && !claimed.IsZero() {
		o.odd("spec.affinityClaimTime", "has no effect on a block that is nobody's")
		claimed = time.Time{}
	}
	return owner, claimed
}

// records returns the attribute records as allocations that have no ordinal yet.
func (o *object) records(spec *blockSpec) []block.Allocation {
	given := get(o, "spec.attributes", spec.Attributes)
	records := make([]block.Allocation, len(given))
	for i := range given {
		from := &given[i]
		if from.isPlain() { // nothing can be wrong, and nothing needs a name
			records[i] = block.Allocation{Handle: from.Handle.value, Active: from.Active.set, Alternate: from.Alternate.set, Record: i}
			continue
		}
		at := fmt.Sprintf("spec.attributes[%d]", i)
		r := block.Allocation{
			Handle:     o.text(at+".handle_id", from.Handle),
			Active:     o.set(at+".secondary", &from.Active),
			Alternate:  o.set(at+".alternateOwnerAttrs", &from.Alternate),
			ReleasedAt: o.moment(at+".releasedAt", from.ReleasedAt),
			Record:     i,
		}
		if !r.ReleasedAt.IsZero() {
			if r.Handle != "" || r.Active.Len() > 0 || r.Alternate.Len() > 0 {
				o.contradicts(at, "was released, but still has a handle or an owner; the release is taken as true")
				r.Handle, r.Active, r.Alternate = "", block.Attrs{}, block.Attrs{}
			}
			r.ReleasedAt = r.ReleasedAt.Truncate(time.Second)
		}
		records[i] = r
	}
	return records
}

// isPlain reports whether a record is that of an address in use, as it was read quickly.
func (a *attributes) isPlain() bool {
	return a.Handle.wrong == "" && len(a.Handle.value) <= maxText &&
		!a.Active.given && !a.Alternate.given && !a.ReleasedAt.given
}

// set returns a set of attributes.
func (o *object) set(at string, s *attributeSet) block.Attrs {
	if !s.given {
		return s.set
	}
	return block.MakeAttrs(o.texts(at, s.field))
}

// allocations fills in the allocations, and returns which ordinals they take.
func (o *object) allocations(spec *blockSpec, b *ipam.BlockState, records []block.Allocation) []bool {
	const at = "spec.allocations"
	o.badOrdinals(at, &spec.Allocations)
	list := spec.Allocations.list
	allocated := make([]bool, 1<<(b.CIDR.Addr().BitLen()-b.CIDR.Bits()))
	if len(list) != len(allocated) {
		o.contradicts(at, "has %d entries for %d addresses", len(list), len(allocated))
		list = list[:min(len(list), len(allocated))]
	}
	seqs := o.sequences(spec, len(allocated))
	used := make([]bool, len(records))
	inUse := 0
	for _, n := range list {
		if n != free {
			inUse++
		}
	}
	if inUse > 0 {
		b.Allocations = make([]block.Allocation, 0, inUse)
	}
	for ord, n := range list {
		if n == free {
			continue // Calico 3.26 kept the number of a free ordinal; it has no effect
		}
		allocated[ord] = true
		al := block.Allocation{Record: len(records) + ord} // of no known owner
		switch {
		case n >= len(records):
			o.contradicts(fmt.Sprintf("%s[%d]", at, ord), "is %d, but there are %d attributes; the address is taken as in use by nobody known", n, len(records))
		case n >= 0:
			al = records[n]
			used[n] = true
		}
		al.Ordinal, al.Seq = ord, seqs[ord]
		b.Allocations = append(b.Allocations, al)
	}
	for n := range records {
		if !used[n] {
			o.odd(fmt.Sprintf("spec.attributes[%d]", n), "is used by no address")
		}
	}
	return allocated
}

// sequences returns the number of every ordinal, 0 without one.
func (o *object) sequences(spec *blockSpec, size int) []uint64 {
	seqs := make([]uint64, size)
	given := spec.Sequences.list
	values := get(o, "spec.sequenceNumberForAllocation", spec.Sequences.field)
	for _, key := range sortedKeys(values) {
		given = append(given, sequence{key, values[key]})
	}
	for _, s := range given {
		ord, err := strconv.Atoi(s.key)
		if err != nil || ord < 0 || ord >= size {
			o.contradicts("spec.sequenceNumberForAllocation", "%s is no ordinal of the block, 0 to %d", quote(s.key), size-1)
			continue
		}
		seqs[ord] = s.n
	}
	return seqs
}

// queue fills in the free queue, which has every ordinal that is not allocated
// once.
func (o *object) queue(spec *blockSpec, b *ipam.BlockState, allocated []bool) {
	const at = "spec.unallocated"
	o.badOrdinals(at, &spec.Unallocated)
	if n := len(spec.Unallocated.list); n > 0 {
		b.Free = make([]int, 0, n)
	}
	queued := make([]bool, len(allocated))
	for i, ord := range spec.Unallocated.list {
		field := func() string { return fmt.Sprintf("%s[%d]", at, i) }
		switch {
		case ord == -2: // said already
		case ord < 0 || ord >= len(allocated):
			o.contradicts(field(), "is %s, must be an ordinal of the block, 0 to %d", ordinalText(ord), len(allocated)-1)
		case queued[ord]:
			o.contradicts(field(), "ordinal %d is in the queue twice; the first place counts", ord)
		case allocated[ord]:
			queued[ord] = true
			o.contradicts(field(), "ordinal %d is in the queue, but allocated; it is taken as allocated", ord)
		default:
			queued[ord] = true
			b.Free = append(b.Free, ord)
		}
	}
	var lost []int
	for ord := range allocated {
		if !allocated[ord] && !queued[ord] {
			lost = append(lost, ord)
		}
	}
	if len(lost) > 0 {
		o.contradicts(at, "neither in the queue nor allocated: ordinals %s; they are put at the end", rangesText(lost))
		b.Free = append(b.Free, lost...)
	}
}

// rangesText writes ascending numbers, runs of them as FROM-TO.
func rangesText(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		end := i
		for end+1 < len(numbers) && numbers[end+1] == numbers[end]+1 {
			end++
		}
		part := strconv.Itoa(numbers[i])
		if end > i {
			part += "-" + strconv.Itoa(numbers[end])
		}
		parts = append(parts, part)
		i = end + 1
	}
	return clip(strings.Join(parts, ", "))
}

func ordinalText(ord int) string {
	if ord == free {
		return "null"
	}
	return strconv.Itoa(ord)
}

// badOrdinals reports the entries that are no numbers.
func (o *object) badOrdinals(at string, list *ordinals) {
	for _, bad := range list.wrong {
		field := at
		if bad.index >= 0 {
			field = fmt.Sprintf("%s[%d]", at, bad.index)
		}
		o.contradicts(field, "%s", bad.why)
	}
}

// contradicts reports a contradiction within the block.
func (o *object) contradicts(field, format string, args ...any) {
	o.bad = true
	o.report(&Problem{Field: field, Reason: fmt.Sprintf(format, args...), Kind: kindBlockContradiction})
}
