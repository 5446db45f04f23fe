package snapshot

import (
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
)

// KindSet is a set of the kinds of which a cluster consists. The zero value is empty.
type KindSet struct {
	Pools, Blocks, Affinities, Handles, Nodes, Pods bool
}

// set adds the kind that Kubernetes calls so.
func (k *KindSet) set(kind string) {
	switch kind {
	case "IPPool":
		k.Pools = true
	case "IPAMBlock":
		k.Blocks = true
	case "BlockAffinity":
		k.Affinities = true
	case "IPAMHandle":
		k.Handles = true
	case "Node":
		k.Nodes = true
	case "Pod":
		k.Pods = true
	}
}

// list notes that the resources have a list of this kind, such as IPAMHandleList,
// which may be empty. What kubectl calls List tells nothing.
func (l *Loader) list(kind string) {
	kind = strings.TrimSuffix(kind, "List")
	l.listed.set(kind)
	l.kubeVirt(kind, "", false)
}

// unlisted returns the kinds of which there is no object and no list.
func (l *Loader) unlisted(s *Snapshot) KindSet {
	c, has := &s.Cluster, l.listed
	return KindSet{
		Pools:      !has.Pools && len(c.Pools) == 0,
		Blocks:     !has.Blocks && len(c.Blocks) == 0,
		Affinities: !has.Affinities && len(c.Affinities) == 0,
		Handles:    !has.Handles && len(c.Handles) == 0,
		Nodes:      !has.Nodes && len(c.Nodes) == 0,
		Pods:       !has.Pods && len(s.Pods) == 0,
	}
}

// derived returns the cluster with the affinities and handles that its blocks imply,
// where the resources list none: every owner has confirmed its claim, and handles
// count what they hold.
func (s *Snapshot) derived() ipam.Cluster {
	c := s.Cluster
	if s.Unlisted.Affinities && len(c.Affinities) == 0 {
		for i := range c.Blocks {
			if b := &c.Blocks[i]; !b.Owner.IsZero() {
				c.Affinities = append(c.Affinities, ipam.AffinityState{Owner: b.Owner, CIDR: b.CIDR, State: affinity.Confirmed, Created: b.Claimed})
			}
		}
	}
	if s.Unlisted.Handles && len(c.Handles) == 0 {
		c.Handles = impliedHandles(&c)
	}
	return c
}

// impliedHandles returns the handles that the allocations name, under the id that
// comes first of those that share one (§1).
func impliedHandles(c *ipam.Cluster) []ipam.HandleState {
	held := heldBy(c.Blocks)
	handles := make([]ipam.HandleState, 0, len(held.of))
	for i := range held.of {
		if of := &held.of[i]; len(of.counts) > 0 {
			slices.SortFunc(of.counts, func(x, y ipam.HandleCount) int { return affinity.CompareCIDRNames(x.Block, y.Block) })
			handles = append(handles, ipam.HandleState{ID: of.written, Counts: of.counts})
		}
	}
	slices.SortFunc(handles, func(x, y ipam.HandleState) int { return strings.Compare(x.ID, y.ID) })
	return handles
}

// cutHandle cuts a handle's id at the first carriage return, which clusters that were
// migrated from Calico 2 still have (§9).
func cutHandle(id string) string {
	id, _, _ = strings.Cut(id, "\r")
	return id
}

// handleKey returns what stands for the ids that share one handle (§1).
func handleKey(id string) string { return strings.ToLower(cutHandle(id)) }
