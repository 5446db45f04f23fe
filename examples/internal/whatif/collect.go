package whatif

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// This file finds out who uses which address, and cleans up as kube-controllers does.

// look checks the snapshot, and finds out which pods there are and what nobody has.
func (w *world) look(s *snapshot.Snapshot) {
	w.report = snapshot.Check(s)
	w.policy = s.Policy()
	w.addMachines = s.AddMachines
	listed := make(map[string]*snapshot.Pod, len(s.Pods))
	living := make(map[netip.Addr]bool)
	for i := range s.Pods {
		p := &s.Pods[i]
		listed[p.Namespace+"/"+p.Name] = p
		if p.Ended {
			w.ended = append(w.ended, lifecycle.Pod{
				PodName: lifecycle.PodName{Namespace: p.Namespace, Name: p.Name}, Node: p.Node, IPs: p.IPs, Evicted: p.Evicted,
			})
		} else if !p.HostNetwork {
			for _, ip := range p.IPs {
				living[ip] = true
			}
			if len(p.Outside) > 0 {
				w.outside = append(w.outside, &pod{namespace: p.Namespace, name: p.Name, node: p.Node, ips: p.Outside})
			}
		}
	}
	nobodys := make(map[netip.Addr]bool)
	for ip := range w.report.Released {
		nobodys[ip] = !living[ip]
	}
	for _, f := range w.report.Findings {
		if f.Kind == "allocated-not-used" {
			nobodys[netip.MustParseAddr(f.Address)] = true
		}
	}
	w.pods = w.podsOf(nobodys, listed)
	seen := make(map[string]bool)
	for _, does := range []snapshot.Action{"delete-affinity", "delete-handle"} {
		for _, f := range w.report.Findings {
			for _, fix := range f.Fixes {
				if fix.Does == does && fix.DryRun && !seen[fix.Command] {
					seen[fix.Command] = true
					w.commands = append(w.commands, fix.Command)
				}
			}
		}
	}
}

// asks notes what the pod's annotations ask for: the addresses that it gets and no
// others (docs/calico.md §11), or the pools: whatever they select, it gets addresses from
// them and from no other (docs/calico.md §3).
func (p *pod) asks(l *snapshot.Pod, specs []pool.Spec) {
	p.faulty = l.Faulty
	if p.fixed = l.Fixed; len(p.fixed) > 0 {
		p.want4, p.want6, p.pools4, p.pools6 = 0, 0, nil, nil
		for _, ip := range p.fixed {
			if ip.Is4() {
				p.want4++
			} else {
				p.want6++
			}
		}
		return
	}
	for _, asked := range []struct {
		names []string
		pools *[]netip.Prefix
	}{{l.Pools4, &p.pools4}, {l.Pools6, &p.pools6}} {
		if len(asked.names) == 0 {
			continue
		}
		*asked.pools = nil
		for _, name := range asked.names {
			i := slices.IndexFunc(specs, func(s pool.Spec) bool { return s.Name == name || s.CIDR.String() == name })
			if i < 0 {
				p.noPool = name
				continue
			}
			*asked.pools = append(*asked.pools, specs[i].CIDR)
		}
	}
}

// derivedText says which figures go without what nobody asked for.
func derivedText(s *snapshot.Snapshot) string {
	if len(s.Cluster.Blocks) == 0 {
		return ""
	}
	var says []string
	if s.Unlisted.Pools {
		says = append(says, "there are no pools, so no block counts as a pool's (kubectl get ippools -o yaml)")
	}
	owned := slices.ContainsFunc(s.Cluster.Blocks, func(b ipam.BlockState) bool { return !b.Owner.IsZero() })
	if s.Unlisted.Affinities && owned {
		says = append(says, "there are no affinities, so every owner of a block counts as having a confirmed one (kubectl get blockaffinities -o yaml)")
	}
	held := slices.ContainsFunc(s.Cluster.Blocks, func(b ipam.BlockState) bool { return len(b.Allocations) > 0 })
	if s.Unlisted.Handles && held {
		says = append(says, "there are no handles, so they count as holding what the blocks say (kubectl get ipamhandles -o yaml)")
	}
	return strings.Join(says, "; ")
}

// unusedText says how many addresses nobody uses, and what becomes of them.
func (w *world) unusedText() string {
	unused, goes := 0, 0
	for _, f := range w.report.Findings {
		if f.Kind == "allocated-not-used" {
			unused++
			if _, released := w.report.Released[netip.MustParseAddr(f.Address)]; released {
				goes++
			}
		}
	}
	switch {
	case unused == 0:
		return ""
	case goes == unused:
		return plural(unused, "address is", "addresses are") + " allocated but used by nobody; -check names them, -gc gives them back"
	}
	return fmt.Sprintf("%s allocated but used by nobody; -check names them, -gc gives %d back", plural(unused, "address is", "addresses are"), goes)
}

// lostText says how many addresses kube-controllers will take from who uses them.
func (w *world) lostText() string {
	n := w.report.Count("used-will-be-released")
	if n == 0 {
		return ""
	}
	return plural(n, "address is in use and", "addresses are in use and") + " will be given back by kube-controllers all the same; -check says which"
}

// collect cleans up as kube-controllers does (docs/calico.md §12), for as long as it
// takes, and then clears what nobody cleans up: affinities that are no longer true, and
// handles that hold nothing.
func (w *world) collect(c *change) error {
	before := w.a.State()
	released, took, err := w.clean()
	if err != nil {
		return err
	}
	w.a.GarbageCollectColdIPs()
	dropped := w.dropAffinities()
	empty := 0
	if !w.report.Unknown.Blocks && !w.report.Unknown.Handles {
		if empty, err = w.dropEmptyHandles(); err != nil {
			return err
		}
	}
	// Handles that this very cleaning emptied still hold something in the real cluster.
	c.Commands, w.commands = w.commands, nil
	after := w.a.State()
	lost := w.lost()
	released -= len(lost)
	c.say("%s that leaked, %s, %s and %s were given back",
		plural(released, "address"), plural(len(before.Blocks)-len(after.Blocks), "block"), plural(dropped, "stale affinity"), plural(empty, "handle")+" without addresses")
	if len(lost) > 0 {
		c.say("so %s of pods that live: %s", areSo(len(lost)), listText(lost))
	}
	switch {
	case w.policy.GracePeriod == 0:
		c.say("kube-controllers gives back only what nodes left that are gone: it has no grace period")
	case took > 0:
		c.say("kube-controllers does so by itself within %s: its grace period is %s", cli.Short(took), cli.Short(w.policy.GracePeriod))
	case released > 0 || len(after.Blocks) < len(before.Blocks):
		c.say("kube-controllers does so by itself the next time it looks")
	}
	for _, what := range w.report.Unjudged {
		c.say("%s", what)
	}
	return nil
}

// areSo says that so many addresses are.
func areSo(n int) string {
	if n == 1 {
		return "is 1 address"
	}
	return "are " + plural(n, "address")
}

// machineWait is the least for which kube-controllers misses an address of a virtual
// machine (docs/calico.md §12).
const machineWait = 5 * time.Minute

// clean has kube-controllers clean up until nothing more comes of it. It returns how
// many addresses it released, and how long that and the blocks took.
func (w *world) clean() (released int, took time.Duration, err error) {
	k, err := lifecycle.NewController(w.kubernetes(), w.policy)
	if err != nil {
		return 0, 0, err
	}
	defer k.Stop()
	// What has leaked goes after a grace period, then cools down, and another grace
	// period later its block may go; each waits for the next look.
	cooldown := time.Duration(w.a.GetIPAMConfig().IPCooldownSeconds) * time.Second
	start := w.clock.Now()
	end := start.Add(2*max(w.policy.GracePeriod, machineWait) + cooldown + 2*w.policy.FullEvery())
	for {
		r := k.Sync(true)
		released += len(r.ReleasedIPs)
		if len(r.ReleasedIPs)+len(r.ReleasedBlocks) > 0 {
			took = w.clock.Now().Sub(start)
		}
		switch {
		case len(r.ReleasedIPs) > 0 && r.WorkRemaining: // again at once
		case !w.clock.Now().Before(end):
			return released, took, nil
		default:
			w.clock.Advance(w.policy.FullEvery())
		}
	}
}

// kubernetes returns the cluster as kube-controllers sees it: the nodes, or all that
// are named where nobody knows which there are, and the pods.
func (w *world) kubernetes() *lifecycle.Cluster {
	cluster := lifecycle.NewCluster(w.a)
	w.addMachines(cluster)
	if w.report.Unknown.Nodes {
		s := w.a.State()
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
	pods := make(map[lifecycle.PodName]*lifecycle.Pod)
	for _, p := range w.ended {
		pods[p.PodName] = &p
	}
	for _, p := range w.pods {
		name := lifecycle.PodName{Namespace: p.namespace, Name: p.name}
		if pods[name] == nil {
			pods[name] = &lifecycle.Pod{PodName: name, Node: p.node}
		}
		pods[name].IPs = append(slices.Clip(pods[name].IPs), p.ips...)
	}
	for _, p := range pods {
		_ = cluster.SetPod(*p) // all have names
	}
	return cluster
}

// lost takes out the pods that lost their addresses though they live, and returns them
// with their addresses.
func (w *world) lost() (names []string) {
	gone := make(map[*pod]bool)
	for _, p := range w.pods {
		held, _ := w.a.IPsByHandle(p.handle) // a handle that is gone holds nothing
		for _, ip := range p.ips {
			if !slices.Contains(held, ip) {
				gone[p] = true
				names = append(names, fmt.Sprintf("%s (%s)", p.label(), ip))
			}
		}
	}
	w.remove(gone)
	return names
}

// dropAffinities drops the affinities on blocks that are another's, and of nodes that
// are gone those on blocks that do not exist. A node that is there is about to make
// the block.
func (w *world) dropAffinities() (dropped int) {
	isNode := make(map[string]bool)
	for _, n := range w.a.Nodes() {
		isNode[n.Name] = true
	}
	s := w.a.State()
	blocks := make(map[netip.Prefix]affinity.Owner)
	for i := range s.Blocks {
		blocks[s.Blocks[i].CIDR] = s.Blocks[i].Owner
	}
	unknown := w.report.Unknown
	for _, a := range s.Affinities {
		owner, exists := blocks[a.CIDR]
		gone := a.Owner.Type == affinity.Host && !isNode[a.Owner.Name] && !unknown.Nodes && !unknown.Blocks
		if (exists && owner != a.Owner || !exists && gone) && w.a.DropAffinity(a.Owner, a.CIDR) {
			dropped++
		}
	}
	return dropped
}
