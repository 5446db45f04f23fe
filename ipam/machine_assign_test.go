package ipam_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// AutoAssignPlainly asks for an address as most pods do.
func (m *machine) AutoAssignPlainly() error {
	return m.autoAssign(ipam.AutoAssignArgs{
		Host:   worldHosts[m.pick("host", m.hosts)],
		Num4:   1,
		Num6:   m.pick("num6", 2),
		Handle: worldHandles[m.pick("handle", 3)],
		Attrs:  worldAttrs[m.pick("attrs", 2)],
		Use:    worldUses[m.pick("use", 2)],
	})
}

// AutoAssign asks for addresses with all kinds of arguments.
func (m *machine) AutoAssign() error {
	r := ipam.AutoAssignArgs{
		Num4:          m.count("num4", 1),
		Num6:          m.count("num6", 0),
		Handle:        one(m, "handle", worldHandles),
		Attrs:         one(m, "attrs", worldAttrs),
		Use:           one(m, "use", worldUses),
		HostReserved4: m.reserve(),
		HostReserved6: m.reserve(),
		Namespace:     worldNamespaces[m.pick("namespace", len(worldNamespaces))],
	}
	r.Host = m.asker(r.Use)
	switch m.pick("limit", 6) {
	case 4:
		r.MaxBlocksPerHost = 1 + m.pick("blocks", 4)
		if r.MaxBlocksPerHost == 4 { // none
			r.MaxBlocksPerHost, r.MaxAllocPerHandle = -1, -1
		}
	case 5:
		r.MaxAllocPerHandle = 1 + m.pick("max alloc", 6)
	}
	switch m.pick("pools", 14) {
	case 1, 2:
		r.Pools4 = []netip.Prefix{worldPools[m.pick("pool", 5)].CIDR}
	case 3:
		r.Pools4 = []netip.Prefix{worldPools[3].CIDR, worldPools[0].CIDR, worldPools[0].CIDR}
	case 4:
		r.Pools4 = []netip.Prefix{worldPools[5].CIDR}
	case 5: // worldPools[0], with host bits
		r.Pools4 = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/28")}
	case 10:
		r.Pools4 = []netip.Prefix{{}}
	case 6:
		r.Pools6 = []netip.Prefix{worldPools[6].CIDR}
	case 7:
		r.Pools6 = []netip.Prefix{worldPools[5].CIDR, worldPools[6].CIDR}
	case 8:
		r.Pools6 = []netip.Prefix{worldPools[0].CIDR}
	case 9:
		r.Pools6 = []netip.Prefix{worldPools[5].CIDR, netip.MustParsePrefix("fd00::1/124")}
	}
	return m.autoAssign(r)
}

// autoAssign makes the request and checks the answer.
func (m *machine) autoAssign(r ipam.AutoAssignArgs) error {
	v4, v6, err := m.got.AutoAssign(r)
	m.observe(r.HostReserved4, r.HostReserved6)
	shown := r
	shown.HostReserved4, shown.HostReserved6 = nil, nil
	m.logf("AutoAssign %+v %s %s = %v %v %v", shown, show(r.HostReserved4), show(r.HostReserved6), v4, v6, err)

	d4 := demand{r.Host, r.Use, true, r.Pools4, r.HostReserved4, r.Namespace}
	d6 := demand{r.Host, r.Use, false, r.Pools6, r.HostReserved6, r.Namespace}
	if r.Num4 < 0 || r.Num6 < 0 || r.Num4 == tooMany || r.Num6 == tooMany || slices.ContainsFunc(slices.Concat(r.Pools4, r.Pools6), func(p netip.Prefix) bool { return badCIDR(p.Masked()) }) {
		return errors.Join(m.refused(err, codes.InvalidArgument), m.empty(v4, v6))
	}
	if r.Num4 > 0 {
		pools, refusal := m.want.choose(&d4)
		if refusal != nil {
			return errors.Join(m.refused(err, refusal), m.empty(v4, v6))
		}
		var refusal6 error
		if r.Num6 > 0 {
			_, refusal6 = m.want.choose(&d6)
		}
		late := err // is it of IPv4?
		if len(v4.IPs) >= r.Num4 || slices.ContainsFunc(v4.Msgs, ended) || errors.Is(err, codes.WrongFamily) {
			late = nil
		}
		if errors.Is(refusal6, codes.WrongFamily) && late == nil {
			// The addresses are not named in the answer, but must be found in the
			// state.
			if err := m.empty(v4, v6); err != nil {
				return err
			}
			v4 = m.unnamed(&r)
		}
		num := r.Num4
		if late == nil && errors.Is(err, codes.WrongFamily) && r.MaxAllocPerHandle > 0 {
			num = len(v4.IPs) // addresses that the handle held before are not named either
		}
		if err := m.answer(&r, &d4, pools, num, v4, late); err != nil {
			return fmt.Errorf("IPv4: %w", err)
		}
		if late != nil {
			return m.empty(ipam.Assignment{}, v6)
		}
		if refusal6 != nil && errors.Is(err, refusal6) {
			return m.empty(ipam.Assignment{}, v6)
		}
		if refusal6 != nil {
			return fmt.Errorf("error is %v, want %w", err, refusal6)
		}
	}
	if r.Num6 > 0 {
		pools, refusal := m.want.choose(&d6)
		if refusal != nil && r.Num4 == 0 {
			return errors.Join(m.refused(err, refusal), m.empty(v4, v6))
		}
		if err := m.answer(&r, &d6, pools, r.Num6, v6, err); err != nil {
			return fmt.Errorf("IPv6: %w", err)
		}
	}
	if r.Num4 == 0 && r.Num6 == 0 {
		return errors.Join(m.refused(err, nil), m.empty(v4, v6), m.unchanged("a request for nothing"))
	}
	return nil
}

// ended reports whether a message says that a family ended short without an error.
func ended(msg string) bool {
	return msg == "strict-affinity" || strings.HasPrefix(msg, "exhausted:")
}

func show(r *ipam.HostReservation) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%+v", *r)
}

func (m *machine) empty(v4, v6 ipam.Assignment) error {
	if len(v4.IPs)+len(v6.IPs)+len(v4.Msgs)+len(v6.Msgs) > 0 {
		return fmt.Errorf("the answer should be empty, is %v %v", v4, v6)
	}
	return nil
}

// unnamed finds the IPv4 addresses that were given out without being named.
func (m *machine) unnamed(r *ipam.AutoAssignArgs) (v4 ipam.Assignment) {
	for _, b := range m.after.Blocks {
		for _, al := range b.Allocations {
			ip := b.Addr(al.Ordinal)
			if _, held := m.want.held[ip]; !held && ip.Is4() && al.ReleasedAt.IsZero() && !m.want.isHost(ip) {
				v4.IPs = append(v4.IPs, netip.PrefixFrom(ip, b.CIDR.Bits()))
			}
		}
	}
	if len(v4.IPs) < r.Num4 {
		v4.Msgs = []string{"not named"}
	}
	return v4
}

// answer judges the answer for one family, of which num addresses were asked.
func (m *machine) answer(r *ipam.AutoAssignArgs, d *demand, pools []pool.Spec, num int, a ipam.Assignment, err error) error {
	if err != nil && !slices.ContainsFunc([]error{codes.BlockLimit, codes.NoBlock, codes.BlockTooSmall, codes.BadHostReservation},
		func(want error) bool { return errors.Is(err, want) }) {
		return fmt.Errorf("unexpected error %w", err)
	}
	if errors.Is(err, codes.BadHostReservation) && d.reserve == nil {
		return fmt.Errorf("without a reservation: %w", err)
	}
	handle := cutHandle(r.Handle)
	fresh, old := 0, 0
	for _, p := range a.IPs {
		if h, held := m.want.held[p.Addr()]; held && p.IsSingleIP() && r.MaxAllocPerHandle > 0 && h.handle == handle && handle != "" {
			old++ // it held enough, which are the answer
			continue
		}
		fresh++
		if err := m.given(r, d, pools, p); err != nil {
			return err
		}
	}
	if fresh > num || old != 0 && old != num {
		return fmt.Errorf("asked for %d, got %d new and %d old", num, fresh, old)
	}
	if l := r.MaxAllocPerHandle; l > 0 && fresh > 0 && handle != "" && total(&m.after, handle, d.is4) > l {
		return fmt.Errorf("%s counts %d, over its limit %d", handle, total(&m.after, handle, d.is4), l)
	}
	if err := m.limits(r, d, pools, a, err); err != nil {
		return err
	}
	if fresh+old >= num {
		return err // satisfied: there should be none
	}
	if err == nil && len(a.Msgs) == 0 {
		return errors.New("a short answer without a message")
	}
	if err == nil && !m.want.config.StrictAffinity && (handle == "" || r.MaxAllocPerHandle <= 0) {
		if ip, ok := m.left(d, pools); ok {
			return fmt.Errorf("a short answer though %s could be had", ip)
		}
	}
	return m.recovered(d, pools)
}

// given judges one address of an answer and notes who has it.
func (m *machine) given(r *ipam.AutoAssignArgs, d *demand, pools []pool.Spec, p netip.Prefix) error {
	ip, w := p.Addr(), m.want
	if h, held := w.held[ip]; held {
		return fmt.Errorf("%s is held by %q and was given out", ip, h.handle)
	}
	s, usable := in(pools, ip)
	c, cooling := w.cooling[ip]
	switch {
	case ip.Is4() != d.is4:
		return fmt.Errorf("%s is of the wrong family", ip)
	case !usable:
		return fmt.Errorf("%s is in none of the pools that may be used", ip)
	case w.isHost(ip):
		return fmt.Errorf("%s is reserved for the host and was given out", ip)
	case cooling && !w.cold(c):
		return fmt.Errorf("%s cools since %d and was given out at %d", ip, c.at, w.now.Unix())
	case w.reservations.Contains(ip):
		return fmt.Errorf("%s is reserved and was given out", ip)
	case p.Bits() != s.BlockSize:
		return fmt.Errorf("%s has not the mask of its block", p)
	}
	if b := blockIn(&m.after, ip); w.config.StrictAffinity && (b == nil || b.Owner != d.owner()) {
		return fmt.Errorf("%s is from another's block, with strict affinity", ip)
	}
	return w.newHolder(ip, holding{handle: cutHandle(r.Handle), active: r.Attrs}, &m.after)
}

// limits judges how many blocks the owner has now.
func (m *machine) limits(r *ipam.AutoAssignArgs, d *demand, pools []pool.Spec, a ipam.Assignment, err error) error {
	limit := m.want.config.MaxBlocksPerHost
	if limit == 0 || r.MaxBlocksPerHost > 0 && r.MaxBlocksPerHost < limit {
		limit = max(0, r.MaxBlocksPerHost)
	}
	if limit == 0 {
		limit = 20
	}
	usable := func(s *ipam.State) int {
		n := 0
		for _, c := range s.Affinities {
			if _, ok := in(pools, c.CIDR.Addr()); ok && c.Owner == d.owner() {
				n++
			}
		}
		return n
	}
	if was, is := usable(&m.state), usable(&m.after); is > max(was, limit) {
		return fmt.Errorf("%s has %d blocks after %d, over the limit of %d", d.owner(), is, was, limit)
	}
	if errors.Is(err, codes.BlockLimit) != slices.Contains(a.Msgs, fmt.Sprintf("block-limit:%d", limit)) {
		return fmt.Errorf("limit of %d: messages %v, error %v", limit, a.Msgs, err)
	}
	if !m.want.config.AutoAllocateBlocks {
		for _, b := range m.after.Blocks {
			if was := blockIn(&m.state, b.CIDR.Addr()); b.Owner == d.owner() && (was == nil || was.Owner != b.Owner) && !m.raw {
				return fmt.Errorf("%s was claimed, with automatic allocation off", b.CIDR)
			}
		}
	}
	return nil
}

// left finds an address that a request could have had.
func (m *machine) left(d *demand, pools []pool.Spec) (netip.Addr, bool) {
	for _, s := range pools {
		if s.BlockSize-s.CIDR.Bits() > 8 {
			continue // too large to search
		}
		for ip := s.CIDR.Addr(); s.CIDR.Contains(ip); ip = ip.Next() {
			if m.want.reservations.Contains(ip) || m.want.isHost(ip) {
				continue
			}
			if _, held := m.want.held[ip]; held {
				continue
			}
			if c, cooling := m.want.cooling[ip]; cooling && !m.want.cold(c) {
				continue
			}
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// recovered: a request that stayed short has met all usable affinities of its
// owner, so that none is left that is not confirmed and true.
func (m *machine) recovered(d *demand, pools []pool.Spec) error {
	for _, c := range m.after.Affinities {
		s, usable := in(pools, c.CIDR.Addr())
		if c.Owner != d.owner() || !usable || s.BlockSize != c.CIDR.Bits() || m.want.reservations.CoversPrefix(c.CIDR) || d.reserve != nil {
			continue
		}
		b := blockIn(&m.after, c.CIDR.Addr())
		if c.State != affinity.Confirmed || b == nil || b.Owner != c.Owner {
			return fmt.Errorf("%s of %s was met and is still %s", c.CIDR, c.Owner, c.State)
		}
	}
	return nil
}
