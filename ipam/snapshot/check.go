package snapshot

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// A Finding is one fault of a cluster.
type Finding struct {
	Kind Kind `json:"kind"`
	// Address is the address in question; empty if it is not one address.
	Address string `json:"address,omitempty"`
	// Objects are the objects in question, such as "IPAMBlock 10-0-0-0-26" or
	// "Pod default/web-0".
	Objects []string `json:"objects"`
	What    string   `json:"what"` // in a sentence
	Mend    string   `json:"mend"` // what would mend it
	// Fixes are the commands for it, in the order in which they are safe; none where
	// nothing need be done, or where no command does it.
	Fixes []Fix `json:"fixes,omitempty"`

	sortBy netip.Addr
}

// Report is what [Check] found.
type Report struct {
	// Findings come in the order of kinds, then of addresses and objects.
	Findings []Finding `json:"findings"`
	// Unjudged says what could not be looked at, why, and which command prints it.
	Unjudged []string `json:"unjudged,omitempty"`
	Notes    []string `json:"notes,omitempty"` // what else there is to say

	Blocks    int `json:"blocks"`
	Allocated int `json:"allocated"` // addresses that somebody holds
	Cooling   int `json:"cooling"`   // addresses released and not free yet
	Handles   int `json:"handles"`
	Pods      int `json:"pods"` // that use addresses of their own

	// Unknown are the kinds of which objects may be missing. What they would tell is
	// no finding.
	Unknown KindSet `json:"-"`
	// Released are the addresses that kube-controllers will release as things stand,
	// with how long after its next look.
	Released map[netip.Addr]time.Duration `json:"-"`
}

// Check looks for what calicoctl ipam check looks for: addresses that leaked, that
// have two owners, or that are used and not allocated; handles, affinities and
// blocks that disagree. What kube-controllers will release, its own rules say
// (package lifecycle, §12), and what it will take from a pod that lives is a finding.
// Nothing is concluded from objects that may be missing from the resources, because
// nobody asked for their kind or because they cannot be read: the report says so.
// Cooling and host-reserved addresses are no leaks, and neither is what virtual
// machines have that exist, running or not. The problems of a snapshot that was read leniently are findings too.
//
// No [Fix] takes an address away from a pod that has it by right.
func Check(s *Snapshot) *Report { return newChecker(s).check() }

func (c *checker) check() *Report {
	c.report.Unknown = c.unknown
	c.report.Released = c.fates()
	c.problems()
	c.usage()
	c.unbooked()
	c.allocations()
	c.handles()
	c.affinities()
	c.blocks()
	c.skipped()
	order := make(map[Kind]int, len(kinds))
	for i, k := range kinds {
		order[k.kind] = i
	}
	slices.SortStableFunc(c.report.Findings, func(x, y Finding) int {
		return cmp.Or(
			cmp.Compare(order[x.Kind], order[y.Kind]),
			x.sortBy.Compare(y.sortBy),
			slices.Compare(x.Objects, y.Objects),
			strings.Compare(x.What, y.What),
		)
	})
	return c.report
}

type checker struct {
	s        *Snapshot
	report   *Report
	unknown  KindSet  // what the resources do not tell
	machines kubeVirt // what they do tell of virtual machines
	paused   bool     // it is advised to pause kube-controllers

	byAddress []*ipam.BlockState // in the order of addresses, of one address larger ones first
	at        map[netip.Prefix]*ipam.BlockState
	refused   map[netip.Prefix]bool // blocks that were left out
	claims    map[claimKey]bool
	pools     []netip.Prefix
	nodes     map[string]bool
	// namespaces are those that the pods are of.
	namespaces   map[string]bool
	pods         map[string]*Pod // by "namespace/name"
	users        map[netip.Addr][]user
	services     map[netip.Addr]bool // their addresses
	handlesInUse map[string]bool     // see [checker.inUse]
	// outside and floating are who has an address that IPAM does not book.
	outside, floating map[netip.Addr][]user
	// tunnels are the kinds of tunnels whose address a node reports.
	tunnels map[tunnelKey]bool
}

type claimKey struct {
	owner affinity.Owner
	cidr  netip.Prefix
}

type tunnelKey struct{ node, kind string }

// user is who uses an address.
type user struct {
	pod  *Pod
	node *NodeAddress // if it is no pod
}

func (u user) String() string {
	switch {
	case u.pod != nil:
		return "Pod " + u.pod.Namespace + "/" + u.pod.Name
	default:
		return "Node " + u.node.Node
	}
}

func newChecker(s *Snapshot) *checker {
	c := &checker{
		s:        s,
		report:   &Report{Findings: []Finding{}, Blocks: len(s.Cluster.Blocks), Handles: len(s.Cluster.Handles)},
		at:       make(map[netip.Prefix]*ipam.BlockState),
		refused:  make(map[netip.Prefix]bool),
		claims:   make(map[claimKey]bool),
		nodes:    make(map[string]bool),
		pods:     make(map[string]*Pod),
		unknown:  unknown(s),
		machines: s.knownMachines(),

		namespaces: make(map[string]bool),
		services:   make(map[netip.Addr]bool),
		users:      make(map[netip.Addr][]user),
		outside:    make(map[netip.Addr][]user),
		floating:   make(map[netip.Addr][]user),
		tunnels:    make(map[tunnelKey]bool),
	}
	for i := range s.Cluster.Blocks {
		b := &s.Cluster.Blocks[i]
		c.byAddress = append(c.byAddress, b)
		c.at[b.CIDR] = b
	}
	slices.SortFunc(c.byAddress, func(x, y *ipam.BlockState) int { return comparePrefixes(x.CIDR, y.CIDR) })
	for i := range s.refused {
		c.refused[s.refused[i].CIDR] = true
	}
	for _, a := range s.Cluster.Affinities {
		c.claims[claimKey{a.Owner, a.CIDR}] = true
	}
	for _, p := range s.Cluster.Pools {
		c.pools = append(c.pools, p.CIDR)
	}
	for _, n := range s.Cluster.Nodes {
		c.nodes[n.Name] = true
	}
	for i := range s.Pods {
		p := &s.Pods[i]
		c.pods[p.Namespace+"/"+p.Name] = p
		c.namespaces[p.Namespace] = true
		if p.HostNetwork || p.Ended {
			continue
		}
		c.report.Pods++
		for _, ip := range p.IPs {
			if !slices.Contains(p.Outside, ip) {
				c.users[ip] = append(c.users[ip], user{pod: p})
			}
		}
		for _, ip := range p.Outside { // whether it reports them or not
			c.outside[ip] = append(c.outside[ip], user{pod: p})
		}
		for _, ip := range p.Floating {
			c.floating[ip] = append(c.floating[ip], user{pod: p})
		}
	}
	for _, v := range s.Services {
		for _, ip := range v.IPs {
			c.services[ip] = true
		}
	}
	for i := range s.Addresses {
		a := &s.Addresses[i]
		c.users[a.IP] = append(c.users[a.IP], user{node: a})
		c.tunnels[tunnelKey{a.Node, a.Tunnel}] = true
	}
	return c
}

// find adds a finding about objects.
func (c *checker) find(kind Kind, about netip.Addr, objects []string, format string, args ...any) {
	f := Finding{Kind: kind, Objects: objects, What: fmt.Sprintf(format, args...), sortBy: about}
	for _, k := range kinds {
		if k.kind == kind {
			f.Mend = k.mend
		}
	}
	c.report.Findings = append(c.report.Findings, f)
}

// findAt adds a finding about one address.
func (c *checker) findAt(kind Kind, ip netip.Addr, objects []string, format string, args ...any) {
	c.find(kind, ip, objects, format, args...)
	c.report.Findings[len(c.report.Findings)-1].Address = ip.String()
}

// mend says how the last finding is mended, where that is not as usual for its kind.
func (c *checker) mend(text string, fixes ...Fix) {
	f := &c.report.Findings[len(c.report.Findings)-1]
	if text != "" {
		f.Mend = text
	}
	f.Fixes = append(f.Fixes, fixes...)
}

// unjudged says what was not looked at.
func (c *checker) unjudged(format string, args ...any) {
	c.report.Unjudged = append(c.report.Unjudged, fmt.Sprintf(format, args...))
}

func (c *checker) note(format string, args ...any) {
	c.report.Notes = append(c.report.Notes, fmt.Sprintf(format, args...))
}

// skipped notes the kinds that are not read.
func (c *checker) skipped() {
	kinds := make([]string, 0, len(c.s.Skipped))
	for _, kind := range sortedKeys(c.s.Skipped) {
		kinds = append(kinds, fmt.Sprintf("%d %s", c.s.Skipped[kind], kind))
	}
	if len(kinds) > 0 {
		c.note("objects of other kinds were skipped: %s", strings.Join(kinds, ", "))
	}
}

// problems makes findings of the problems of the resources.
func (c *checker) problems() {
	for _, p := range c.s.Problems {
		if p.Harmless && p.Object == "" { // a message among the resources
			c.note("%s", p.Error())
			continue
		}
		where := *p
		where.Object = ""
		object := p.Object
		if object == "" {
			object = p.File
		}
		c.find(p.Kind, netip.Addr{}, []string{object}, "%s", where.Error())
		if p.Harmless && p.Kind == kindUnreadable {
			c.mend("nothing need be done: it has no effect")
		}
	}
}

func blockObject(cidr netip.Prefix) string { return "IPAMBlock " + affinity.CIDRName(cidr) }
func handleObject(id string) string        { return "IPAMHandle " + handleKey(id) }

func affinityObject(a *ipam.AffinityState) string {
	return "BlockAffinity " + affinity.Name(a.Owner.Name, a.CIDR)
}

// blockOf returns the block that has the address, or nil. Of blocks that overlap it
// is the smallest one where the address is allocated, or the smallest of all.
func (c *checker) blockOf(ip netip.Addr) *ipam.BlockState {
	var smallest *ipam.BlockState
	lowest := ip.BitLen() - 12 // no block is larger than block.MaxSize
	for bits := ip.BitLen(); bits >= lowest; bits-- {
		b := c.at[netip.PrefixFrom(ip, bits).Masked()]
		if b == nil {
			continue
		}
		if allocationOf(b, ip) != nil {
			return b
		}
		if smallest == nil {
			smallest = b
		}
	}
	if smallest != nil {
		return smallest
	}
	for j := range c.s.refused {
		if c.s.refused[j].CIDR.Contains(ip) {
			return &c.s.refused[j]
		}
	}
	return nil
}

// allocationOf returns the allocation of an address in its block, or nil.
func allocationOf(b *ipam.BlockState, ip netip.Addr) *block.Allocation {
	ord := ordinalOf(b.CIDR, ip)
	i, found := slices.BinarySearchFunc(b.Allocations, ord, func(a block.Allocation, ord int) int { return cmp.Compare(a.Ordinal, ord) })
	if !found {
		return nil
	}
	return &b.Allocations[i]
}

// ordinalOf returns the number of an address in a block that has it.
func ordinalOf(cidr netip.Prefix, ip netip.Addr) int {
	b := ip.AsSlice()
	n := int(b[len(b)-2])<<8 | int(b[len(b)-1])
	return n & (1<<(ip.BitLen()-cidr.Bits()) - 1)
}

func (c *checker) inPool(ip netip.Addr) bool {
	return slices.ContainsFunc(c.pools, func(p netip.Prefix) bool { return p.Contains(ip) })
}
