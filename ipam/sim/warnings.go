package sim

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// Warning is something about a scenario that can be run and will likely
// disappoint.
type Warning struct {
	Path string // as in [InvalidError]
	Text string // a sentence without its full stop
}

// Warnings returns what a scenario that is valid should be warned of: more nodes
// than blocks; a block limit below the pods asked for; reservations over a tenth
// of the pools; a block limit without strict affinity, which Calico refuses to
// set; pools that touch the service CIDR; nodes that leave their blocks behind where
// nobody cleans up; a release of Calico that goes by the rules of another
// ([calico.Version.Caveat]).
func (s *Scenario) Warnings() (all []Warning) {
	full := s.withDefaults()
	s = &full
	warn := func(path, format string, args ...any) {
		all = append(all, Warning{path, fmt.Sprintf(format, args...)})
	}
	if caveat := s.Release().Caveat(); caveat != "" {
		warn("calico", "%s", caveat)
	} else if s.cleans() && s.Release() != 0 && s.Release() <= calico.V3(23) {
		warn("calico", "the cleaning controller of Calico %s was not looked at; that of v3.24 cleans up", s.Release())
	}
	nodes, pods, onWindows := 0, 0, 0 // nodes, and the most pods on one, and on one of Windows
	look := func(g *Group) {
		nodes += g.Nodes
		pods = max(pods, s.most(g))
		if g.Windows {
			onWindows = max(onWindows, s.most(g))
		}
	}
	for _, g := range s.groups() {
		look(&g)
	}
	for i := range s.Events {
		if e := &s.Events[i]; e.Do == addNodes {
			g := s.added(e)
			look(&g)
		}
	}
	asked := pods
	if s.TunnelIPPerNode {
		asked++
		onWindows++
	}

	blocks, largest := 0, 0 // and the addresses of the largest
	reserved, addresses := new(big.Int), new(big.Int)
	reservations, _ := pool.ParseReservations(s.Reservations)
	for i, p := range s.allPools() {
		spec := p.spec().WithDefaults()
		if overlap(spec.CIDR, s.ServiceCIDR) {
			path := "pool"
			switch {
			case i >= len(s.pools()):
				path = "events"
			case len(s.Pools) > 0:
				path = fmt.Sprintf("pools[%d].cidr", i)
			}
			warn(path, "%s touches the service CIDR %s: a pod and a service may get the same address", spec.CIDR, s.ServiceCIDR)
		}
		if spec.Disabled || spec.CIDR.Bits() > spec.BlockSize || s.Services > 0 && p.forServices() {
			continue
		}
		blocks += 1 << (spec.BlockSize - spec.CIDR.Bits())
		largest = max(largest, 1<<(spec.CIDR.Addr().BitLen()-spec.BlockSize))
		reserved.Add(reserved, reservations.CountIn(spec.CIDR))
		addresses.Add(addresses, new(big.Int).Lsh(big.NewInt(1), uint(spec.CIDR.Addr().BitLen()-spec.CIDR.Bits())))
	}
	if nodes > blocks {
		warn("nodes", "%s and %s: not every node gets one", count(nodes, "node"), count(blocks, "block"))
	}
	limit := s.MaxBlocksPerHost
	if limit == 0 {
		limit = ipam.DefaultMaxBlocksPerHost
	}
	if limit*largest < asked {
		warn("maxBlocksPerHost", "a node may have %s of %s, and needs %s", count(limit, "block"), count(largest, "address"), count(asked, "address"))
	} else if left := max(0, largest-windowsKeeps); onWindows > 1 && limit*left < onWindows {
		warn("maxBlocksPerHost", "a Windows node may have %s of %s, of which it keeps %d of each, and needs %s", count(limit, "block"), count(largest, "address"), windowsKeeps, count(onWindows, "address"))
	}
	if ten := new(big.Int).Mul(reserved, big.NewInt(10)); ten.Cmp(addresses) > 0 {
		warn("reservations", "%d of %d addresses are reserved", reserved, addresses)
	}
	if !s.cleans() && slices.ContainsFunc(s.Events, leavesBehind) {
		warn("events", "nodes that are replaced leave addresses and blocks behind, and there is no cleaner: nobody gives them back")
	}
	if s.MaxBlocksPerHost > 0 && !s.StrictAffinity {
		warn("maxBlocksPerHost", "a block limit without strict affinity is refused by Calico; only an edit of the resource sets it")
	}
	return all
}

// leavesBehind reports whether nodes go in an event without all that is theirs.
func leavesBehind(e Event) bool {
	return e.Do == replaceNodes || e.Do == interruptNodes || e.Do == upgradeNodes
}

// most returns the most pods that a node of the group runs.
func (s *Scenario) most(g *Group) int {
	n := g.PodsPerNode
	for _, b := range g.PodHistogram {
		n = max(n, b.Pods)
	}
	return n + s.mostOf(g)
}

// overlap reports whether two CIDRs do; one that is not valid overlaps none.
func overlap(a, b netip.Prefix) bool { return a.IsValid() && b.IsValid() && a.Overlaps(b) }

// count writes a number with its noun.
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case noun == "address":
		noun = "addresse"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
