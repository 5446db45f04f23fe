package pool_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/ipamsim/ipamsim/pool"
	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
)

// problems splits the error of Validate.
func problems(t testing.TB, err error) []*pool.InvalidError {
	t.Helper()
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	must.True(t, ok, must.Sprintf("%v is joined errors", err))
	var all []*pool.InvalidError
	for _, one := range joined.Unwrap() {
		var invalid *pool.InvalidError
		must.ErrorAs[*pool.InvalidError](t, one, &invalid)
		must.ErrorIs(t, one, pool.ErrInvalid)
		all = append(all, invalid)
	}
	return all
}

func TestValidate(t *testing.T) {
	mapped := netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 120)
	cidr := func(s string) func(*pool.Spec) {
		return func(spec *pool.Spec) { spec.CIDR = netip.MustParsePrefix(s) }
	}
	for _, c := range []struct {
		name   string
		change func(*pool.Spec) // of a valid IPv4 pool
		want   string           // "field=value: reason", with the start of the reason; empty for valid
	}{
		{"as it is", func(s *pool.Spec) {}, ""},
		{"no name", func(s *pool.Spec) { s.Name = "" }, "name=: must not be empty"},
		{"longest name", func(s *pool.Spec) { s.Name = strings.Repeat("n", 253) }, ""},
		{"name too long", func(s *pool.Spec) { s.Name = strings.Repeat("n", 254) }, "name=" + strings.Repeat("n", 254) + ": is 254 bytes long"},
		{"newline in name", func(s *pool.Spec) { s.Name = "a\nb" }, "name=a\nb: must not contain control"},
		{"delete in name", func(s *pool.Spec) { s.Name = "a\x7f" }, "name=a\x7f: must not contain control"},
		{"name of Kubernetes' taste", func(s *pool.Spec) { s.Name = "Übel_ & schön" }, ""},

		{"no CIDR", func(s *pool.Spec) { s.CIDR = netip.Prefix{} }, "cidr=invalid Prefix: is not a CIDR"},
		{"too many bits", func(s *pool.Spec) { s.CIDR = netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33) }, "cidr=invalid Prefix: is not a CIDR"},
		{"host bits", cidr("10.0.0.1/24"), "cidr=10.0.0.1/24: has host bits set, the network is 10.0.0.0/24"},
		{"host bits, IPv6", cidr("fd00::1/64"), "cidr=fd00::1/64: has host bits set"},
		{"mapped", func(s *pool.Spec) { s.CIDR = mapped }, "cidr=::ffff:10.0.0.0/120: must be written as IPv4"},
		{"everything", cidr("0.0.0.0/0"), ""},
		{"everything, IPv6", cidr("::/0"), ""},
		{"one block", cidr("10.0.0.0/26"), ""},
		{"less than a default block", cidr("10.0.0.0/27"), "cidr=10.0.0.0/27: is smaller than a block of /26"},
		{"less than a default block, IPv6", cidr("fd00::/123"), "cidr=fd00::/123: is smaller than a block of /122"},

		{"largest block", func(s *pool.Spec) { s.BlockSize = 20 }, ""},
		{"smallest block", func(s *pool.Spec) { s.BlockSize = 32 }, ""},
		{"block too large", func(s *pool.Spec) { s.BlockSize = 19 }, "blockSize=19: must be from 20 to 32"},
		{"block too small", func(s *pool.Spec) { s.BlockSize = 33 }, "blockSize=33: must be from 20 to 32"},
		{"negative block size", func(s *pool.Spec) { s.BlockSize = -1 }, "blockSize=-1: must be from 20 to 32"},
		{"IPv6 block size of IPv4", func(s *pool.Spec) { cidr("fd00::/64")(s); s.BlockSize = 26 }, "blockSize=26: must be from 116 to 128"},
		{"largest block, IPv6", func(s *pool.Spec) { cidr("fd00::/64")(s); s.BlockSize = 116 }, ""},
		{"smallest block, IPv6", func(s *pool.Spec) { cidr("fd00::/64")(s); s.BlockSize = 128 }, ""},
		{"block too large, IPv6", func(s *pool.Spec) { cidr("fd00::/64")(s); s.BlockSize = 115 }, "blockSize=115: must be from 116 to 128"},
		{"block too small, IPv6", func(s *pool.Spec) { cidr("fd00::/64")(s); s.BlockSize = 129 }, "blockSize=129: must be from 116 to 128"},

		{"selectors", func(s *pool.Spec) { s.NodeSelector, s.NamespaceSelector = "has(a)", "b == 'c'" }, ""},
		{"node selector", func(s *pool.Spec) { s.NodeSelector = "zone = 'a'" }, "nodeSelector=zone = 'a': pool: selector syntax at offset 5"},
		{"namespace selector", func(s *pool.Spec) { s.NamespaceSelector = "has(" }, "namespaceSelector=has(: pool: selector syntax at offset 4"},

		{"unknown use", func(s *pool.Spec) { s.AllowedUses = []pool.Use{"Workload", "workload"} }, "allowedUses=workload: must be Workload"},
		{"empty use", func(s *pool.Spec) { s.AllowedUses = []pool.Use{""} }, "allowedUses=: must be Workload"},
		{"use named twice", func(s *pool.Spec) { s.AllowedUses = []pool.Use{"Tunnel", "Tunnel"} }, ""},
		{"load balancer", func(s *pool.Spec) { s.AllowedUses = []pool.Use{"LoadBalancer"} }, ""},
		{"load balancer and others", func(s *pool.Spec) { s.AllowedUses = []pool.Use{"LoadBalancer", "Workload"} }, "allowedUses=LoadBalancer,Workload: LoadBalancer cannot be combined"},
		{"load balancer, all()", func(s *pool.Spec) { s.AllowedUses, s.NodeSelector = []pool.Use{"LoadBalancer"}, "all()" }, ""},
		{"load balancer, global()", func(s *pool.Spec) { s.AllowedUses, s.NodeSelector = []pool.Use{"LoadBalancer"}, "global()" }, "nodeSelector=global(): must be empty or all()"},
		{"load balancer, namespaces", func(s *pool.Spec) { s.AllowedUses, s.NamespaceSelector = []pool.Use{"LoadBalancer"}, "has(a)" }, ""},
		{"tunnel, namespaces", func(s *pool.Spec) { s.AllowedUses, s.NamespaceSelector = []pool.Use{"Workload", "Tunnel"}, "has(a)" }, "namespaceSelector=has(a): must be empty or all() where Tunnel"},
		{"tunnel, all()", func(s *pool.Spec) { s.AllowedUses, s.NamespaceSelector = []pool.Use{"Tunnel"}, "all()" }, ""},
		{"workload, namespaces", func(s *pool.Spec) { s.AllowedUses, s.NamespaceSelector = []pool.Use{"Workload"}, "has(a)" }, ""},
		{"default uses, namespaces", func(s *pool.Spec) { s.NamespaceSelector = "has(a)" }, ""},

		{"automatic", func(s *pool.Spec) { s.AssignmentMode = pool.Automatic }, ""},
		{"manual", func(s *pool.Spec) { s.AssignmentMode = pool.Manual }, ""},
		{"mode", func(s *pool.Spec) { s.AssignmentMode = "manual" }, "assignmentMode=manual: must be Automatic or Manual"},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/16")}
			c.change(&spec)
			err := spec.Validate()
			made, newErr := pool.New(spec)
			test.Eq(t, err, newErr, test.Sprint("New says the same"))
			test.Eq(t, err == nil, spec.WithDefaults().Validate() == nil, test.Sprint("defaults change no verdict"))
			if c.want == "" {
				must.NoError(t, err)
				again, err := pool.New(made.Spec())
				must.NoError(t, err, must.Sprint("a pool's own spec is valid"))
				test.Eq(t, made.Spec(), again.Spec())
				return
			}
			test.Nil(t, made)
			must.ErrorIs(t, err, pool.ErrInvalid)
			all := problems(t, err)
			must.Len(t, 1, all, must.Sprintf("%v", err))
			got := all[0].Field + "=" + all[0].Value + ": " + all[0].Reason
			test.True(t, strings.HasPrefix(got, c.want), test.Sprintf("got  %q\nwant %q", got, c.want))
			test.Eq(t, spec.Name, all[0].Pool)
			test.StrNotContains(t, err.Error(), "\n", test.Sprint("one problem, one line"))
		})
	}
}

// Validate reports everything that is wrong at once.
func TestValidateAll(t *testing.T) {
	err := pool.Spec{
		CIDR: netip.MustParsePrefix("10.0.0.1/24"), BlockSize: 40,
		NodeSelector: "(", NamespaceSelector: ")", AllowedUses: []pool.Use{"LoadBalancer", "Tunnel", "Cake"}, AssignmentMode: "x",
	}.Validate()
	var fields []string
	for _, one := range problems(t, err) {
		fields = append(fields, one.Field)
	}
	test.Eq(t, []string{
		"name", "cidr", "blockSize", "nodeSelector", "namespaceSelector",
		"allowedUses", "allowedUses", "nodeSelector", "namespaceSelector", "assignmentMode",
	}, fields)
	var syntax *pool.SyntaxError
	must.ErrorAs[*pool.SyntaxError](t, err, &syntax)
	test.Eq(t, "(", syntax.Selector)
	test.False(t, errors.Is(err, pool.ErrOverlap), test.Sprint(err))

	fields = nil
	for _, one := range problems(t, pool.Spec{}.Validate()) {
		fields = append(fields, one.Field)
	}
	test.Eq(t, []string{"name", "cidr"}, fields, test.Sprint("the zero spec"))
}

func TestWithDefaults(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/48")
	both := []pool.Use{pool.Workload, pool.Tunnel}
	test.Eq(t, pool.Spec{CIDR: v4, BlockSize: 26, AllowedUses: both, AssignmentMode: pool.Automatic}, pool.Spec{CIDR: v4}.WithDefaults())
	test.Eq(t, pool.Spec{CIDR: v6, BlockSize: 122, AllowedUses: both, AssignmentMode: pool.Automatic}, pool.Spec{CIDR: v6}.WithDefaults())
	test.Zero(t, pool.Spec{}.WithDefaults().BlockSize, test.Sprint("of no family"))
	test.SliceEmpty(t, pool.Spec{CIDR: v4, NamespaceSelector: "has(a)"}.WithDefaults().AllowedUses)

	full := pool.Spec{Name: "n", CIDR: v4, BlockSize: 30, NodeSelector: "a=='b'", NamespaceSelector: "all()",
		AllowedUses: []pool.Use{pool.Tunnel}, AssignmentMode: pool.Manual, Disabled: true}
	filled := full.WithDefaults()
	test.Eq(t, full, filled, test.Sprint("nothing to fill in"))
	filled.AllowedUses[0] = pool.Workload
	test.Eq(t, pool.Tunnel, full.AllowedUses[0], test.Sprint("the list is the caller's own"))
}

func TestUseValid(t *testing.T) {
	for use, want := range map[pool.Use]bool{pool.Workload: true, pool.Tunnel: true, pool.LoadBalancer: true, "": false, "tunnel": false} {
		test.Eq(t, want, use.Valid(), test.Sprintf("%q", use))
	}
}

func FuzzValidate(f *testing.F) {
	f.Add("p", "10.0.0.0/16", 26, "has(a)", "", "Workload,Tunnel", "Automatic", "10.0.0.1")
	f.Add("v6", "fd00::/48", 0, "", "env == 'prod'", "", "Manual", "fd00::1")
	f.Add("one", "10.0.0.0/32", 32, "all()", "all()", "LoadBalancer", "", "10.0.0.0")
	f.Add("all", "::/0", 128, "", "", "Tunnel", "", "::")
	f.Add("mapped", "::ffff:10.0.0.0/120", 122, "", "", "", "", "::ffff:10.0.0.1")
	f.Add("", "0.0.0.0/0", 20, "(", "!", ",", "x", "fe80::1%eth0")
	f.Fuzz(func(t *testing.T, name, cidr string, blockSize int, node, namespace, uses, mode, address string) {
		spec := pool.Spec{Name: name, BlockSize: blockSize, NodeSelector: node, NamespaceSelector: namespace, AssignmentMode: pool.Mode(mode)}
		spec.CIDR, _ = netip.ParsePrefix(cidr)
		if uses != "" {
			for _, use := range strings.Split(uses, ",") {
				spec.AllowedUses = append(spec.AllowedUses, pool.Use(use))
			}
		}
		err := spec.Validate()
		p, newErr := pool.New(spec)
		must.Eq(t, err == nil, newErr == nil)
		if err != nil {
			must.ErrorIs(t, err, pool.ErrInvalid)
			must.SliceNotEmpty(t, problems(t, err))
			_ = err.Error()
			return
		}
		checkUsable(t, p)
		if addr, err := netip.ParseAddr(address); err == nil && p.Contains(addr) {
			block, ok := p.BlockOf(addr)
			must.True(t, ok)
			must.EqOp(t, block, p.BlockAt(p.IndexOf(addr)))
			must.NoError(t, p.CheckBlock(block))
		}
	})
}

// checkUsable calls every method of a pool, and checks that the answers are
// consistent.
func checkUsable(t testing.TB, p *pool.Pool) {
	t.Helper()
	spec := p.Spec()
	again, err := pool.New(spec)
	must.NoError(t, err)
	must.Eq(t, spec, again.Spec())
	must.EqOp(t, spec.CIDR, p.CIDR())
	must.Eq(t, spec.Name, p.Name())
	must.Eq(t, p.BlockSize()-p.CIDR().Bits(), p.BlockBits())
	must.Eq(t, p.CIDR().Addr().Is4(), p.Is4())
	must.True(t, p.Allows(pool.Workload) || p.Allows(pool.Tunnel) || p.Allows(pool.LoadBalancer))
	must.False(t, p.Allows("Cake"))
	_ = p.SelectsNode(nil) || p.SelectsNamespace(nil) || p.Disabled() || p.Automatic()
	last := fromBig(toBig(pool.Index{}).SetBit(toBig(pool.Index{}), p.BlockBits(), 1)).Sub(pool.MakeIndex(0, 1)).Low(p.BlockBits())
	must.EqOp(t, p.BlockAt(pool.Index{}), p.BlockAt(last.Next()), must.Sprint("round the end"))
	steps := 0
	for block := range p.Order("host", epoch) {
		must.True(t, p.Contains(block.Addr()))
		must.Eq(t, p.BlockSize(), block.Bits())
		must.EqOp(t, block, block.Masked())
		must.EqOp(t, block, p.BlockAt(p.IndexOf(block.Addr())))
		must.False(t, last.Less(p.IndexOf(block.Addr())))
		if steps++; steps > 10 {
			break
		}
	}
	var set pool.Set
	must.NoError(t, set.Put(p))
	must.NoError(t, errors.Join(set.Check()))
	must.EqOp(t, p, set.Covering(p.BlockAt(last)))
}
