package trace

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// This file converts between the values of recordings and those of the allocator.

// Spec returns the pool as the library describes it.
func (p Pool) Spec() (pool.Spec, error) {
	cidr, err := netip.ParsePrefix(p.CIDR)
	if err != nil {
		return pool.Spec{}, fmt.Errorf("pool %s: %w", p.Name, err)
	}
	s := pool.Spec{
		Name: p.Name, CIDR: cidr, BlockSize: p.BlockSize,
		NodeSelector: p.NodeSelector, NamespaceSelector: p.NamespaceSelector,
		AssignmentMode: pool.Mode(p.AssignmentMode), Disabled: p.Disabled,
	}
	for _, use := range p.AllowedUses {
		s.AllowedUses = append(s.AllowedUses, pool.Use(use))
	}
	return s, nil
}

// poolOf is the inverse of [Pool.Spec].
func poolOf(s pool.Spec) Pool {
	p := Pool{
		Name: s.Name, CIDR: s.CIDR.String(), BlockSize: s.BlockSize,
		NodeSelector: s.NodeSelector, NamespaceSelector: s.NamespaceSelector,
		AssignmentMode: string(s.AssignmentMode), Disabled: s.Disabled,
	}
	for _, use := range s.AllowedUses {
		p.AllowedUses = append(p.AllowedUses, string(use))
	}
	return p
}

// owner returns the owner in the arguments: a host unless the type says otherwise.
func (in *In) owner() affinity.Owner {
	if in.Type == "" {
		return affinity.HostOwner(in.Host)
	}
	return affinity.Owner{Type: affinity.Type(in.Type), Name: in.Host}
}

// ownerIn is the inverse of [In.owner].
func ownerIn(o affinity.Owner) In {
	in := In{Host: o.Name, Type: string(o.Type)}
	if o.Type == affinity.Host {
		in.Type = ""
	}
	return in
}

func prefixes(texts []string) ([]netip.Prefix, error) {
	var cidrs []netip.Prefix
	for _, text := range texts {
		cidr, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		cidrs = append(cidrs, cidr)
	}
	return cidrs, nil
}

// texts writes addresses or prefixes in their order.
func texts[T fmt.Stringer](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

// sorted writes addresses sorted as text.
func sorted(ips []netip.Addr) []string {
	out := texts(ips)
	slices.Sort(out)
	return out
}

// cidrText writes a block, or nothing for none.
func cidrText(cidr netip.Prefix) string {
	if !cidr.IsValid() {
		return ""
	}
	return cidr.String()
}

func (in *In) autoAssign() (ipam.AutoAssignArgs, error) {
	pools4, err := prefixes(in.Pools4)
	if err != nil {
		return ipam.AutoAssignArgs{}, err
	}
	pools6, err := prefixes(in.Pools6)
	if err != nil {
		return ipam.AutoAssignArgs{}, err
	}
	return ipam.AutoAssignArgs{
		Host: in.Host, Num4: in.Num4, Num6: in.Num6, Handle: in.Handle, Attrs: block.MakeAttrs(in.Attrs), Use: pool.Use(in.Use),
		Pools4: pools4, Pools6: pools6, MaxBlocksPerHost: in.MaxBlocksPerHost, MaxAllocPerHandle: in.MaxAllocPerHandle,
		HostReserved4: in.HostReserved4, HostReserved6: in.HostReserved6, Namespace: in.NamespaceLabels,
		Windows: in.Windows,
	}, nil
}

func autoAssignIn(a ipam.AutoAssignArgs) In {
	return In{
		Host: a.Host, Num4: a.Num4, Num6: a.Num6, Handle: a.Handle, Attrs: a.Attrs.Map(), Use: string(a.Use),
		Pools4: texts(a.Pools4), Pools6: texts(a.Pools6), MaxBlocksPerHost: a.MaxBlocksPerHost, MaxAllocPerHandle: a.MaxAllocPerHandle,
		HostReserved4: a.HostReserved4, HostReserved6: a.HostReserved6,
		HasNamespace: a.Namespace != nil, NamespaceLabels: a.Namespace, Windows: a.Windows,
	}
}

func autoAssignOut(v4, v6 ipam.Assignment, err error) Out {
	return Out{IPs4: texts(v4.IPs), Msgs4: v4.Msgs, IPs6: texts(v6.IPs), Msgs6: v6.Msgs, Err: codeOf(err)}
}

func (in *In) ensureBlock() (ipam.EnsureBlockArgs, error) {
	pools4, err := prefixes(in.Pools4)
	if err != nil {
		return ipam.EnsureBlockArgs{}, err
	}
	pools6, err := prefixes(in.Pools6)
	return ipam.EnsureBlockArgs{
		Host: in.Host, Pools4: pools4, Pools6: pools6,
		HostReserved4: in.HostReserved4, HostReserved6: in.HostReserved6, Windows: in.Windows,
	}, err
}

func ensureBlockIn(a ipam.EnsureBlockArgs) In {
	return In{
		Host: a.Host, Pools4: texts(a.Pools4), Pools6: texts(a.Pools6),
		HostReserved4: a.HostReserved4, HostReserved6: a.HostReserved6, Windows: a.Windows,
	}
}

func (in *In) assignIP() (ipam.AssignIPArgs, error) {
	ip, err := netip.ParseAddr(in.IP)
	return ipam.AssignIPArgs{
		IP: ip, Host: in.Host, Handle: in.Handle, Attrs: block.MakeAttrs(in.Attrs), Use: pool.Use(in.Use),
		HostReserved: in.HostReserved4, MaxAllocPerHandle: in.MaxAllocPerHandle, Windows: in.Windows,
	}, err
}

func assignIPIn(a ipam.AssignIPArgs) In {
	return In{
		IP: a.IP.String(), Host: a.Host, Handle: a.Handle, Attrs: a.Attrs.Map(), Use: string(a.Use),
		HostReserved4: a.HostReserved, MaxAllocPerHandle: a.MaxAllocPerHandle, Windows: a.Windows,
	}
}

// releases reads the addresses of a ReleaseIPs. Sequence numbers are the engine's
// own, as recordings do not have them. If several blocks have an address, the
// recorded outcome shows whether the number was that of the block that the release
// uses.
func (in *In) releases(e Engine, recorded *Out) ([]ipam.Release, error) {
	var out []ipam.Release
	for _, r := range in.Releases {
		ip, err := netip.ParseAddr(r.IP)
		if err != nil {
			return nil, err
		}
		release := ipam.Release{IP: ip, Handle: r.Handle, Windows: in.Windows}
		if r.Seq != "" {
			seq := e.SequenceNumber(ip)
			if recorded.Err == string(codes.BadSequenceNumber) && !slices.Contains(recorded.Released, r.IP) {
				seq = otherNumber(e.State(), ip, seq)
			}
			switch r.Seq {
			case "current":
			case "stale":
				seq--
			default:
				return nil, fmt.Errorf("seq %q is neither current nor stale", r.Seq)
			}
			release.Sequence = &seq
		}
		out = append(out, release)
	}
	return out, nil
}

// otherNumber returns a sequence number that the address has in another of its
// blocks; the given one if there is none.
func otherNumber(s ipam.State, ip netip.Addr, number uint64) uint64 {
	holding := slices.DeleteFunc(slices.Clone(s.Blocks), func(b ipam.BlockState) bool { return !b.CIDR.Contains(ip) })
	if len(holding) == 1 {
		return number // a free address may have one too
	}
	for _, b := range holding {
		here := uint64(0)
		for _, al := range b.Allocations {
			if b.Addr(al.Ordinal) == ip {
				here = al.Seq
			}
		}
		if here != number {
			return here
		}
	}
	return number
}

// codeOf returns an error as recordings write it: its code, or its text if it has
// none.
func codeOf(err error) string {
	code := codes.Of(err)
	if code == codes.Unknown {
		return err.Error()
	}
	return string(code)
}

func releasesIn(a *ipam.Allocator, releases []ipam.Release) In {
	var in In
	for _, r := range releases {
		out := Release{IP: r.IP.String(), Handle: r.Handle}
		if r.Sequence != nil {
			// The format has no numbers: any other than the current one is stale.
			out.Seq = "stale"
			if *r.Sequence == a.SequenceNumber(r.IP) {
				out.Seq = "current"
			}
		}
		in.Windows = in.Windows || r.Windows
		in.Releases = append(in.Releases, out)
	}
	return in
}

func releaseOut(unallocated, released []netip.Addr, err error) Out {
	return Out{Unallocated: sorted(unallocated), Released: sorted(released), Err: codeOf(err)}
}

func attributesOut(a ipam.Attributes, err error) Out {
	return Out{Handle: a.Handle, Attrs: a.Active.Map(), AlternateAttrs: a.Alternate.Map(), Err: codeOf(err)}
}

func (in *In) ownerUpdate() (ipam.OwnerUpdate, ipam.OwnerPreconditions) {
	return ipam.OwnerUpdate{
			Active: block.MakeAttrs(in.ActiveAttrs), ClearActive: in.ClearActive,
			Alternate: block.MakeAttrs(in.AlternateAttrs), ClearAlternate: in.ClearAlternate,
		}, ipam.OwnerPreconditions{
			Active: in.ExpectActive, ActiveEmpty: in.ExpectActiveEmpty,
			Alternate: in.ExpectAlternate, AlternateEmpty: in.ExpectAlternateEmpty,
		}
}

func ownerUpdateIn(ip netip.Addr, handle string, u ipam.OwnerUpdate, p ipam.OwnerPreconditions) In {
	return In{
		IP: ip.String(), Handle: handle,
		ActiveAttrs: u.Active.Map(), ClearActive: u.ClearActive, AlternateAttrs: u.Alternate.Map(), ClearAlternate: u.ClearAlternate,
		ExpectActive: p.Active, ExpectActiveEmpty: p.ActiveEmpty, ExpectAlternate: p.Alternate, ExpectAlternateEmpty: p.AlternateEmpty,
	}
}

func claimOut(claimed, failed []netip.Prefix, err error) Out {
	return Out{Claimed: texts(claimed), Failed: texts(failed), Err: codeOf(err)}
}
