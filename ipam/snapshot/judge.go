package snapshot

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// This file finds out what is known of the cluster, and asks the controller what it
// will release.

// Policy returns how kube-controllers cleans up. A snapshot in which nothing says where
// its grace period is from has Calico's default.
func (s *Snapshot) Policy() lifecycle.Policy {
	if s.GracePeriodFrom == "" {
		return lifecycle.DefaultPolicy()
	}
	return lifecycle.Policy{GracePeriod: s.GracePeriod}
}

// unknown returns the kinds of which objects may be missing: those that the
// resources do not list, and those that could not be read in full.
func unknown(s *Snapshot) KindSet {
	k := s.Unlisted
	for _, p := range s.Problems {
		if p.Harmless || p.Kind != kindUnreadable && p.Kind != kindDuplicate {
			continue
		}
		kind, _, _ := strings.Cut(p.Object, " ")
		if k.set(kind); p.Object == "" { // anything may have stood there
			return KindSet{Pools: true, Blocks: true, Affinities: true, Handles: true, Nodes: true, Pods: true}
		}
	}
	return k
}

// whyUnknown says why a kind was not looked at.
func whyUnknown(unlisted bool, resource string) string {
	if unlisted {
		return "none are among the resources (kubectl get " + resource + " -o yaml)"
	}
	return "some of them cannot be read"
}

// seesNamespace reports whether the pods of a namespace are among the resources.
// Where all pods are of one namespace, probably nobody asked for the others.
func (c *checker) seesNamespace(name string) bool {
	return !c.unknown.Pods && (len(c.namespaces) != 1 || c.namespaces[name])
}

// machineWait is the least for which an address of a virtual machine is missed (§12).
const machineWait = 5 * time.Minute

// fates returns the addresses that kube-controllers will release as things stand, and
// how long after its next look: at once, or after its grace period (§12). What the
// resources do not tell counts as in use.
func (c *checker) fates() map[netip.Addr]time.Duration {
	policy := c.s.Policy()
	if c.unknown.Blocks || len(c.s.Cluster.Blocks) == 0 {
		return nil
	}
	start := c.s.Latest
	if start.IsZero() {
		start = time.Unix(0, 0).UTC()
	}
	clock := ipam.NewClock(start)
	a, err := c.s.Allocator(ipam.Options{Now: clock.Now})
	if err != nil {
		c.unjudged("what kube-controllers will release was not looked at: %v", err)
		return nil
	}
	k, err := lifecycle.NewController(c.kubernetes(a), policy)
	if err != nil {
		c.unjudged("what kube-controllers will release was not looked at: %v", err)
		return nil
	}
	fates := make(map[netip.Addr]time.Duration)
	defer c.keepRefused(fates)
	// At once, after the grace period, and after that of virtual machines.
	for _, after := range slices.Compact([]time.Duration{0, policy.GracePeriod, max(policy.GracePeriod, machineWait)}) {
		clock.Advance(start.Add(after).Sub(clock.Now()))
		for {
			r := k.Sync(true)
			for _, ip := range r.ReleasedIPs {
				fates[ip] = after
			}
			if len(r.ReleasedIPs) == 0 || !r.WorkRemaining {
				break
			}
		}
	}
	return fates
}

// kubernetes returns the cluster as the controller sees it.
func (c *checker) kubernetes(a *ipam.Allocator) *lifecycle.Cluster {
	cluster := lifecycle.NewCluster(a)
	for i := range c.s.Pods {
		p := c.s.Pods[i]
		if c.unknown.Nodes {
			p.Node = "" // the controller compares it only where the other node exists
		}
		if c.unknown.Pods {
			p.IPs = nil // it may be listed twice
		}
		_ = cluster.SetPod(lifecycle.Pod{
			PodName: lifecycle.PodName{Namespace: p.Namespace, Name: p.Name}, Node: p.Node, IPs: p.IPs, Evicted: p.Evicted,
		}) // one without a name is nobody's
	}
	c.s.AddMachines(cluster)
	if !c.unknown.Nodes && !c.unknown.Pods && len(c.namespaces) != 1 {
		return cluster
	}
	// A pod that is assumed has not reported its addresses, and keeps them.
	cluster.AssumePods(func(namespace string) bool { return !c.seesNamespace(namespace) })
	if !c.unknown.Nodes {
		return cluster
	}
	for i := range c.s.Cluster.Blocks {
		b := &c.s.Cluster.Blocks[i]
		if b.Owner.Type == affinity.Host {
			cluster.AssumeNode(b.Owner.Name)
		}
		for k := range b.Allocations {
			if node, _ := b.Allocations[k].Active.Get(ipam.AttrNode); node != "" {
				cluster.AssumeNode(node)
			}
		}
	}
	return cluster
}

// keepRefused takes the addresses back whose handle holds others in a block that was
// left out: only what has leaked whole is released.
func (c *checker) keepRefused(fates map[netip.Addr]time.Duration) {
	if len(c.s.refused) == 0 {
		return
	}
	held := heldBy(c.s.refused)
	for i := range c.s.Cluster.Blocks {
		b := &c.s.Cluster.Blocks[i]
		for k := range b.Allocations {
			if al := &b.Allocations[k]; al.Handle != "" && held.get(handleKey(al.Handle)) != nil {
				delete(fates, b.Addr(al.Ordinal))
			}
		}
	}
}
