package storm

import (
	"fmt"
	"math/rand"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// start is the time at which storms begin.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// cluster returns the cluster before the storm.
func (c *Config) cluster(p *pool.Pool, random *rand.Rand) (*protocol.Cluster, error) {
	cluster := protocol.NewCluster()
	cluster.SetCalico(c.Calico)
	client := cluster.Client(nil, func() time.Time { return start })
	if c.Strict { // otherwise the default is right
		if err := client.SetIPAMConfig(ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true}); err != nil {
			return nil, err
		}
	}
	if err := cluster.SetPool(p.Spec()); err != nil {
		return nil, err
	}
	for i := range c.Nodes {
		if err := client.SetNode(ipam.Node{Name: nodeName(i)}); err != nil {
			return nil, err
		}
	}
	if c.Filled > 0 {
		fill(cluster, p, c.Filled, random)
	}
	return cluster, nil
}

// fill gives every block of the pool an owner of its own. The given percentage of
// blocks is full, the others have one address in use.
func fill(cluster *protocol.Cluster, p *pool.Pool, percent int, random *rand.Rand) {
	blocks := 1 << p.BlockBits()
	for n, i := range random.Perm(blocks) {
		used := 1
		if n < full(blocks, percent) {
			used = 1 << (p.CIDR().Addr().BitLen() - p.BlockSize())
		}
		owner := affinity.HostOwner(fmt.Sprintf("earlier-%d", i))
		cidr := p.BlockAt(pool.MakeIndex(0, uint64(i)))
		created := start.Add(-time.Hour)
		claimed := created
		if !cluster.Calico().Rules().ReclaimEmptyBlocks {
			claimed = time.Time{} // blocks had no claim time
		}
		for _, o := range []protocol.Object{
			&protocol.Affinity{Owner: owner, CIDR: cidr, State: affinity.Confirmed, Created: created},
			blockInUse(&protocol.Block{CIDR: cidr, Owner: owner, Claimed: claimed, Sequence: 2}, used),
		} {
			cluster.Store().Do(protocol.Request{Verb: protocol.Create, Key: o.Key(), Object: o})
		}
	}
}

// blockInUse completes a block whose first addresses are in use, without a handle.
func blockInUse(b *protocol.Block, used int) *protocol.Block {
	b.Records = []protocol.Record{{Active: block.MakeAttrs(map[string]string{ipam.AttrNode: b.Owner.Name})}}
	for ord := range 1 << (b.CIDR.Addr().BitLen() - b.CIDR.Bits()) {
		if ord < used {
			b.Index, b.Sequences = append(b.Index, 0), append(b.Sequences, 1)
		} else {
			b.Index, b.Sequences, b.Queue = append(b.Index, -1), append(b.Sequences, 0), append(b.Queue, ord)
		}
	}
	return b
}
