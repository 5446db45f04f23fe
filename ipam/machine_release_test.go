package ipam_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// AssignIP asks for a given address.
func (m *machine) AssignIP() error {
	r := ipam.AssignIPArgs{
		IP: m.ip(), Handle: one(m, "handle", worldHandles), Attrs: one(m, "attrs", worldAttrs),
		HostReserved: m.reserve(),
	}
	if m.pick("use given", 3) > 0 {
		r.Use = one(m, "use", worldUses)
	}
	r.Host = m.asker(r.Use)
	if m.pick("limit", 4) == 3 {
		r.MaxAllocPerHandle = 1 + m.pick("max alloc", 3)
	}
	err := m.got.AssignIP(r)
	m.observe(r.HostReserved, r.HostReserved)
	shown := r
	shown.HostReserved = nil
	m.logf("AssignIP %+v %s = %v", shown, show(r.HostReserved), err)

	want, already := m.want.assignIP(&r, &m.state)
	if existed := blockIn(&m.state, r.IP); existed != nil || blockIn(&m.after, r.IP) == nil {
		if err := m.refused(err, want); err != nil {
			return err
		}
	} else if (err == nil) != (want == nil) || !errors.Is(err, want) {
		return fmt.Errorf("error is %v, want %v", err, want)
	}
	if already {
		return m.unchanged("asking for what one has")
	}
	if err != nil {
		return nil
	}
	return m.want.newHolder(r.IP, holding{handle: cutHandle(r.Handle), active: r.Attrs}, &m.after)
}

// assignIP returns the expected outcome of the request in the state before it, and
// whether the handle holds the address already: §9.
func (w *model) assignIP(r *ipam.AssignIPArgs, s *ipam.State) (refusal error, already bool) {
	if !r.IP.IsValid() || r.IP.Is4In6() || r.IP.Zone() != "" {
		return codes.InvalidArgument, false
	}
	p, ok := w.enabledPoolOf(r.IP)
	switch {
	case !ok:
		return codes.NotInPool, false
	case r.Use != "" && !allows(p, r.Use):
		return codes.UseNotAllowed, false
	}
	d := demand{host: r.Host, use: r.Use}
	b := blockIn(s, r.IP)
	if h := r.HostReserved; b == nil && h != nil {
		if n := h.StartOfBlock + h.EndOfBlock; h.StartOfBlock < 0 || n > 1<<(p.CIDR.Addr().BitLen()-p.BlockSize) {
			return codes.BadHostReservation, false
		}
	}
	if b != nil && w.config.StrictAffinity && b.Owner != d.owner() {
		return codes.AffinityMismatch, false
	}
	handle := cutHandle(r.Handle)
	limited := handle != "" && r.MaxAllocPerHandle > 0
	if h, held := w.held[r.IP]; held && limited && h.handle == handle {
		return nil, true
	} else if held || w.isHost(r.IP) {
		return codes.AlreadyExists, false
	}
	if c, cooling := w.cooling[r.IP]; cooling && !w.cold(c) {
		return codes.AlreadyExists, false
	}
	if limited && total(s, handle, r.IP.Is4())+1 > r.MaxAllocPerHandle {
		stored := handle // the handle has its first id (§1)
		for _, h := range s.Handles {
			if strings.EqualFold(h.ID, handle) {
				stored = h.ID
			}
		}
		for ip, h := range w.held {
			if h.handle == stored && ip.Is4() == r.IP.Is4() {
				return codes.MaxAlloc, false
			}
		}
		return codes.MaxRetries, false // counted, but not held: §15
	}
	return nil, false
}

// EnsureBlock asks for a block.
func (m *machine) EnsureBlock() error {
	r := ipam.EnsureBlockArgs{Host: one(m, "host", worldHosts), HostReserved4: m.someReserve()}
	if m.pick("both", 3) == 2 {
		r.HostReserved6 = m.someReserve()
	}
	if m.pick("pools", 3) == 2 {
		r.Pools4 = []netip.Prefix{worldPools[m.pick("pool", 6)].CIDR}
	}
	b4, b6, err := m.got.EnsureBlock(r)
	m.observe(r.HostReserved4, r.HostReserved6)
	m.logf("EnsureBlock %s %v %s %s = %v %v %v", r.Host, r.Pools4, show(r.HostReserved4), show(r.HostReserved6), b4, b6, err)

	d := demand{r.Host, pool.Workload, true, r.Pools4, r.HostReserved4, nil}
	pools, refusal := m.want.choose(&d)
	if refusal != nil {
		return m.refused(err, refusal)
	}
	if err != nil {
		if b4.IsValid() || b6.IsValid() {
			return fmt.Errorf("an error and blocks %v %v", b4, b6)
		}
		return nil // full, or of IPv6
	}
	s, usable := in(pools, b4.Addr())
	b := blockIn(&m.after, b4.Addr())
	if !usable || b4.Bits() != s.BlockSize || b == nil || b.Owner != d.owner() || m.want.reservations.CoversPrefix(b4) {
		return fmt.Errorf("block %v is not one that %s may use", b4, r.Host)
	}
	if b6.IsValid() != (r.HostReserved6 != nil) {
		return fmt.Errorf("block %v", b6)
	}
	return nil
}

// ReleaseIPs gives back one address or several.
func (m *machine) ReleaseIPs() error {
	var rs []ipam.Release
	var text []string
	for range 1 + m.pick("releases", 3) {
		r := ipam.Release{IP: m.ip()}
		if m.pick("handle given", 3) == 2 {
			r.Handle = one(m, "handle", worldHandles)
		}
		seq := "any"
		if m.pick("sequence given", 3) == 2 {
			number := m.got.SequenceNumber(r.IP)
			if m.pick("stale", 2) == 1 {
				number--
			}
			r.Sequence, seq = &number, fmt.Sprint(number)
		}
		rs = append(rs, r)
		text = append(text, fmt.Sprintf("%s of %q number %s", r.IP, r.Handle, seq))
	}
	wantUnallocated, wantReleased, freed, written, wantErr := m.want.releaseIPs(rs, &m.state)
	unallocated, released, err := m.got.ReleaseIPs(rs...)
	m.observe(nil, nil)
	m.logf("ReleaseIPs %s = %v %v %v", strings.Join(text, ", "), unallocated, released, err)

	if !written {
		if err := m.unchanged("a release of nothing"); err != nil {
			return err
		}
	}
	if (err == nil) != (wantErr == nil) || !errors.Is(err, wantErr) {
		return fmt.Errorf("error is %v, want %v", err, wantErr)
	}
	if got, want := sorted(unallocated), sorted(wantUnallocated); !slices.Equal(got, want) {
		return fmt.Errorf("unallocated are %v, want %v", got, want)
	}
	if got, want := sorted(released), sorted(wantReleased); !slices.Equal(got, want) {
		return fmt.Errorf("released are %v, want %v", got, want)
	}
	for _, ip := range freed {
		m.want.release(ip)
	}
	return nil
}

func sorted(ips []netip.Addr) []netip.Addr {
	return slices.SortedFunc(slices.Values(ips), netip.Addr.Compare)
}

// releaseIPs returns the expected outcome of the releases, and whether a block is
// written: §9.
func (w *model) releaseIPs(rs []ipam.Release, s *ipam.State) (unallocated, released, freed []netip.Addr, written bool, err error) {
	batches := make(map[netip.Prefix][]ipam.Release)
	for _, r := range rs {
		if !r.IP.IsValid() || r.IP.Is4In6() || r.IP.Zone() != "" {
			return nil, nil, nil, false, codes.InvalidArgument
		}
		if b := blockIn(s, r.IP); b != nil {
			batches[b.CIDR] = append(batches[b.CIDR], r)
			continue
		}
		unallocated = append(unallocated, r.IP)
		if _, ok := w.poolOf(r.IP); ok {
			released = append(released, r.IP)
		}
	}
	blocks := slices.SortedFunc(maps.Keys(batches), affinity.CompareCIDRNames)
	for _, cidr := range blocks {
		free, gone, failed := w.releaseBatch(batches[cidr], blockIn(s, cidr.Addr()))
		if failed != nil {
			if err == nil {
				err = failed
			}
			continue
		}
		for _, r := range batches[cidr] {
			released = append(released, r.IP)
		}
		unallocated = append(unallocated, free...)
		freed = append(freed, gone...)
		// An address given twice makes a write.
		written = written || len(free) < len(batches[cidr])
	}
	return unallocated, released, freed, written, err
}

func (w *model) releaseBatch(rs []ipam.Release, b *ipam.BlockState) (free, gone []netip.Addr, err error) {
	for i, r := range rs {
		if slices.ContainsFunc(rs[i+1:], func(later ipam.Release) bool { return later.IP == r.IP }) {
			continue
		}
		var number uint64
		for _, al := range b.Allocations {
			if b.Addr(al.Ordinal) == r.IP {
				number = al.Seq
			}
		}
		c, cooling := w.cooling[r.IP]
		if cooling && w.cold(c) {
			number = 0
		}
		h, held := w.held[r.IP]
		if w.isHost(r.IP) {
			h, held = holding{handle: w.hostHeld[r.IP]}, true
		}
		switch {
		case r.Sequence != nil && *r.Sequence != number:
			return nil, nil, codes.BadSequenceNumber
		case !held:
			free = append(free, r.IP)
		case r.Handle != "" && cutHandle(r.Handle) != h.handle:
			return nil, nil, codes.BadHandle
		default:
			gone = append(gone, r.IP)
		}
	}
	return free, gone, nil
}

// ReleaseByHandle gives back all that a handle holds.
func (m *machine) ReleaseByHandle() error {
	id := one(m, "handle", []string{"h1", "h2", "h3", "h1\rold", "nobody", "H1"})
	err := m.got.ReleaseByHandle(id)
	m.logf("ReleaseByHandle %q = %v", id, err)
	id = cutHandle(id)
	if !slices.ContainsFunc(m.state.Handles, func(h ipam.HandleState) bool { return strings.EqualFold(h.ID, id) }) {
		return m.refused(err, codes.DoesNotExist)
	}
	for _, ip := range m.want.inUse() {
		if h, held := m.want.held[ip]; held && h.handle == id {
			m.want.release(ip)
		}
	}
	return m.refused(err, nil)
}

// SetOwnerAttributes changes the owners of an address.
func (m *machine) SetOwnerAttributes() error {
	ip, handle := m.ip(), one(m, "handle", worldHandles)
	if h, held := m.want.held[ip]; held && m.pick("right handle", 3) < 2 {
		handle = h.handle
	}
	var update ipam.OwnerUpdate
	var pre ipam.OwnerPreconditions
	update.Active, update.ClearActive = one(m, "active", worldAttrs), m.pick("clear active", 4) == 3
	if update.ClearActive && m.pick("both", 3) > 0 {
		update.Active = block.Attrs{}
	}
	if m.pick("alternate too", 2) == 1 {
		update.Alternate = one(m, "alternate", worldAttrs)
	}
	var expected ipam.OwnerRef
	switch m.pick("precondition", 6) {
	case 1:
		expected = ipam.OwnerRef{Namespace: "ns", Name: "p1"}
		pre.Active = &expected
	case 4: // no attributes at all
		pre.Active = &expected
	case 5:
		pre.Active, pre.ActiveEmpty = &expected, true
	case 2:
		pre.ActiveEmpty = true
	case 3:
		pre.AlternateEmpty = true
	}
	err := m.got.SetOwnerAttributes(ip, handle, update, pre)
	m.logf("SetOwnerAttributes %s %q %+v %v %t %t = %v", ip, handle, update, expected, pre.ActiveEmpty, pre.AlternateEmpty, err)

	want := m.want.setOwner(ip, handle, update, pre)
	if err := m.refused(err, want); err != nil || want != nil {
		return err
	}
	// The record is shared: the change shows on all that point at it.
	b := blockIn(&m.state, ip)
	record := -1
	for _, al := range b.Allocations {
		if b.Addr(al.Ordinal) == ip {
			record = al.Record
		}
	}
	for _, al := range b.Allocations {
		if al.Record != record {
			continue
		}
		h := m.want.held[b.Addr(al.Ordinal)]
		if update.Active.Len() > 0 || update.ClearActive {
			h.active = update.Active
		}
		if update.Alternate.Len() > 0 {
			h.alternate = update.Alternate
		}
		m.want.held[b.Addr(al.Ordinal)] = h
	}
	return nil
}

// setOwner returns the expected error of the change: §9.
func (w *model) setOwner(ip netip.Addr, handle string, u ipam.OwnerUpdate, pre ipam.OwnerPreconditions) error {
	if !ip.IsValid() || ip.Is4In6() || ip.Zone() != "" || u.ClearActive && u.Active.Len() > 0 || pre.Active != nil && pre.ActiveEmpty {
		return codes.InvalidArgument
	}
	h, held := w.held[ip]
	_, enabled := w.enabledPoolOf(ip)
	c, cooling := w.cooling[ip]
	switch {
	case !enabled:
		return codes.NotInPool
	case w.isHost(ip):
		h = holding{handle: w.hostHeld[ip]}
	case cooling && !w.cold(c):
		return codes.WrongHandle
	case !held:
		return codes.DoesNotExist
	}
	if h.handle == "" || h.handle != cutHandle(handle) {
		return codes.WrongHandle
	}
	if u.ClearActive || u.Active.Len() > 0 {
		if pre.ActiveEmpty && h.active.Len() > 0 || pre.Active != nil && !expected(*pre.Active, h.active) {
			return codes.UpdateConflict
		}
	}
	if u.Alternate.Len() > 0 && pre.AlternateEmpty && h.alternate.Len() > 0 {
		return codes.UpdateConflict
	}
	return nil
}

// expected says whether attributes are those of the pod that a precondition
// names: §9.
func expected(pod ipam.OwnerRef, attrs block.Attrs) bool {
	found := attrs.Map()
	if pod.Namespace+pod.Name == "" {
		return len(found) == 0
	}
	for key, want := range map[string]string{ipam.AttrNamespace: pod.Namespace, ipam.AttrPod: pod.Name} {
		if value, there := found[key]; !there || value != want {
			return false
		}
	}
	return true
}
