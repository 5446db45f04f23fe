package affinity

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
)

func TestNames(t *testing.T) {
	for _, c := range []struct{ cidr, name string }{
		{"192.168.1.64/26", "192-168-1-64-26"},
		{"10.0.0.0/8", "10-0-0-0-8"},
		{"0.0.0.0/0", "0-0-0-0-0"},
		{"255.255.255.255/32", "255-255-255-255-32"},
		{"fd00:10:244::dc0/122", "fd00-10-244--dc0-122"},
		{"fd00::/122", "fd00---122"},
		{"::/0", "---0"},
		{"::1/128", "--1-128"},
		{"2001:db8:1:2:3:4:5:6/128", "2001-db8-1-2-3-4-5-6-128"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124", "ffff-ffff-ffff-ffff-ffff-ffff-ffff-fff0-124"},
	} {
		cidr := netip.MustParsePrefix(c.cidr)
		must.Eq(t, c.name, CIDRName(cidr))
		must.Eq(t, "calico-ipam-worker-"+c.name, Name("calico-ipam-worker", cidr))
		must.Eq(t, "x.y:z/"+c.name, string(appendCIDRName([]byte("x.y:z/"), cidr)), must.Sprint("what was there stays as it is"))
	}
	// The host's part is not changed, not even its dots.
	must.Eq(t, "node.example.com-10-0-0-0-26", Name("node.example.com", netip.MustParsePrefix("10.0.0.0/26")))
}

// TestNameCut: names of 253 bytes or more are cut, always to the same name, and to
// a different one for each claim.
func TestNameCut(t *testing.T) {
	for _, text := range []string{"192.168.1.64/26", "fd00:10:244::dc0/122"} {
		cidr := netip.MustParsePrefix(text)
		suffix := "-" + CIDRName(cidr)
		longest := strings.Repeat("h", 252-len(suffix))
		must.Eq(t, longest+suffix, Name(longest, cidr), must.Sprint("252 bytes stay"))

		seen := make(map[string]string)
		for _, host := range []string{
			longest + "h",                            // 253 bytes
			longest + "i",                            // differs at the end only
			longest + "hh",                           // one byte longer
			longest + strings.Repeat("h", 300),       // far longer
			longest + strings.Repeat("h", 299) + "i", // differs where it is cut off
			"i" + longest,                            // differs at the front
		} {
			name := Name(host, cidr)
			must.Less(t, 253, len(name))
			must.Eq(t, name, Name(strings.Clone(host), cidr), must.Sprint("stable"))
			must.Eq(t, 252, len(name))
			must.True(t, strings.HasPrefix(name, host[:239-len(suffix)+1]+suffix+"-"), must.Sprintf("begins with the host, then the block: %s", name))
			must.RegexMatch(t, regexp.MustCompile(`-[0-9a-f]{11}$`), name)
			must.MapNotContainsKey(t, seen, name, must.Sprint("unique"))
			seen[name] = host
		}
		// Two blocks of one host.
		other := netip.PrefixFrom(cidr.Addr().Next(), cidr.Bits())
		must.NotEq(t, Name(longest+"h", cidr), Name(longest+"h", other))
	}
	// The hash is of "HOST+CIDR", as `printf HOST+10-0-0-0-26 | sha256sum` gives it.
	must.Eq(t, strings.Repeat("h", 228)+"-10-0-0-0-26-8c20e2b6dc0", Name(strings.Repeat("h", 250), netip.MustParsePrefix("10.0.0.0/26")))
}

// anyPrefix picks a prefix of either family, often near others.
func anyPrefix(src property.Source) netip.Prefix {
	bases := []string{"10.0.0.0", "10.0.9.255", "192.168.99.0", "0.0.0.0", "fd00::", "fd00:10:244::dc0", "::", "2001:db8:9:99:999:9999:1:0"}
	addr := netip.MustParseAddr(bases[src.Pick("base", len(bases))])
	for range src.Pick("steps", 12) {
		addr = addr.Next()
	}
	bytes := addr.AsSlice()
	if src.Pick("anywhere", 3) == 0 {
		for i := range bytes {
			bytes[i] = byte(src.Pick("byte", 256))
		}
	}
	addr, _ = netip.AddrFromSlice(bytes)
	bits := addr.BitLen() - src.Pick("bits", 13)
	if src.Pick("wide", 4) == 0 {
		bits = src.Pick("length", addr.BitLen()+1)
	}
	p := netip.PrefixFrom(addr, bits).Masked()
	if p.Addr().Is4In6() {
		// Not a block: see Claims.
		return netip.MustParsePrefix("fd00::ffff:0:0/112")
	}
	return p
}

// comparesNames checks a comparison against comparing the names by their
// definition.
func comparesNames(src property.Source, compare func(a, b netip.Prefix) int) error {
	a, b := anyPrefix(src), anyPrefix(src)
	name := func(p netip.Prefix) string {
		return strings.NewReplacer(".", "-", ":", "-", "/", "-").Replace(p.String())
	}
	want := strings.Compare(name(a), name(b))
	if got := compare(a, b); sign(got) != want {
		return fmt.Errorf("%s and %s compare %d, want %d", a, b, got, want)
	}
	if (want == 0) != (a == b) {
		return fmt.Errorf("%s and %s share a name", a, b)
	}
	if got := CIDRName(a); got != name(a) {
		return fmt.Errorf("%s is named %s, want %s", a, got, name(a))
	}
	return nil
}

func sign(n int) int { return min(max(n, -1), 1) }

func TestCompareCIDRNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := comparesNames(property.Rapid(t), CompareCIDRNames); err != nil {
			t.Fatal(err)
		}
	})
	must.Less(t, 0, CompareCIDRNames(netip.MustParsePrefix("10.0.0.16/28"), netip.MustParsePrefix("10.0.0.4/30")))
}

func TestCompareCIDRNamesRejects(t *testing.T) {
	for name, compare := range map[string]func(a, b netip.Prefix) int{
		"by address":       comparePrefixes,
		"by text":          func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) },
		"without the mask": func(a, b netip.Prefix) int { return strings.Compare(CIDRName(a)[:5], CIDRName(b)[:5]) },
		"IPv4 first": func(a, b netip.Prefix) int {
			if a.Addr().Is4() != b.Addr().Is4() {
				return a.Addr().BitLen() - b.Addr().BitLen()
			}
			return CompareCIDRNames(a, b)
		},
		"shorter first": func(a, b netip.Prefix) int {
			if d := len(CIDRName(a)) - len(CIDRName(b)); d != 0 {
				return d
			}
			return CompareCIDRNames(a, b)
		},
		"the wrong way": func(a, b netip.Prefix) int { return CompareCIDRNames(b, a) },
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error { return comparesNames(src, compare) })
		})
	}
}

// TestNamesUnique: claims of one owner never share a name, cut or not.
func TestNamesUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := property.Rapid(t)
		host := strings.Repeat("n", 1+src.Pick("host", 260))
		a, b := anyPrefix(src), anyPrefix(src)
		if (Name(host, a) == Name(host, b)) != (a == b) {
			t.Fatalf("%s and %s of %s are %s and %s", a, b, host, Name(host, a), Name(host, b))
		}
		if n := len(Name(host, a)); n >= 253 {
			t.Fatalf("%d bytes", n)
		}
	})
}

func TestNamesDoNotAllocate(t *testing.T) {
	a, b := netip.MustParsePrefix("192.168.1.64/26"), netip.MustParsePrefix("192.168.1.128/26")
	c := netip.MustParsePrefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124")
	buf := make([]byte, 0, 64)
	blocks := []netip.Prefix{c, b, a}
	for name, do := range map[string]func(){
		"CompareCIDRNames":      func() { CompareCIDRNames(a, b) },
		"CompareCIDRNames IPv6": func() { CompareCIDRNames(c, a) },
		"sorting":               func() { slices.SortFunc(blocks, CompareCIDRNames) },
		"appendCIDRName":        func() { buf = appendCIDRName(buf[:0], c) },
	} {
		must.Zero(t, testing.AllocsPerRun(100, do), must.Sprint(name))
	}
}

// TestCompareCIDRNamesOctets: every two numbers in the same place of IPv4 names
// compare as their texts.
func TestCompareCIDRNamesOctets(t *testing.T) {
	property.Slow(t)
	for x := range 256 {
		for y := range 256 {
			a := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(x), 7, 0}), 26)
			b := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(y), 6, 0}), 26)
			must.EqOp(t, strings.Compare(CIDRName(a), CIDRName(b)), CompareCIDRNames(a, b), must.Sprintf("%s %s", a, b))
		}
	}
}

// comparePrefixes orders prefixes by masked address, length and address, as
// netip.Prefix.Compare does, which needs Go 1.26.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(
		a.Masked().Addr().Compare(b.Masked().Addr()),
		cmp.Compare(a.Bits(), b.Bits()),
		a.Addr().Compare(b.Addr()),
	)
}
