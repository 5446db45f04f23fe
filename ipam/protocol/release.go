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

// ReleaseIPs releases addresses, block by block, as [ipam.Allocator.ReleaseIPs]
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

// ReleaseIP is [Client.ReleaseIPs] for one address: it reports whether the address
// was allocated.
func (c *Client) ReleaseIP(r ipam.Release) (allocated bool, err error) {
	unallocated, _, err := c.ReleaseIPs(r)
	return err == nil && len(unallocated) == 0, err
}

// batch is the part of a ReleaseIPs for one block.
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
		// An address given twice counts once among the unallocated, so there are
		// fewer than were given.
		p.nothing = len(unallocated) == len(r.releases)
		return p, err
	})
	return unallocated, err
}

// judge returns which ordinals of the block may be released and which addresses
// are not allocated. If an address is given twice the last entry counts.
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

// picked are the ordinals that a release releases in a block.
type picked struct {
	ords    []int
	nothing bool // there is nothing to release: the block is not written
	// byHandle is a ReleaseByHandle: cooling addresses keep their sequence
	// numbers, and a block that another client deletes meanwhile counts as
	// released (§6, §15).
	byHandle bool
}

// releaseFrom releases what judge picks in a block, which is nil if it does not
// exist. Then it deletes the block if it is empty and without an owner, lowers the
// handles, and releases the affinity if the pool no longer selects the node. After
// a conflict it calls judge anew.
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

// takeBack releases what was picked. Before there was a cooldown the ordinals were
// free at once, and those of one ReleaseIPs went through a Go map: here, as in
// recordings, they are in the order of addresses as text, in which they were
// picked (§16).
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

// writeOrDelete writes a block after a release, or deletes it if it is empty and
// has no owner.
func (c *Client) writeOrDelete(b *Block) error {
	if b.abandoned() {
		return c.delete(b)
	}
	return c.updateBlock(b)
}

// abandoned reports whether the block is empty and has no owner.
func (b *Block) abandoned() bool { return b.Owner.IsZero() && b.empty() }

// handleCount is the number of certain ordinals that a handle holds.
type handleCount struct {
	handle string
	n      int
}

// countHandles returns how many of the ordinals each handle holds, in the order in
// which they come first. The real allocator iterates over a map; recordings fit
// this order as well as that of the ids.
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

// lowering lowers handles in one release. For a listed handle it always begins
// with the listed object, as earlier lowerings left it, at the listed revision. So
// when a handle is lowered in a second block, the first try meets a conflict
// (§15).
type lowering struct {
	c      *Client
	listed map[string]*Handle // by id, in its creator's case; the client's own
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

// giveBackUnselected releases the affinity of an empty block if its enabled pool
// no longer selects the owning node, which still exists. For a virtual owner too,
// that is the node of the owner's name. It skips blocks without an owner. It tries
// once.
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
	_ = c.releaseOnce(b.Owner, b.CIDR, true, s) // a block in use stays
}

// ReleaseByHandle releases everything that the handle holds, as
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

// GarbageCollectColdIPs frees every address whose cooldown is over, in the given
// blocks or in all, as [ipam.Allocator.GarbageCollectColdIPs] does: get config, list
// blocks, and one write of each wanted one with anything to collect. It deletes no block and
// tries only once (§15). Releases of Calico without a cooldown do not have it.
func (c *Client) GarbageCollectColdIPs(blocks ...netip.Prefix) {
	if !c.rules.Cooldown {
		return
	}
	s, err := c.settings()
	if err != nil {
		return
	}
	all, err := list[*Block](c, BlocksKey)
	if err != nil {
		return
	}
	for _, listed := range all {
		if len(blocks) > 0 && !slices.Contains(blocks, listed.CIDR) {
			continue
		}
		if b := listed.Copy().(*Block); b.collect(c.now(), s.cooldown) > 0 {
			_ = c.updateBlock(b)
		}
	}
}
