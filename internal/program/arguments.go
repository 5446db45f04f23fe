package program

import (
	"net/netip"
	"strings"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// This file picks the arguments of operations: mostly sensible ones.

func (p *Program) host() string   { return pick(p, "host", p.world.Hosts) }
func (p *Program) handle() string { return pick(p, "handle", p.world.Handles) }

func (p *Program) attrs() map[string]string { return pick(p, "attributes", attributes) }

func (p *Program) labels() map[string]string { return pick(p, "labels", labels) }

func (p *Program) use() string {
	return p.servedUse(pick(p, "use", []string{"Workload", "Workload", "Workload", "Workload", "Tunnel", "LoadBalancer", ""}))
}

// servedUse returns the use. If the release does not have it, it mostly returns a
// plainer one.
func (p *Program) servedUse(use string) string {
	if use == "LoadBalancer" && p.avoids(p.rules.LoadBalancer) {
		return "Workload"
	}
	return use
}

// cap picks a limit for a handle, mostly none if the release has no such limits.
func (p *Program) cap() int {
	limit := p.limit("maxAllocPerHandle")
	if limit > 0 && p.avoids(p.rules.CapsPerHandle) {
		return 0
	}
	return limit
}

// owner picks the owner of a block: mostly a host, now and then an invalid owner.
func (p *Program) owner() trace.In {
	in := trace.In{Host: p.host()}
	if p.sometimes(5) {
		in.Type = pick(p, "type", []string{"virtual", "virtual", "virtual", "ghost"})
	}
	return in
}

// split returns an address and its block, from an address with the block's mask.
func split(ip string) (addr, cidr string) {
	b, err := netip.ParsePrefix(ip)
	if err != nil {
		return ip, ""
	}
	return b.Addr().String(), b.Masked().String()
}

// block picks a block that an operation returned, or else a possible one.
func (p *Program) block() string {
	if len(p.blocks) > 0 && !p.sometimes(4) {
		return pick(p, "met", p.blocks)
	}
	s := pick(p, "pool", p.world.Pools)
	cidr := netip.MustParsePrefix(s.CIDR)
	at := cidr.Addr()
	size := 1 << (at.BitLen() - s.BlockSize)
	room := 1 << min(6, max(0, s.BlockSize-cidr.Bits()))
	for range size * p.pick("block", room) {
		at = at.Next()
	}
	return p.odd(netip.PrefixFrom(at, s.BlockSize)).String()
}

// odd makes the block larger or smaller now and then, if possible.
func (p *Program) odd(b netip.Prefix) netip.Prefix {
	if p.world.Odd == 0 || !p.sometimes(p.world.Odd) {
		return b
	}
	width := b.Addr().BitLen()
	bits := b.Bits() + pick(p, "more bits", []int{1, -1, 2, -2})
	return netip.PrefixFrom(b.Addr(), min(max(bits, width-12), width)).Masked()
}

// cidr picks a block or any other prefix, not too large to walk.
func (p *Program) cidr() string {
	if !p.sometimes(3) {
		return p.block()
	}
	return pick(p, "cidr", p.world.CIDRs)
}

// address picks an address that was given out, with its handle, or else any
// address.
func (p *Program) address() given {
	if len(p.given) > 0 && !p.sometimes(3) {
		return pick(p, "given", p.given)
	}
	if p.sometimes(8) {
		return given{pick(p, "outside", outside), p.handle()}
	}
	b := netip.MustParsePrefix(p.block())
	at := b.Addr()
	for range p.pick("ordinal", 1<<min(4, at.BitLen()-b.Bits())) {
		at = at.Next()
	}
	return given{at.String(), p.handle()}
}

func (p *Program) ip() string { return p.address().ip }

// reserve picks a host reservation, mostly none.
func (p *Program) reserve() *ipam.HostReservation {
	if !p.sometimes(p.world.Reserve) {
		return nil
	}
	return p.someReserve()
}

// onWindows picks whether the client runs on Windows, mostly not.
func (p *Program) onWindows() bool { return p.sometimes(2 * p.world.Reserve) }

func (p *Program) someReserve() *ipam.HostReservation {
	s := pick(p, "reservation", []struct{ start, end int }{{3, 1}, {1, 1}, {1, 0}, {0, 1}, {2, 2}, {0, 0}, {8, 8}, {-1, 0}, {5000, 0}})
	return &ipam.HostReservation{StartOfBlock: s.start, EndOfBlock: s.end, Handle: pick(p, "handle", []string{block.HostReservedHandle, "", "Windows-Reserved-IPAM-Handle"}), Note: "n"}
}

// pools picks the pools that a request names, mostly none.
func (p *Program) pools(is4 bool) []string {
	if !p.sometimes(5) {
		return nil
	}
	var cidrs []string
	for range 1 + p.pick("pools", 2) {
		cidr := pick(p, "pool", p.world.Pools).CIDR
		if strings.Contains(cidr, ":") == is4 && !p.sometimes(4) {
			continue // of the other family
		}
		if at, size, _ := strings.Cut(cidr, "/"); p.sometimes(8) {
			cidr = netip.MustParseAddr(at).Next().String() + "/" + size // with host bits
		}
		cidrs = append(cidrs, cidr)
	}
	return cidrs
}

// limit picks a limit, mostly none: 0, or a negative one.
func (p *Program) limit(what string) int {
	if p.sometimes(16) {
		return -1
	}
	return max(0, p.pick(what, 8)-4)
}

// count picks the number of addresses of a request, very rarely an invalid one.
func (p *Program) count(what string) int {
	if p.sometimes(80) {
		return -1
	}
	return pick(p, what, p.world.Counts)
}

// podIn asks for addresses as a pod does: of one family, or of both.
func (p *Program) podIn() trace.In {
	in := trace.In{Host: pick(p, "node", p.world.Nodes), Num4: 1, Handle: p.handle(), Attrs: p.attrs(), Use: "Workload"}
	switch p.pick("families", 4) {
	case 1:
		in.Num6 = 1
	case 2:
		in.Num4, in.Num6 = 0, 1
	case 3:
		in.Num4 = pick(p, "num4", p.world.Counts)
	}
	return in
}

func (p *Program) autoAssignIn() trace.In {
	in := trace.In{
		Host: p.host(), Num4: p.count("num4"), Num6: p.count("num6"), Handle: p.handle(), Attrs: p.attrs(), Use: p.use(),
		Pools4: p.pools(true), Pools6: p.pools(false), MaxBlocksPerHost: p.limit("maxBlocksPerHost"), MaxAllocPerHandle: p.cap(),
		HostReserved4: p.reserve(), HostReserved6: p.reserve(), Windows: p.onWindows(),
	}
	if p.sometimes(3) {
		in.HasNamespace, in.NamespaceLabels = true, p.labels()
	}
	return in
}

func (p *Program) assignIPIn() trace.In {
	g := p.address()
	return trace.In{
		IP: g.ip, Host: p.host(), Handle: g.handle, Attrs: p.attrs(), Use: p.servedUse(pick(p, "use", []string{"", "", "", "Workload", "Tunnel", "LoadBalancer"})),
		HostReserved4: p.reserve(), MaxAllocPerHandle: p.cap(), Windows: p.onWindows(),
	}
}

func (p *Program) ensureBlockIn() trace.In {
	in := trace.In{Host: p.host(), Pools4: p.pools(true), Pools6: p.pools(false), Windows: p.onWindows()}
	if families := p.pick("families", 4); families != 1 {
		in.HostReserved4 = p.someReserve()
		if families > 1 {
			in.HostReserved6 = p.someReserve()
		}
	} else {
		in.HostReserved6 = p.someReserve()
	}
	return in
}

// releaseIn releases one address or several, now and then one of them twice, with
// the right handle and number or wrong ones.
func (p *Program) releaseIn() trace.In {
	in := trace.In{Windows: p.onWindows()}
	for range 1 + pick(p, "releases", []int{0, 0, 0, 1, 2, 3, 8}) {
		g := p.address()
		if n := len(in.Releases); n > 0 && p.sometimes(4) {
			g.ip = in.Releases[n-1].IP
		}
		r := trace.Release{IP: g.ip}
		switch p.pick("by handle", 6) {
		case 3, 4:
			r.Handle = g.handle
		case 5:
			r.Handle = p.handle()
		}
		r.Seq = pick(p, "sequence", []string{"", "", "", "current", "current", "stale"})
		in.Releases = append(in.Releases, r)
	}
	return in
}

// handleIn names a handle, mostly one that holds addresses.
func (p *Program) handleIn() trace.In {
	if len(p.given) > 0 && !p.sometimes(3) {
		return trace.In{Handle: pick(p, "given", p.given).handle}
	}
	return trace.In{Handle: p.handle()}
}

// ownerIn changes the owners of an address, under any condition.
func (p *Program) ownerIn() trace.In {
	g := p.address()
	in := trace.In{IP: g.ip, Handle: g.handle}
	switch p.pick("active", 3) {
	case 1:
		in.ActiveAttrs = p.attrs()
	case 2:
		in.ClearActive = true
	}
	switch p.pick("alternate", 4) {
	case 0, 1:
		in.AlternateAttrs = p.attrs()
	case 2:
		in.ClearAlternate = true
	}
	in.ClearActive = in.ClearActive || p.sometimes(10) // set and cleared at once
	expect := func() *ipam.OwnerRef {
		return pick(p, "expected", []*ipam.OwnerRef{nil, nil, {Namespace: "x", Name: "a"}, {}})
	}
	in.ExpectActive, in.ExpectAlternate = expect(), expect()
	in.ExpectActiveEmpty, in.ExpectAlternateEmpty = p.sometimes(8), p.sometimes(6)
	return in
}

// affinityIn is an owner and a CIDR; each operation uses the parts that it needs.
func (p *Program) affinityIn() trace.In {
	in := p.owner()
	in.CIDR, in.MustBeEmpty = p.cidr(), p.sometimes(2)
	return in
}
