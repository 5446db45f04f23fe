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
	get(pool.Index) *ipamBlock
	insert(*ipamBlock)
	remove(*ipamBlock)
	update(*ipamBlock)
	next(filter, pool.Index) *ipamBlock
	nextMissing(pool.Index) (pool.Index, bool)
	// round returns all of a walk.
	round(filter, pool.Index) []*ipamBlock
}

type realTree struct{ *blockIndex }

func (t realTree) round(f filter, start pool.Index) []*ipamBlock {
	var all []*ipamBlock
	c := t.walk(f, start)
	for b := c.next(); b != nil; b = c.next() {
		all = append(all, b)
	}
	if b := c.next(); b != nil {
		all = append(all, b) // a walk that ended has ended
	}
	return all
}

// slowTree is the plain definition: a sorted list.
type slowTree struct {
	blocks []*ipamBlock
	last   pool.Index
}

func compareBlocks(b *ipamBlock, at pool.Index) int { return b.at.Compare(at) }

func (t *slowTree) get(at pool.Index) *ipamBlock {
	if i, found := slices.BinarySearchFunc(t.blocks, at, compareBlocks); found {
		return t.blocks[i]
	}
	return nil
}

func (t *slowTree) insert(b *ipamBlock) {
	i, _ := slices.BinarySearchFunc(t.blocks, b.at, compareBlocks)
	t.blocks = slices.Insert(t.blocks, i, b)
}

func (t *slowTree) remove(b *ipamBlock) {
	i, _ := slices.BinarySearchFunc(t.blocks, b.at, compareBlocks)
	t.blocks = slices.Delete(t.blocks, i, i+1)
}

func (t *slowTree) update(*ipamBlock) {}

func isWanted(f filter, b *ipamBlock) bool {
	return f == anyBlock || f == withFree && b.mayBeFree || f == thatIsEmpty && b.mayBeEmpty
}

func (t *slowTree) next(f filter, from pool.Index) *ipamBlock {
	for _, b := range t.blocks {
		if isWanted(f, b) && !b.at.Less(from) {
			return b
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

func (t *slowTree) round(f filter, start pool.Index) []*ipamBlock {
	var before, after []*ipamBlock
	for _, b := range t.blocks {
		if !isWanted(f, b) {
			continue
		}
		if b.at.Less(start) {
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
func someIndex(pick chooser, p *pool.Pool, blocks []*ipamBlock) pool.Index {
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
	flags := func(b *ipamBlock) { b.mayBeFree, b.mayBeEmpty = pick("free", 2) == 1, pick("empty", 2) == 1 }
	for range steps {
		at := someIndex(pick, p, want.blocks)
		b := want.get(at)
		what := ""
		switch kind := pick("operation", 8); {
		case kind < 4 && b == nil:
			what = "insert"
			b = &ipamBlock{at: at}
			flags(b)
			got.insert(b)
			want.insert(b)
		case kind == 4 && b == nil && p.BlockBits() < 14: // fill a node or several
			what = "fill"
			for range 1 + pick("fill", 130) {
				if want.get(at) == nil {
					b := &ipamBlock{at: at}
					flags(b)
					got.insert(b)
					want.insert(b)
				}
				at = at.Next().Low(p.BlockBits())
			}
		case kind < 6 && b != nil:
			what = "update"
			flags(b)
			got.update(b)
			want.update(b)
		case b != nil:
			what = "remove"
			got.remove(b)
			want.remove(b)
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
		for _, wanted := range []filter{anyBlock, withFree, thatIsEmpty} {
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

func numbers(blocks ...*ipamBlock) []string {
	var n []string
	for _, b := range blocks {
		if b == nil {
			n = append(n, "none")
		} else {
			n = append(n, b.at.String())
		}
	}
	return n
}

func makeRealTree(p *pool.Pool) (forest, func() error) {
	t := newBlockIndex(p)
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
	get_         func(pool.Index) *ipamBlock
	insert_      func(*ipamBlock)
	remove_      func(*ipamBlock)
	update_      func(*ipamBlock)
	next_        func(filter, pool.Index) *ipamBlock
	nextMissing_ func(pool.Index) (pool.Index, bool)
	round_       func(filter, pool.Index) []*ipamBlock
}

func (faulty *fault) get(at pool.Index) *ipamBlock                  { return faulty.get_(at) }
func (faulty *fault) insert(b *ipamBlock)                           { faulty.insert_(b) }
func (faulty *fault) remove(b *ipamBlock)                           { faulty.remove_(b) }
func (faulty *fault) update(b *ipamBlock)                           { faulty.update_(b) }
func (faulty *fault) next(f filter, from pool.Index) *ipamBlock     { return faulty.next_(f, from) }
func (faulty *fault) round(f filter, start pool.Index) []*ipamBlock { return faulty.round_(f, start) }
func (faulty *fault) nextMissing(at pool.Index) (pool.Index, bool)  { return faulty.nextMissing_(at) }

func TestTreeRejects(t *testing.T) {
	for what, damage := range map[string]func(*fault, *pool.Pool){
		"a walk that does not wrap": func(faulty *fault, _ *pool.Pool) {
			faulty.round_ = func(f filter, start pool.Index) []*ipamBlock {
				return slices.DeleteFunc(faulty.realTree.round(f, start), func(b *ipamBlock) bool { return b.at.Less(start) })
			}
		},
		"a walk that goes round again": func(faulty *fault, _ *pool.Pool) {
			faulty.round_ = func(f filter, start pool.Index) []*ipamBlock {
				all := faulty.realTree.round(f, start)
				return append(all, all[:min(1, len(all))]...)
			}
		},
		"a walk that leaves out its start": func(faulty *fault, _ *pool.Pool) {
			faulty.round_ = func(f filter, start pool.Index) []*ipamBlock {
				return slices.DeleteFunc(faulty.realTree.round(f, start), func(b *ipamBlock) bool { return b.at == start })
			}
		},
		"nextMissing that ignores a lone block": func(faulty *fault, _ *pool.Pool) {
			faulty.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				alone := func(b *ipamBlock) bool {
					before, after := faulty.blockIndex.get(b.at.Sub(pool.IndexFrom(1))), faulty.blockIndex.get(b.at.Next())
					return before == nil && after == nil
				}
				if b := faulty.blockIndex.get(at); b != nil && alone(b) {
					return at, true
				}
				return faulty.blockIndex.nextMissing(at)
			}
		},
		"nextMissing that runs over the end": func(faulty *fault, p *pool.Pool) {
			faulty.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				found, ok := faulty.blockIndex.nextMissing(at)
				if !ok {
					return faulty.blockIndex.last.Next(), true
				}
				return found, true
			}
		},
		"nextMissing that wraps": func(faulty *fault, p *pool.Pool) {
			faulty.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				if found, ok := faulty.blockIndex.nextMissing(at); ok {
					return found, ok
				}
				return faulty.blockIndex.nextMissing(pool.Index{})
			}
		},
		"numbers of 64 bits": func(faulty *fault, p *pool.Pool) {
			faulty.nextMissing_ = func(at pool.Index) (pool.Index, bool) {
				found, ok := faulty.blockIndex.nextMissing(at)
				return found.Low(64), ok
			}
		},
		"get that takes a lone block for any": func(faulty *fault, p *pool.Pool) {
			faulty.get_ = func(at pool.Index) *ipamBlock {
				if b := faulty.blockIndex.get(at); b != nil || faulty.blockIndex.count != 1 {
					return b
				}
				return faulty.blockIndex.next(anyBlock, pool.Index{})
			}
		},
		"update that forgets the levels above": func(faulty *fault, p *pool.Pool) {
			faulty.update_ = func(b *ipamBlock) {
				n, level := &faulty.blockIndex.root, faulty.blockIndex.top
				for {
					d := b.at.Digit(level)
					if c := n.children[n.rank(d)]; c.node != nil {
						n, level = c.node, level-1
						continue
					}
					n.summarize(d, n.rank(d), level)
					return
				}
			}
		},
		"update that does nothing": func(faulty *fault, p *pool.Pool) { faulty.update_ = func(*ipamBlock) {} },
		"next that means after": func(faulty *fault, p *pool.Pool) {
			faulty.next_ = func(f filter, from pool.Index) *ipamBlock {
				if from == faulty.blockIndex.last {
					return nil
				}
				return faulty.blockIndex.next(f, from.Next())
			}
		},
		"next that gives any block": func(faulty *fault, p *pool.Pool) {
			faulty.next_ = func(_ filter, from pool.Index) *ipamBlock { return faulty.blockIndex.next(anyBlock, from) }
		},
		"remove that forgets the bit of existence": func(faulty *fault, p *pool.Pool) {
			faulty.remove_ = func(b *ipamBlock) {
				faulty.blockIndex.remove(b)
				faulty.blockIndex.insert(&ipamBlock{at: b.at})
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			broken := func(p *pool.Pool) (forest, func() error) {
				tr := newBlockIndex(p)
				real := realTree{&tr}
				faulty := &fault{
					realTree: real, get_: real.get, insert_: real.insert, remove_: real.remove, update_: real.update,
					next_: real.next, nextMissing_: real.nextMissing, round_: real.round,
				}
				damage(faulty, p)
				return faulty, func() error { return nil } // the answers alone must tell
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
		tr := newBlockIndex(p)
		for range 300 {
			if at := someIndex(pick, p, nil); tr.get(at) == nil {
				tr.insert(&ipamBlock{at: at, mayBeFree: pick("", 2) == 0})
			}
		}
		require.NoError(t, tr.check())
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
		tr := newBlockIndex(p)
		var blocks []*ipamBlock
		for range 100 {
			if b := (&ipamBlock{at: someIndex(pick, p, blocks)}); tr.get(b.at) == nil {
				tr.insert(b)
				blocks = append(blocks, b)
			}
		}
		levels := max(1, (p.BlockBits()+5)/6)
		nodes, deepest := 0, 0
		var visit func(n *indexNode, depth int)
		visit = func(n *indexNode, depth int) {
			nodes, deepest = nodes+1, max(deepest, depth)
			for _, c := range n.children {
				if c.node != nil {
					visit(c.node, depth+1)
				}
			}
		}
		visit(&tr.root, 1)
		require.LessOrEqual(t, deepest, levels, "2^%d blocks", p.BlockBits())
		require.LessOrEqual(t, nodes, 1+levels*len(blocks))
		for _, b := range blocks {
			tr.remove(b)
		}
		require.Zero(t, tr.count)
		require.Empty(t, tr.root.children, "an empty tree is as small as a new one")
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
		tr := newBlockIndex(p)
		var blocks []*ipamBlock
		add := func(at pool.Index) {
			if tr.get(at) == nil {
				b := &ipamBlock{at: at, mayBeFree: pick("free", 8) == 0, mayBeEmpty: pick("empty", 8) == 0}
				tr.insert(b)
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
			missing, ok := tr.nextMissing(from)
			to := from
			if ok {
				to = missing
			}
			got, gotOK := tr.poisoned(from, to).nextMissing(from)
			require.Equal(t, missing, got)
			require.Equal(t, ok, gotOK)
			for _, f := range []filter{anyBlock, withFree, thatIsEmpty} {
				b := tr.next(f, from)
				to := from
				if b != nil {
					to = b.at
				}
				require.Same(t, b, tr.poisoned(from, to).next(f, from))
			}
			if b := tr.get(from); b != nil {
				require.Same(t, b, tr.poisoned(from).get(from))
			}
		}
	}
}

// poisoned returns a copy of the tree in which only the nodes on the ways to
// two numbers can be looked at.
func (t *blockIndex) poisoned(to ...pool.Index) *blockIndex {
	poison := &indexNode{some: ^uint64(0), free: ^uint64(0), empty: ^uint64(0)} // and no children
	var copyOf func(n *indexNode, level int, ways []pool.Index) *indexNode
	copyOf = func(n *indexNode, level int, ways []pool.Index) *indexNode {
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
					if at.Digit(level) == d {
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
	c.root = *copyOf(&t.root, t.top, to)
	return &c
}

// TestTreeNoAllocations: searches make nothing.
func TestTreeNoAllocations(t *testing.T) {
	p, err := pool.New(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("fd00::/48")})
	require.NoError(t, err)
	tr := newBlockIndex(p)
	pick := seeded(1)
	var blocks []*ipamBlock
	for range 1000 {
		if b := (&ipamBlock{at: someIndex(pick, p, blocks), mayBeFree: true}); tr.get(b.at) == nil {
			tr.insert(b)
			blocks = append(blocks, b)
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
		c := tr.walk(withFree, at)
		for range 10 {
			c.next()
		}
	}))
}
