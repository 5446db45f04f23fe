package snapshot

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// This file cleans a live cluster up as kube-controllers does (§12).

// Collect cleans up as kube-controllers does, for as long as it takes, by the policy of
// the snapshot. Then it clears what nobody cleans up: affinities on blocks that are
// another's, those of nodes that are gone without a block, and handles that hold nothing.
// What the resources do not tell counts as in use.
func (l *Live) Collect() (c Cleared, err error) {
	blocks := len(l.a.State().Blocks)
	if err := l.clean(&c); err != nil {
		return c, err
	}
	l.a.GarbageCollectColdIPs()
	c.Affinities = l.dropAffinities()
	s := l.a.State()
	if !l.report.Unknown.Blocks && !l.report.Unknown.Handles {
		held := s.Held()
		for _, h := range s.Handles {
			if held[strings.ToLower(h.ID)] == nil && l.a.DropHandle(h.ID) {
				c.Handles++
			}
		}
	}
	c.Blocks = blocks - len(s.Blocks)
	c.Lost = l.lost()
	return c, nil
}

// clean has kube-controllers clean up until nothing more comes of it.
func (l *Live) clean(c *Cleared) error {
	policy := l.snapshot.Policy()
	k, err := lifecycle.NewController(l.kubernetes(), policy)
	if err != nil {
		return fmt.Errorf("snapshot: collect: %w", err)
	}
	defer k.Stop()
	// What has leaked goes after a grace period, then cools down, and another grace
	// period later its block may go; each waits for the next look.
	start := l.clock.Now()
	end := start.Add(2*max(policy.GracePeriod, machineWait) + l.cooldown() + 2*policy.FullEvery())
	for {
		r := k.Sync(true)
		c.Addresses += len(r.ReleasedIPs)
		if len(r.ReleasedIPs)+len(r.ReleasedBlocks) > 0 {
			c.Took = l.clock.Now().Sub(start)
		}
		switch {
		case len(r.ReleasedIPs) > 0 && r.WorkRemaining: // again at once
		case !l.clock.Now().Before(end):
			return nil
		default:
			l.clock.Advance(policy.FullEvery())
		}
	}
}

// kubernetes returns the cluster as kube-controllers sees it: the nodes, or all that
// are named where nobody knows which there are, and the pods.
func (l *Live) kubernetes() *lifecycle.Cluster {
	cluster := lifecycle.NewCluster(l.a)
	l.snapshot.AddMachines(cluster)
	if l.report.Unknown.Nodes {
		s := l.a.State()
		for i := range s.Blocks {
			b := &s.Blocks[i]
			if b.Owner.Type == affinity.Host {
				cluster.AssumeNode(b.Owner.Name)
			}
			for _, al := range b.Allocations {
				if node, _ := al.Active.Get(ipam.AttrNode); node != "" {
					cluster.AssumeNode(node)
				}
			}
		}
	}
	pods := slices.Clone(l.ended)
	at := make(map[lifecycle.PodName]int)
	for i := range pods {
		at[pods[i].PodName] = i
	}
	for _, p := range l.pods {
		name := lifecycle.PodName{Namespace: p.Namespace, Name: p.Name}
		i, there := at[name]
		if !there {
			i = len(pods)
			pods, at[name] = append(pods, lifecycle.Pod{PodName: name, Node: p.Node}), i
		}
		pods[i].IPs = append(slices.Clip(pods[i].IPs), p.IPs...)
	}
	for _, p := range pods {
		_ = cluster.SetPod(p) // all have names
	}
	return cluster
}

// lost takes out the pods that lost addresses though they live, and returns them with
// the addresses that they lost.
func (l *Live) lost() (lost []LivePod) {
	l.tidy()
	for _, p := range l.pods {
		held, _ := l.a.IPsByHandle(p.Handle) // a handle that is gone holds nothing
		var ips []netip.Addr
		for _, ip := range p.IPs {
			if !slices.Contains(held, ip) {
				ips = append(ips, ip)
			}
		}
		if len(ips) > 0 {
			p.IPs = ips
			lost = append(lost, *p)
			p.IPs = nil
		}
	}
	l.settle()
	return lost
}

// dropAffinities drops the affinities on blocks that are another's, and of nodes that
// are gone those on blocks that do not exist. A node that is there is about to make
// the block.
func (l *Live) dropAffinities() (dropped int) {
	isNode := make(map[string]bool)
	for _, n := range l.a.Nodes() {
		isNode[n.Name] = true
	}
	s := l.a.State()
	blocks := make(map[netip.Prefix]affinity.Owner)
	for i := range s.Blocks {
		blocks[s.Blocks[i].CIDR] = s.Blocks[i].Owner
	}
	unknown := l.report.Unknown
	for _, a := range s.Affinities {
		owner, exists := blocks[a.CIDR]
		gone := a.Owner.Type == affinity.Host && !isNode[a.Owner.Name] && !unknown.Nodes && !unknown.Blocks
		if (exists && owner != a.Owner || !exists && gone) && l.a.DropAffinity(a.Owner, a.CIDR) {
			dropped++
		}
	}
	return dropped
}
