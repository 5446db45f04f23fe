package fleet

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
)

// ledger keeps count of who holds the blocks. It looks at what changed only.
type ledger struct {
	cluster *lifecycle.Cluster
	watch   *ipam.Watch
	blocks  map[netip.Prefix]holding
	owned   map[string][]netip.Prefix // by owner's name
	count   [classes]int

	changed []netip.Prefix
	state   ipam.BlockState
}

// A class is what a block counts as.
type class uint8

const (
	live class = iota
	dead
	empty
	classes
)

// holding is what the ledger knows of one block.
type holding struct {
	owner string // empty for nobody
	used  bool
	class class
}

func newLedger(c *lifecycle.Cluster) *ledger {
	return &ledger{
		cluster: c, watch: c.Allocator().Watch(),
		blocks: make(map[netip.Prefix]holding), owned: make(map[string][]netip.Prefix),
	}
}

// update takes changed blocks into account.
func (l *ledger) update() {
	l.changed = l.watch.AppendChanged(l.changed[:0])
	for _, cidr := range l.changed {
		was, known := l.blocks[cidr]
		if known {
			l.count[was.class]--
		}
		if !l.cluster.Allocator().ReadBlock(cidr, &l.state) {
			l.disown(was.owner, cidr)
			delete(l.blocks, cidr)
			continue
		}
		now := holding{used: len(l.state.Allocations) > 0}
		if o := l.state.Owner; o.Type == affinity.Host {
			now.owner = o.Name
		}
		if now.owner != was.owner {
			l.disown(was.owner, cidr)
			if now.owner != "" {
				l.owned[now.owner] = append(l.owned[now.owner], cidr)
			}
		}
		l.file(cidr, now)
	}
}

// disown takes a block from an owner's list.
func (l *ledger) disown(owner string, cidr netip.Prefix) {
	if owner == "" {
		return
	}
	left := slices.DeleteFunc(l.owned[owner], func(x netip.Prefix) bool { return x == cidr })
	if len(left) == 0 {
		delete(l.owned, owner)
		return
	}
	l.owned[owner] = left
}

// file counts a block that is not counted.
func (l *ledger) file(cidr netip.Prefix, h holding) {
	switch {
	case h.owner == "" || !l.cluster.HasNode(h.owner):
		h.class = dead
	case h.used:
		h.class = live
	default:
		h.class = empty
	}
	l.count[h.class]++
	l.blocks[cidr] = h
}

// nodeChanged has the blocks of a node that came or went counted anew.
func (l *ledger) nodeChanged(name string) {
	for _, cidr := range l.owned[name] {
		h := l.blocks[cidr]
		l.count[h.class]--
		l.file(cidr, h)
	}
}

// sample returns how the blocks stand, of so many that the pool has room for.
func (l *ledger) sample(at time.Duration, total int) Sample {
	s := Sample{At: at, Live: l.count[live], Dead: l.count[dead], Empty: l.count[empty]}
	s.Free = total - s.Live - s.Dead - s.Empty
	return s
}
