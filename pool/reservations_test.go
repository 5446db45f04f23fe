package pool_test

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ipamsim/ipamsim/pool"
	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
	"go4.org/netipx"
	"pgregory.net/rapid"
)

func TestParseReservations(t *testing.T) {
	for _, c := range []struct {
		entry, want string // the reserved ranges; "" none and no warning, "!" a warning
	}{
		{"10.0.0.1", "10.0.0.1-10.0.0.1"},
		{" \t10.0.0.0/30\n", "10.0.0.0-10.0.0.3"},
		{"10.0.0.7/30", "10.0.0.4-10.0.0.7"},
		{"10.0.0.7/32", "10.0.0.7-10.0.0.7"},
		{"0.0.0.0/0", "0.0.0.0-255.255.255.255"},
		{"fd03::5", "fd03::5-fd03::5"},
		{"fd03::5/126", "fd03::4-fd03::7"},
		{"::ffff:10.0.0.1", "10.0.0.1-10.0.0.1"},
		{"::ffff:10.0.0.1/126", "10.0.0.0-10.0.0.3"},
		{"::ffff:10.0.0.1/96", "0.0.0.0-255.255.255.255"},
		{"", ""},
		{" \t ", ""},
		{"nonsense/33", "!"},
		{"bogus", "!"},
		{"10.152.0.999", "!"},
		{"10.0.0.0/33", "!"},
		{"10.0.0.0/-1", "!"},
		{"10.0.0.0/", "!"},
		{"/24", "!"},
		{"10.0.0.0/24/8", "!"},
		{"10.0.0.0 /24", "!"},
		{"10.0.0.0-10.0.0.9", "!"},
		{"10.0.0", "!"},
		{"010.0.0.1", "!"},
		{"fe80::1%eth0", "!"},
		{"fe80::1%eth0/64", "!"},
		{"fd00::/129", "!"},
	} {
		r, warnings := pool.ParseReservations([]string{c.entry})
		must.NotNil(t, r)
		var ranges []string
		for _, all := range []string{"0.0.0.0/0", "::/0"} {
			for _, one := range r.RangesIn(netip.MustParsePrefix(all)) {
				ranges = append(ranges, one.String())
			}
		}
		if c.want == "!" {
			must.Len(t, 1, warnings, must.Sprintf("%q", c.entry))
			test.Eq(t, c.entry, warnings[0].Entry)
			test.NotEq(t, "", warnings[0].Reason)
			test.StrContains(t, warnings[0].String(), fmt.Sprintf("%q", c.entry))
			test.SliceEmpty(t, ranges, test.Sprint(ranges))
			continue
		}
		test.SliceEmpty(t, warnings, test.Sprintf("%q", c.entry))
		test.Eq(t, c.want, strings.Join(ranges, " "), test.Sprintf("%q", c.entry))
	}
}

// Malformed entries do not affect the others, and are reported in their order.
func TestParseReservationsWarnsInOrder(t *testing.T) {
	r, warnings := pool.ParseReservations([]string{" 10.148.0.3 ", "", "10.152.0.999", "bogus", "10.152.0.8/30", "fd03::5"})
	must.Len(t, 2, warnings)
	test.Eq(t, "10.152.0.999", warnings[0].Entry)
	test.Eq(t, "bogus", warnings[1].Entry)
	for addr, want := range map[string]bool{"10.148.0.3": true, "10.148.0.4": false, "10.152.0.11": true, "10.152.0.12": false, "fd03::5": true, "fd03::6": false} {
		test.Eq(t, want, r.Contains(netip.MustParseAddr(addr)), test.Sprint(addr))
	}
}

func TestReservationsNone(t *testing.T) {
	parsed, _ := pool.ParseReservations(nil)
	for name, r := range map[string]*pool.Reservations{"nil": nil, "zero": {}, "parsed": parsed} {
		t.Run(name, func(t *testing.T) {
			p := netip.MustParsePrefix("10.0.0.0/24")
			test.False(t, r.Contains(p.Addr()))
			test.False(t, r.CoversPrefix(p))
			test.False(t, r.OverlapsPrefix(p))
			test.Nil(t, r.RangesIn(p))
			test.Zero(t, r.CountIn(p).Sign())
			_, ok := r.RangeOf(p.Addr())
			test.False(t, ok)
		})
	}
}

func TestReservationsOddQueries(t *testing.T) {
	r, _ := pool.ParseReservations([]string{"0.0.0.0/0", "::/0"})
	for _, addr := range []netip.Addr{{}, netip.MustParseAddr("fe80::1%eth0")} {
		test.False(t, r.Contains(addr), test.Sprintf("%v", addr))
	}
	test.False(t, r.CoversPrefix(netip.Prefix{}))
	test.False(t, r.OverlapsPrefix(netip.Prefix{}))
	test.Zero(t, r.CountIn(netip.Prefix{}).Sign())
	test.True(t, r.CoversPrefix(netip.MustParsePrefix("10.0.0.7/24")), test.Sprint("host bits do not matter"))

	all := netip.MustParsePrefix("::/0")
	test.Zero(t, r.CountIn(all).Cmp(new(big.Int).Lsh(big.NewInt(1), 128)), test.Sprint("one more than 128 bits hold"))
	test.Zero(t, r.CountIn(netip.MustParsePrefix("0.0.0.0/0")).Cmp(big.NewInt(1<<32)))

	// The caller owns the results.
	r.RangesIn(all)[0] = netipx.IPRange{}
	r.CountIn(all).SetInt64(7)
	test.True(t, r.CoversPrefix(all))
}

// reserved has the functions that the property of Reservations tests.
type reserved interface {
	Contains(netip.Addr) bool
	CoversPrefix(netip.Prefix) bool
	OverlapsPrefix(netip.Prefix) bool
	RangeOf(netip.Addr) (netipx.IPRange, bool)
	RangesIn(netip.Prefix) []netipx.IPRange
	CountIn(netip.Prefix) *big.Int
}

type reservationCase struct {
	entries []netip.Prefix // with host bits
	query   netip.Prefix   // with host bits
}

// reservationCases stays within the last 256 addresses of IPv4 and the first of IPv6, which are neighbours in order and in no
// other way.
var reservationCases = rapid.Custom(func(t *rapid.T) reservationCase {
	prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
		last, bits := rapid.Byte().Draw(t, "last"), rapid.IntRange(0, 8).Draw(t, "bits")
		if rapid.IntRange(0, 3).Draw(t, "family") == 0 {
			return netip.PrefixFrom(netip.AddrFrom16([16]byte{15: last}), 120+bits)
		}
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, last}), 24+bits)
	})
	small := rapid.Map(prefix, func(p netip.Prefix) netip.Prefix {
		return netip.PrefixFrom(p.Addr(), p.Addr().BitLen()-(p.Addr().BitLen()-p.Bits())/2)
	})
	return reservationCase{rapid.SliceOfN(small, 0, 12).Draw(t, "entries"), prefix.Draw(t, "query")}
})

// reservationProperty compares reservations with a list that is searched address
// by address.
func reservationProperty(parse func([]string) reserved) func(reservationCase) error {
	return func(c reservationCase) error {
		var texts []string
		for _, entry := range c.entries {
			texts = append(texts, entry.String())
		}
		r := parse(texts)
		naive := func(addr netip.Addr) bool {
			return slices.ContainsFunc(c.entries, func(p netip.Prefix) bool { return p.Contains(addr) })
		}
		var runs [][2]netip.Addr
		size, count := 0, 0
		for addr := c.query.Masked().Addr(); c.query.Contains(addr); addr = addr.Next() {
			size++
			if !naive(addr) {
				continue
			}
			count++
			if n := len(runs); n > 0 && runs[n-1][1].Next() == addr {
				runs[n-1][1] = addr
			} else {
				runs = append(runs, [2]netip.Addr{addr, addr})
			}
		}
		var wantRuns []string
		for _, run := range runs {
			wantRuns = append(wantRuns, run[0].String()+"-"+run[1].String())
		}
		addr := c.query.Addr()
		from, to := addr, addr
		if naive(addr) {
			for from.Prev().IsValid() && naive(from.Prev()) {
				from = from.Prev()
			}
			for to.Next().IsValid() && naive(to.Next()) {
				to = to.Next()
			}
		}
		run, found := r.RangeOf(addr)
		err := differs("run found", found, naive(addr))
		if found && err == nil {
			err = differs("run", run, from.String()+"-"+to.String())
		}
		return errors.Join(err,
			differs("contains", r.Contains(addr), naive(addr)),
			differs("covers", r.CoversPrefix(c.query), count == size),
			differs("overlaps", r.OverlapsPrefix(c.query), count > 0),
			differs("count", r.CountIn(c.query), count),
			differs("runs", r.RangesIn(c.query), wantRuns))
	}
}

func parseReserved(entries []string) *pool.Reservations {
	r, _ := pool.ParseReservations(entries)
	return r
}

func TestReservationsAreNaive(t *testing.T) {
	holds(t, reservationCases, reservationProperty(func(entries []string) reserved { return parseReserved(entries) }))
}

// Each broken variant does by single entries what must be done by their union.
type (
	brokenReserved struct {
		*pool.Reservations
		entries []string
	}
	coversByOne    struct{ brokenReserved }
	overlapsByEnd  struct{ brokenReserved }
	countsTwice    struct{ brokenReserved }
	runsUncut      struct{ brokenReserved }
	runOfOneEntry  struct{ brokenReserved }
	containsMasked struct{ brokenReserved }
)

func (b coversByOne) CoversPrefix(p netip.Prefix) bool {
	return slices.ContainsFunc(b.entries, func(entry string) bool { return parseReserved([]string{entry}).CoversPrefix(p) })
}

func (b overlapsByEnd) OverlapsPrefix(p netip.Prefix) bool {
	return b.Contains(p.Masked().Addr()) || b.Contains(netipx.PrefixLastIP(p))
}

func (b countsTwice) CountIn(p netip.Prefix) *big.Int {
	sum := new(big.Int)
	for _, entry := range b.entries {
		sum.Add(sum, parseReserved([]string{entry}).CountIn(p))
	}
	return sum
}

func (b runsUncut) RangesIn(p netip.Prefix) []netipx.IPRange {
	runs := b.Reservations.RangesIn(p)
	for i := range runs {
		runs[i], _ = b.RangeOf(runs[i].From())
	}
	return runs
}

func (b runOfOneEntry) RangeOf(addr netip.Addr) (netipx.IPRange, bool) {
	for _, entry := range b.entries {
		if run, ok := parseReserved([]string{entry}).RangeOf(addr); ok {
			return run, true
		}
	}
	return netipx.IPRange{}, false
}

func (b containsMasked) Contains(addr netip.Addr) bool { // one address of a CIDR with host bits
	return slices.ContainsFunc(b.entries, func(entry string) bool {
		p := netip.MustParsePrefix(entry)
		return p.Addr() == addr || p == p.Masked() && p.Contains(addr)
	})
}

func TestReservationsCatchBroken(t *testing.T) {
	for name, wrap := range map[string]func(brokenReserved) reserved{
		"covered by one entry":   func(b brokenReserved) reserved { return coversByOne{b} },
		"overlap at the ends":    func(b brokenReserved) reserved { return overlapsByEnd{b} },
		"counted per entry":      func(b brokenReserved) reserved { return countsTwice{b} },
		"runs beyond the prefix": func(b brokenReserved) reserved { return runsUncut{b} },
		"run of one entry":       func(b brokenReserved) reserved { return runOfOneEntry{b} },
		"host bits kept":         func(b brokenReserved) reserved { return containsMasked{b} },
	} {
		t.Run(name, func(t *testing.T) {
			rejects(t, reservationCases, reservationProperty(func(entries []string) reserved {
				return wrap(brokenReserved{parseReserved(entries), entries})
			}))
		})
	}
}

func FuzzReservations(f *testing.F) {
	f.Add("10.30.0.0/27,10.30.0.40,10.30.0.64/28", "10.30.0.0/24")
	f.Add(" 10.152.0.0/30,nonsense/33,10.152.0.4 ", "10.152.0.0/29")
	f.Add("::/0,0.0.0.0/0", "::/0")
	f.Add("::ffff:10.0.0.0/90,::ffff:10.0.0.0/104", "10.0.0.0/8")
	f.Add("fe80::1%eth0,,/", "fe80::/10")
	f.Fuzz(func(t *testing.T, text, query string) {
		entries := strings.Split(text, ",")
		r, warnings := pool.ParseReservations(entries)
		must.LessEq(t, len(entries), len(warnings))
		for _, w := range warnings {
			must.SliceContains(t, entries, w.Entry)
			must.StrNotContains(t, w.String(), "\n")
		}
		p, err := netip.ParsePrefix(query)
		if err != nil {
			return
		}
		parts, count := r.RangesIn(p), r.CountIn(p)
		size := new(big.Int).Lsh(big.NewInt(1), uint(p.Addr().BitLen()-p.Bits()))
		must.Eq(t, len(parts) > 0, r.OverlapsPrefix(p))
		must.Eq(t, len(parts) > 0, count.Sign() > 0)
		must.LessEq(t, 0, count.Cmp(size))
		must.Eq(t, r.CoversPrefix(p), count.Cmp(size) == 0)
		must.Eq(t, r.Contains(p.Addr()), slices.ContainsFunc(parts, func(part netipx.IPRange) bool { return part.Contains(p.Addr()) }))
		for i, part := range parts {
			must.True(t, p.Contains(part.From()) && p.Contains(part.To()))
			must.True(t, i == 0 || parts[i-1].To().Next().Less(part.From()), must.Sprint("gaps between parts"))
			run, ok := r.RangeOf(part.From())
			must.True(t, ok && !part.From().Less(run.From()) && !run.To().Less(part.To()))
		}
	})
}
