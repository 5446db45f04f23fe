package ipam

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/internal/blocktree"
	"github.com/ipamsim/ipamsim/pool"
)

// Cluster is everything that decides what an allocator does next: its [State],
// pools, nodes, reservations and configuration (§1). Two allocators of equal
// clusters, with equal clocks, give the same answers for ever. The zero value is
// not an empty cluster: its Config is not [DefaultConfig].
type Cluster struct {
	State
	Config       Config
	Pools        []pool.Spec // by name
	Nodes        []Node      // by name
	Reservations []string    // as they were given, malformed entries too
	// LastSequence is the highest sequence number ever given out, which the next
	// new block must exceed (§6). If the blocks remember higher numbers, those
	// count.
	LastSequence uint64
}

// Cluster returns a copy of the allocator's cluster, which the caller owns.
// [Restore] makes an allocator of it that continues in the same way.
func (a *Allocator) Cluster() Cluster {
	a.begin()
	defer a.mu.Unlock()
	c := Cluster{State: a.state(), Config: a.config, Reservations: slices.Clone(a.reservationTexts), LastSequence: a.lastSeq}
	for _, p := range a.pools.All() {
		c.Pools = append(c.Pools, p.Spec())
	}
	c.Nodes = a.nodes()
	return c
}

// ErrContradiction is matched by every error about an impossible [Cluster]. Among
// them, [ErrDuplicate] is an object that is given twice.
var (
	ErrContradiction = errors.New("ipam: contradictory cluster")
	ErrDuplicate     = errors.New("is given twice")
)

// ObjectKind is a kind of a cluster's objects.
type ObjectKind string

// The kinds of objects of a [Cluster].
const (
	ConfigObject   ObjectKind = "config"
	PoolObject     ObjectKind = "pool"
	NodeObject     ObjectKind = "node"
	BlockObject    ObjectKind = "block"
	AffinityObject ObjectKind = "affinity"
	HandleObject   ObjectKind = "handle"
)

// A Refusal is one thing for which [Restore] refuses a cluster.
type Refusal struct {
	Kind ObjectKind
	// Index is the object's index in its list of the cluster: Pools, Nodes,
	// Blocks, Affinities or Handles; 0 for the configuration.
	Index int
	Name  string // of the object: a name, CIDR, id, or "OWNER CIDR"
	Err   error  // what is wrong with it
}

// Error names the object and what is wrong with it.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%v: %s %s: %v", ErrContradiction, r.Kind, r.Name, r.Err)
}

// Unwrap returns [ErrContradiction] and the cause.
func (r *Refusal) Unwrap() []error { return []error{ErrContradiction, r.Err} }

// RestoreError is everything for which [Restore] refuses a cluster.
type RestoreError struct{ Refusals []*Refusal }

// Error has a line for each refusal.
func (e *RestoreError) Error() string {
	lines := make([]string, len(e.Refusals))
	for i, r := range e.Refusals {
		lines[i] = r.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the refusals.
func (e *RestoreError) Unwrap() []error {
	errs := make([]error, len(e.Refusals))
	for i, r := range e.Refusals {
		errs[i] = r
	}
	return errs
}

// Restore returns an allocator that continues from the cluster. The cluster is not
// changed, and shares no memory with the allocator.
//
// Inconsistent objects are accepted, since live clusters have them: affinities in
// any state, without a block or on another owner's; blocks in no pool, of another
// size than their pool's, over other blocks, of owners that are no nodes, without
// an affinity; handles that count more or less than they hold, or in blocks that
// do not exist. A handle that counts nothing at all is left out.
//
// An impossible cluster is refused, with a [*RestoreError] that names every fault:
// an invalid name, CIDR or number; two objects of one name; pools that overlap; a
// block that contradicts itself ([block.ErrState]); allocations of one record that
// differ.
func Restore(c Cluster, o Options) (*Allocator, error) {
	a := New(o)
	r := restorer{a: a, c: &c, gone: make(map[netip.Prefix]*ipamBlock)}
	if err := a.PutIPAMConfig(c.Config); err != nil {
		r.refuse(ConfigObject, 0, "ipam", err)
	}
	a.begin()
	defer a.mu.Unlock()
	a.reservations, _ = pool.ParseReservations(c.Reservations)
	a.reservationTexts = slices.Clone(c.Reservations)
	r.pools()
	r.nodes()
	r.blocks()
	r.affinities()
	r.handles()
	a.lastSeq = max(a.lastSeq, c.LastSequence)
	if len(r.refusals) > 0 {
		return nil, &RestoreError{r.refusals}
	}
	return a, nil
}

// noClaimTime is the claim time of a block without one: older blocks have none,
// and count as claimed long ago.
const noClaimTime = math.MinInt64

// claimTime returns when the owner of a block claimed it; zero without an owner,
// and if it is unknown.
func (b *ipamBlock) claimTime() time.Time {
	if b.owner == nil || b.claimed == noClaimTime {
		return time.Time{}
	}
	return time.Unix(0, b.claimed).UTC()
}

type restorer struct {
	a        *Allocator
	c        *Cluster
	refusals []*Refusal
	gone     map[netip.Prefix]*ipamBlock // for counts of handles in blocks that do not exist
	content  block.State                 // of one block after the other, for its memory
	counted  []count                     // of one handle after the other
}

func (r *restorer) refuse(kind ObjectKind, index int, name string, err error) {
	r.refusals = append(r.refusals, &Refusal{kind, index, name, err})
}

func (r *restorer) pools() {
	names := make(map[string]bool)
	for i, spec := range r.c.Pools {
		p, err := r.a.newPool(spec)
		if err == nil && names[spec.Name] {
			err = ErrDuplicate
		}
		if err == nil {
			err = r.a.pools.Put(p)
		}
		if err != nil {
			r.refuse(PoolObject, i, spec.Name, err)
			continue
		}
		names[spec.Name] = true
		r.a.poolBlocks[spec.Name] = &poolBlocks{pool: p, tree: blocktree.New[*ipamBlock](p.BlockBits())}
		r.a.poolsVersion++
	}
}

func (r *restorer) nodes() {
	for i, n := range r.c.Nodes {
		err := checkName("node", n.Name)
		if _, exists := r.a.nodeLabels(n.Name); err == nil && exists {
			err = ErrDuplicate
		}
		if err != nil {
			r.refuse(NodeObject, i, n.Name, err)
			continue
		}
		r.a.putNode(n)
	}
}

func (r *restorer) blocks() {
	for i := range r.c.Blocks {
		given := &r.c.Blocks[i]
		b, err := given.restore(&r.content)
		if b != nil && r.a.block(given.CIDR) != nil {
			err = errors.Join(ErrDuplicate, err)
		}
		if err != nil {
			r.refuse(BlockObject, i, given.CIDR.String(), err)
			continue
		}
		r.a.addRestored(b, given)
	}
}

// restore returns a block of that state, without its owner. It uses the memory of the
// content's slices.
func (b *BlockState) restore(content *block.State) (*ipamBlock, error) {
	if err := checkCIDR(b.CIDR); err != nil {
		return nil, err
	}
	var badOwner error
	if !b.Owner.IsZero() {
		badOwner = checkOwner(b.Owner)
	}
	err := b.content(content)
	restored := new(ipamBlock)
	return restored, errors.Join(badOwner, err, restored.Restore(*content))
}

// addRestored adds the block that restore has made of its state.
func (a *Allocator) addRestored(b *ipamBlock, from *BlockState) {
	if !from.Owner.IsZero() {
		claimed := int64(noClaimTime)
		if !from.Claimed.IsZero() {
			claimed = from.Claimed.UnixNano()
		}
		b.setOwner(a.openOwner(from.Owner), claimed)
	}
	a.add(b)
	a.lastSeq = max(a.lastSeq, from.Sequence)
	for _, al := range from.Allocations {
		a.lastSeq = max(a.lastSeq, al.Seq)
	}
}

// content makes s the block's addresses as package block has them. It uses the memory of
// its slices.
func (b *BlockState) content(s *block.State) error {
	*s = block.State{CIDR: b.CIDR, Seq: b.Sequence, Queue: b.Free, Records: s.Records[:0], Index: s.Index[:0], Seqs: s.Seqs[:0]}
	bits := b.CIDR.Addr().BitLen() - b.CIDR.Bits()
	if bits > 12 {
		return nil // no block can be made of it: the error says so
	}
	for range 1 << bits {
		s.Index, s.Seqs = append(s.Index, -1), append(s.Seqs, 0)
	}
	var errs []error
	last := 0 // number of the last record: those of one number follow each other
	for _, al := range recordsInOrder(b.Allocations) {
		if al.Ordinal < 0 || al.Ordinal >= len(s.Index) {
			errs = append(errs, fmt.Errorf("allocation of ordinal %d, which is out of range", al.Ordinal))
			continue
		}
		if s.Index[al.Ordinal] >= 0 {
			errs = append(errs, fmt.Errorf("ordinal %d is allocated twice", al.Ordinal))
			continue
		}
		record := block.Record{Handle: handleID(al.Handle), Active: al.Active, Alternate: al.Alternate, ReleasedAt: al.ReleasedAt}
		n := len(s.Records) - 1
		if n < 0 || al.Record != last {
			n, last = n+1, al.Record
			s.Records = append(s.Records, record)
		} else if s.Records[n] != record {
			errs = append(errs, fmt.Errorf("ordinal %d: record %d differs from that of another ordinal", al.Ordinal, al.Record))
		}
		s.Index[al.Ordinal], s.Seqs[al.Ordinal] = n, al.Seq
	}
	return errors.Join(errs...)
}

// recordsInOrder returns the allocations in the order of their records' numbers.
func recordsInOrder(allocations []block.Allocation) []block.Allocation {
	compare := func(x, y block.Allocation) int { return cmp.Compare(x.Record, y.Record) }
	if slices.IsSortedFunc(allocations, compare) {
		return allocations
	}
	allocations = slices.Clone(allocations)
	slices.SortStableFunc(allocations, compare)
	return allocations
}

func (r *restorer) affinities() {
	for i, f := range r.c.Affinities {
		err := errors.Join(checkCIDR(f.CIDR), checkOwner(f.Owner))
		if err == nil && r.a.claims.Of(f.Owner).Get(f.CIDR) != nil {
			err = ErrDuplicate
		}
		if err == nil {
			o := r.a.openOwner(f.Owner)
			err = o.claims.Put(f.CIDR, f.State, f.Created)
			r.a.forget(o)
		}
		if err != nil {
			r.refuse(AffinityObject, i, f.Owner.String()+" "+f.CIDR.String(), err)
		}
	}
}

func (r *restorer) handles() {
	t := &r.a.handles
	for i := range r.c.Handles {
		id := readHandle(r.c.Handles[i].ID)
		h, hash := t.search(id)
		var err error
		switch {
		case id.String() == "":
			err = errors.New("has no id")
		case h != nil:
			err = ErrDuplicate
		}
		counts, wrong := r.counts(r.c.Handles[i].Counts)
		if err = errors.Join(err, wrong); err != nil {
			r.refuse(HandleObject, i, id.String(), err)
			continue
		}
		if len(counts) == 0 {
			continue // a handle that counts nothing is left out
		}
		t.restore(id.String(), hash, counts)
	}
}

// restore adds a handle as add does, with these counts, one or more.
func (t *handleTable) restore(id string, hash uint32, counts []count) {
	h := t.add(id, hash)
	h.set(counts[0])
	if len(counts) > 1 {
		h.set(count{n: several})
		t.several[h] = slices.Clone(counts)
	}
}

// counts returns what a handle counts, by block name. The list is valid until the next.
func (r *restorer) counts(given []HandleCount) ([]count, error) {
	var errs []error
	counts := r.counted[:0]
	for _, g := range given {
		if g.Count < 1 || g.Count > math.MaxInt32 {
			errs = append(errs, fmt.Errorf("counts %d addresses in %s, must be 1 to %d", g.Count, g.Block, math.MaxInt32))
			continue
		}
		b := r.a.block(g.Block)
		if b == nil {
			var err error
			if b, err = r.goneBlock(g.Block); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		counts = append(counts, count{b, int32(g.Count)})
	}
	slices.SortStableFunc(counts, func(x, y count) int { return compareNames(x.block, y.block) })
	for i := 1; i < len(counts); i++ {
		if counts[i].same(counts[i-1].block) {
			errs = append(errs, fmt.Errorf("counts in %s twice", counts[i].block.CIDR()))
		}
	}
	r.counted = counts
	return counts, errors.Join(errs...)
}

// goneBlock returns a deleted block, for a count in a block that does not exist.
func (r *restorer) goneBlock(cidr netip.Prefix) (*ipamBlock, error) {
	if b := r.gone[cidr]; b != nil {
		return b, nil
	}
	if err := checkCIDR(cidr); err != nil {
		return nil, err
	}
	b := &ipamBlock{gone: true}
	if err := b.Reset(cidr, 0); err != nil {
		return nil, err
	}
	r.gone[cidr] = b
	return b, nil
}
