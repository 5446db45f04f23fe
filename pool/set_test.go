package pool_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ipamsim/ipamsim/pool"
	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
	"pgregory.net/rapid"
)

func named(t testing.TB, name, cidr string, blockSize int) *pool.Pool {
	t.Helper()
	p, err := pool.New(pool.Spec{Name: name, CIDR: netip.MustParsePrefix(cidr), BlockSize: blockSize})
	must.NoError(t, err)
	return p
}

func names(pools []*pool.Pool) []string {
	var all []string
	for _, p := range pools {
		all = append(all, p.Name())
	}
	return all
}

func TestSetZero(t *testing.T) {
	var s pool.Set
	test.SliceEmpty(t, s.All())
	test.Nil(t, s.Get(""))
	test.Nil(t, s.ByAddr(netip.MustParseAddr("10.0.0.1")))
	test.Nil(t, s.ByAddr(netip.Addr{}))
	test.Nil(t, s.ByCIDR(netip.Prefix{}))
	test.Nil(t, s.Covering(netip.Prefix{}))
	test.False(t, s.Delete("p"))
	test.NoError(t, s.Check())
}

func TestSetPutErrors(t *testing.T) {
	var s pool.Set
	must.NoError(t, s.Put(named(t, "a", "10.0.0.0/16", 26)))
	must.NoError(t, s.Put(named(t, "b", "10.1.0.0/16", 26)))
	must.NoError(t, s.Put(named(t, "six", "fd00::/48", 0)))
	before := s.All()
	for _, c := range []struct {
		name, cidr string
		blockSize  int
		want       error
		names      []string // in the message
	}{
		{"c", "10.0.0.0/16", 26, pool.ErrOverlap, []string{`"c"`, `"a"`}},
		{"c", "10.1.5.0/24", 26, pool.ErrOverlap, []string{`"c"`, `"b"`}},
		{"c", "10.0.0.0/8", 26, pool.ErrOverlap, []string{`"c"`, `"a"`}}, // of two the first by name
		{"A", "fd00::/120", 0, pool.ErrOverlap, []string{`"A"`, `"six"`}},
		{"a", "10.2.0.0/16", 26, pool.ErrImmutable, []string{`"a"`, "10.0.0.0/16", "10.2.0.0/16"}},
		{"a", "10.0.0.0/17", 26, pool.ErrImmutable, []string{`"a"`}},
		{"a", "10.0.0.0/16", 27, pool.ErrImmutable, []string{`"a"`, "/26", "/27"}},
		{"a", "10.1.0.0/16", 26, pool.ErrImmutable, []string{`"a"`}}, // also overlaps b
	} {
		cidr := netip.MustParsePrefix(c.cidr)
		if c.blockSize == 0 && cidr.Bits() > 122 {
			c.blockSize = cidr.Bits()
		}
		err := s.Put(named(t, c.name, c.cidr, c.blockSize))
		must.ErrorIs(t, err, c.want, must.Sprintf("%s %s", c.name, c.cidr))
		for _, part := range c.names {
			test.ErrorContains(t, err, part)
		}
		test.Eq(t, before, s.All(), test.Sprint("a refused pool changes nothing"))
	}
	test.NoError(t, s.Check())
}

// Everything but CIDR and block size may change, and names are ordered by bytes,
// not by numbers or age.
func TestSetOrderAndReplace(t *testing.T) {
	var s pool.Set
	for i, name := range []string{"pool-10", "pool-9", "Pool", "pool", "ä"} {
		must.NoError(t, s.Put(named(t, name, fmt.Sprintf("10.%d.0.0/16", 9-i), 0)))
	}
	test.Eq(t, []string{"Pool", "pool", "pool-10", "pool-9", "ä"}, names(s.All()))

	before, copied := s.All(), s
	spec := s.Get("pool").Spec()
	spec.Disabled, spec.NodeSelector = true, "has(x)"
	changed, err := pool.New(spec)
	must.NoError(t, err)
	must.NoError(t, s.Put(changed))
	test.EqOp(t, changed, s.Get("pool"))
	test.EqOp(t, changed, s.ByAddr(netip.MustParseAddr("10.6.1.2")))
	test.EqOp(t, changed, s.All()[1])
	beforeDelete := s.All()
	must.True(t, s.Delete("Pool"))
	test.Eq(t, []string{"Pool", "pool", "pool-10", "pool-9", "ä"}, names(beforeDelete), test.Sprint("a list handed out stays as it was"))
	test.False(t, s.Delete("Pool"))
	test.Eq(t, []string{"pool", "pool-10", "pool-9", "ä"}, names(s.All()))

	test.Eq(t, []string{"Pool", "pool", "pool-10", "pool-9", "ä"}, names(before))
	test.False(t, before[1].Disabled())
	test.False(t, copied.Get("pool").Disabled(), test.Sprint("a copy is independent"))
	test.NotNil(t, copied.Get("Pool"))
	test.NoError(t, errors.Join(s.Check(), copied.Check()))
}

func TestSetLookup(t *testing.T) {
	var s pool.Set
	a, b, six := named(t, "z", "10.0.0.0/24", 28), named(t, "y", "10.0.2.0/24", 28), named(t, "x", "::/64", 0)
	for _, p := range []*pool.Pool{a, b, six} {
		must.NoError(t, s.Put(p))
	}
	for addr, want := range map[string]*pool.Pool{
		"9.255.255.255": nil, "10.0.0.0": a, "10.0.0.255": a, "10.0.1.0": nil, "10.0.2.0": b, "10.0.3.0": nil,
		"::": six, "::a00:1": six, "::ffff:10.0.0.1": six, "::1%lo": nil, "0:0:0:1::": nil,
	} {
		test.True(t, want == s.ByAddr(netip.MustParseAddr(addr)), test.Sprint(addr))
	}
	for prefix, want := range map[string]*pool.Pool{
		"10.0.0.0/24": a, "10.0.0.16/28": a, "10.0.0.17/28": a, "10.0.0.0/23": nil, "10.0.2.255/32": b, "0.0.0.0/0": nil,
		"10.0.1.0/24": nil, "::/64": six, "::/63": nil, "::ffff:0:0/96": six,
	} {
		test.True(t, want == s.Covering(netip.MustParsePrefix(prefix)), test.Sprint(prefix))
	}
	for prefix, want := range map[string]*pool.Pool{"10.0.0.0/24": a, "10.0.0.1/24": nil, "10.0.0.0/28": nil, "::/64": six} {
		test.True(t, want == s.ByCIDR(netip.MustParsePrefix(prefix)), test.Sprint(prefix))
	}
}

// setLike has the methods that the property of Set tests.
type setLike interface {
	Put(*pool.Pool) error
	Delete(string) bool
	Get(string) *pool.Pool
	ByAddr(netip.Addr) *pool.Pool
	ByCIDR(netip.Prefix) *pool.Pool
	Covering(netip.Prefix) *pool.Pool
	All() []*pool.Pool
	Check() error
}

type setStep struct {
	put   *pool.Pool // nil: delete name, and look up probe
	name  string
	probe netip.Prefix
}

// setCases uses few names and a small corner of the address space, so that pools collide.
var setCases = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) setStep {
	last := rapid.Byte().Draw(t, "last")
	addr := netip.AddrFrom4([4]byte{10, 0, rapid.ByteRange(0, 3).Draw(t, "net"), last})
	bits, offset := rapid.IntRange(21, 30).Draw(t, "bits"), 0
	if rapid.IntRange(0, 3).Draw(t, "v6") == 0 {
		b := netip.MustParseAddr("fd00::").As16()
		b[14], b[15] = addr.As4()[2], last
		addr, offset = netip.AddrFrom16(b), 96
	}
	step := setStep{name: rapid.SampledFrom([]string{"a", "B", "a-1", "a1", "c"}).Draw(t, "name"), probe: netip.PrefixFrom(addr, bits+offset)}
	if rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
		size := rapid.SampledFrom([]int{30, 31}).Draw(t, "blockSize")
		p, err := pool.New(pool.Spec{Name: step.name, CIDR: step.probe.Masked(), BlockSize: size + offset})
		if err != nil {
			t.Fatalf("%v", err)
		}
		step.put = p
	}
	return step
}), 1, 25)

// setProperty compares a set with a plain list without order.
func setProperty(make func() setLike) func([]setStep) error {
	return func(steps []setStep) error {
		s := make()
		var model []*pool.Pool
		find := func(match func(*pool.Pool) bool) *pool.Pool {
			if i := slices.IndexFunc(model, match); i >= 0 {
				return model[i]
			}
			return nil
		}
		name := func(p *pool.Pool) string {
			if p == nil {
				return "none"
			}
			return fmt.Sprintf("%s %v %v/%d", p.Name(), p.Disabled(), p.CIDR(), p.BlockSize())
		}
		for i, step := range steps {
			var errs []error
			check := func(what string, got, want any) { errs = append(errs, differs(what, got, want)) }
			old := find(func(p *pool.Pool) bool { return p.Name() == step.name })
			without := slices.DeleteFunc(slices.Clone(model), func(p *pool.Pool) bool { return p.Name() == step.name })
			if step.put == nil {
				check("delete", s.Delete(step.name), old != nil)
				model = without
			} else {
				err := s.Put(step.put)
				overlap := slices.ContainsFunc(without, func(p *pool.Pool) bool {
					return p.Contains(step.probe.Masked().Addr()) || step.put.Contains(p.CIDR().Addr())
				})
				immutable := old != nil && (old.CIDR() != step.put.CIDR() || old.BlockSize() != step.put.BlockSize())
				check("immutable", errors.Is(err, pool.ErrImmutable), immutable)
				check("overlap", errors.Is(err, pool.ErrOverlap), overlap && !immutable)
				if !overlap && !immutable {
					check("put", err, nil)
					model = append(without, step.put)
				}
			}
			sorted := slices.SortedFunc(slices.Values(model), func(a, b *pool.Pool) int { return strings.Compare(a.Name(), b.Name()) })
			check("all", names(s.All()), names(sorted))
			check("get", name(s.Get(step.name)), name(find(func(p *pool.Pool) bool { return p.Name() == step.name })))
			for _, p := range append(slices.Clone(model), step.put) {
				if p == nil {
					continue
				}
				check("by own CIDR", name(s.ByCIDR(p.CIDR())), name(find(func(q *pool.Pool) bool { return q.CIDR() == p.CIDR() })))
			}
			addr := step.probe.Addr()
			check("by address", name(s.ByAddr(addr)), name(find(func(p *pool.Pool) bool { return p.Contains(addr) })))
			check("by CIDR", name(s.ByCIDR(step.probe)), name(find(func(p *pool.Pool) bool { return p.CIDR() == step.probe })))
			check("covering", name(s.Covering(step.probe)), name(find(func(p *pool.Pool) bool {
				return p.Contains(addr) && p.CIDR().Bits() <= step.probe.Bits()
			})))
			errs = append(errs, s.Check())
			if err := errors.Join(errs...); err != nil {
				return fmt.Errorf("step %d (%s %v): %w", i, step.name, step.probe, err)
			}
		}
		return nil
	}
}

func TestSetIsPlainList(t *testing.T) {
	holds(t, setCases, setProperty(func() setLike { return new(pool.Set) }))
}

type (
	setCaseless struct{ pool.Set } // All in an order that ignores case
	setMutable  struct{ pool.Set } // CIDRs may change
	setLoose    struct{ pool.Set } // finds overlaps of equal CIDRs only
	setNear     struct{ pool.Set } // ByAddr finds the pool before a gap
	setPart     struct{ pool.Set } // Covering only checks the first address
)

func (s *setCaseless) All() []*pool.Pool {
	return slices.SortedFunc(slices.Values(s.Set.All()), func(a, b *pool.Pool) int {
		return strings.Compare(strings.ToLower(a.Name()), strings.ToLower(b.Name()))
	})
}

func (s *setMutable) Put(p *pool.Pool) error {
	err := s.Set.Put(p)
	if errors.Is(err, pool.ErrImmutable) {
		s.Delete(p.Name())
		return s.Set.Put(p)
	}
	return err
}

func (s *setLoose) Put(p *pool.Pool) error {
	err := s.Set.Put(p)
	if errors.Is(err, pool.ErrOverlap) && s.Set.ByCIDR(p.CIDR()) == nil {
		return nil
	}
	return err
}

func (s *setNear) ByAddr(addr netip.Addr) *pool.Pool {
	var best *pool.Pool
	for _, p := range s.Set.All() {
		if p.CIDR().Addr().Compare(addr) <= 0 && (best == nil || best.CIDR().Addr().Less(p.CIDR().Addr())) {
			best = p
		}
	}
	return best
}

func (s *setPart) Covering(prefix netip.Prefix) *pool.Pool { return s.Set.ByAddr(prefix.Addr()) }

func TestSetCatchesBroken(t *testing.T) {
	for name, make := range map[string]func() setLike{
		"order ignores case": func() setLike { return new(setCaseless) },
		"CIDR may change":    func() setLike { return new(setMutable) },
		"overlaps unseen":    func() setLike { return new(setLoose) },
		"gaps belong":        func() setLike { return new(setNear) },
		"covers in part":     func() setLike { return new(setPart) },
	} {
		t.Run(name, func(t *testing.T) { rejects(t, setCases, setProperty(make)) })
	}
}

func BenchmarkSetByAddr(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("pools=%d", n), func(b *testing.B) {
			var s pool.Set
			for i := range n {
				must.NoError(b, s.Put(named(b, fmt.Sprint(i), fmt.Sprintf("10.%d.0.0/16", i), 0)))
			}
			addr := netip.MustParseAddr(fmt.Sprintf("10.%d.3.4", n/2))
			b.ReportAllocs()
			for b.Loop() {
				s.ByAddr(addr)
			}
		})
	}
}
