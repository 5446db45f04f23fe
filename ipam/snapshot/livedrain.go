package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// This file moves the pods of a node to others, and lets nodes go.

// Drain evicts the pods of a node, one after the other in the order of [Live.Pods], and
// cordons it. Each starts on the node with the fewest pods, the first by name of several,
// that runs the same operating system and was not cordoned; on nodes of the control plane
// only where there are no others. A pod that asks for the very address that it gave back
// comes last, when that has cooled down. Tunnels stay. The moves are in the order in
// which the pods asked; last come pods with addresses without IPAM, which keep them.
//
// The error matches [codes.DoesNotExist] where there is no such node. A node that was
// drained already has no pods left to move, unless they were started there since.
func (l *Live) Drain(node string) ([]Move, error) {
	if !l.isNode(node) {
		return nil, noNode(node)
	}
	return l.evict(node), nil
}

// Uncordon lets pods move to the node again. None comes back by itself.
func (l *Live) Uncordon(node string) { delete(l.cordoned, node) }

// Cordoned reports whether the node was drained.
func (l *Live) Cordoned(node string) bool { return l.cordoned[node] }

func (l *Live) isNode(node string) bool {
	return slices.ContainsFunc(l.a.Nodes(), func(n ipam.Node) bool { return n.Name == node })
}

func noNode(node string) error {
	return &ipam.Error{Code: codes.DoesNotExist, Host: node, Detail: "node " + node}
}

// targets are the nodes that pods can move to, with the number of pods on each.
type targets struct {
	nodes []ipam.Node
	count map[string]int
}

// targets returns the nodes that take pods: not those that were drained, and those
// of the control plane only where there are no others.
func (l *Live) targets() *targets {
	t := &targets{count: make(map[string]int)}
	for _, p := range l.pods {
		t.count[p.Node]++
	}
	for _, control := range []bool{false, true} {
		for _, n := range l.a.Nodes() {
			_, isControl := n.Labels["node-role.kubernetes.io/control-plane"]
			if isControl == control && !l.cordoned[n.Name] {
				t.nodes = append(t.nodes, n)
			}
		}
		if len(t.nodes) > 0 {
			break
		}
	}
	return t
}

// next returns the node with the fewest pods, the first by name of several, among
// those of the same operating system; "" if there is none.
func (t *targets) next(os string) string {
	best := ""
	for _, n := range t.nodes {
		if its := n.Labels[osLabel]; os != "" && its != "" && its != os {
			continue
		}
		if best == "" || t.count[n.Name] < t.count[best] {
			best = n.Name
		}
	}
	if best != "" {
		t.count[best]++
	}
	return best
}

// evict moves the pods of a node that takes none any more.
func (l *Live) evict(node string) (moves []Move) {
	l.tidy()
	l.cordoned[node] = true
	os := ""
	for _, n := range l.a.Nodes() {
		if n.Name == node {
			os = n.Labels[osLabel]
		}
	}
	t := l.targets()
	var waiting []*LivePod // for their address to cool down; the others do not wait for them
	var last []Move        // theirs
	for _, p := range l.pods {
		if p.Node != node {
			continue
		}
		m := Move{From: node, Old: p.IPs}
		l.release(p)
		if p.Node = t.next(os); p.Node == "" {
			m.Pod, m.Err = *p, &ipam.Error{Code: codes.DoesNotExist, Detail: "no node is left to move to"}
		} else if m.Waited = l.cools(p); m.Waited {
			waiting, last = append(waiting, p), append(last, m)
			continue
		} else {
			l.ask(p, &m)
		}
		moves = append(moves, m)
	}
	for i, p := range waiting {
		l.ask(p, &last[i])
	}
	moves = append(append(moves, last...), l.settle()...)
	for _, p := range l.outside {
		if p.Node != node {
			continue
		}
		if to := t.next(os); to != "" {
			p.Node = to
			moves = append(moves, Move{Pod: *p, From: node, Old: p.IPs, Unbooked: true})
		}
	}
	return moves
}

// Cleared is what was given back, and what became of pods on the way.
type Cleared struct {
	Moves []Move // of the pods of a node that went
	// Lost are pods that live and lost addresses, those that they lost. They are no
	// longer among [Live.Pods].
	Lost []LivePod
	// Took is how long the controller took; 0 if all went at once.
	Took time.Duration

	Addresses  int // without those of moved pods
	Blocks     int
	Affinities int // without a block that is theirs
	Handles    int // without addresses

	// What a node that went leaves behind: blocks where others have addresses; and of
	// one that was gone already, addresses in use and all affinities.
	AddressesLeft, BlocksLeft, AffinitiesLeft int
}

// RemoveNode drains a node, unless that was done, gives back its tunnels' addresses,
// deletes it, and releases its blocks that are empty once what cools down is cold, as
// kube-controllers does. Addresses counts those of the tunnels.
//
// Of a node that is gone and has left something ([Live.IsGone]) it clears what
// kube-controllers clears at its next look (§12, "A scan", 3 and 4), and nothing of other
// nodes. Pods that are still listed there start on others. The error matches
// [codes.DoesNotExist] for any other node.
func (l *Live) RemoveNode(node string) (c Cleared, err error) {
	if !l.isNode(node) {
		if !l.IsGone(node) {
			return c, noNode(node)
		}
		return l.clearGone(node)
	}
	if !l.cordoned[node] || slices.ContainsFunc(l.pods, func(p *LivePod) bool { return p.Node == node }) {
		c.Moves = l.evict(node)
	}
	before := 0
	c.Addresses, before = l.releaseTunnels(node)
	l.a.DeleteNode(node)
	delete(l.cordoned, node)
	// The controller comes back when what cools down is cold.
	l.clock.Advance(l.cooldown())
	_ = l.a.ReleaseHostAffinities(affinity.HostOwner(node), true) // what is not empty stays
	c.BlocksLeft = l.left()[node].blocks
	c.Blocks = before - c.BlocksLeft
	return c, nil
}

// releaseTunnels gives back the tunnel addresses of a node. It returns how many those
// were, and how many blocks the node owns.
func (l *Live) releaseTunnels(node string) (tunnels, blocks int) {
	s := l.a.State()
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if b.Owner == affinity.HostOwner(node) {
			blocks++
		}
		for k := range b.Allocations {
			al := &b.Allocations[k]
			kind, _ := al.Active.Get(ipam.AttrType)
			of, _ := al.Active.Get(ipam.AttrNode)
			if of == node && strings.HasSuffix(kind, tunnelSuffix) {
				if _, err := l.a.ReleaseIP(ipam.Release{IP: b.Addr(al.Ordinal), Handle: al.Handle}); err == nil {
					tunnels++
				}
			}
		}
	}
	return tunnels, blocks
}

// tunnelSuffix ends the attribute "type" of every tunnel's address (§11).
const tunnelSuffix = "TunnelAddress"

// left is what there is of a node in blocks and affinities.
type left struct{ addresses, blocks, affinities int }

// left counts what nodes have, by their names, those that are gone too.
func (l *Live) left() map[string]left {
	all := make(map[string]left)
	s := l.a.State()
	for i := range s.Blocks {
		b := &s.Blocks[i]
		if b.Owner.Type == affinity.Host {
			of := all[b.Owner.Name]
			of.blocks++
			all[b.Owner.Name] = of
		}
		for _, al := range b.Allocations {
			if node, _ := al.Active.Get(ipam.AttrNode); node != "" {
				of := all[node]
				of.addresses++
				all[node] = of
			}
		}
	}
	for _, a := range s.Affinities {
		if a.Owner.Type == affinity.Host {
			of := all[a.Owner.Name]
			of.affinities++
			all[a.Owner.Name] = of
		}
	}
	return all
}

// IsGone reports whether a node is gone and has left addresses, blocks or affinities
// behind. Where the resources list no nodes, none is.
func (l *Live) IsGone(node string) bool {
	return !l.report.Unknown.Nodes && !l.isNode(node) && l.left()[node] != left{}
}

// clearGone clears what a node has left that is gone.
func (l *Live) clearGone(node string) (c Cleared, err error) {
	before := l.left()
	if slices.ContainsFunc(l.pods, func(p *LivePod) bool { return p.Node == node }) {
		c.Moves = l.evict(node)
		delete(l.cordoned, node)
	}
	cluster := l.kubernetes()
	for _, other := range sortedKeys(before) {
		if other != node {
			cluster.AssumeNode(other)
		}
	}
	// Without a grace period nothing goes but what is of nodes that are gone.
	k, err := lifecycle.NewController(cluster, lifecycle.Policy{})
	if err != nil {
		return c, fmt.Errorf("snapshot: clear node %s: %w", node, err)
	}
	defer k.Stop()
	for range 2 { // it comes back when what cools down is cold
		for r := k.Sync(true); len(r.ReleasedIPs) > 0 && r.WorkRemaining; {
			r = k.Sync(true)
		}
		l.clock.Advance(l.cooldown())
	}
	was, is := before[node], l.left()[node]
	c.Addresses, c.Blocks = was.addresses-is.addresses, was.blocks-is.blocks
	c.AddressesLeft, c.BlocksLeft, c.AffinitiesLeft = is.addresses, is.blocks, is.affinities
	c.Lost = l.lost()
	return c, nil
}
