package whatif

import (
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// This file clears what a node has left that is gone already.

// left is what there is of a node in blocks and affinities.
type left struct{ addresses, blocks, affinities int }

// leftBy counts what nodes have, by their names, those that are gone too.
func (w *world) leftBy() map[string]left {
	all := make(map[string]left)
	s := w.a.State()
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

// isDead reports whether a node is gone and has left something behind. Where nobody knows
// which nodes there are, none is.
func (w *world) isDead(node string) bool {
	there := slices.ContainsFunc(w.a.Nodes(), func(n ipam.Node) bool { return n.Name == node })
	return !there && !w.report.Unknown.Nodes && w.leftBy()[node] != left{}
}

// clearDead clears what a node has left that is gone, as kube-controllers does the next
// time it looks (docs/calico.md §12, "A scan", 3 and 4), and nothing of other nodes. Pods
// that are still listed there start on others, as Kubernetes has them do.
func (w *world) clearDead(c *change, node string) error {
	before := w.leftBy()
	if slices.ContainsFunc(w.pods, func(p *pod) bool { return p.node == node }) {
		w.evict(c, node)
		delete(w.cordoned, node)
	}
	cluster := w.kubernetes()
	for other := range before {
		if other != node {
			cluster.AssumeNode(other)
		}
	}
	// Without a grace period nothing goes but what is of nodes that are gone.
	k, err := lifecycle.NewController(cluster, lifecycle.Policy{})
	if err != nil {
		return err
	}
	defer k.Stop()
	for range 2 { // it comes back when what cools down is cold
		for r := k.Sync(true); len(r.ReleasedIPs) > 0 && r.WorkRemaining; {
			r = k.Sync(true)
		}
		w.clock.Advance(time.Duration(w.a.GetIPAMConfig().IPCooldownSeconds) * time.Second)
	}
	was, is := before[node], w.leftBy()[node]
	c.say("node %s was gone already: %s and %s that it had left are given back", node,
		plural(was.addresses-is.addresses, "address", "addresses"), plural(was.blocks-is.blocks, "block"))
	if lost := w.lost(); len(lost) > 0 {
		c.say("so %s of pods that live: %s", areSo(len(lost)), listText(lost))
	}
	if is.addresses > 0 {
		c.say("%s, and its blocks too: pods of those names live, nobody knows whose they are, or their handles hold more elsewhere", plural(is.addresses, "address of it stays", "addresses of it stay"))
	} else if is.blocks > 0 {
		c.say("%s: other nodes have addresses there", plural(is.blocks, "block of it stays", "blocks of it stay"))
	}
	if n := is.affinities - is.blocks; n > 0 {
		c.say("%s without a block: -gc clears that", plural(n, "affinity of it stays", "affinities of it stay"))
	}
	return nil
}
