package lifecycle

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// emptyReference is the rule about empty blocks as it reads (§12, "Empty blocks"): it
// looks at every block in every sync.
type emptyReference struct {
	rules calico.Rules
	grace time.Duration
	since map[netip.Prefix]time.Time // first seen empty
}

// sync returns the blocks that go, in their order.
func (r *emptyReference) sync(now time.Time, state []ipam.BlockState) (gone []netip.Prefix) {
	there := make(map[netip.Prefix]bool)
	nodes := make(map[string][]ipam.BlockState)
	for _, b := range state {
		there[b.CIDR] = true
		if b.Owner.Type == affinity.Host {
			nodes[b.Owner.Name] = append(nodes[b.Owner.Name], b)
		}
		if (len(b.Allocations) > 0 || b.Owner.Type != affinity.Host) && r.rules.UseForgetsEmpty {
			delete(r.since, b.CIDR)
		}
	}
	for cidr := range r.since {
		if !there[cidr] {
			delete(r.since, cidr)
		}
	}
	slices.SortFunc(state, func(x, y ipam.BlockState) int { return strings.Compare(x.CIDR.String(), y.CIDR.String()) })
	for _, b := range state {
		node := nodes[b.Owner.Name]
		if b.Owner.Type != affinity.Host || len(b.Allocations) > 0 || len(node) < 2 {
			continue
		}
		free := 0
		for _, other := range node {
			if other.CIDR != b.CIDR {
				free += len(other.Free)
			}
		}
		if free < 3 && !r.rules.ReleasesAnyEmpty {
			delete(r.since, b.CIDR)
			continue
		}
		if _, seen := r.since[b.CIDR]; !seen {
			r.since[b.CIDR] = now
		}
		if r.grace > 0 && now.Sub(r.since[b.CIDR]) >= r.grace {
			gone = append(gone, b.CIDR)
			delete(r.since, b.CIDR)
			nodes[b.Owner.Name] = slices.DeleteFunc(node, func(x ipam.BlockState) bool { return x.CIDR == b.CIDR })
		}
	}
	return gone
}

// emptyAsItReads is the property: the controller, which looks only at blocks whose
// time has come and at nodes where something changed, gives back the blocks that a
// look at all of them would.
func emptyAsItReads(s property.Source, breakIt func(*Controller)) error {
	release := everyRelease[len(everyRelease)-1-s.Pick("release", len(everyRelease))]
	clock := ipam.NewClock(time.Unix(1e9, 0))
	a := ipam.New(ipam.Options{Now: clock.Now, Calico: release})
	succeed(a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/27"), BlockSize: 30}))
	c := NewCluster(a)
	for i := range 2 {
		succeed(c.SetNode(ipam.Node{Name: place(i)}))
	}
	policy := Policy{GracePeriod: []time.Duration{time.Minute, 0}[s.Pick("grace", 5)/4]}
	k, err := NewController(c, policy)
	succeed(err)
	if breakIt != nil {
		breakIt(k)
	}
	r := &emptyReference{release.Rules(), policy.GracePeriod, make(map[netip.Prefix]time.Time)}
	for range 60 {
		node := place(s.Pick("node", 2))
		b := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(4 * s.Pick("block", 8))}), 30)
		handle := fmt.Sprintf("h%d", s.Pick("handle", 6))
		switch s.Pick("what", 8) {
		case 0:
			_, _, _ = a.AutoAssign(ipam.AutoAssignArgs{Host: node, Num4: 1 + s.Pick("addresses", 4), Handle: handle, Use: pool.Workload})
		case 1, 2:
			_ = a.ReleaseByHandle(handle)
		case 3:
			_, _, _ = a.ClaimAffinity(b, affinity.HostOwner(node))
		case 4:
			_ = a.ReleaseBlockAffinity(b, false)
		case 5:
			clock.Advance([]time.Duration{30 * time.Second, time.Minute, time.Second}[s.Pick("time", 3)])
		default:
			want := r.sync(clock.Now(), a.State().Blocks)
			got := k.Sync(s.Pick("full", 2) == 1)
			if !slices.Equal(got.ReleasedBlocks, want) {
				return fmt.Errorf("%v: the controller gives back %v, and a look at all blocks %v", release, got.ReleasedBlocks, want)
			}
			if err := k.Check(); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestEmptyAsItReads(t *testing.T) {
	property.Check(t, 200, 1, func(t *rapid.T) {
		must.NoError(t, emptyAsItReads(property.Rapid(t), nil))
	})
}

// TestEmptyAsItReadsRejects: a controller that goes by another release's rules is
// caught.
func TestEmptyAsItReadsRejects(t *testing.T) {
	for name, breakIt := range map[string]func(*Controller){
		"always counts what is free": func(k *Controller) { k.rules.ReleasesAnyEmpty, k.memory.rules.ReleasesAnyEmpty = false, false },
		"never counts what is free":  func(k *Controller) { k.rules.ReleasesAnyEmpty = true },
		"misses what became free":    func(k *Controller) { k.memory.rules.ReleasesAnyEmpty = true },
		"never forgets":              func(k *Controller) { k.memory.rules.UseForgetsEmpty = false },
		"always forgets":             func(k *Controller) { k.memory.rules.UseForgetsEmpty = true },
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(s property.Source) error { return emptyAsItReads(s, breakIt) })
		})
	}
}
