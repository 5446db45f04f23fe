package pool_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/big"
	"math/bits"
	"math/rand"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ipamsim/ipamsim/pool"
	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
	"pgregory.net/rapid"
)

var (
	epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	never = time.Time{} // for pools whose order does not depend on the clock
)

func mustPool(t testing.TB, cidr string, blockSize int) *pool.Pool {
	t.Helper()
	p, err := pool.New(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix(cidr), BlockSize: blockSize})
	must.NoError(t, err)
	return p
}

// ordering has the functions that the property of the order of blocks tests.
type ordering struct {
	start   func(p *pool.Pool, host string, now time.Time) pool.Index
	order   func(p *pool.Pool, host string, now time.Time) iter.Seq[netip.Prefix]
	blockAt func(p *pool.Pool, i pool.Index) netip.Prefix
	indexOf func(p *pool.Pool, addr netip.Addr) pool.Index
}

var realOrder = ordering{(*pool.Pool).Start, (*pool.Pool).Order, (*pool.Pool).BlockAt, (*pool.Pool).IndexOf}

type orderCase struct {
	cidr      netip.Prefix
	blockSize int
	host      string
	now       time.Time
	index     pool.Index // of a block to check, any number
	inside    uint16     // of an address in that block, any number
}

// orderCases has pools from one block to 2^128; about half of them are small
// enough for a whole walk.
var orderCases = rapid.Custom(func(t *rapid.T) orderCase {
	addr, low, high := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))), 20, 32
	if rapid.Bool().Draw(t, "v6") {
		addr, low, high = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6"))), 116, 128
	}
	blockSize := rapid.IntRange(low, high).Draw(t, "blockSize")
	blockBits := rapid.OneOf(rapid.IntRange(0, 7), rapid.IntRange(0, blockSize), rapid.SampledFrom([]int{62, 63, 64, 65, 74, 128})).
		Filter(func(n int) bool { return n <= blockSize }).Draw(t, "blockBits")
	cidr := netip.PrefixFrom(addr, blockSize-blockBits).Masked()
	if cidr.Addr().Is4In6() {
		cidr = netip.PrefixFrom(netip.MustParseAddr("fd00::"), cidr.Bits()).Masked()
	}
	return orderCase{
		cidr:      cidr,
		blockSize: blockSize,
		host:      rapid.StringMatching(`[a-z0-9.-]{0,24}`).Draw(t, "host"),
		now:       epoch.Add(time.Duration(rapid.Int64Range(0, 1e17).Draw(t, "now"))),
		index:     pool.MakeIndex(rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")),
		inside:    rapid.Uint16().Draw(t, "inside"),
	}
})

// plainStart is §2 word for word.
func plainStart(c orderCase, blocks *big.Int) *big.Int {
	hash := fnv.New32()
	hash.Write([]byte(c.host))
	seed := int64(hash.Sum32())
	if c.blockSize == c.cidr.Addr().BitLen() {
		seed = c.now.UnixNano()
	}
	return new(big.Int).Rand(rand.New(rand.NewSource(seed)), blocks)
}

func plainAddr(c orderCase, n *big.Int) netip.Addr {
	addr, _ := netip.AddrFromSlice(n.FillBytes(make([]byte, c.cidr.Addr().BitLen()/8)))
	return addr
}

// orderProperty compares the order of blocks with the plain definition in big
// integers. It needs 64-bit words, as big.Int draws random numbers by the word.
func orderProperty(impl ordering) func(orderCase) error {
	return func(c orderCase) error {
		p, err := pool.New(pool.Spec{Name: "p", CIDR: c.cidr, BlockSize: c.blockSize})
		if err != nil {
			return err
		}
		size := new(big.Int).Lsh(big.NewInt(1), uint(c.cidr.Addr().BitLen()-c.blockSize))
		blocks := new(big.Int).Lsh(big.NewInt(1), uint(c.blockSize-c.cidr.Bits()))
		base := new(big.Int).SetBytes(c.cidr.Addr().AsSlice())
		block := func(n *big.Int) netip.Prefix {
			n = new(big.Int).Mod(n, blocks)
			return netip.PrefixFrom(plainAddr(c, n.Add(base, n.Mul(n, size))), c.blockSize)
		}
		var errs []error
		check := func(err error) { errs = append(errs, err) }

		// The walk: all of a small pool and no more, the head of a large one.
		start := plainStart(c, blocks)
		check(differs("start", impl.start(p, c.host, c.now), start))
		const most = 130
		n := new(big.Int).Set(start)
		steps := 0
		for got := range impl.order(p, c.host, c.now) {
			check(differs(fmt.Sprint("step ", steps), got, block(n)))
			n.Add(n, big.NewInt(1))
			if steps++; steps == most {
				break
			}
		}
		want := most
		if blocks.Cmp(big.NewInt(most)) < 0 {
			want = int(blocks.Int64())
		}
		check(differs("length of the walk", steps, want))

		// Numbers to blocks and back, anywhere in the pool.
		index := new(big.Int).Mod(toBig(c.index), blocks)
		check(differs("blockAt", impl.blockAt(p, c.index), block(index)))
		check(differs("blockAt the last", impl.blockAt(p, fromBig(new(big.Int).Sub(blocks, big.NewInt(1)))), block(big.NewInt(-1))))
		inside := new(big.Int).Mod(big.NewInt(int64(c.inside)), size)
		addr := plainAddr(c, inside.Add(inside, new(big.Int).SetBytes(block(index).Addr().AsSlice())))
		check(differs("indexOf "+addr.String(), impl.indexOf(p, addr), index))
		within, ok := p.BlockOf(addr)
		check(differs("blockOf "+addr.String(), within, block(index)))
		check(differs("blockOf found", ok, true))
		check(differs("blockBits", new(big.Int).Lsh(big.NewInt(1), uint(p.BlockBits())), blocks))
		return errors.Join(errs...)
	}
}

func needs64bit(t *testing.T) {
	if bits.UintSize != 64 {
		t.Skip("the plain definition draws other numbers where words have 32 bits")
	}
}

func TestOrderIsPlainDefinition(t *testing.T) {
	needs64bit(t)
	holds(t, orderCases, orderProperty(realOrder))
}

func TestOrderCatchesBroken(t *testing.T) {
	needs64bit(t)
	random := func(seed int64, p *pool.Pool) pool.Index {
		n := new(big.Int).Lsh(big.NewInt(1), uint(p.BlockBits()))
		return fromBig(n.Rand(rand.New(rand.NewSource(seed)), n))
	}
	broken := map[string]func(*ordering){
		"FNV-1a": func(o *ordering) {
			o.start = func(p *pool.Pool, host string, now time.Time) pool.Index {
				if p.BlockSize() == p.CIDR().Addr().BitLen() {
					return p.Start(host, now)
				}
				hash := fnv.New32a()
				hash.Write([]byte(host))
				return random(int64(hash.Sum32()), p)
			}
		},
		"single addresses by name": func(o *ordering) {
			o.start = func(p *pool.Pool, host string, now time.Time) pool.Index {
				hash := fnv.New32()
				hash.Write([]byte(host))
				return random(int64(hash.Sum32()), p)
			}
		},
		"Int63n": func(o *ordering) {
			o.start = func(p *pool.Pool, host string, now time.Time) pool.Index {
				if p.BlockBits() > 62 || p.BlockSize() == p.CIDR().Addr().BitLen() {
					return p.Start(host, now)
				}
				hash := fnv.New32()
				hash.Write([]byte(host))
				return pool.MakeIndex(0, uint64(rand.New(rand.NewSource(int64(hash.Sum32()))).Int63n(1<<p.BlockBits())))
			}
		},
		"start of 64 bits": func(o *ordering) {
			o.start = func(p *pool.Pool, host string, now time.Time) pool.Index {
				return pool.MakeIndex(0, p.Start(host, now).Lo())
			}
		},
		"walk stops at the end": func(o *ordering) {
			o.order = func(p *pool.Pool, host string, now time.Time) iter.Seq[netip.Prefix] {
				return func(yield func(netip.Prefix) bool) {
					last := netip.Prefix{}
					for block := range p.Order(host, now) {
						if last.IsValid() && block.Addr().Less(last.Addr()) || !yield(block) {
							return
						}
						last = block
					}
				}
			}
		},
		"walk comes back to the start": func(o *ordering) {
			o.order = func(p *pool.Pool, host string, now time.Time) iter.Seq[netip.Prefix] {
				return func(yield func(netip.Prefix) bool) {
					for block := range p.Order(host, now) {
						if !yield(block) {
							return
						}
					}
					yield(p.BlockAt(p.Start(host, now)))
				}
			}
		},
		"blockAt of 64 bits": func(o *ordering) {
			o.blockAt = func(p *pool.Pool, i pool.Index) netip.Prefix { return p.BlockAt(pool.MakeIndex(0, i.Lo())) }
		},
		"indexOf of 64 bits": func(o *ordering) {
			o.indexOf = func(p *pool.Pool, addr netip.Addr) pool.Index { return p.IndexOf(addr).Low(64) }
		},
		"indexOf counts addresses": func(o *ordering) {
			o.indexOf = func(p *pool.Pool, addr netip.Addr) pool.Index {
				return fromBig(new(big.Int).Sub(new(big.Int).SetBytes(addr.AsSlice()), new(big.Int).SetBytes(p.CIDR().Addr().AsSlice())))
			}
		},
	}
	for name, damage := range broken {
		t.Run(name, func(t *testing.T) {
			impl := realOrder
			damage(&impl)
			rejects(t, orderCases, orderProperty(impl))
		})
	}
}

// First blocks of nodes of real clusters (observations.json).
func TestOrderObserved(t *testing.T) {
	data, err := os.ReadFile("testdata/observations.json")
	must.NoError(t, err)
	var observed []struct {
		Node, Pool, Block string
		BlockSize         int
	}
	must.NoError(t, json.Unmarshal(data, &observed))
	must.Len(t, 80, observed)
	for _, o := range observed {
		p := mustPool(t, o.Pool, o.BlockSize)
		test.Eq(t, o.Block, p.BlockAt(p.Start(o.Node, never)).String(), test.Sprintf("%s in %s", o.Node, o.Pool))
	}
}

// Every user of minikube has seen this block.
func TestOrderMinikube(t *testing.T) {
	p := mustPool(t, "10.244.0.0/16", 26)
	test.Eq(t, "10.244.120.64/26", p.BlockAt(p.Start("minikube", never)).String())
}

// Fixed results, which hold on 32-bit machines too, where the plain definition
// gives others.
func TestOrderFixed(t *testing.T) {
	for _, c := range []struct {
		cidr      string
		blockSize int
		host      string
		now       time.Time
		want      string
	}{
		{"10.0.0.0/8", 26, "node-0", never, "10.155.24.64/26"},
		{"10.0.0.0/24", 32, "node-0", epoch, "10.0.0.101/32"},
		{"fd00:1::/48", 122, "node-0", never, "fd00:1:0:27f7:c98f:e38b:109b:1840/122"},
		{"fd00:1::/59", 122, "node-0", never, "fd00:1:0:d:3205:e709:d519:58c0/122"},
		{"fd00:1::/58", 122, "node-0", never, "fd00:1:0:6:4f54:4083:4277:ec80/122"},
		{"::/0", 128, "node-0", epoch, "b33a:fe75:e1eb:460d:a561:bfc9:b00d:f065/128"},
	} {
		p := mustPool(t, c.cidr, c.blockSize)
		test.Eq(t, c.want, p.BlockAt(p.Start(c.host, c.now)).String(), test.Sprintf("%s in %s", c.host, c.cidr))
	}
}

func TestOrderWraps(t *testing.T) {
	p := mustPool(t, "10.244.0.0/24", 26)
	walk := slices.Collect(p.Order("minikube", never))
	must.Len(t, 4, walk)
	at := slices.Index(walk, p.BlockAt(pool.Index{}))
	must.Positive(t, at, must.Sprint("a host that does not start at the first block"))
	test.Eq(t, "10.244.0.192/26", walk[at-1].String())
	test.Eq(t, walk, slices.Collect(p.Order("minikube", epoch)), test.Sprint("the clock does not count"))
	test.EqOp(t, p.BlockAt(pool.MakeIndex(0, 1)), p.BlockAt(pool.MakeIndex(0, 5)))
}

// A sequence may be iterated twice, from the same start.
func TestOrderRepeats(t *testing.T) {
	p := mustPool(t, "10.0.0.0/24", 32)
	seq := p.Order("", epoch)
	test.Eq(t, slices.Collect(seq), slices.Collect(seq))
	test.NotEq(t, slices.Collect(seq), slices.Collect(p.Order("", epoch.Add(1))), test.Sprint("one nanosecond later"))
}

func TestOrderOneBlock(t *testing.T) {
	p := mustPool(t, "10.0.0.0/26", 26)
	test.Eq(t, []netip.Prefix{p.CIDR()}, slices.Collect(p.Order("anyone", never)))
	test.EqOp(t, pool.Index{}, p.Start("anyone", never))
	test.Zero(t, p.BlockBits())
}

func BenchmarkStart(b *testing.B) {
	for _, cidr := range []string{"10.0.0.0/16", "fd00::/48"} {
		b.Run("pool="+cidr, func(b *testing.B) {
			p := mustPool(b, cidr, 0)
			b.ReportAllocs()
			for b.Loop() {
				p.Start("node-0", never)
			}
		})
	}
}
