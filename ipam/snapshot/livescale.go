package snapshot

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
)

// This file gives nodes pods, and has tunnels and whole pools ask again.

// Scale gives every node that many pods; a negative number counts as 0. It ends the last
// ones of nodes that have more, and then starts new ones where pods can move to
// ([Live.Drain]), a round of one pod per node after the other. They are called
// whatif/NODE-ROUND, or by the next number that is free, and ask for what is usual.
func (l *Live) Scale(pods int) (started []Move, ended []LivePod) {
	l.tidy()
	pods = max(0, pods)
	on := make(map[string]int)
	for _, p := range l.pods {
		if on[p.Node]++; on[p.Node] > pods {
			ended = append(ended, *p)
			l.release(p)
		}
	}
	lost := l.settle()
	four, six := l.Usual()
	nodes := l.targets().nodes
	for round := range pods {
		for _, n := range nodes {
			if on[n.Name] <= round {
				p := LivePod{Namespace: "whatif", Node: n.Name, Num4: four, Num6: six}
				for i := round; p.Name == "" || l.Has(p.Label()); i++ {
					p.Name = fmt.Sprintf("%s-%d", n.Name, i)
				}
				started = append(started, l.Start(p)...)
			}
		}
	}
	return append(started, lost...), ended
}

// Tunnels returns the kinds of tunnels that at least half of the nodes have, in the order
// of their handles, for [Live.Start] on a new node. They lack the node, which is the end
// of the handle, too (§11).
func (l *Live) Tunnels() []LivePod {
	type tunnel struct {
		kind, handle string
		is4          bool
	}
	count := make(map[tunnel]int)
	var all []LivePod
	s, nodes := l.a.State(), max(1, len(l.a.Nodes()))
	for i := range s.Blocks {
		b := &s.Blocks[i]
		for k := range b.Allocations {
			al := &b.Allocations[k]
			kind, _ := al.Active.Get(ipam.AttrType)
			node, _ := al.Active.Get(ipam.AttrNode)
			handle, isNodes := strings.CutSuffix(al.Handle, node)
			if !strings.HasSuffix(kind, tunnelSuffix) || node == "" || !isNodes {
				continue
			}
			t := tunnel{kind, handle, b.CIDR.Addr().Is4()}
			// Once for each kind: where it reaches half of the nodes.
			if count[t]++; 2*count[t] >= nodes && 2*(count[t]-1) < nodes {
				all = append(all, tunnelOf(kind, handle, t.is4))
			}
		}
	}
	slices.SortStableFunc(all, func(x, y LivePod) int { return strings.Compare(x.Handle, y.Handle) })
	return all
}

func tunnelOf(kind, handle string, is4 bool) LivePod {
	if is4 {
		return LivePod{Tunnel: kind, Handle: handle, Num4: 1}
	}
	return LivePod{Tunnel: kind, Handle: handle, Num6: 1}
}

// Vacate has everything that has an address within the CIDR give it back, and then ask
// again: node by node in the order given, of each first its tunnels and then its pods.
// Blocks within the CIDR that are empty then are released in between, as there is time to
// wait until all is cold. Disable the pool first, or they come back into it.
func (l *Live) Vacate(cidr netip.Prefix, nodes []string) ([]Move, error) {
	moves, pods, err := l.leave(cidr, nodes)
	if err != nil {
		return nil, err
	}
	lost := l.settle()
	if err := l.dropEmptyBlocks(cidr); err != nil {
		return nil, err
	}
	for i, p := range pods {
		l.ask(p, &moves[i])
		if len(p.IPs) > 0 && p.Tunnel == "" {
			l.join(p)
		}
	}
	return append(moves, lost...), nil
}

// leave takes the tunnels and pods of nodes out of a pool. It returns them, and what
// they gave back, in the order in which they come back.
func (l *Live) leave(cidr netip.Prefix, nodes []string) (moves []Move, all []*LivePod, err error) {
	l.tidy()
	s := l.a.State()
	for _, node := range nodes {
		for i := range s.Blocks {
			b := &s.Blocks[i]
			if !cidr.Contains(b.CIDR.Addr()) {
				continue
			}
			for _, al := range b.Allocations {
				kind, _ := al.Active.Get(ipam.AttrType)
				of, _ := al.Active.Get(ipam.AttrNode)
				if of != node || !strings.HasSuffix(kind, tunnelSuffix) {
					continue
				}
				if err := l.a.ReleaseByHandle(al.Handle); err != nil {
					return nil, nil, fmt.Errorf("snapshot: vacate %s: %w", cidr, err)
				}
				t := tunnelOf(kind, al.Handle, b.CIDR.Addr().Is4())
				t.Node, t.attrs = node, al.Active
				all, moves = append(all, &t), append(moves, Move{From: node, Old: []netip.Addr{b.Addr(al.Ordinal)}})
			}
		}
		for _, p := range l.pods {
			if p.Node == node && p.Uses(cidr) {
				moves = append(moves, Move{From: node, Old: p.IPs})
				l.release(p)
				all = append(all, p)
			}
		}
	}
	return moves, all, nil
}

// dropEmptyBlocks releases the blocks within the CIDR that are empty once all is cold,
// and the affinities on them.
func (l *Live) dropEmptyBlocks(cidr netip.Prefix) error {
	config := l.a.GetIPAMConfig()
	cold := config
	cold.IPCooldownSeconds = 0
	if err := l.a.PutIPAMConfig(cold); err != nil {
		return fmt.Errorf("snapshot: vacate %s: %w", cidr, err)
	}
	l.a.GarbageCollectColdIPs()
	for _, a := range l.a.State().Affinities {
		if !cidr.Contains(a.CIDR.Addr()) {
			continue
		}
		err := l.a.ReleaseBlockAffinity(a.CIDR, true)
		if _, _, exists := l.a.BlockOf(a.CIDR.Addr()); err == nil || !exists {
			l.a.DropAffinity(a.Owner, a.CIDR)
		}
	}
	if err := l.a.PutIPAMConfig(config); err != nil {
		return fmt.Errorf("snapshot: vacate %s: %w", cidr, err)
	}
	return nil
}
