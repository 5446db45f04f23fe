package lifecycle

import (
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// releaseLeaks releases the confirmed leaks whose handles have leaked whole, after
// a last look at each (§12, "Leaks").
func (k *Controller) releaseLeaks() {
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
	k.release(leaks)
}

// release releases addresses, with handle and sequence number, each block by
// itself: it succeeds or fails by itself too.
func (k *Controller) release(leaks []*allocation) {
	if len(leaks) == 0 {
		return
	}
	byBlock := make(map[*owned][]*allocation)
	var order []*owned
	for _, al := range leaks {
		if byBlock[al.block] == nil {
			order = append(order, al.block)
		}
		byBlock[al.block] = append(byBlock[al.block], al)
	}
	slices.SortFunc(order, func(x, y *owned) int { return affinity.CompareCIDRNames(x.cidr, y.cidr) })
	pools := k.allocator.Pools()
	var releases []ipam.Release
	for _, b := range order {
		releases = releases[:0]
		for _, al := range byBlock[b] {
			releases = append(releases, ipam.Release{IP: al.ip, Handle: al.handle.id, Sequence: &al.seq})
		}
		if _, _, err := k.allocator.ReleaseIPs(releases...); err != nil {
			continue // somebody wrote meanwhile; the next sync learns what
		}
		name := poolOf(pools, b.cidr)
		for _, al := range byBlock[b] {
			k.reclaimed[series{name, al.holder.node}]++
		}
	}
}

// leaked reports whether every allocation of the handle, in whatever block and on
// whatever node, is a confirmed leak.
func (h *handle) leaked() bool { return h.confirmed == h.held }

// held is the last look at a leak: whether somebody holds it after all.
func (k *Controller) held(al *allocation) bool {
	if al.holder.kind == ofTunnel {
		return k.cluster.HasNode(al.holder.node)
	}
	return k.cluster.holds(&al.holder, al.ip)
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
