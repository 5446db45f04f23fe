package ipam

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// A Release names an address to release, with conditions on its holder.
type Release struct {
	IP netip.Addr
	// Handle, if given, must hold the address.
	Handle string
	// Sequence, if given, must be the address's sequence number, which is 0 for a
	// free one. It proves that the address was not given out anew since.
	Sequence *uint64
	// Windows says that the client runs on Windows: see [AutoAssignArgs]. It has
	// no effect before Calico v3.33.
	Windows bool
}

// ReleaseIPs releases addresses, block by block (§9).
//
// Unallocated are the addresses that were not allocated before: free, cooling, in
// a block that does not exist, or in no pool and no block. That is not an error.
// Released are all addresses of the batches that succeeded, as often as they were
// given, unallocated ones included; none before Calico v3.31. Both are in the
// order of blocks' names, within a block in the order given.
//
// An address whose handle or sequence number differs ([codes.BadHandle],
// [codes.BadSequenceNumber]) prevents the release of its whole block's batch. The
// other batches succeed, and the error is that of the first such block by name. If
// an address is given twice the last entry counts. [codes.InvalidArgument] and
// [codes.StrictAffinityRequired] come before anything happens. The slices are the
// caller's.
func (a *Allocator) ReleaseIPs(releases ...Release) (unallocated, released []netip.Addr, err error) {
	for _, r := range releases {
		if err := checkAddr(r.IP); err != nil {
			return nil, nil, err
		}
	}
	a.begin()
	defer a.mu.Unlock()
	if err := a.routableEarly(slices.ContainsFunc(releases, func(r Release) bool { return r.Windows })); err != nil {
		return nil, nil, err
	}
	if !a.rules.TellReleased {
		defer func() { released = nil }()
	}
	for _, b := range a.batches(releases) {
		if b.block == nil {
			for _, r := range b.releases {
				unallocated = append(unallocated, r.IP)
				if b.cidr.IsValid() {
					released = append(released, r.IP)
				}
			}
			continue
		}
		free, failed := a.releaseBatch(b.block, b.releases)
		if failed != nil {
			if err == nil {
				err = failed
			}
			continue
		}
		unallocated = append(unallocated, free...)
		if released == nil {
			released = make([]netip.Addr, 0, len(releases))
		}
		for _, r := range b.releases {
			released = append(released, r.IP)
		}
	}
	return unallocated, released, err
}

// ReleaseIP is [Allocator.ReleaseIPs] for one address: it reports whether the
// address was allocated. It allocates no memory.
func (a *Allocator) ReleaseIP(r Release) (allocated bool, err error) {
	if err := checkAddr(r.IP); err != nil {
		return false, err
	}
	a.begin()
	defer a.mu.Unlock()
	if r.Windows {
		if err := a.routableEarly(true); err != nil {
			return false, err
		}
	}
	b := a.blockToRelease(r.IP)
	if b == nil {
		return false, nil
	}
	ord, _ := b.Ordinal(r.IP)
	handle, held, err := a.judge(b, ord, &r)
	if err != nil || !held {
		return false, err
	}
	a.ordinals = append(a.ordinals[:0], ord)
	b.unordered = true
	a.releaseHeld(b, a.handles.find(handle), false)
	return true, nil
}

// routableEarly is routable where an operation begins, which reads the configuration
// there since Calico v3.33, and before that later or never (§16).
func (a *Allocator) routableEarly(windows bool) error {
	if windows {
		a.tell(readsConfig)
	}
	return a.routable(windows && a.rules.ReleaseReadsConfig)
}

// blockToRelease returns the block in which a release looks for the address, or
// nil. Before Calico v3.30.4 it searches an address of a disabled pool like one in
// no pool.
func (a *Allocator) blockToRelease(ip netip.Addr) *ipamBlock {
	b := a.blockAt(ip)
	if len(a.strays) == 0 {
		return b
	}
	a.tell(findsByPools)
	if a.rules.DisabledByAddress {
		return b
	}
	if pb := a.poolOf(ip); pb == nil || !pb.pool.Disabled() {
		return b
	}
	return a.firstStray(ip, b)
}

// batch is the part of a ReleaseIPs for one block.
type batch struct {
	cidr     netip.Prefix // of the block; invalid for addresses in no pool and no block
	block    *ipamBlock   // nil if it does not exist
	releases []Release    // as many as size, once they are filed
	size     int
}

// batches groups the releases by block, in the order of the blocks' names. The releases
// of the only block stay the caller's.
func (a *Allocator) batches(releases []Release) []batch {
	var batches []batch
	a.grouped = a.grouped[:0]
	at := 0 // of the release before: those of a block come in runs
	for _, r := range releases {
		if len(batches) == 0 || !a.isOf(r.IP, &batches[at]) {
			b := a.batchOf(r.IP)
			if at = slices.IndexFunc(batches, func(x batch) bool { return x.cidr == b.cidr }); at < 0 {
				at = len(batches)
				batches = append(batches, b)
			}
		}
		batches[at].size++
		a.grouped = append(a.grouped, at)
	}
	if len(batches) == 1 {
		batches[0].releases = releases
		return batches
	}
	all := make([]Release, len(releases))
	for i := range batches {
		b := &batches[i]
		b.releases, all = all[:0:b.size], all[b.size:]
	}
	for i, r := range releases {
		b := &batches[a.grouped[i]]
		b.releases = append(b.releases, r)
	}
	slices.SortStableFunc(batches, func(x, y batch) int { return affinity.CompareCIDRNames(x.cidr, y.cidr) })
	return batches
}

// isOf reports whether a release of the address is one of the batch for certain: no
// stray can hold it.
func (a *Allocator) isOf(ip netip.Addr, b *batch) bool {
	return len(a.strays) == 0 && b.block != nil && b.cidr.Contains(ip)
}

// batchOf returns the batch of a release of the address, without releases.
func (a *Allocator) batchOf(ip netip.Addr) batch {
	b := batch{block: a.blockToRelease(ip)}
	if b.block != nil {
		b.cidr = b.block.CIDR()
	} else if pb := a.poolOf(ip); pb != nil {
		b.cidr = pb.pool.BlockAt(pb.pool.IndexOf(ip))
	}
	return b
}

// givenTwice reports whether any address of the block is.
func (b *ipamBlock) givenTwice(releases []Release) bool {
	var given [block.MaxSize / 64]uint64
	for i := range releases {
		ord, _ := b.Ordinal(releases[i].IP)
		if given[ord/64]>>(ord%64)&1 != 0 {
			return true
		}
		given[ord/64] |= 1 << (ord % 64)
	}
	return false
}

// releaseBatch releases addresses of one block, all or none, and returns those
// that were free or cooling.
func (a *Allocator) releaseBatch(b *ipamBlock, releases []Release) (free []netip.Addr, err error) {
	if !a.rules.QueueByOrdinal {
		releases = byAddressText(releases)
	}
	var last map[int]int // by ordinal, the index of the release that counts, if not each does
	if b.givenTwice(releases) {
		last = make(map[int]int, len(releases))
		for i, r := range releases {
			ord, _ := b.Ordinal(r.IP)
			last[ord] = i
		}
	}
	a.ordinals = a.ordinals[:0]
	for i, r := range releases {
		ord, _ := b.Ordinal(r.IP)
		if last != nil && last[ord] != i {
			continue
		}
		_, held, err := a.judge(b, ord, &releases[i])
		switch {
		case err != nil:
			return nil, err
		case held:
			a.ordinals = append(a.ordinals, ord)
		default: // or cooling
			free = append(free, r.IP)
		}
	}
	// An address given twice counts once among the unallocated, so there are fewer
	// than were given, and the block is written even if nothing is released (§9).
	if len(free) < len(releases) {
		a.releaseOrdinals(b)
	}
	return free, nil
}

// byAddressText returns the releases in the order of their addresses as text.
// Older releases of Calico iterate over a map; this order stands for the map's. It
// decides the order in the queue, and which of several refused addresses is the
// error.
func byAddressText(releases []Release) []Release {
	releases = slices.Clone(releases)
	slices.SortStableFunc(releases, func(x, y Release) int { return strings.Compare(x.IP.String(), y.IP.String()) })
	return releases
}

// judge returns whether the ordinal may be released, whether anybody holds it, and
// the handle.
func (a *Allocator) judge(b *ipamBlock, ord int, r *Release) (handle string, held bool, err error) {
	handle, seq, held := b.Holder(ord, a.cold)
	if !held && r.Sequence != nil {
		a.tell(freeNumbers)
	}
	switch {
	case r.Sequence != nil && *r.Sequence != seq:
		err = &Error{
			Code: codes.BadSequenceNumber, Address: r.IP, Block: b.CIDR(),
			Want: strconv.FormatUint(*r.Sequence, 10), Got: strconv.FormatUint(seq, 10),
		}
	case held && r.Handle != "" && handleID(r.Handle) != handle:
		err = &Error{Code: codes.BadHandle, Address: r.IP, Block: b.CIDR(), Want: r.Handle, Got: handle}
	}
	return handle, held, err
}

// releaseOrdinals releases a.ordinals, which are allocated, and lowers their
// handles. It deletes the block if it is empty and has no owner, and releases its
// affinity if the pool no longer selects the node.
func (a *Allocator) releaseOrdinals(b *ipamBlock) {
	lower := a.lowering[:0]
	for _, ord := range a.ordinals {
		id, _, _ := b.Holder(ord, a.cold)
		h := a.handles.find(id)
		i := slices.IndexFunc(lower, func(l lowering) bool { return l.handle == h && l.id == id })
		if i < 0 {
			i, lower = len(lower), append(lower, lowering{h, id, 0})
		}
		if lower[i].n > 0 {
			a.tell(lowers)
		}
		if a.rules.LowerByReleased || lower[i].n == 0 {
			lower[i].n++
		}
	}
	if len(a.ordinals) > 1 {
		b.unordered = true
	}
	a.lowering = lower
	a.free(b, false)
	a.writeReleased(b)
	for i, l := range lower {
		if l.handle != nil && l.handle.id != "" { // else another of its ids ended it just now
			a.lower(l.handle, b, l.n)
		}
		lower[i] = lowering{}
	}
	a.giveBackUnselected(b)
}

// lowering says by how much a handle is lowered for one of its ids.
type lowering struct {
	handle *handle // nil for none
	id     string
	n      int
}

// free releases a.ordinals of the block, for a ReleaseByHandle or for a
// ReleaseIPs, which renumbers cooling addresses (§6). Before there was a cooldown
// the two differed in more (§16).
func (a *Allocator) free(b *ipamBlock, byHandle bool) {
	switch {
	case byHandle && !a.rules.FreeHasNoNumber:
		b.ReleaseInOrder(a.ordinals, true)
	case !byHandle && !a.rules.QueueByOrdinal:
		b.ReleaseInOrder(a.ordinals, false)
	default:
		b.Release(a.ordinals, a.now, a.cold)
		if !byHandle {
			b.Renumber(a.ordinals)
		}
	}
}

// releaseHeld is releaseOrdinals if one handle, nil for none, holds them all.
func (a *Allocator) releaseHeld(b *ipamBlock, h *handle, byHandle bool) {
	a.free(b, byHandle)
	a.writeReleased(b)
	a.lower(h, b, len(a.ordinals))
	a.giveBackUnselected(b)
}

// giveBackUnselected releases the affinity of an empty block if its enabled pool
// no longer selects the owning node, which still exists.
func (a *Allocator) giveBackUnselected(b *ipamBlock) {
	o := b.owner
	if o == nil {
		return
	}
	n := o
	if o.id.Type != affinity.Host {
		n = a.namesake(o) // nodes are found by name
	}
	if n == nil || !n.node {
		return
	}
	pb := b.pool
	if pb == nil {
		pb = a.poolOf(b.CIDR().Addr()) // a stray may lie in one
	}
	if pb == nil || !pb.rejects(n) {
		return
	}
	_ = a.releaseClaim(o, b.CIDR(), true) // a block in use stays
}

// ReleaseByHandle releases everything that the handle holds, blocks by name. An
// unknown handle is [codes.DoesNotExist]. Counts for blocks in which the handle
// holds nothing, or that do not exist any more, stay (§9, §15).
func (a *Allocator) ReleaseByHandle(id string) error {
	a.begin()
	defer a.mu.Unlock()
	held := readHandle(id)
	h, _ := a.handles.search(held)
	if h == nil {
		return unknownHandle(held)
	}
	// Lowering removes counts from the list.
	var small [4]count
	for _, c := range a.handles.counts(small[:0], h) {
		b := a.live(c)
		if b == nil {
			continue
		}
		if a.ordinals = b.AppendHandle(a.ordinals[:0], held); len(a.ordinals) > 0 {
			a.releaseHeld(b, h, true)
		}
	}
	return nil
}

// GarbageCollectColdIPs moves every address whose cooldown is over to the free queue
// of its block (§9), in the given blocks, or in all without any. Blocks that do not
// exist have no effect. Other operations that write a block do the same. It
// deletes no block: an empty one without an owner stays, and can only be borrowed
// from (§5, §6).
func (a *Allocator) GarbageCollectColdIPs(blocks ...netip.Prefix) {
	a.begin()
	defer a.mu.Unlock()
	for _, b := range a.theseOrAll(blocks) {
		if b.Collect(a.cold) > 0 {
			a.write(b)
			b.refresh()
		}
	}
}

// theseOrAll returns the given blocks that exist, or all blocks if none is given.
func (a *Allocator) theseOrAll(cidrs []netip.Prefix) []*ipamBlock {
	if len(cidrs) == 0 {
		return a.allBlocks()
	}
	var these []*ipamBlock
	for _, cidr := range cidrs {
		if !cidr.IsValid() {
			continue
		}
		if b := a.block(cidr); b != nil {
			these = append(these, b)
		}
	}
	return these
}
