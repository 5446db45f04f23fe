package whatif

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// resizePool makes the pool anew with blocks of another size, which Calico allows
// only for a pool without blocks: its nodes drain one after the other, those with
// the fewest addresses first, the pool is made again, and they come back in the
// same order.
func (w *world) resizePool(c *change, name string, size int) error {
	old, err := w.poolCalled(name)
	if err != nil {
		return err
	}
	resized := old
	resized.BlockSize = size
	if err := resized.Validate(); err != nil {
		return err
	}
	if size == old.BlockSize {
		return fmt.Errorf("pool %s has blocks of /%d already", name, size)
	}
	standing := w.standing(old)
	c.Blocks, c.Drain = standing.blocks, byCount(standing.addresses)
	c.say("%s of /%d stand in the way: %s", plural(len(c.Blocks), "block"), old.BlockSize, listText(c.Blocks))
	c.say("%s must drain, with %s in the pool: those with the fewest first, so that each goes where there is most room", plural(len(c.Drain), "node"), plural(standing.total(), "address"))
	t, err := w.trial() // what cannot be cleared is left as it is
	if err != nil {
		return err
	}
	back, err := t.clear(old, c.Drain)
	if err != nil {
		return err
	}
	if left := t.standing(old).blocks; len(left) > 0 {
		c.refuse("pool "+name, "", fmt.Sprintf("%s cannot go, for addresses that no pod or tunnel of a node has: %s; -gc before this may help",
			plural(len(left), "block"), listText(left)))
		return nil
	}
	t.a.DeletePool(name)
	if err := t.a.SetPool(resized); err != nil {
		return err
	}
	t.bringBack(c, back)
	w.adopt(t)
	room, used := poolBlocks(resized), w.standing(resized).blocks
	if len(c.Refused) == 0 {
		c.say("it fits: %s of /%d are used of %s", plural(len(used), "block"), size, room)
	} else {
		c.say("it does not fit: %s of /%d are used of %s", plural(len(used), "block"), size, room)
	}
	return nil
}

// standing is what a pool holds.
type standing struct {
	blocks    []string       // their CIDRs, by name
	addresses map[string]int // by the node that uses them
}

// total returns how many addresses the pool's nodes use.
func (s *standing) total() (n int) {
	for _, of := range s.addresses {
		n += of
	}
	return n
}

func (w *world) standing(p pool.Spec) standing {
	s := standing{addresses: make(map[string]int)}
	state := w.a.State()
	for i := range state.Blocks {
		b := &state.Blocks[i]
		if !p.CIDR.Contains(b.CIDR.Addr()) {
			continue
		}
		s.blocks = append(s.blocks, b.CIDR.String())
		for _, al := range b.Allocations {
			if node, _ := al.Active.Get(ipam.AttrNode); node != "" && al.ReleasedAt.IsZero() {
				s.addresses[node]++
			}
		}
	}
	return s
}

// returning is who comes back once the pool is made again.
type returning struct {
	pod   *pod
	isPod bool
	attrs map[string]string // of a tunnel
}

func (r *returning) label() string {
	if r.isPod {
		return r.pod.label()
	}
	return r.pod.name
}

func (r *returning) ask(w *world) string {
	if r.isPod {
		return w.ask(r.pod)
	}
	return w.request(r.pod, pool.Tunnel, r.attrs)
}

// bringBack lets those who were cleared out of a pool ask again.
func (w *world) bringBack(c *change, back []returning) {
	for _, r := range back {
		if why := r.ask(w); why != "" {
			c.refuse(r.label(), r.pod.node, why)
		} else if r.isPod {
			w.pods = append(w.pods, r.pod)
		}
	}
	slices.SortStableFunc(w.pods, comparePods)
}

// adopt makes what was tried in a copy so.
func (w *world) adopt(trial *world) {
	w.a, w.clock, w.pods, w.outside, w.made = trial.a, trial.clock, trial.pods, trial.outside, trial.made
}

// clear takes everything out of a pool, and returns who wants to come back: the
// nodes in order, of each its tunnels and then its pods.
func (w *world) clear(p pool.Spec, order []string) ([]returning, error) {
	var back []returning
	gone := make(map[*pod]bool)
	state := w.a.State()
	for _, node := range order {
		for i := range state.Blocks {
			b := &state.Blocks[i]
			for _, al := range b.Allocations {
				kind, _ := al.Active.Get(ipam.AttrType)
				of, _ := al.Active.Get(ipam.AttrNode)
				if of != node || !p.CIDR.Contains(b.CIDR.Addr()) || !strings.HasSuffix(kind, "TunnelAddress") {
					continue
				}
				t := &pod{name: kind, node: node, handle: al.Handle, want4: 1}
				if b.CIDR.Addr().Is6() {
					t.want4, t.want6 = 0, 1
				}
				if err := w.a.ReleaseByHandle(al.Handle); err != nil {
					return nil, err
				}
				back = append(back, returning{pod: t, attrs: al.Active.Map()})
			}
		}
		for _, q := range w.pods {
			if q.node == node && q.uses(p) {
				w.release(q)
				gone[q] = true
				back = append(back, returning{pod: q, isPod: true})
			}
		}
	}
	w.remove(gone)
	config := w.a.GetIPAMConfig()
	hot := config
	hot.IPCooldownSeconds = 0 // there is time to wait it out
	if err := w.a.PutIPAMConfig(hot); err != nil {
		return nil, err
	}
	w.a.GarbageCollectColdIPs()
	for _, a := range w.a.State().Affinities {
		if !p.CIDR.Contains(a.CIDR.Addr()) {
			continue
		}
		err := w.a.ReleaseBlockAffinity(a.CIDR, true)
		if _, _, exists := w.a.BlockOf(a.CIDR.Addr()); err == nil || !exists {
			w.a.DropAffinity(a.Owner, a.CIDR)
		}
	}
	return back, w.a.PutIPAMConfig(config)
}

// uses reports whether the pod has an address of the pool.
func (p *pod) uses(of pool.Spec) bool {
	for _, ip := range p.ips {
		if of.CIDR.Contains(ip) {
			return true
		}
	}
	return false
}

// poolBlocks returns how many blocks a pool has room for.
func poolBlocks(p pool.Spec) *big.Int {
	return new(big.Int).Lsh(big.NewInt(1), uint(p.BlockSize-p.CIDR.Bits()))
}
