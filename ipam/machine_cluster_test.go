package ipam_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// The actions on blocks, pools, nodes and configuration, and the raw edits.

// badCIDR reports whether every operation refuses the prefix.
func badCIDR(cidr netip.Prefix) bool {
	return !cidr.IsValid() || cidr.Addr().Is4In6() || cidr != cidr.Masked()
}

// enabledCIDR says whether the affinities of a CIDR can be named by it.
func (w *model) enabledCIDR(cidr netip.Prefix, o affinity.Owner) (pool.Spec, error) {
	if badCIDR(cidr) || o.Validate() != nil {
		return pool.Spec{}, codes.InvalidArgument
	}
	s, ok := w.enabledPoolOf(cidr.Addr())
	switch {
	case !ok:
		return s, codes.NotInPool
	case cidr.Bits() > s.BlockSize:
		return s, codes.InvalidSize
	}
	return s, nil
}

// ClaimAffinity claims the blocks of a CIDR.
func (m *machine) ClaimAffinity() error {
	cidr, owner := m.inPool(m.cidr()), m.owner()
	claimed, failed, err := m.got.ClaimAffinity(cidr, owner)
	m.logf("ClaimAffinity %s %s = %v %v %v", cidr, owner, claimed, failed, err)
	s, want := m.want.enabledCIDR(cidr, owner)
	if err := m.refused(err, want); err != nil || want != nil {
		return err
	}
	var all []netip.Prefix
	for ip := cidr.Addr(); cidr.Contains(ip); {
		b := netip.PrefixFrom(ip, s.BlockSize)
		all = append(all, b)
		for b.Contains(ip) {
			ip = ip.Next()
		}
	}
	for _, b := range all {
		was, is := blockIn(&m.state, b.Addr()), blockIn(&m.after, b.Addr())
		mine := was == nil || was.Owner == owner
		if slices.Contains(claimed, b) != mine || slices.Contains(failed, b) == mine {
			return fmt.Errorf("claiming %s: claimed %v, failed %v", b, claimed, failed)
		}
		if mine && (is == nil || is.Owner != owner || m.affinity(b, owner) != affinity.Confirmed) {
			return fmt.Errorf("%s was claimed, but %s owns it", b, m.affinity(b, owner))
		}
		if !mine && m.affinity(b, owner) != affinity.None {
			return fmt.Errorf("%s could not be claimed, and the affinity stays", b)
		}
	}
	if len(claimed)+len(failed) != len(all) || !slices.IsSortedFunc(claimed, comparePrefixes) || !slices.IsSortedFunc(failed, comparePrefixes) {
		return fmt.Errorf("claimed %v, failed %v, want all of %v in order", claimed, failed, all)
	}
	return nil
}

func comparePrefixes(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) }

// affinity returns the state of an affinity object after the operation.
func (m *machine) affinity(cidr netip.Prefix, owner affinity.Owner) affinity.State {
	for _, c := range m.after.Affinities {
		if c.CIDR == cidr && c.Owner == owner {
			return c.State
		}
	}
	return affinity.None
}

// holds reports whether somebody holds an address of the block, or it cools.
func (w *model) holds(cidr netip.Prefix) bool {
	for ip := range w.held {
		if cidr.Contains(ip) {
			return true
		}
	}
	for ip := range w.hostHeld {
		if cidr.Contains(ip) && !w.leavesEmpty(ip) {
			return true
		}
	}
	for ip, c := range w.cooling {
		if cidr.Contains(ip) && !w.cold(c) {
			return true
		}
	}
	return false
}

// released checks a release of affinities: the function says which of the existing
// ones had to go.
func (m *machine) released(err error, mustBeEmpty, stops bool, asked func(c ipam.AffinityState) bool) error {
	if !m.seen {
		m.observe(nil, nil)
	}
	inUse := false
	for _, c := range m.state.Affinities {
		b := blockIn(&m.state, c.CIDR.Addr())
		if !asked(c) || b == nil || b.CIDR != c.CIDR {
			continue
		}
		foreign := !b.Owner.IsZero() && b.Owner != c.Owner
		stays := mustBeEmpty && m.want.holds(c.CIDR) && !foreign
		inUse = inUse || stays
		if is := m.affinity(c.CIDR, c.Owner); !stops && (is != affinity.None) != stays || stays && is != c.State {
			return fmt.Errorf("affinity of %s on %s was %s and is %s", c.Owner, c.CIDR, c.State, is)
		}
		if is := blockIn(&m.after, c.CIDR.Addr()); !stays && !stops && is != nil && is.Owner == c.Owner {
			return fmt.Errorf("block %s is still %s's", c.CIDR, c.Owner)
		}
	}
	if inUse != (err != nil) || err != nil && !errors.Is(err, codes.BlockNotEmpty) {
		return fmt.Errorf("error is %v, in use: %t", err, inUse)
	}
	for _, c := range m.state.Affinities {
		if !asked(c) && m.affinity(c.CIDR, c.Owner) != c.State {
			return fmt.Errorf("affinity of %s on %s was not meant", c.Owner, c.CIDR)
		}
	}
	return nil
}

// ReleaseAffinity gives up a host's blocks in a CIDR.
func (m *machine) ReleaseAffinity() error {
	cidr, owner, empty := m.cidr(), m.owner(), m.pick("must be empty", 2) == 0
	err := m.got.ReleaseAffinity(cidr, owner, empty)
	m.logf("ReleaseAffinity %s %s %t = %v", cidr, owner, empty, err)
	s, want := m.want.enabledCIDR(cidr, owner)
	if want != nil {
		return m.refused(err, want)
	}
	return m.released(err, empty, err != nil, func(c ipam.AffinityState) bool {
		return c.Owner == owner && cidr.Contains(c.CIDR.Addr()) && c.CIDR.Bits() == s.BlockSize
	})
}

// ReleaseHostAffinities gives up all blocks of a host.
func (m *machine) ReleaseHostAffinities() error {
	owner, empty := m.owner(), m.pick("must be empty", 2) == 0
	var err error
	if !empty && m.pick("remove", 2) == 1 {
		err = m.got.RemoveIPAMHost(owner)
		m.logf("RemoveIPAMHost %s = %v", owner, err)
	} else {
		err = m.got.ReleaseHostAffinities(owner, empty)
		m.logf("ReleaseHostAffinities %s %t = %v", owner, empty, err)
	}
	if owner.Validate() != nil {
		return m.refused(err, codes.InvalidArgument)
	}
	return m.released(err, empty, false, func(c ipam.AffinityState) bool { return c.Owner == owner })
}

// ReleasePoolAffinities gives up all blocks in a CIDR.
func (m *machine) ReleasePoolAffinities() error {
	cidr := m.cidr()
	err := m.got.ReleasePoolAffinities(cidr)
	m.logf("ReleasePoolAffinities %s = %v", cidr, err)
	if badCIDR(cidr) {
		return m.refused(err, codes.InvalidArgument)
	}
	inside := func(c ipam.AffinityState) bool { return cidr.Contains(c.CIDR.Addr()) }
	if m.raw {
		return err // of several claims on one block only the last goes
	}
	return m.released(err, false, false, inside)
}

// ReleaseBlockAffinity takes a block from its owner.
func (m *machine) ReleaseBlockAffinity() error {
	cidr, empty := m.cidr(), m.pick("must be empty", 2) == 0
	err := m.got.ReleaseBlockAffinity(cidr, empty)
	m.logf("ReleaseBlockAffinity %s %t = %v", cidr, empty, err)
	if badCIDR(cidr) {
		return m.refused(err, codes.InvalidArgument)
	}
	b := blockIn(&m.state, cidr.Addr())
	if b == nil || b.CIDR != cidr {
		return m.refused(err, codes.NoSuchBlock)
	}
	return m.released(err, empty, false, func(c ipam.AffinityState) bool { return c.CIDR == cidr && c.Owner == b.Owner })
}

// SetIPAMConfig replaces the configuration.
func (m *machine) SetIPAMConfig() error {
	c := m.pickConfig()
	err := m.got.SetIPAMConfig(c)
	m.logf("SetIPAMConfig %+v = %v", c, err)
	var want error
	switch {
	case c.MaxBlocksPerHost < 0 || c.IPCooldownSeconds < 0 || c.IPCooldownSeconds > ipam.MaxCooldownSeconds:
		want = codes.InvalidArgument
	case !c.StrictAffinity && (!c.AutoAllocateBlocks || c.MaxBlocksPerHost > 0):
		want = codes.ConfigConflict
	default:
		m.want.config = c
	}
	return m.refused(err, want)
}

func (m *machine) pickConfig() ipam.Config {
	return ipam.Config{
		StrictAffinity:     m.pick("strict", 3) == 2,
		AutoAllocateBlocks: m.pick("auto", 5) < 4,
		MaxBlocksPerHost:   []int{0, 0, 2, 1, -1}[m.pick("max blocks", 5)],
		IPCooldownSeconds:  []int{0, 1, 60, 1200, -1, 1201}[m.pick("cooldown", 6)],
	}
}

// SetPool adds a pool, or changes one.
func (m *machine) SetPool() error {
	s := one(m, "pool", worldPools)
	sized := func(of pool.Spec) bool { return of.CIDR == s.CIDR && of.BlockSize == s.BlockSize }
	if m.raw && !slices.ContainsFunc(worldPools[:7], sized) {
		return nil // affinities may be left that are no blocks of it
	}
	s.NodeSelector = one(m, "node selector", worldSelectors)
	if m.pick("namespaces", 4) == 3 {
		s.NamespaceSelector = worldSelectors[m.pick("namespace selector", len(worldSelectors))]
	}
	switch m.pick("uses", 6) {
	case 2:
		s.AllowedUses = []pool.Use{pool.Workload}
	case 3:
		s.AllowedUses = []pool.Use{pool.Tunnel}
	case 4:
		s.AllowedUses = []pool.Use{pool.LoadBalancer}
	case 5:
		s.AllowedUses = []pool.Use{pool.LoadBalancer, pool.Workload}
	}
	if m.pick("manual", 5) == 4 {
		s.AssignmentMode = pool.Manual
	}
	s.Disabled = m.pick("disabled", 6) == 5
	err := m.got.SetPool(s)
	m.logf("SetPool %+v = %v", s, err)
	want := m.want.setPool(s, m.state.Blocks)
	if want == nil {
		m.want.pools[s.Name] = s.WithDefaults()
	}
	if err := m.refused(err, want); err != nil {
		return err
	}
	return m.unchanged("setting a pool")
}

// DeletePool deletes a pool and keeps its blocks.
func (m *machine) DeletePool() error {
	if m.pick("really", 3) > 0 {
		return nil
	}
	name := one(m, "pool", worldPools).Name
	got := m.got.DeletePool(name)
	m.logf("DeletePool %s = %t", name, got)
	_, known := m.want.pools[name]
	delete(m.want.pools, name)
	m.observe(nil, nil)
	if got != known {
		return fmt.Errorf("there was such a pool: %t, want %t", got, known)
	}
	return m.unchanged("deleting a pool")
}

// SetNode adds a node, or changes its labels.
func (m *machine) SetNode() error {
	n := ipam.Node{Name: one(m, "host", append(worldHosts, "", "a b")), Labels: maps.Clone(one(m, "labels", worldLabels))}
	err := m.got.SetNode(n)
	m.logf("SetNode %+v = %v", n, err)
	if n.Name == "" || n.Name == "a b" {
		return m.refused(err, codes.InvalidArgument)
	}
	m.want.nodes[n.Name] = maps.Clone(n.Labels)
	if n.Labels != nil {
		n.Labels["zone"] = "the caller's own"
	}
	return errors.Join(m.refused(err, nil), m.unchanged("setting a node"))
}

// DeleteNode deletes a node and keeps its blocks.
func (m *machine) DeleteNode() error {
	name := one(m, "host", worldHosts)
	got := m.got.DeleteNode(name)
	m.logf("DeleteNode %s = %t", name, got)
	_, known := m.want.nodes[name]
	delete(m.want.nodes, name)
	m.observe(nil, nil)
	if got != known {
		return fmt.Errorf("there was such a node: %t, want %t", got, known)
	}
	return m.unchanged("deleting a node")
}

// SetReservations replaces the reservations.
func (m *machine) SetReservations() error {
	var entries []string
	for range m.pick("entries", 4) {
		entries = append(entries, one(m, "reservation", worldReservations))
	}
	warnings := m.got.SetReservations(entries)
	m.logf("SetReservations %q = %v", entries, warnings)
	var want []pool.Warning
	m.want.reservations, want = pool.ParseReservations(entries)
	if !slices.Equal(warnings, want) {
		return fmt.Errorf("warnings %v, want %v", warnings, want)
	}
	m.observe(nil, nil)
	return m.unchanged("reserving")
}

// GarbageCollectColdIPs collects what has cooled down.
func (m *machine) GarbageCollectColdIPs() error {
	m.got.GarbageCollectColdIPs()
	m.logf("GarbageCollectColdIPs")
	for _, b := range m.state.Blocks {
		if b.Owner.IsZero() {
			m.want.left[b.CIDR] = true // however empty it is now
		}
	}
	m.observe(nil, nil)
	if len(m.after.Blocks) != len(m.state.Blocks) {
		return fmt.Errorf("of %d blocks %d are left after a collection", len(m.state.Blocks), len(m.after.Blocks))
	}
	for _, b := range m.after.Blocks {
		for _, al := range b.Allocations {
			if c := m.want.cooling[b.Addr(al.Ordinal)]; !al.ReleasedAt.IsZero() && m.want.cold(c) {
				return fmt.Errorf("%s is cold and was not collected", b.Addr(al.Ordinal))
			}
		}
	}
	return nil
}

// Advance moves the clock.
func (m *machine) Advance() error {
	d := one(m, "advance", worldAdvances)
	m.clock.Advance(d)
	m.logf("Advance %s", d)
	m.want.tick(m.clock.Now())
	return nil
}

// PutAffinity writes an affinity such as a host leaves that died half-way.
func (m *machine) PutAffinity() error {
	owner, state := m.owner(), affinity.State(1+m.pick("state", 3))
	cidr := m.cidr()
	switch m.pick("kind of block", 8) {
	case 0:
		state = affinity.State(m.pick("odd state", 5))
	case 1, 2, 3, 4:
		owner = affinity.HostOwner(worldHosts[m.pick("host", m.hosts)])
		ip := m.ip()
		if s, ok := m.want.poolOf(ip); ok {
			cidr = netip.PrefixFrom(ip, s.BlockSize).Masked()
		}
	}
	cidr = ofPoolSize(cidr)
	err := m.got.PutAffinity(owner, cidr, state)
	m.logf("PutAffinity %s %s %s = %v", owner, cidr, state, err)
	if badCIDR(cidr) || owner.Validate() != nil || state == affinity.None || state > affinity.PendingDeletion {
		return m.refused(err, codes.InvalidArgument)
	}
	if err := m.refused(err, nil); err != nil {
		return err
	}
	if is := m.affinity(cidr, owner); is != state {
		return fmt.Errorf("put %s, is %s", state, is)
	}
	return nil
}

// DropAffinity deletes an affinity and keeps its block.
func (m *machine) DropAffinity() error {
	owner, cidr := m.owner(), m.cidr()
	if n := len(m.state.Affinities); n > 0 && m.pick("one that is", 3) > 0 {
		c := m.state.Affinities[m.pick("affinity", n)]
		owner, cidr = c.Owner, c.CIDR
	}
	got := m.got.DropAffinity(owner, cidr)
	m.logf("DropAffinity %s %s = %t", owner, cidr, got)
	was := slices.ContainsFunc(m.state.Affinities, func(c ipam.AffinityState) bool { return c.CIDR == cidr && c.Owner == owner })
	m.observe(nil, nil)
	if got != was || m.affinity(cidr, owner) != affinity.None {
		return fmt.Errorf("there was such an affinity: %t, want %t", got, was)
	}
	return nil
}

// DropBlock deletes a block with all that is in it.
func (m *machine) DropBlock() error {
	if m.pick("really", 3) > 0 {
		return nil
	}
	cidr := m.cidr()
	got := m.got.DropBlock(cidr)
	m.logf("DropBlock %s = %t", cidr, got)
	was := slices.ContainsFunc(m.state.Blocks, func(b ipam.BlockState) bool { return b.CIDR == cidr })
	if got != was {
		return fmt.Errorf("there was such a block: %t, want %t", got, was)
	}
	if was {
		for _, ip := range m.want.inUse() {
			if cidr.Contains(ip) {
				delete(m.want.held, ip)
				delete(m.want.cooling, ip)
			}
		}
	}
	return nil
}

// PutIPAMConfig writes a configuration that SetIPAMConfig may refuse.
func (m *machine) PutIPAMConfig() error {
	c := m.pickConfig()
	err := m.got.PutIPAMConfig(c)
	m.logf("PutIPAMConfig %+v = %v", c, err)
	if c.MaxBlocksPerHost < 0 || c.IPCooldownSeconds < 0 || c.IPCooldownSeconds > ipam.MaxCooldownSeconds {
		return m.refused(err, codes.InvalidArgument)
	}
	m.want.config = c
	return m.refused(err, nil)
}
