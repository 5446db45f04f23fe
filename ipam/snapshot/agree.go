package snapshot

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// This file checks whether handles, affinities and blocks agree.

// handles compares what handles count with what the blocks hold for them. Ids that
// differ in letters only share a handle (§1).
func (c *checker) handles() {
	held := heldBy(c.s.Cluster.Blocks, c.s.refused)
	if c.unknown.Handles && (len(held.room) > 0 || !c.s.Unlisted.Handles) {
		c.unjudged("whether the handles of addresses exist was not looked at: of the handles, %s", whyUnknown(c.s.Unlisted.Handles, "ipamhandles"))
	}
	if c.unknown.Blocks && len(c.s.Cluster.Handles) > 0 {
		c.unjudged("whether handles hold what they count was not looked at: of the blocks, %s", whyUnknown(c.s.Unlisted.Blocks, "ipamblocks"))
	}
	sound := !anyHarmful(c.s.Problems)
	for i := range c.s.Cluster.Handles {
		h := &c.s.Cluster.Handles[i]
		holds := held.take(h.ID)
		if c.unknown.Blocks {
			continue
		}
		if len(holds) == 0 {
			c.find(kindHandleEmpty, netip.Addr{}, []string{handleObject(h.ID)}, "%s holds no address, but counts %s", cutHandle(h.ID), countText(h.Counts))
			if sound { // else it may hold what was not understood
				c.mend("", deleteHandle(h.ID)...)
			}
			continue
		}
		for _, n := range h.Counts {
			has := 0
			if i, found := slices.BinarySearchFunc(holds, n, compareCounts); found {
				has, holds[i].Count = holds[i].Count, 0
			}
			if n.Count != has {
				c.find(kindHandleCount, n.Block.Addr(), []string{handleObject(h.ID), blockObject(n.Block)},
					"%s counts %d in %s, and holds %d", cutHandle(h.ID), n.Count, n.Block, has)
			}
		}
		for _, n := range holds {
			if n.Count > 0 {
				c.find(kindHandleCount, n.Block.Addr(), []string{handleObject(h.ID), blockObject(n.Block)},
					"%s counts none in %s, and holds %d", cutHandle(h.ID), n.Block, n.Count)
			}
		}
	}
	if c.unknown.Handles {
		return
	}
	for _, key := range slices.Sorted(slices.Values(held.keys())) {
		of := held.get(key)
		for _, n := range of.counts {
			c.find(kindHandleMissing, n.Block.Addr(), []string{handleObject(of.written), blockObject(n.Block)},
				"%s %s in %s of handle %s, which does not exist", plural(n.Count, "address", "addresses"), isAre(n.Count), n.Block, of.written)
		}
	}
}

func compareCounts(x, y ipam.HandleCount) int { return comparePrefixes(x.Block, y.Block) }

// holdings are what handles hold. There may be as many handles as pods, so a map is kept of
// small numbers only.
type holdings struct {
	at   map[string]int32 // into of, by what stands for the ids of a handle
	of   []holding
	room []ipam.HandleCount // for what most handles hold: addresses of one block
}

// holding is what one handle holds.
type holding struct {
	written string             // its id, as an allocation has written it first
	counts  []ipam.HandleCount // in the order of [comparePrefixes]; none where only the host keeps addresses under its id
}

// heldBy counts the addresses that each handle holds in each of the blocks.
func heldBy(lists ...[]ipam.BlockState) *holdings {
	n := 0
	for _, blocks := range lists {
		for i := range blocks {
			n += len(blocks[i].Allocations)
		}
	}
	h := &holdings{at: make(map[string]int32, n), of: make([]holding, 0, n), room: make([]ipam.HandleCount, 0, n)}
	for _, blocks := range lists {
		for i := range blocks {
			for k := range blocks[i].Allocations {
				if al := &blocks[i].Allocations[k]; al.Handle != "" {
					h.add(blocks[i].CIDR, al)
				}
			}
		}
	}
	for i := range h.of {
		if len(h.of[i].counts) > 1 {
			h.of[i].settle()
		}
	}
	return h
}

// add counts an allocation of a block.
func (h *holdings) add(cidr netip.Prefix, al *block.Allocation) {
	key := handleKey(al.Handle)
	i, seen := h.at[key]
	if !seen {
		i = int32(len(h.of))
		h.at[key] = i
		h.of = append(h.of, holding{written: cutHandle(al.Handle)})
	}
	of := &h.of[i]
	if of.written == "" {
		of.written = cutHandle(al.Handle)
	}
	if isHostReserved(al) {
		return
	}
	if last := len(of.counts) - 1; last >= 0 && of.counts[last].Block == cidr {
		of.counts[last].Count++
		return
	}
	if of.counts == nil {
		n := len(h.room) // one for each allocation is there
		h.room = h.room[:n+1]
		of.counts = h.room[n : n : n+1]
	}
	of.counts = append(of.counts, ipam.HandleCount{Block: cidr, Count: 1})
}

// settle sorts the counts, and adds up those of one block: it may have been left out once
// and taken once.
func (h *holding) settle() {
	slices.SortFunc(h.counts, compareCounts)
	kept := h.counts[:1]
	for _, n := range h.counts[1:] {
		if last := &kept[len(kept)-1]; last.Block == n.Block {
			last.Count += n.Count
		} else {
			kept = append(kept, n)
		}
	}
	h.counts = kept
}

// get returns what the handle of that key holds, or nil.
func (h *holdings) get(key string) *holding {
	if i, seen := h.at[key]; seen && len(h.of[i].counts) > 0 {
		return &h.of[i]
	}
	return nil
}

// take returns what a handle holds, and forgets it.
func (h *holdings) take(id string) []ipam.HandleCount {
	of := h.get(handleKey(id))
	if of == nil {
		return nil
	}
	counts := of.counts
	of.counts = nil
	return counts
}

// keys returns the keys of the handles that hold something, in no order.
func (h *holdings) keys() (keys []string) {
	for key, i := range h.at {
		if len(h.of[i].counts) > 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

func countText(counts []ipam.HandleCount) string {
	switch len(counts) {
	case 0:
		return "none"
	case 1:
		return fmt.Sprintf("%d in %s", counts[0].Count, counts[0].Block)
	}
	total := 0
	for _, n := range counts {
		total += n.Count
	}
	return fmt.Sprintf("%d in %d blocks", total, len(counts))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func wasWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// affinities checks that every affinity has its block and is confirmed.
func (c *checker) affinities() {
	if c.unknown.Blocks && len(c.s.Cluster.Affinities) > 0 {
		c.unjudged("whether affinities have their blocks was not looked at: of the blocks, %s", whyUnknown(c.s.Unlisted.Blocks, "ipamblocks"))
	}
	for i := range c.s.Cluster.Affinities {
		a := &c.s.Cluster.Affinities[i]
		objects := []string{affinityObject(a)}
		b := c.at[a.CIDR]
		switch {
		case b == nil && (c.refused[a.CIDR] || c.unknown.Blocks): // left out with a finding of its own, or not asked for
		case b == nil:
			c.find(kindAffinityWithoutBlock, a.CIDR.Addr(), objects, "%s has a %s affinity on %s, which does not exist", a.Owner, a.State, a.CIDR)
			c.mendAffinity(a, b)
		case b.Owner != a.Owner:
			objects = append(objects, blockObject(a.CIDR))
			c.find(kindAffinityStale, a.CIDR.Addr(), objects, "%s has a %s affinity on %s, which is %s", a.Owner, a.State, a.CIDR, whose(b.Owner))
			c.mendAffinity(a, b)
		}
		switch a.State {
		case affinity.Pending:
			c.find(kindAffinityPending, a.CIDR.Addr(), objects, "%s announced its claim on %s and did not confirm it", a.Owner, a.CIDR)
			c.mendAffinity(a, b)
		case affinity.PendingDeletion:
			c.find(kindAffinityPendingDeletion, a.CIDR.Addr(), objects, "%s began to give up %s and did not end", a.Owner, a.CIDR)
			c.mendAffinity(a, b)
		}
	}
}

// mendAffinity deletes an affinity that nobody will ever look at: its node is gone,
// and the block is not that node's. A node that exists looks after its affinities
// itself, and kube-controllers after those of a block whose owner is gone.
func (c *checker) mendAffinity(a *ipam.AffinityState, b *ipam.BlockState) {
	if c.unknown.Nodes {
		return
	}
	switch gone := a.Owner.Type == affinity.Host && !c.nodes[a.Owner.Name]; {
	case !gone:
	case b != nil && b.Owner == a.Owner:
		c.mend("nothing need be done: kube-controllers releases them once nothing of their node is in use")
	case b != nil || !c.unknown.Blocks && !c.refused[a.CIDR]:
		c.mend("their node is gone, so nobody else deletes them", deleteAffinity(affinity.Name(a.Owner.Name, a.CIDR))...)
	}
}

func whose(o affinity.Owner) string {
	if o.IsZero() {
		return "nobody's"
	}
	return o.String() + "'s"
}

// blocks checks that every block has its pool and its affinity.
func (c *checker) blocks() {
	owned := slices.ContainsFunc(c.s.Cluster.Blocks, func(b ipam.BlockState) bool { return !b.Owner.IsZero() })
	if c.unknown.Affinities && (owned || !c.s.Unlisted.Affinities) {
		c.unjudged("whether blocks have their affinities was not looked at: of the affinities, %s", whyUnknown(c.s.Unlisted.Affinities, "blockaffinities"))
	}
	if c.unknown.Pools && len(c.s.Cluster.Blocks) > 0 {
		c.unjudged("whether blocks lie in a pool was not looked at: of the pools, %s", whyUnknown(c.s.Unlisted.Pools, "ippools"))
	}
	for i := range c.s.Cluster.Blocks {
		b := &c.s.Cluster.Blocks[i]
		objects := []string{blockObject(b.CIDR)}
		if !b.Owner.IsZero() && !c.unknown.Affinities && !c.claims[claimKey{b.Owner, b.CIDR}] {
			c.find(kindBlockWithoutAffinity, b.CIDR.Addr(), objects, "%s is %s, who has no affinity on it", b.CIDR, whose(b.Owner))
			if b.Owner.Type == affinity.Host {
				c.mend("", createAffinity(affinity.Name(b.Owner.Name, b.CIDR), b.Owner.Name, b.CIDR)...)
			}
		}
		if !c.unknown.Pools && !c.inPool(b.CIDR.Addr()) {
			c.find(kindBlockWithoutPool, b.CIDR.Addr(), objects, "%s lies in no pool; %s in use there", b.CIDR, plural(len(b.Allocations), "address is", "addresses are"))
		}
		for _, p := range c.s.Cluster.Pools {
			if p.CIDR.Contains(b.CIDR.Addr()) && p.BlockSize != b.CIDR.Bits() {
				c.find(kindBlockSize, b.CIDR.Addr(), objects, "%s is no block of pool %s, whose blocks are /%d; %s in use there", b.CIDR, p.Name, p.BlockSize, plural(len(b.Allocations), "address is", "addresses are"))
			}
		}
	}
	c.overlaps()
}

// overlaps finds blocks that share addresses with a larger one.
func (c *checker) overlaps() {
	var last *ipam.BlockState
	for _, b := range c.byAddress {
		if last == nil || !last.CIDR.Overlaps(b.CIDR) {
			last = b
			continue
		}
		c.find(kindBlockOverlap, b.CIDR.Addr(), []string{blockObject(b.CIDR)}, "%s lies in block %s, which has the same addresses", b.CIDR, last.CIDR)
	}
}

// comparePrefixes orders prefixes by masked address, length and address, as
// netip.Prefix.Compare does, which needs Go 1.26.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(
		a.Masked().Addr().Compare(b.Masked().Addr()),
		cmp.Compare(a.Bits(), b.Bits()),
		a.Addr().Compare(b.Addr()),
	)
}
