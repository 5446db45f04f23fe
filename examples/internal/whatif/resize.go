package whatif

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// resizePool makes the pool anew with blocks of another size, which Calico allows
// only for a pool without blocks: everything moves to a temporary pool and back. The
// nodes drain one after the other, those with the fewest addresses first.
func (w *world) resizePool(c *change, name string, size int) error {
	old, err := w.poolCalled(name)
	if err != nil {
		return err
	}
	resized := old
	resized.BlockSize, resized.Disabled = size, false
	if err := resized.Validate(); err != nil {
		return err
	}
	if size == old.BlockSize {
		return fmt.Errorf("pool %s has blocks of /%d already", name, size)
	}
	spare, found := w.spare(old.CIDR, size)
	if !found {
		return fmt.Errorf("no private range is left for a temporary pool; -migrate-pool moves %s for good, to a range that you choose", name)
	}
	temporary := resized
	temporary.Name, temporary.CIDR = name+temporaryName, spare
	m, err := w.mover(c, old) // what cannot be cleared is left as it is
	if err != nil {
		return err
	}
	standing := w.standing(old)
	c.Blocks = standing.blocks
	c.say("%s of /%d stand in the way: %s", plural(len(c.Blocks), "block"), old.BlockSize, listText(c.Blocks))
	c.say("%s must drain, with %s in the pool: those with the fewest first, so that each goes where there is most room", plural(len(c.Drain), "node"), plural(standing.total(), "address"))

	todo := resizing(old, resized, temporary, c.Drain)
	todo[4].Early = w.tooEarly(old, resized)
	if err := m.make(todo[0], temporary); err != nil {
		return err
	}
	waiting, err := m.leave(todo[1:3], old, temporary, c.Drain)
	if err != nil {
		return err
	}
	if left := m.look(todo[3], old); len(left) > 0 {
		c.Procedure = append(c.Procedure, todo[4:]...)
		c.refuse("pool "+name, "", fmt.Sprintf("%s cannot go, for addresses that no pod or tunnel of a node has: %s; -gc before this may help",
			plural(len(left), "block"), listText(left)))
		return nil
	}
	m.t.a.DeletePool(name)
	now, err := m.t.oneMore()
	if err != nil {
		return err
	}
	// Who would be refused by now if the temporary pool were disabled already.
	if todo[5].Early, err = m.early(temporary, resized, now); err != nil {
		return err
	}
	if err := m.make(todo[4], resized); err != nil {
		return err
	}
	refused, err := m.leave(todo[5:7], temporary, resized, m.t.drainOrder(m.t.standing(temporary)))
	if err != nil {
		return err
	}
	again := make([]snapshot.LivePod, len(waiting)) // who found nothing in the temporary pool
	for i := range waiting {
		again[i] = waiting[i].Pod
	}
	for _, of := range append(refused, m.t.refused(m.t.Start(again...))...) {
		c.refuse(of.Pod.Label(), of.Pod.Node, of.Why())
	}
	if left := m.t.standing(temporary).blocks; len(left) > 0 {
		m.done(todo[7], "not done: %s stay", plural(len(left), "block"))
	} else {
		m.t.a.DeletePool(temporary.Name)
		m.done(todo[7], "pool %s is gone, and %s left of %s", temporary.Name, bigPlural(m.t.blocksLeft(resized), "block"), name)
	}
	w.adopt(m.t)
	room, used := poolBlocks(resized), w.standing(resized).blocks
	fits := "it fits"
	if len(c.Refused) > 0 {
		fits = "it does not fit"
	}
	c.say("%s: %s of /%d are used of %s", fits, plural(len(used), "block"), size, room)
	return nil
}

// resizing is how a pool gets blocks of another size in the real cluster.
func resizing(old, resized, temporary pool.Spec, nodes []string) []stage {
	there, back := procedure(old, temporary, nodes), procedure(temporary, resized, nodes)
	there[0].Do = fmt.Sprintf("Make pool %s for the meantime, and keep %s.yaml for later: both have all else of %s, such as its encapsulation. %s must be free in your network; any other range of that size does as well.", temporary.Name, old.Name, old.Name, temporary.CIDR)
	there[0].Commands = []string{copyPool(old, temporary), copyPool(old, resized), "calicoctl create -f " + temporary.Name + ".yaml"}
	there[3].Do = fmt.Sprintf("Look that no address of %s is left, then delete pool %s.", old.CIDR, old.Name)
	there[3].Commands, there[3].Early = append(there[3].Commands, there[4].Commands...), there[4].Early
	back[2].Do = fmt.Sprintf("Restart the pods of all nodes once more, a node at a time; then calico-node there. Pods whose annotations asked for %s ask for it again.", old.Name)
	back[3].Do = fmt.Sprintf("Look that no address of %s is left, then delete pool %s.", temporary.CIDR, temporary.Name)
	back[3].Commands, back[3].Early = append(back[3].Commands, back[4].Commands...), back[4].Early
	return []stage{
		there[0], there[1], there[2], there[3],
		{Do: fmt.Sprintf("Make pool %s anew, with blocks of /%d.", old.Name, resized.BlockSize), Commands: []string{"calicoctl create -f " + old.Name + ".yaml"}},
		{Do: fmt.Sprintf("Disable pool %s.", temporary.Name), Commands: []string{disable(temporary.Name)}},
		back[2], back[3],
	}
}

// tooEarly says what becomes of it if the pool is changed as it stands, or made anew while
// its blocks are there.
func (w *world) tooEarly(old, resized pool.Spec) string {
	said := func(delete bool) string {
		t, err := w.trial()
		if err != nil {
			return err.Error()
		}
		if delete {
			t.a.DeletePool(old.Name)
		}
		if err = t.a.SetPool(resized); err == nil {
			return "it is not refused"
		}
		first, _, _ := strings.Cut(err.Error(), "\n")
		return "refused, " + strings.TrimPrefix(first, "ipam: ")
	}
	if len(w.standing(old).blocks) == 0 {
		return "the size of a pool that is there cannot be changed: " + said(false)
	}
	return fmt.Sprintf("the size of a pool that is there cannot be changed (%s), and while a block of /%d is left it cannot be made anew (%s)", said(false), old.BlockSize, said(true))
}

// private are the ranges that anybody may use, as IANA has them.
var private = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fd00::/8")}

// spare returns a private range like another, or smaller if there is none, that overlaps
// nothing that the files name: for a pool with blocks of that size.
func (w *world) spare(like netip.Prefix, size int) (netip.Prefix, bool) {
	taken := slices.Clone(w.taken)
	for _, p := range w.a.Pools() {
		taken = append(taken, p.CIDR)
	}
	for _, b := range w.a.State().Blocks {
		taken = append(taken, b.CIDR)
	}
	within := slices.DeleteFunc(slices.Clone(private), func(p netip.Prefix) bool { return p.Addr().Is4() != like.Addr().Is4() })
	slices.SortStableFunc(within, func(x, y netip.Prefix) int { // the one that has it already, first
		switch {
		case x.Overlaps(like) == y.Overlaps(like):
			return 0
		case x.Overlaps(like):
			return -1
		}
		return 1
	})
	const tries = 4096
	for bits := like.Bits(); bits <= size; bits++ {
		for _, of := range within {
			p := netip.PrefixFrom(of.Addr(), max(bits, of.Bits()))
			if of.Overlaps(like) && like.Addr().Is6() {
				p = netip.PrefixFrom(like.Addr(), bits).Masked() // from there: all before are too many
			}
			for range tries {
				i := slices.IndexFunc(taken, p.Overlaps)
				if i < 0 {
					return p, true
				}
				last := netipx.PrefixLastIP(p)
				if taken[i].Bits() < p.Bits() {
					last = netipx.PrefixLastIP(taken[i])
				}
				next := last.Next()
				if !next.IsValid() || !of.Contains(next) {
					break
				}
				p = netip.PrefixFrom(next, p.Bits()).Masked()
			}
		}
	}
	return netip.Prefix{}, false
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

func (w *world) standing(p pool.Spec) standing { return standingIn(w.a.State().Blocks, p) }

// standingIn returns what a pool holds of these blocks.
func standingIn(blocks []ipam.BlockState, p pool.Spec) standing {
	s := standing{addresses: make(map[string]int)}
	for i := range blocks {
		b := &blocks[i]
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

// poolBlocks returns how many blocks a pool has room for.
func poolBlocks(p pool.Spec) *big.Int {
	return new(big.Int).Lsh(big.NewInt(1), uint(p.BlockSize-p.CIDR.Bits()))
}
