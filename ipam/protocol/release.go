package protocol

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// ReleaseIPs gives addresses back, block by block, as [ipam.Allocator.ReleaseIPs]
// does (§9, §15).
func (c *Client) ReleaseIPs(releases ...ipam.Release) (unallocated, released []netip.Addr, err error) {
	for _, r := range releases {
		if err := checkAddr(r.IP); err != nil {
			return nil, nil, err
		}
	}
	l := lowering{c: c}
	if len(releases) > 2 {
		if err := l.list(); err != nil {
			return nil, nil, err
		}
	}
	var s settings
	if c.rules.ReleaseReadsConfig {
		s, err = c.settingsOn(slices.ContainsFunc(releases, func(r ipam.Release) bool { return r.Windows }))
	}
	if err != nil {
		return nil, nil, err
	}
	for _, b := range c.batches(releases) {
		if !b.cidr.IsValid() {
			unallocated = append(unallocated, b.addresses()...)
			continue
		}
		free, failed := c.releaseBatch(&b, s, &l)
		if failed != nil {
			if err == nil {
				err = outcome(failed)
			}
			continue
		}
		unallocated = append(unallocated, free...)
		if c.rules.TellReleased {
			released = append(released, b.addresses()...)
		}
	}
	return unallocated, released, err
}

// ReleaseIP is [Client.ReleaseIPs] for one address: it reports whether the
// address was allocated until then.
func (c *Client) ReleaseIP(r ipam.Release) (allocated bool, err error) {
	unallocated, _, err := c.ReleaseIPs(r)
	return err == nil && len(unallocated) == 0, err
}

// batch is the part of a ReleaseIPs that is about one block.
type batch struct {
	cidr     netip.Prefix // of the block; invalid for addresses in no pool and no block
	releases []ipam.Release
}

func (b *batch) addresses() []netip.Addr {
	var ips []netip.Addr
	for _, r := range b.releases {
		ips = append(ips, r.IP)
	}
	return ips
}

// batches groups the releases by block, in the order of the blocks' names.
func (c *Client) batches(releases []ipam.Release) []batch {
	var batches []batch
	for _, r := range releases {
		cidr, _ := c.blockAt(r.IP)
		i := slices.IndexFunc(batches, func(b batch) bool { return b.cidr == cidr })
		if i < 0 {
			i = len(batches)
			batches = append(batches, batch{cidr: cidr})
		}
		batches[i].releases = append(batches[i].releases, r)
	}
	slices.SortStableFunc(batches, func(x, y batch) int { return affinity.CompareCIDRNames(x.cidr, y.cidr) })
	return batches
}

// releaseBatch releases addresses of one block, all or none, and returns those
// that were free or cooling.
func (c *Client) releaseBatch(r *batch, s settings, l *lowering) (unallocated []netip.Addr, err error) {
	order := r.releases
	if !c.rules.QueueByOrdinal { // a map's order on a real cluster (§16)
		order = slices.SortedStableFunc(slices.Values(order), func(x, y ipam.Release) int { return strings.Compare(x.IP.String(), y.IP.String()) })
	}
	err = c.releaseFrom(r.cidr, s, l, func(b *Block) (p picked, err error) {
		if b == nil {
			unallocated = r.addresses()
			return picked{nothing: true}, nil
		}
		p.ords, unallocated, err = judge(b, order)
		// An address given twice is fewer that are unallocated than were given.
		p.nothing = len(unallocated) == len(r.releases)
		return p, err
	})
	return unallocated, err
}

// judge returns which ordinals of the block may be released and which addresses
// are not allocated. Of an address given twice the last counts.
func judge(b *Block, releases []ipam.Release) (ords []int, unallocated []netip.Addr, err error) {
	for i, one := range releases {
		if slices.ContainsFunc(releases[i+1:], func(later ipam.Release) bool { return later.IP == one.IP }) {
			continue
		}
		ord := b.ordinal(one.IP)
		if one.Sequence != nil && *one.Sequence != b.Sequences[ord] {
			return nil, nil, &ipam.Error{
				Code: codes.BadSequenceNumber, Address: one.IP, Block: b.CIDR,
				Want: strconv.FormatUint(*one.Sequence, 10), Got: strconv.FormatUint(b.Sequences[ord], 10),
			}
		}
		rec := b.record(ord)
		switch {
		case rec == nil || !rec.ReleasedAt.IsZero():
			unallocated = append(unallocated, one.IP)
		case one.Handle != "" && handleID(one.Handle) != rec.Handle:
			return nil, nil, &ipam.Error{Code: codes.BadHandle, Address: one.IP, Block: b.CIDR, Want: one.Handle, Got: rec.Handle}
		default:
			ords = append(ords, ord)
		}
	}
	return ords, unallocated, nil
}

// picked is what a release takes from a block.
type picked struct {
	ords    []int
	nothing bool // there is nothing to release: the block is not written
	// byHandle is a ReleaseByHandle: what cools down keeps its sequence number,
	// and a block that somebody else deletes meanwhile is released (§6, §15).
	byHandle bool
}

// releaseFrom releases what judge picks of a block, nil if there is none, and
// does what follows from it: the block is deleted if nobody needs it, the handles are lowered, the
// affinity is given back if the pool no longer selects the node. After a
// conflict everything is judged anew.
func (c *Client) releaseFrom(cidr netip.Prefix, s settings, l *lowering, judge func(*Block) (picked, error)) error {
	return retry(func() error {
		b, err := c.getBlock(cidr, s)
		if errors.Is(err, errMissing) {
			b, err = nil, nil
		}
		if err != nil {
			return err
		}
		p, err := judge(b)
		if err != nil || p.nothing {
			return err
		}
		counts := b.countHandles(p.ords)
		c.takeBack(b, &p, s)
		err = c.writeOrDelete(b)
		if errors.Is(err, errMissing) && p.byHandle && b.abandoned() {
			err = nil // somebody else deleted it
		}
		if err != nil {
			return err
		}
		for _, n := range counts {
			if !p.byHandle && !c.rules.LowerByReleased {
				n.n = 1 // however many of its addresses these were
			}
			l.lower(n.handle, cidr, n.n)
		}
		c.giveBackUnselected(b, s)
		return nil
	})
}

// takeBack takes what was picked from its owners. Before there was a cooldown it
// was free at once, and not always in the order of ordinals: what one ReleaseIPs
// released went through a map, for whose order that of the addresses as text
// stands, as in recordings (§16): they were picked in it.
func (c *Client) takeBack(b *Block, p *picked, s settings) {
	switch {
	case p.byHandle && !c.rules.FreeHasNoNumber:
		b.free(p.ords, true)
	case !p.byHandle && !c.rules.QueueByOrdinal:
		b.free(p.ords, false)
	default:
		b.release(p.ords, !p.byHandle, c.now(), s.cooldown)
	}
}

// writeOrDelete writes a block from which something was released, or deletes it
// when it is empty and nobody's.
func (c *Client) writeOrDelete(b *Block) error {
	if b.abandoned() {
		return c.delete(b)
	}
	return c.updateBlock(b)
}

// abandoned reports whether the block is empty and nobody's.
func (b *Block) abandoned() bool { return b.Owner.IsZero() && b.empty() }

// handleCount is how many of some ordinals a handle holds.
type handleCount struct {
	handle string
	n      int
}

// countHandles returns how many of the ordinals each handle holds, in the order
// in which they are met. The real allocator goes through a map; recordings do not
// tell this order from that of the ids.
func (b *Block) countHandles(ords []int) []handleCount {
	var counts []handleCount
	for _, ord := range ords {
		handle := b.record(ord).Handle
		if handle == "" {
			continue
		}
		i := slices.IndexFunc(counts, func(n handleCount) bool { return n.handle == handle })
		if i < 0 {
			i = len(counts)
			counts = append(counts, handleCount{handle: handle})
		}
		counts[i].n++
	}
	return counts
}

// lowering is the lowering of handles in one release. That of a handle which was
// listed always begins with what was listed, as the lowerings before have left
// it, at the revision that it had then: where a handle is lowered in a second
// block, its first try is in vain (§15).
type lowering struct {
	c      *Client
	listed map[string]*Handle // by id, in its maker's letters; the client's own
}

// list lists the handles.
func (l *lowering) list() error {
	handles, err := list[*Handle](l.c, HandlesKey)
	if err != nil {
		return err
	}
	l.listed = make(map[string]*Handle, len(handles))
	for _, h := range handles {
		l.listed[h.ID] = h.Copy().(*Handle)
	}
	return nil
}

func (l *lowering) lower(id string, cidr netip.Prefix, n int) {
	_ = l.c.lower(l.listed[id], id, cidr, n) // a count that stays too high is no error
}

// giveBackUnselected releases the block's affinity, if the block is empty, where
// its enabled pool no longer selects the owning node, which still exists: that of
// the owner's name, even where the owner is virtual. A block without an owner,
// deleted or not, is nobody's to give back. It is tried once.
func (c *Client) giveBackUnselected(b *Block, s settings) {
	if b.Owner.IsZero() {
		return
	}
	n, err := get[*Node](c, nodeKey(b.Owner.Name))
	if err != nil {
		return
	}
	p := c.pools.ByAddr(b.CIDR.Addr())
	if p == nil || p.Disabled() || p.SelectsNode(n.Labels) {
		return
	}
	_ = c.releaseOnce(b.Owner, b.CIDR, true, s) // it stays where it is in use
}

// ReleaseByHandle gives back everything that the handle holds, as
// [ipam.Allocator.ReleaseByHandle] does.
func (c *Client) ReleaseByHandle(id string) error {
	id = handleID(id)
	h, err := get[*Handle](c, handleKey(id))
	if errors.Is(err, errMissing) {
		return &ipam.Error{Code: codes.DoesNotExist, Handle: id, Detail: "handle " + id}
	}
	if err != nil {
		return err
	}
	s, err := c.settingsToRelease()
	if err != nil {
		return err
	}
	for _, cidr := range h.blocks() {
		err := c.releaseFrom(cidr, s, &lowering{c: c}, func(b *Block) (picked, error) {
			ords := b.heldBy(id)
			return picked{ords: ords, nothing: len(ords) == 0, byHandle: true}, nil
		})
		if err != nil {
			return outcome(err)
		}
	}
	return nil
}

// GarbageCollectColdIPs frees every address whose cooldown is over, as
// [ipam.Allocator.GarbageCollectColdIPs] does: get config, list blocks, and of
// each block with anything to collect one write of what was listed. It deletes
// none, and tries none again (§15). Without a cooldown nobody does it.
func (c *Client) GarbageCollectColdIPs() {
	if !c.rules.Cooldown {
		return
	}
	s, err := c.settings()
	if err != nil {
		return
	}
	blocks, err := list[*Block](c, BlocksKey)
	if err != nil {
		return
	}
	for _, listed := range blocks {
		if b := listed.Copy().(*Block); b.collect(c.now(), s.cooldown) > 0 {
			_ = c.updateBlock(b)
		}
	}
}
