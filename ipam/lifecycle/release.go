package lifecycle

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// releaseLeaks releases the confirmed leaks whose handles have leaked whole, after
// a last look at each (§12, "Leaks"). An error ends the sync.
func (k *Controller) releaseLeaks() error {
	m := &k.memory
	k.leaks = append(k.leaks[:0], m.leaks...)
	for _, al := range k.leaks {
		if k.guards.held(al) {
			m.clearSuspicion(al)
		}
	}
	k.leaks = append(k.leaks[:0], m.leaks...)
	leaks := slices.DeleteFunc(k.leaks, func(al *allocation) bool { return !k.guards.whole(al.handle) })
	slices.SortFunc(leaks, byText)
	some := leaks[:batch(leaks, k.policy.batch())]
	if len(some) < len(leaks) {
		m.tell(atOnce)
	}
	if !k.rules.ReleasesLeaksAtOnce {
		return k.releaseEach(leaks)
	}
	return k.release(some)
}

// release releases addresses, with handle and sequence number, in one call. The
// released ones are leaks no more, even if the call failed for another block.
func (k *Controller) release(leaks []*allocation) error {
	if len(leaks) == 0 {
		return nil
	}
	k.releases = k.releases[:0]
	for _, al := range leaks {
		k.releases = append(k.releases, al.release())
	}
	unallocated, released, err := k.allocator.ReleaseIPs(k.releases...)
	if len(unallocated) > 0 || err != nil {
		k.memory.tell(atOnce)
	}
	if len(released) == len(leaks) && len(k.memory.orphans) == 0 { // all, and none was listed twice
		k.reclaim(leaks)
		return err
	}
	byIP := make(map[netip.Addr]*allocation, len(leaks))
	for _, al := range leaks {
		byIP[al.ip] = al // an address is listed twice if a deleted block had it too
	}
	gone := make([]*allocation, 0, len(released))
	for _, ip := range released {
		if al := byIP[ip]; al != nil {
			gone = append(gone, al)
			delete(byIP, ip)
		}
	}
	k.reclaim(gone)
	return err
}

// releaseEach releases addresses one by one, up to the first error. An address that
// was not allocated stays a leak until its block is seen again.
func (k *Controller) releaseEach(leaks []*allocation) error {
	gone := make([]*allocation, 0, len(leaks))
	defer func() { k.reclaim(gone) }()
	for _, al := range leaks {
		allocated, err := k.allocator.ReleaseIP(al.release())
		if !allocated || err != nil {
			k.memory.tell(atOnce)
		}
		if err != nil && !errors.Is(err, codes.DoesNotExist) {
			return err
		}
		if allocated || err != nil {
			gone = append(gone, al)
		}
	}
	return nil
}

// release returns the arguments that release this allocation and no later one of
// the same address.
func (al *allocation) release() ipam.Release {
	return ipam.Release{IP: al.ip, Handle: al.handle.id, Sequence: &al.seq}
}

// reclaim counts leaks that were released. As a rule those of one block lie side by
// side, and are of one series.
func (k *Controller) reclaim(leaks []*allocation) {
	for len(leaks) > 0 {
		first := leaks[0]
		same := func(al *allocation) bool { return al.block == first.block && al.holder.node == first.holder.node }
		n := 0
		for ; n < len(leaks) && same(leaks[n]); n++ {
			k.memory.dropLeak(leaks[n])
		}
		k.reclaimed[series{poolOf(k.allocator.Pools(), first.block.cidr), first.holder.node}] += uint64(n)
		leaks = leaks[n:]
	}
}

// leaked reports whether every allocation of the handle, in any block and on any
// node, is a confirmed leak.
func (h *handle) leaked() bool { return h.confirmed == h.held }

// held is the last look at a leak: it reports whether somebody holds the address
// after all. Whether the node exists is as its last scan found it (§12, "Leaks").
func (k *Controller) held(al *allocation) bool {
	return k.holds(al, al.nodeExisted)
}

// batch returns how many of the leaks, which are sorted by handle, make a batch: at
// most limit, but whole handles only and at least one handle.
func batch(leaks []*allocation, limit int) int {
	if len(leaks) <= limit {
		return len(leaks)
	}
	n := limit
	for n > 0 && leaks[n].handle == leaks[n-1].handle {
		n--
	}
	if n == 0 {
		for n = limit; n < len(leaks) && leaks[n].handle == leaks[0].handle; n++ {
		}
	}
	return n
}

// releaseNodes releases all affinities of the leaving nodes. An error does not stop
// it; it returns the last one.
func (k *Controller) releaseNodes() (failed error) {
	m := &k.memory
	for _, n := range k.leaving {
		if err := k.allocator.ReleaseHostAffinities(affinity.HostOwner(n.name), true); err != nil {
			failed = err
			if n.dirty {
				m.dirty = append(m.dirty, n)
			}
			continue
		}
		n.dirty = false
		m.forgetIdle(n)
	}
	return failed
}
