package ipam

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/pool"
)

// A forest is what the property is about: the methods of a tree.
type forest interface {
	get(pool.Index) *entry
	insert(*entry)
	remove(*entry)
	update(*entry)
	next(want, pool.Index) *entry
	nextMissing(pool.Index) (pool.Index, bool)
	// round returns all of a cycle.
	round(want, pool.Index) []*entry
}

type realTree struct{ *tree }

func (t realTree) round(w want, start pool.Index) []*entry {
	var all []*entry
	c := t.cycle(w, start)
	for e := c.next(); e != nil; e = c.next() {
		all = append(all, e)
	}
	if e := c.next(); e != nil {
		all = append(all, e) // a cycle that ended has ended
	}
	return all
}

// slowTree is the plain definition: a sorted list.
type slowTree struct {
	blocks []*entry
	last   pool.Index
}

func compareEntries(e *entry, at pool.Index) int { return e.at.Compare(at) }

func (t *slowTree) get(at pool.Index) *entry {
	if i, found := slices.BinarySearchFunc(t.blocks, at, compareEntries); found {
		return t.blocks[i]
	}
	return nil
}

func (t *slowTree) insert(e *entry) {
	i, _ := slices.BinarySearchFunc(t.blocks, e.at, compareEntries)
	t.blocks = slices.Insert(t.blocks, i, e)
}

func (t *slowTree) remove(e *entry) {
	i, _ := slices.BinarySearchFunc(t.blocks, e.at, compareEntries)
	t.blocks = slices.Delete(t.blocks, i, i+1)
}

func (t *slowTree) update(*entry) {}

func isWanted(w want, e *entry) bool {
	return w == anyBlock || w == withFree && e.mayBeFree || w == thatIsEmpty && e.mayBeEmpty
}

func (t *slowTree) next(w want, from pool.Index) *entry {
	for _, e := range t.blocks {
		if isWanted(w, e) && !e.at.Less(from) {
			return e
		}
	}
	return nil
}

func (t *slowTree) nextMissing(from pool.Index) (pool.Index, bool) {
	for t.get(from) != nil {
		if from == t.last {
			return pool.Index{}, false
		}
		from = from.Next()
	}
	return from, true
}

func (t *slowTree) round(w want, start pool.Index) []*entry {
	var before, after []*entry
	for _, e := range t.blocks {
		if !isWanted(w, e) {
			continue
		}
		if e.at.Less(start) {
			before = append(before, e)
		} else {
			after = append(after, e)
		}
	}
	return append(after, before...)
}

// chooser makes choices: rapid, or a seed.
type chooser func(what string, n int) int

func seeded(seed uint64) chooser {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(_ string, n int) int { return r.IntN(n) }
}

// somePool returns a pool of 2^0 to 2^128 blocks.
func somePool(pick chooser) *pool.Pool {
	sizes := []int{2, 7, 6, 0, 1, 3, 11, 12, 13, 18, 19, 26, 60, 63, 64, 65, 66, 72, 74, 78, 127, 128}
	bits := sizes[pick("size", len(sizes))]
	cidr := netip.PrefixFrom(netip.IPv6Unspecified(), 128-bits)
	if bits <= 122 {
		cidr = netip.PrefixFrom(netip.MustParseAddr("fd00::"), 122-bits).Masked()
	}
	p, err := pool.New(pool.Spec{Name: "p", CIDR: cidr, BlockSize: min(128, cidr.Bits()+bits)})
	if err != nil {
		panic(err)
	}
	return p
}

// someIndex picks a number: near a block or the ends of a node, mostly.
func someIndex(pick chooser, p *pool.Pool, blocks []*entry) pool.Index {
	var at pool.Index
	switch pick("kind of number", 5) {
	case 0, 1: // near one that is there
		if len(blocks) > 0 {
			at = blocks[pick("block", len(blocks))].at
		}
		switch pick("near", 4) {
		case 1, 2:
			at = at.Next()
		case 3:
			at = at.Add(pool.MakeIndex(^uint64(0), ^uint64(0))) // one less
		}
	case 2: // low, or high
		at = pool.IndexFrom(uint64(pick("low", 80)))
		if pick("high", 2) == 1 {
			at = pool.MakeIndex(^uint64(0), ^uint64(0)).Sub(at)
		}
	case 3: // a border between nodes
		at = at.WithDigit(pick("level", 22), uint(pick("digit", 64)))
		if pick("below", 2) == 1 {
			at = at.Sub(pool.IndexFrom(1))
		}
	case 4:
		for level := range 22 {
			at = at.WithDigit(level, uint(pick("digit", 64)))
		}
	}
	return at.Low(p.BlockBits())
}

// tryTree does operations on a tree and the definition at once and returns how
// they differ.
func tryTree(pick chooser, steps int, make func(*pool.Pool) (forest, func() error)) error {
	p := somePool(pick)
	got, check := make(p)
	want := &slowTree{last: pool.Index{}.Sub(pool.IndexFrom(1)).Low(p.BlockBits())}
	flags := func(e *entry) { e.mayBeFree, e.mayBeEmpty = pick("free", 2) == 1, pick("empty", 2) == 1 }
	for range steps {
		at := someIndex(pick, p, want.blocks)
		e := want.get(at)
		what := ""
		switch kind := pick("operation", 8); {
		case kind < 4 && e == nil:
			what = "insert"
			e = &entry{at: at}
			flags(e)
			got.insert(e)
			want.insert(e)
		case kind == 4 && e == nil && p.BlockBits() < 14: // fill a node or several
			what = "fill"
			for range 1 + pick("fill", 130) {
				if want.get(at) == nil {
					e := &entry{at: at}
					flags(e)
					got.insert(e)
					want.insert(e)
				}
				at = at.Next().Low(p.BlockBits())
			}
		case kind < 6 && e != nil:
			what = "update"
			flags(e)
			got.update(e)
			want.update(e)
		case e != nil:
			what = "remove"
			got.remove(e)
			want.remove(e)
		}
		if err := sameAnswers(pick, p, got, want); err != nil {
			return fmt.Errorf("2^%d blocks, %d of them there, after %s %s: %w", p.BlockBits(), len(want.blocks), what, at, err)
		}
		if err := check(); err != nil {
			return fmt.Errorf("after %s %s: %w", what, at, err)
		}
	}
	return nil
}

func sameAnswers(pick chooser, p *pool.Pool, got forest, plain *slowTree) error {
	blocks := plain.blocks
	var errs []error
	differ := func(what string, at pool.Index, got, want any) {
		errs = append(errs, fmt.Errorf("%s %s is %v, want %v", what, at, got, want))
	}
	for range 3 {
		at := someIndex(pick, p, blocks)
		if g, w := got.get(at), plain.get(at); g != w {
			differ("get", at, g, w)
		}
		g, gok := got.nextMissing(at)
		w, wok := plain.nextMissing(at)
		if gok != wok || gok && g != w {
			differ("nextMissing", at, fmt.Sprint(g, gok), fmt.Sprint(w, wok))
		}
		for _, wanted := range []want{anyBlock, withFree, thatIsEmpty} {
			if g, w := got.next(wanted, at), plain.next(wanted, at); g != w {
				differ(fmt.Sprint("next ", wanted), at, numbers(g), numbers(w))
			}
			if g, w := got.round(wanted, at), plain.round(wanted, at); !slices.Equal(g, w) {
				differ(fmt.Sprint("round ", wanted), at, numbers(g...), numbers(w...))
			}
		}
	}
	return errors.Join(errs...)
}

func numbers(blocks ...*entry) []string {
	var n []string
	for _, e := range blocks {
		if e == nil {
			n = append(n, "none")
		} else {
			n = append(n, e.at.String())
		}
	}
	return n
}

func makeRealTree(p *pool.Pool) (forest, func() error) {
	t := newTree(p)
	return realTree{&t}, t.check
}

// TestTree holds the tree against the plain definition.
func TestTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		if err := tryTree(pick, 20, makeRealTree); err != nil {
			t.Fatal(err)
		}
	})
}

// TestTreeBySeed goes further, the same way every time. With IPAMSIM_LONG set
// it does so twenty times as often.
func TestTreeBySeed(t *testing.T) {
	seeds := uint64(200)
	if os.Getenv("IPAMSIM_LONG") != "" {
		seeds *= 20
	}
	for seed := range seeds {
		require.NoError(t, tryTree(seeded(seed), 80, makeRealTree), "seed %d", seed)
	}
}

// Broken trees.

type fault struct {
	realTree
	get_         func(pool.Index) *entry
	insert_      func(*entry)
	remove_      func(*entry)
	update_      func(*entry)
	next_        func(want, pool.Index) *entry
	nextMissing_ func(pool.Index) (pool.Index, bool)
	round_       func(want, pool.Index) []*entry
}

func (f *fault) get(at pool.Index) *entry                     { return f.get_(at) }
func (f *fault) insert(e *entry)                              { f.insert_(e) }
func (f *fault) remove(e *entry)                              { f.remove_(e) }
func (f *fault) update(e *entry)                              { f.update_(e) }
func (f *fault) next(w want, from pool.Index) *entry          { return f.next_(w, from) }
func (f *fault) round(w want, start pool.Index) []*entry      { return f.round_(w, start) }
func (f *fault) nextMissing(at pool.Index) (pool.Index, bool) { return f.nextMissing_(at) }

func TestTreeRejects(t *testing.T) {
	for what, damage := range map[string]func(*fault, *pool.Pool){
		"a cycle that does not wrap": func(f *fault, _ *pool.Pool) {
			f.round_ = func(w want, start pool.Index) []*entry {
				return slices.DeleteFunc(f.realTree.round(w, start), func(e *entry) bool { return e.at.Less(start) })
			}
		},
		"a cycle that goes round again": func(f *fault, _ *pool.Pool) {
			f.round_ = func(w want, start pool.Index) []*entry {
				all := f.realTree.round(w, start)
				return append(all, all[:min(1, len(all))]...)
			}
		},
		"a cycle that leaves out its start": func(f *fault, _ *pool.Pool) {
			f.round_ = func(w want, start pool.Index) []*entry {
				return slices.DeleteFunc(f.realTree.round(w, start), func(e *entry) bool { return e.at == start })
			}
		},
		"nextMissing that ignores a lone block": func(f *fault, _ *pool.Pool) {
			f.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				alone := func(e *entry) bool {
					before, after := f.tree.get(e.at.Sub(pool.IndexFrom(1))), f.tree.get(e.at.Next())
					return before == nil && after == nil
				}
				if e := f.tree.get(at); e != nil && alone(e) {
					return at, true
				}
				return f.tree.nextMissing(at)
			}
		},
		"nextMissing that runs over the end": func(f *fault, p *pool.Pool) {
			f.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				found, ok := f.tree.nextMissing(at)
				if !ok {
					return f.tree.last.Next(), true
				}
				return found, true
			}
		},
		"nextMissing that wraps": func(f *fault, p *pool.Pool) {
			f.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				if found, ok := f.tree.nextMissing(at); ok {
					return found, ok
				}
				return f.tree.nextMissing(pool.Index{})
			}
		},
		"numbers of 64 bits": func(f *fault, p *pool.Pool) {
			f.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				found, ok := f.tree.nextMissing(at)
				return found.Low(64), ok
			}
		},
		"get that takes a lone block for any": func(f *fault, p *pool.Pool) {
			f.get_ = func(at pool.Index) *entry {
				if e := f.tree.get(at); e != nil || f.tree.count != 1 {
					return e
				}
				return f.tree.next(anyBlock, pool.Index{})
			}
		},
		"update that forgets the levels above": func(f *fault, p *pool.Pool) {
			f.update_ = func(e *entry) {
				n, level := &f.tree.root, f.tree.top
				for {
					d := e.at.Digit(level)
					if k := n.kids[n.rank(d)]; k.node != nil {
						n, level = k.node, level-1
						continue
					}
					n.summarize(d, n.rank(d), level)
					return
				}
			}
		},
		"update that does nothing": func(f *fault, p *pool.Pool) { f.update_ = func(*entry) {} },
		"next that means after": func(f *fault, p *pool.Pool) {
			f.next_ = func(w want, from pool.Index) *entry {
				if from == f.tree.last {
					return nil
				}
				return f.tree.next(w, from.Next())
			}
		},
		"next that gives any block": func(f *fault, p *pool.Pool) {
			f.next_ = func(_ want, from pool.Index) *entry { return f.tree.next(anyBlock, from) }
		},
		"remove that forgets the bit of existence": func(f *fault, p *pool.Pool) {
			f.remove_ = func(e *entry) {
				f.tree.remove(e)
				f.tree.insert(&entry{at: e.at})
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			broken := func(p *pool.Pool) (forest, func() error) {
				tr := newTree(p)
				real := realTree{&tr}
				f := &fault{
					realTree: real, get_: real.get, insert_: real.insert, remove_: real.remove, update_: real.update,
					next_: real.next, nextMissing_: real.nextMissing, round_: real.round,
				}
				damage(f, p)
				return f, func() error { return nil } // the answers alone must tell
			}
			for seed := range uint64(500) {
				if err := tryTree(seeded(seed), 80, broken); err != nil {
					t.Logf("caught by seed %d: %.200v", seed, err)
					return
				}
			}
			t.Error("never caught")
		})
	}
}

// TestTreeCheck: a tree whose summaries are wrong says so.
func TestTreeCheck(t *testing.T) {
	pick := seeded(7)
	p, err := pool.New(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/8")})
	require.NoError(t, err)
	for word := range 3 {
		tr := newTree(p)
		for range 300 {
			if at := someIndex(pick, p, nil); tr.get(at) == nil {
				tr.insert(&entry{at: at, mayBeFree: pick("", 2) == 0})
			}
		}
		require.NoError(t, tr.check())
		n := &tr.root
		for n.kids[0].node != nil && pick("deeper", 3) > 0 {
			n = n.kids[0].node
		}
		switch word {
		case 0:
			n.full ^= 1
		case 1:
			n.free ^= n.some & -n.some
		case 2:
			n.empty ^= n.some & -n.some
		}
		require.Error(t, tr.check())
	}
}

// TestTreeDepth: a huge pool costs a level for 6 bits of its numbers at most,
// and memory for its blocks only.
func TestTreeDepth(t *testing.T) {
	for seed := range uint64(50) {
		pick := seeded(seed)
		p := somePool(pick)
		tr := newTree(p)
		var blocks []*entry
		for range 100 {
			if e := (&entry{at: someIndex(pick, p, blocks)}); tr.get(e.at) == nil {
				tr.insert(e)
				blocks = append(blocks, e)
			}
		}
		levels := max(1, (p.BlockBits()+5)/6)
		nodes, deepest := 0, 0
		var visit func(n *node, depth int)
		visit = func(n *node, depth int) {
			nodes, deepest = nodes+1, max(deepest, depth)
			for _, k := range n.kids {
				if k.node != nil {
					visit(k.node, depth+1)
				}
			}
		}
		visit(&tr.root, 1)
		require.LessOrEqual(t, deepest, levels, "2^%d blocks", p.BlockBits())
		require.LessOrEqual(t, nodes, 1+levels*len(blocks))
		for _, e := range blocks {
			tr.remove(e)
		}
		require.Zero(t, tr.count)
		require.Empty(t, tr.root.kids, "an empty tree is as small as a new one")
		require.NoError(t, tr.check())
	}
}

// TestTreeVisits: a search looks at the nodes on the way to where it begins and
// on the way to what it finds, and at no other: at two a level. All others are
// replaced by ones that panic when somebody looks at them.
func TestTreeVisits(t *testing.T) {
	for seed := range uint64(300) {
		pick := seeded(seed)
		p := somePool(pick)
		tr := newTree(p)
		var blocks []*entry
		add := func(at pool.Index) {
			if tr.get(at) == nil {
				e := &entry{at: at, mayBeFree: pick("free", 8) == 0, mayBeEmpty: pick("empty", 8) == 0}
				tr.insert(e)
				blocks = append(blocks, e)
			}
		}
		for range 40 {
			at := someIndex(pick, p, blocks)
			for range 1 + pick("run", 100) {
				add(at)
				at = at.Next().Low(p.BlockBits())
			}
		}
		for range 50 {
			from := someIndex(pick, p, blocks)
			missing, ok := tr.nextMissing(from)
			to := from
			if ok {
				to = missing
			}
			got, gotOK := tr.poisoned(from, to).nextMissing(from)
			require.Equal(t, missing, got)
			require.Equal(t, ok, gotOK)
			for _, w := range []want{anyBlock, withFree, thatIsEmpty} {
				e := tr.next(w, from)
				to := from
				if e != nil {
					to = e.at
				}
				require.Same(t, e, tr.poisoned(from, to).next(w, from))
			}
			if e := tr.get(from); e != nil {
				require.Same(t, e, tr.poisoned(from).get(from))
			}
		}
	}
}

// poisoned returns a copy of the tree in which only the nodes on the ways to
// two numbers can be looked at.
func (t *tree) poisoned(to ...pool.Index) *tree {
	poison := &node{some: ^uint64(0), free: ^uint64(0), empty: ^uint64(0)} // and no kids
	var copyOf func(n *node, level int, ways []pool.Index) *node
	copyOf = func(n *node, level int, ways []pool.Index) *node {
		if len(ways) == 0 {
			return poison
		}
		c := *n
		c.kids = slices.Clone(n.kids)
		i := 0
		for d := range uint(64) {
			if n.some>>d&1 == 0 {
				continue
			}
			if k := n.kids[i].node; k != nil {
				var here []pool.Index
				for _, at := range ways {
					if at.Digit(level) == d {
						here = append(here, at)
					}
				}
				c.kids[i].node = copyOf(k, level-1, here)
			}
			i++
		}
		return &c
	}
	c := *t
	c.root = *copyOf(&t.root, t.top, to)
	return &c
}

// TestTreeNoAllocations: searches make nothing.
func TestTreeNoAllocations(t *testing.T) {
	p, err := pool.New(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("fd00::/48")})
	require.NoError(t, err)
	tr := newTree(p)
	pick := seeded(1)
	var blocks []*entry
	for range 1000 {
		if e := (&entry{at: someIndex(pick, p, blocks), mayBeFree: true}); tr.get(e.at) == nil {
			tr.insert(e)
			blocks = append(blocks, e)
		}
	}
	require.Equal(t, 74, p.BlockBits())
	require.Equal(t, new(big.Int).Lsh(big.NewInt(1), 74).String(), tr.last.Next().String())
	at := blocks[500].at
	require.Zero(t, testing.AllocsPerRun(100, func() {
		tr.get(at)
		tr.next(withFree, at)
		tr.nextMissing(at)
		tr.update(blocks[500])
		c := tr.cycle(withFree, at)
		for range 10 {
			c.next()
		}
	}))
}
