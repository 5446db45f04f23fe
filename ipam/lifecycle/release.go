package lifecycle

import (
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// releaseLeaks releases the confirmed leaks whose handles have leaked whole, after
// a last look at each (§12, "Leaks"). After an error the sync is at its end.
func (k *Controller) releaseLeaks() error {
	m := &k.memory
	for _, al := range slices.Clone(m.leaks) {
		if k.rules.held(al) {
			m.trust(al)
		}
	}
	leaks := slices.DeleteFunc(slices.Clone(m.leaks), func(al *allocation) bool {
		return !k.rules.whole(al.handle)
	})
	slices.SortFunc(leaks, byText)
	leaks = leaks[:batch(leaks, k.policy.batch())]
	return k.release(leaks)
}

// release releases addresses, with handle and sequence number, in one call. What
// it released is done with, also where some block refused its part.
func (k *Controller) release(leaks []*allocation) error {
	if len(leaks) == 0 {
		return nil
	}
	releases := make([]ipam.Release, len(leaks))
	byIP := make(map[netip.Addr]*allocation, len(leaks))
	for i, al := range leaks {
		releases[i] = ipam.Release{IP: al.ip, Handle: al.handle.id, Sequence: &al.seq}
		byIP[al.ip] = al
	}
	_, released, err := k.allocator.ReleaseIPs(releases...)
	pools := k.allocator.Pools()
	for _, ip := range released {
		al := byIP[ip]
		k.reclaimed[series{poolOf(pools, al.block.cidr), al.holder.node}]++
		k.memory.trust(al)
	}
	return err
}

// leaked reports whether every allocation of the handle, in whatever block and on
// whatever node, is a confirmed leak.
func (h *handle) leaked() bool { return h.confirmed == h.held }

// held is the last look at a leak: whether somebody holds it after all. It goes by
// the node as the last scan of it found it (§12, "Leaks").
func (k *Controller) held(al *allocation) bool {
	return k.cluster.holds(&al.holder, al.ip, al.node.existed)
}

// batch returns how many of the leaks, which are in the order of handles, make a
// batch: at most limit, but whole handles and at least one.
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

// releaseNodes gives up what the leaving nodes own, and reports whether some could
// not be released.
func (k *Controller) releaseNodes() (left bool) {
	m := &k.memory
	for _, n := range k.leaving {
		if err := k.allocator.ReleaseHostAffinities(affinity.HostOwner(n.name), true); err != nil {
			left = true
			if n.dirty {
				m.dirty = append(m.dirty, n)
			}
			continue
		}
		n.dirty = false
		m.forgetIdle(n)
	}
	return left
}
