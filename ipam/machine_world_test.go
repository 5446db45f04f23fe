package ipam_test

import (
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

func spec(name, cidr string, blockSize int) pool.Spec {
	return pool.Spec{Name: name, CIDR: netip.MustParsePrefix(cidr), BlockSize: blockSize}
}

// The world is small: blocks of four addresses, of one, and of sixteen, and one
// pool that nobody can walk.
var (
	worldPools = []pool.Spec{
		spec("a", "10.0.0.0/28", 30),
		spec("b", "10.0.1.0/29", 31),
		spec("c", "10.0.2.0/30", 32),
		spec("d", "10.0.3.0/26", 28),
		spec("e", "10.0.4.0/29", 30),
		spec("v", "fd00::/124", 126),
		spec("w", "fd00:1::/48", 122),
		spec("a", "10.0.0.0/28", 29),           // another block size
		spec("x", "10.0.0.8/29", 30),           // overlaps a
		spec("d2", "10.0.3.0/26", 29),          // for when d is gone, with its blocks in the way
		spec("bad", "10.0.5.1/24", 26),         // host bits
		spec("bad", "10.0.5.0/24", 19),         // no such block size
		spec("", "10.0.5.0/24", 26),            // no name
		spec("bad", "::ffff:10.0.5.0/120", 30), // IPv4-mapped
	}
	worldHosts        = []string{"n1", "n2", "n3", "n4", "n5"}
	worldHandles      = []string{"h1", "h2", "h3", "", "h1\rold", "H1"}
	worldUses         = []pool.Use{pool.Workload, pool.Tunnel, pool.LoadBalancer, "", "Walk"}
	worldSelectors    = []string{"", "all()", "zone == 'a'", "!has(zone)", "zone in {'a','b'}", "zone =", "team == 'x'"}
	worldLabels       = []map[string]string{nil, {"zone": "a"}, {"zone": "b"}, {"zone": "c", "team": "x"}}
	worldNamespaces   = []map[string]string{nil, {}, {"team": "x"}}
	worldReservations = []string{
		"10.0.0.0/30", "10.0.0.5", "10.0.0.8/29", "10.0.1.1", "10.0.2.0/31", "10.0.3.0/27", " 10.0.3.40 ",
		"fd00::2", "fd00::8/125", "fd00:1::/49", "", "nonsense", "10.0.0.300",
	}
	worldOutside = []netip.Addr{
		netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), {},
		netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("fd00::1%eth0"),
	}
	worldCIDRs = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/28"), netip.MustParsePrefix("10.0.3.0/26"), netip.MustParsePrefix("fd00::/124"),
		netip.MustParsePrefix("10.0.0.0/29"), netip.MustParsePrefix("10.0.0.4/31"), netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("10.0.0.0/16"), {}, netip.MustParsePrefix("10.0.0.1/28"), netip.MustParsePrefix("::ffff:10.0.0.0/124"),
	}
	worldAttrs = []block.Attrs{
		block.MakeAttrs(map[string]string{"namespace": "ns", "pod": "p1", "node": "n1"}),
		block.MakeAttrs(map[string]string{"namespace": "ns", "pod": "p2"}),
		{},
	}
	worldAdvances = []time.Duration{
		time.Second, 30 * time.Second, 59 * time.Second, time.Minute, 750 * time.Millisecond, 0, 20 * time.Minute,
	}
)

// ip picks an address: mostly one in use or in a pool, sometimes one outside.
func (m *machine) ip() netip.Addr {
	switch m.pick("kind of address", 8) {
	case 0, 1, 2, 3:
		if used := m.want.inUse(); len(used) > 0 {
			return used[m.pick("used", len(used))]
		}
	case 7:
		return worldOutside[m.pick("outside", len(worldOutside))]
	}
	s := worldPools[m.pick("pool", 7)]
	ip := s.CIDR.Addr()
	for range m.pick("address", 16) {
		ip = ip.Next()
	}
	return ip
}

// inPool returns the prefix, or the whole pool for one that begins in the pool and
// goes beyond: there, new blocks would overlap others, but in the model an address
// is in one block only.
func (m *machine) inPool(cidr netip.Prefix) netip.Prefix {
	if s, ok := m.want.poolOf(cidr.Addr()); ok && cidr == cidr.Masked() && cidr.Bits() < s.CIDR.Bits() {
		return s.CIDR
	}
	return cidr
}

// ofPoolSize returns the prefix, or the block that begins there for one that begins
// in a pool whose blocks have another size: recovery would make it (§5).
func ofPoolSize(cidr netip.Prefix) netip.Prefix {
	for _, s := range worldPools[:7] {
		if s.CIDR.Contains(cidr.Addr()) && cidr == cidr.Masked() {
			return netip.PrefixFrom(cidr.Addr(), s.BlockSize).Masked()
		}
	}
	return cidr
}

// cidr picks a block, or some other prefix.
func (m *machine) cidr() netip.Prefix {
	if m.pick("kind of cidr", 3) > 0 {
		if n := len(m.state.Blocks); n > 0 {
			return m.state.Blocks[m.pick("block", n)].CIDR
		}
	}
	return one(m, "cidr", worldCIDRs)
}

// asker picks the host of a request for that use. Virtual owners have names of
// their own: owners of the same name share affinity objects, which the model does
// not know.
func (m *machine) asker(use pool.Use) string {
	name := one(m, "host", worldHosts)
	if use == pool.LoadBalancer {
		return "lb-" + name
	}
	return name
}

// owner picks an owner, rarely an invalid one.
func (m *machine) owner() affinity.Owner {
	o := affinity.HostOwner(one(m, "host", worldHosts))
	switch m.pick("type of owner", 12) {
	case 0:
		o = affinity.VirtualOwner("lb-" + o.Name)
	case 1:
		o.Type = "ghost"
	case 2:
		o.Name = ""
	}
	return o
}

// reserve picks a host reservation, mostly none.
func (m *machine) reserve() *ipam.HostReservation {
	if m.pick("reserve", 5) < 4 {
		return nil
	}
	return m.someReserve()
}

func (m *machine) someReserve() *ipam.HostReservation {
	r := &ipam.HostReservation{StartOfBlock: 1, EndOfBlock: 1, Handle: block.HostReservedHandle, Note: "w"}
	switch m.pick("reservation", 8) {
	case 0:
		r.StartOfBlock = 3
	case 1:
		r.EndOfBlock = 0
	case 2:
		r.StartOfBlock, r.EndOfBlock = 0, 0
	case 3:
		r.StartOfBlock = -1
	case 4:
		r.StartOfBlock = 8
	case 5:
		r.EndOfBlock = 4
	case 6:
		r.EndOfBlock = 5000 // more than any block has
	case 7:
		if r.Handle = "Windows-Reserved-IPAM-handle"; m.pick("no handle", 2) == 1 {
			r.Handle = ""
		}
	}
	return r
}

// count picks the number of addresses of a request.
func (m *machine) count(what string, least int) int {
	counts := []int{1, 2, 3, 6, 30, -1, tooMany}
	if least == 0 {
		counts = append([]int{0, 0, 0}, counts...)
	}
	n := len(counts)
	if m.pick("odd "+what, 20) < 19 {
		n -= 2
	}
	return counts[m.pick(what, n)]
}
