package ipam

import (
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
)

// State is everything that is allocated and claimed, as last written. The caller
// owns it; it shares no memory with the allocator.
type State struct {
	Blocks     []BlockState    // by name
	Affinities []AffinityState // by type, host and name
	Handles    []HandleState   // by id
}

// BlockState is one block.
type BlockState struct {
	CIDR        netip.Prefix
	Owner       affinity.Owner // zero for nobody
	Claimed     time.Time      // when the owner claimed it; zero without one, or if older than such times
	Sequence    uint64
	Free        []int // the free queue, head first
	Allocations []block.Allocation
}

// Addr returns the address of an ordinal of the block.
func (b *BlockState) Addr(ordinal int) netip.Addr {
	ip := b.CIDR.Addr().AsSlice()
	for i := len(ip) - 1; ordinal > 0; i-- {
		ip[i] += byte(ordinal) // the low bits of a block's address are 0
		ordinal >>= 8
	}
	addr, _ := netip.AddrFromSlice(ip)
	return addr
}

// AffinityState is one affinity object.
type AffinityState struct {
	Owner   affinity.Owner
	CIDR    netip.Prefix
	State   affinity.State
	Created time.Time
}

// HandleState is one handle.
type HandleState struct {
	ID     string
	Counts []HandleCount // by block name
}

// HandleCount is how many addresses a handle counts in one block.
type HandleCount struct {
	Block netip.Prefix
	Count int
}

// Held counts the addresses that each handle holds in each block; a missing id
// holds nothing. Ids that differ only in case share a handle; here they are in
// lower case (§1), cut at the first carriage return (§9).
func (s *State) Held() map[string]map[netip.Prefix]int {
	held := make(map[string]map[netip.Prefix]int)
	for i := range s.Blocks {
		b := &s.Blocks[i]
		for k := range b.Allocations {
			id := handleKey(handleID(b.Allocations[k].Handle))
			if held[id] == nil {
				held[id] = make(map[netip.Prefix]int, 1)
			}
			held[id][b.CIDR]++
		}
	}
	return held
}

// State returns a copy of the allocator's state.
func (a *Allocator) State() State {
	a.begin()
	defer a.mu.Unlock()
	return a.state()
}

func (a *Allocator) state() State {
	var s State
	for _, b := range byName(a.allBlocks()) {
		var bs BlockState
		b.stateInto(&bs)
		s.Blocks = append(s.Blocks, bs)
	}
	s.Affinities = a.affinities()
	for _, h := range a.handles.all() {
		s.Handles = append(s.Handles, a.handles.state(h))
	}
	return s
}

// Blocks returns the CIDRs of all blocks by name, as [State].Blocks is sorted. With
// [Allocator.ReadBlock] it costs less than [Allocator.State], which copies all there is.
func (a *Allocator) Blocks() []netip.Prefix {
	a.begin()
	defer a.mu.Unlock()
	var cidrs []netip.Prefix
	for _, b := range byName(a.allBlocks()) {
		cidrs = append(cidrs, b.CIDR())
	}
	return cidrs
}

// Affinities returns a copy of all affinities, as [State].Affinities is sorted.
func (a *Allocator) Affinities() []AffinityState {
	a.begin()
	defer a.mu.Unlock()
	return a.affinities()
}

func (a *Allocator) affinities() (all []AffinityState) {
	for _, c := range a.claims.All() {
		all = append(all, AffinityState{c.Owner, c.CIDR, c.State, c.Created})
	}
	return all
}

// state returns the state of a handle.
func (t *handleTable) state(h *handle) HandleState {
	s := HandleState{ID: h.id}
	var small [4]count
	for _, c := range t.counts(small[:0], h) {
		s.Counts = append(s.Counts, HandleCount{c.block.CIDR(), int(c.n)})
	}
	return s
}

// Summary counts what a cluster has, without listing it.
type Summary struct {
	Blocks    int // that exist, owned or not
	Confirmed int // affinities; as many routes to blocks
	Owners    int // hosts and virtual owners with a confirmed affinity
}

// Summary returns the counts. It visits each owner, not each block.
func (a *Allocator) Summary() Summary {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Summary{Blocks: a.countBlocks()}
	for _, owners := range []map[string]*owner{a.hosts, a.virtual} {
		for _, o := range owners {
			before := s.Confirmed
			for _, c := range o.claims.All() {
				if c.State == affinity.Confirmed {
					s.Confirmed++
				}
			}
			if s.Confirmed > before {
				s.Owners++
			}
		}
	}
	return s
}
