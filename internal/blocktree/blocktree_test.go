package blocktree

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/pool"
)

// block is what the tests put into trees.
type block = Leaf[struct{}]

// A forest has the methods of a tree: the property tests it.
type forest interface {
	Get(pool.Index) *block
	Insert(*block)
	Remove(*block)
	Update(*block)
	Next(Filter, pool.Index) *block
	NextMissing(pool.Index) (pool.Index, bool)
	All(yield func(*block) bool)
	// round returns all of a walk.
	round(Filter, pool.Index) []*block
}

type realTree struct{ *Tree[struct{}] }

func (t realTree) round(f Filter, start pool.Index) []*block {
	var all []*block
	c := t.Walk(f, start)
	for b := c.Next(); b != nil; b = c.Next() {
		all = append(all, b)
	}
	if b := c.Next(); b != nil {
		all = append(all, b) // a walk that ended stays at its end
	}
	return all
}

// slowTree is the plain definition: a sorted list.
type slowTree struct {
	blocks []*block
	last   pool.Index
}

func compareBlocks(b *block, at pool.Index) int { return b.At.Compare(at) }

func (t *slowTree) Get(at pool.Index) *block {
	if i, found := slices.BinarySearchFunc(t.blocks, at, compareBlocks); found {
		return t.blocks[i]
	}
	return nil
}

func (t *slowTree) Insert(b *block) {
	i, _ := slices.BinarySearchFunc(t.blocks, b.At, compareBlocks)
	t.blocks = slices.Insert(t.blocks, i, b)
}

func (t *slowTree) Remove(b *block) {
	i, _ := slices.BinarySearchFunc(t.blocks, b.At, compareBlocks)
	t.blocks = slices.Delete(t.blocks, i, i+1)
}

func (t *slowTree) Update(*block) {}

func (t *slowTree) All(yield func(*block) bool) { slices.Values(t.blocks)(yield) }

func isWanted(f Filter, b *block) bool {
	return f == Free && b.MayBeFree || f == Empty && b.MayBeEmpty
}

func (t *slowTree) Next(f Filter, from pool.Index) *block {
	for _, b := range t.blocks {
		if isWanted(f, b) && !b.At.Less(from) {
			return b
		}
	}
	return nil
}

func (t *slowTree) NextMissing(from pool.Index) (pool.Index, bool) {
	for t.Get(from) != nil {
		if from == t.last {
			return pool.Index{}, false
		}
		from = from.Next()
	}
	return from, true
}

func (t *slowTree) round(f Filter, start pool.Index) []*block {
	var before, after []*block
	for _, b := range t.blocks {
		if !isWanted(f, b) {
			continue
		}
		if b.At.Less(start) {
			before = append(before, b)
		} else {
			after = append(after, b)
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
func someIndex(pick chooser, p *pool.Pool, blocks []*block) pool.Index {
	var at pool.Index
	switch pick("kind of number", 5) {
	case 0, 1: // near one that is there
		if len(blocks) > 0 {
			at = blocks[pick("block", len(blocks))].At
		}
		switch pick("near", 4) {
		case 1, 2:
			at = at.Next()
		case 3:
			at = at.Add(pool.MakeIndex(^uint64(0), ^uint64(0))) // one less
		}
	case 2: // low, or high
		at = pool.MakeIndex(0, uint64(pick("low", 80)))
		if pick("high", 2) == 1 {
			at = pool.MakeIndex(^uint64(0), ^uint64(0)).Sub(at)
		}
	case 3: // a border between nodes
		at = withDigit(at, pick("level", 22), uint(pick("digit", 64)))
		if pick("below", 2) == 1 {
			at = at.Sub(pool.MakeIndex(0, 1))
		}
	case 4:
		for level := range 22 {
			at = withDigit(at, level, uint(pick("digit", 64)))
		}
	}
	return at.Low(p.BlockBits())
}

// tryTree does the same operations on a tree and on the definition, and returns
// how they differ.
func tryTree(pick chooser, steps int, make func(*pool.Pool) (forest, func() error)) error {
	p := somePool(pick)
	got, check := make(p)
	want := &slowTree{last: pool.Index{}.Sub(pool.MakeIndex(0, 1)).Low(p.BlockBits())}
	flags := func(b *block) { b.MayBeFree, b.MayBeEmpty = pick("free", 2) == 1, pick("empty", 2) == 1 }
	for range steps {
		at := someIndex(pick, p, want.blocks)
		b := want.Get(at)
		what := ""
		switch kind := pick("operation", 8); {
		case kind < 4 && b == nil:
			what = "insert"
			b = &block{At: at}
			flags(b)
			got.Insert(b)
			want.Insert(b)
		case kind == 4 && b == nil && p.BlockBits() < 14: // fill a node or several
			what = "fill"
			for range 1 + pick("fill", 130) {
				if want.Get(at) == nil {
					b := &block{At: at}
					flags(b)
					got.Insert(b)
					want.Insert(b)
				}
				at = at.Next().Low(p.BlockBits())
			}
		case kind < 6 && b != nil:
			what = "update"
			flags(b)
			got.Update(b)
			want.Update(b)
		case b != nil:
			what = "remove"
			got.Remove(b)
			want.Remove(b)
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
	if g := slices.Collect(got.All); !slices.Equal(g, blocks) {
		differ("all", pool.Index{}, numbers(g...), numbers(blocks...))
	}
	for range 3 {
		at := someIndex(pick, p, blocks)
		if g, w := got.Get(at), plain.Get(at); g != w {
			differ("get", at, g, w)
		}
		g, gok := got.NextMissing(at)
		w, wok := plain.NextMissing(at)
		if gok != wok || gok && g != w {
			differ("nextMissing", at, fmt.Sprint(g, gok), fmt.Sprint(w, wok))
		}
		for _, wanted := range []Filter{Free, Empty} {
			if g, w := got.Next(wanted, at), plain.Next(wanted, at); g != w {
				differ(fmt.Sprint("next ", wanted), at, numbers(g), numbers(w))
			}
			if g, w := got.round(wanted, at), plain.round(wanted, at); !slices.Equal(g, w) {
				differ(fmt.Sprint("round ", wanted), at, numbers(g...), numbers(w...))
			}
		}
	}
	return errors.Join(errs...)
}

func numbers(blocks ...*block) []string {
	var n []string
	for _, b := range blocks {
		if b == nil {
			n = append(n, "none")
		} else {
			n = append(n, b.At.String())
		}
	}
	return n
}

func makeRealTree(p *pool.Pool) (forest, func() error) {
	t := New[struct{}](p.BlockBits())
	return realTree{&t}, t.Check
}

// TestTree compares the tree with the plain definition.
func TestTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		if err := tryTree(pick, 20, makeRealTree); err != nil {
			t.Fatal(err)
		}
	})
}

// TestTreeBySeed runs longer, and repeats exactly. With IPAMSIM_LONG set it does
// so twenty times as often.
func TestTreeBySeed(t *testing.T) {
	property.Slow(t)
	seeds := uint64(200)
	switch {
	case os.Getenv("IPAMSIM_LONG") != "":
		seeds *= 20
	case testing.Short():
		seeds = 40
	}
	for seed := range seeds {
		must.NoError(t, tryTree(seeded(seed), 80, makeRealTree), must.Sprintf("seed %d", seed))
	}
}

// Broken trees.

type fault struct {
	realTree
	get_         func(pool.Index) *block
	insert_      func(*block)
	remove_      func(*block)
	update_      func(*block)
	next_        func(Filter, pool.Index) *block
	nextMissing_ func(pool.Index) (pool.Index, bool)
	round_       func(Filter, pool.Index) []*block
	all_         func(yield func(*block) bool)
}

func (faulty *fault) Get(at pool.Index) *block                     { return faulty.get_(at) }
func (faulty *fault) Insert(b *block)                              { faulty.insert_(b) }
func (faulty *fault) Remove(b *block)                              { faulty.remove_(b) }
func (faulty *fault) Update(b *block)                              { faulty.update_(b) }
func (faulty *fault) Next(f Filter, from pool.Index) *block        { return faulty.next_(f, from) }
func (faulty *fault) round(f Filter, start pool.Index) []*block    { return faulty.round_(f, start) }
func (faulty *fault) All(yield func(*block) bool)                  { faulty.all_(yield) }
func (faulty *fault) NextMissing(at pool.Index) (pool.Index, bool) { return faulty.nextMissing_(at) }

func TestTreeRejects(t *testing.T) {
	for what, damage := range map[string]func(*fault, *pool.Pool){
		"a walk that does not wrap": func(faulty *fault, _ *pool.Pool) {
			faulty.round_ = func(f Filter, start pool.Index) []*block {
				return slices.DeleteFunc(faulty.realTree.round(f, start), func(b *block) bool { return b.At.Less(start) })
			}
		},
		"a walk that goes round again": func(faulty *fault, _ *pool.Pool) {
			faulty.round_ = func(f Filter, start pool.Index) []*block {
				all := faulty.realTree.round(f, start)
				return append(all, all[:min(1, len(all))]...)
			}
		},
		"a walk that leaves out its start": func(faulty *fault, _ *pool.Pool) {
			faulty.round_ = func(f Filter, start pool.Index) []*block {
				return slices.DeleteFunc(faulty.realTree.round(f, start), func(b *block) bool { return b.At == start })
			}
		},
		"nextMissing that ignores a lone block": func(faulty *fault, _ *pool.Pool) {
			faulty.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				alone := func(b *block) bool {
					before, after := faulty.Tree.Get(b.At.Sub(pool.MakeIndex(0, 1))), faulty.Tree.Get(b.At.Next())
					return before == nil && after == nil
				}
				if b := faulty.Tree.Get(at); b != nil && alone(b) {
					return at, true
				}
				return faulty.Tree.NextMissing(at)
			}
		},
		"nextMissing that runs over the end": func(faulty *fault, p *pool.Pool) {
			faulty.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				found, ok := faulty.Tree.NextMissing(at)
				if !ok {
					return faulty.Tree.last.Next(), true
				}
				return found, true
			}
		},
		"nextMissing that wraps": func(faulty *fault, p *pool.Pool) {
			faulty.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				if found, ok := faulty.Tree.NextMissing(at); ok {
					return found, ok
				}
				return faulty.Tree.NextMissing(pool.Index{})
			}
		},
		"numbers of 64 bits": func(faulty *fault, p *pool.Pool) {
			faulty.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				found, ok := faulty.Tree.NextMissing(at)
				return found.Low(64), ok
			}
		},
		"get that takes a lone block for any": func(faulty *fault, p *pool.Pool) {
			faulty.get_ = func(at pool.Index) *block {
				if b := faulty.Tree.Get(at); b != nil || faulty.Tree.count != 1 {
					return b
				}
				return slices.Collect(faulty.Tree.All)[0]
			}
		},
		"update that forgets the levels above": func(faulty *fault, p *pool.Pool) {
			faulty.update_ = func(b *block) {
				n, level := &faulty.Tree.root, faulty.Tree.top
				for {
					d := digit(b.At, level)
					if c := n.children[n.rank(d)]; c.node != nil {
						n, level = c.node, level-1
						continue
					}
					n.summarize(d, n.rank(d), level)
					return
				}
			}
		},
		"update that does nothing": func(faulty *fault, p *pool.Pool) { faulty.update_ = func(*block) {} },
		"next that means after": func(faulty *fault, p *pool.Pool) {
			faulty.next_ = func(f Filter, from pool.Index) *block {
				if from == faulty.Tree.last {
					return nil
				}
				return faulty.Tree.Next(f, from.Next())
			}
		},
		"next that gives any free block": func(faulty *fault, p *pool.Pool) {
			faulty.next_ = func(_ Filter, from pool.Index) *block { return faulty.Tree.Next(Free, from) }
		},
		"all in another order": func(faulty *fault, p *pool.Pool) {
			faulty.all_ = func(yield func(*block) bool) {
				all := slices.Collect(faulty.Tree.All)
				slices.Reverse(all)
				slices.Values(all)(yield)
			}
		},
		"remove that forgets the bit of existence": func(faulty *fault, p *pool.Pool) {
			faulty.remove_ = func(b *block) {
				faulty.Tree.Remove(b)
				faulty.Tree.Insert(&block{At: b.At})
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			broken := func(p *pool.Pool) (forest, func() error) {
				tr := New[struct{}](p.BlockBits())
				real := realTree{&tr}
				faulty := &fault{
					realTree: real, get_: real.Get, insert_: real.Insert, remove_: real.Remove, update_: real.Update,
					next_: real.Next, nextMissing_: real.NextMissing, round_: real.round, all_: real.All,
				}
				damage(faulty, p)
				return faulty, func() error { return nil } // the answers alone must show the fault
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

// TestTreeCheck: Check finds wrong summaries and a wrong count.
func TestTreeCheck(t *testing.T) {
	pick := seeded(7)
	p, err := pool.New(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/8")})
	must.NoError(t, err)
	for word := range 4 {
		tr := New[struct{}](p.BlockBits())
		for range 300 {
			if at := someIndex(pick, p, nil); tr.Get(at) == nil {
				tr.Insert(&block{At: at, MayBeFree: pick("", 2) == 0})
			}
		}
		must.NoError(t, tr.Check())
		n := &tr.root
		for n.children[0].node != nil && pick("deeper", 3) > 0 {
			n = n.children[0].node
		}
		switch word {
		case 0:
			n.full ^= 1
		case 1:
			n.free ^= n.some & -n.some
		case 2:
			n.empty ^= n.some & -n.some
		case 3:
			tr.count++
		}
		must.Error(t, tr.Check())
	}
}

// TestTreeDepth: a huge pool costs at most one level for 6 bits of its numbers,
// and memory for its blocks only.
func TestTreeDepth(t *testing.T) {
	for seed := range uint64(50) {
		pick := seeded(seed)
		p := somePool(pick)
		tr := New[struct{}](p.BlockBits())
		var blocks []*block
		for range 100 {
			if b := (&block{At: someIndex(pick, p, blocks)}); tr.Get(b.At) == nil {
				tr.Insert(b)
				blocks = append(blocks, b)
			}
		}
		levels := max(1, (p.BlockBits()+5)/6)
		nodes, deepest := 0, 0
		var visit func(n *node[struct{}], depth int)
		visit = func(n *node[struct{}], depth int) {
			nodes, deepest = nodes+1, max(deepest, depth)
			for _, c := range n.children {
				if c.node != nil {
					visit(c.node, depth+1)
				}
			}
		}
		visit(&tr.root, 1)
		must.LessEq(t, levels, deepest, must.Sprintf("2^%d blocks", p.BlockBits()))
		must.LessEq(t, 1+levels*len(blocks), nodes)
		for _, b := range blocks {
			tr.Remove(b)
		}
		must.Zero(t, tr.count)
		must.SliceEmpty(t, tr.root.children, must.Sprint("an empty tree is as small as a new one"))
		must.NoError(t, tr.Check())
	}
}

// TestTreeVisits: a search looks only at the nodes on the way to its start and on
// the way to its result: two for each level. All others are replaced by nodes that
// panic when read.
func TestTreeVisits(t *testing.T) {
	property.Slow(t)
	seeds := uint64(300)
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		pick := seeded(seed)
		p := somePool(pick)
		tr := New[struct{}](p.BlockBits())
		var blocks []*block
		add := func(at pool.Index) {
			if tr.Get(at) == nil {
				b := &block{At: at, MayBeFree: pick("free", 8) == 0, MayBeEmpty: pick("empty", 8) == 0}
				tr.Insert(b)
				blocks = append(blocks, b)
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
			missing, ok := tr.NextMissing(from)
			to := from
			if ok {
				to = missing
			}
			got, gotOK := tr.Poisoned(from, to).NextMissing(from)
			must.EqOp(t, missing, got)
			must.Eq(t, ok, gotOK)
			for _, f := range []Filter{Free, Empty} {
				b := tr.Next(f, from)
				to := from
				if b != nil {
					to = b.At
				}
				must.EqOp(t, b, tr.Poisoned(from, to).Next(f, from))
			}
			if b := tr.Get(from); b != nil {
				must.EqOp(t, b, tr.Poisoned(from).Get(from))
			}
		}
	}
}

// TestTreeNoAllocations: searches allocate no memory.
func TestTreeNoAllocations(t *testing.T) {
	p, err := pool.New(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("fd00::/48")})
	must.NoError(t, err)
	tr := New[struct{}](p.BlockBits())
	pick := seeded(1)
	var blocks []*block
	for range 1000 {
		if b := (&block{At: someIndex(pick, p, blocks), MayBeFree: true}); tr.Get(b.At) == nil {
			tr.Insert(b)
			blocks = append(blocks, b)
		}
	}
	must.Eq(t, 74, p.BlockBits())
	must.Eq(t, new(big.Int).Lsh(big.NewInt(1), 74).String(), tr.last.Next().String())
	at := blocks[500].At
	must.Zero(t, testing.AllocsPerRun(100, func() {
		tr.Get(at)
		tr.Next(Free, at)
		tr.NextMissing(at)
		tr.Update(blocks[500])
		c := tr.Walk(Free, at)
		for range 10 {
			c.Next()
		}
	}))
}
