package blocktree

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ipamsim/ipamsim/pool"
)

// Check returns every node whose summary is wrong, and a wrong count of blocks,
// joined; nil if there is none.
func (t *Tree[V]) Check() error {
	var errs []error
	blocks := 0
	var visit func(n *node[V], level int, slots uint)
	visit = func(n *node[V], level int, slots uint) {
		want := *n
		want.full, want.free, want.empty = 0, 0, 0
		i := 0
		for d := range slots {
			if n.some>>d&1 == 0 {
				continue
			}
			if c := n.children[i]; c.node != nil {
				visit(c.node, level-1, 64)
			} else {
				blocks++
			}
			want.summarize(d, i, level)
			i++
		}
		if i != len(n.children) || want.full != n.full || want.free != n.free || want.empty != n.empty {
			errs = append(errs, fmt.Errorf("summary at level %d is out of date", level))
		}
	}
	visit(&t.root, t.top, t.slots)
	if blocks != t.count {
		errs = append(errs, fmt.Errorf("%d blocks, counted %d", blocks, t.count))
	}
	return errors.Join(errs...)
}

// Poisoned returns a copy of the tree in which a search panics when it looks at a
// node that is not on the way to one of these numbers. It is for tests of which
// nodes a search reads.
func (t *Tree[V]) Poisoned(ways ...pool.Index) *Tree[V] {
	poison := &node[V]{some: ^uint64(0), free: ^uint64(0), empty: ^uint64(0), children: make([]child[V], 1)} // which has nothing
	var copyOf func(n *node[V], level int, ways []pool.Index) *node[V]
	copyOf = func(n *node[V], level int, ways []pool.Index) *node[V] {
		if len(ways) == 0 {
			return poison
		}
		c := *n
		c.children = slices.Clone(n.children)
		i := 0
		for d := range uint(64) {
			if n.some>>d&1 == 0 {
				continue
			}
			if k := n.children[i].node; k != nil {
				var here []pool.Index
				for _, at := range ways {
					if digit(at, level) == d {
						here = append(here, at)
					}
				}
				c.children[i].node = copyOf(k, level-1, here)
			}
			i++
		}
		return &c
	}
	c := *t
	c.root = *copyOf(&t.root, t.top, ways)
	return &c
}
