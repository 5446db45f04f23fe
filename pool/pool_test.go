package pool_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ipamsim/ipamsim/pool"
	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
)

func TestPoolAccessors(t *testing.T) {
	uses := []pool.Use{pool.Workload}
	p, err := pool.New(pool.Spec{
		Name: "gpu", CIDR: netip.MustParsePrefix("10.1.0.0/16"), BlockSize: 28, NodeSelector: "has(gpu)",
		NamespaceSelector: "team == 'ml'", AllowedUses: uses, AssignmentMode: pool.Manual, Disabled: true,
	})
	must.NoError(t, err)
	test.Eq(t, "gpu", p.Name())
	test.Eq(t, "10.1.0.0/16", p.CIDR().String())
	test.Eq(t, 28, p.BlockSize())
	test.Eq(t, 12, p.BlockBits())
	test.True(t, p.Is4())
	test.True(t, p.Disabled())
	test.False(t, p.Automatic())
	test.True(t, p.SelectsNode(map[string]string{"gpu": ""}))
	test.False(t, p.SelectsNode(nil))
	test.True(t, p.SelectsNamespace(map[string]string{"team": "ml"}))
	test.False(t, p.SelectsNamespace(nil))

	uses[0] = pool.Tunnel
	p.Spec().AllowedUses[0] = pool.Tunnel
	test.True(t, p.Allows(pool.Workload), test.Sprint("neither the list passed in nor one handed out is the pool's"))
	test.False(t, p.Allows(pool.Tunnel))
	test.Eq(t, []pool.Use{pool.Workload}, p.Spec().AllowedUses)
}

func TestPoolDefaults(t *testing.T) {
	p := mustPool(t, "fd00::/48", 0)
	test.Eq(t, 122, p.BlockSize())
	test.Eq(t, 74, p.BlockBits())
	test.False(t, p.Is4())
	test.False(t, p.Disabled())
	test.True(t, p.Automatic())
	test.True(t, p.SelectsNode(nil))
	test.True(t, p.SelectsNamespace(map[string]string{"any": "thing"}))
	test.True(t, p.Allows(pool.Workload))
	test.True(t, p.Allows(pool.Tunnel))
	test.False(t, p.Allows(pool.LoadBalancer))
	test.False(t, p.Allows(""))
}

// The allocator takes an empty list as Workload and Tunnel, with a namespace selector too.
func TestPoolNamespaceSelectorKeepsUses(t *testing.T) {
	p, err := pool.New(pool.Spec{Name: "prod", CIDR: netip.MustParsePrefix("10.100.0.0/25"), BlockSize: 28, NamespaceSelector: "env == 'prod'"})
	must.NoError(t, err)
	test.True(t, p.Allows(pool.Workload))
	test.True(t, p.Allows(pool.Tunnel))
	test.SliceEmpty(t, p.Spec().AllowedUses)
}

func TestPoolContains(t *testing.T) {
	v4, v6 := mustPool(t, "10.0.0.0/24", 26), mustPool(t, "fe80::/64", 122)
	for _, c := range []struct {
		pool  *pool.Pool
		addr  string
		block string // empty if not contained
	}{
		{v4, "10.0.0.0", "10.0.0.0/26"},
		{v4, "10.0.0.63", "10.0.0.0/26"},
		{v4, "10.0.0.64", "10.0.0.64/26"},
		{v4, "10.0.0.255", "10.0.0.192/26"},
		{v4, "10.0.1.0", ""},
		{v4, "9.255.255.255", ""},
		{v4, "::ffff:10.0.0.1", ""},
		{v4, "fe80::1", ""},
		{v6, "fe80::", "fe80::/122"},
		{v6, "fe80::ffff:ffff:ffff:ffff", "fe80::ffff:ffff:ffff:ffc0/122"},
		{v6, "fe80::1%eth0", ""},
		{v6, "fe80:0:0:1::", ""},
		{v6, "10.0.0.0", ""},
	} {
		addr := netip.MustParseAddr(c.addr)
		block, ok := c.pool.BlockOf(addr)
		test.Eq(t, c.block != "", ok, test.Sprint(c.addr))
		test.Eq(t, c.block != "", c.pool.Contains(addr), test.Sprint(c.addr))
		if ok {
			test.Eq(t, c.block, block.String(), test.Sprint(c.addr))
			test.EqOp(t, block, c.pool.BlockAt(c.pool.IndexOf(addr)), test.Sprint(c.addr))
		} else {
			test.ZeroValue(t, block)
			test.True(t, c.pool.IndexOf(addr).Low(c.pool.BlockBits()) == c.pool.IndexOf(addr), test.Sprint("in range even so"))
		}
	}
	test.False(t, v4.Contains(netip.Addr{}))
	test.False(t, v6.Contains(netip.Addr{}))
}

func TestCheckBlock(t *testing.T) {
	p := mustPool(t, "10.0.0.0/24", 26)
	for block, ok := range map[string]bool{
		"10.0.0.0/26": true, "10.0.0.192/26": true, // its own
		"10.0.1.0/27": true, "10.0.1.0/24": true, "fd00::/122": true, // elsewhere
		"10.0.0.0/27": false, "10.0.0.128/25": false, "10.0.0.77/32": false, // of another size
		"10.0.0.0/24": false, "10.0.0.0/20": false, // the pool, and around it
	} {
		err := p.CheckBlock(netip.MustParsePrefix(block))
		if ok {
			test.NoError(t, err, test.Sprint(block))
			continue
		}
		test.ErrorIs(t, err, pool.ErrBlockSize, test.Sprint(block))
		test.ErrorContains(t, err, block)
		test.ErrorContains(t, err, `pool "p"`)
	}
	test.NoError(t, p.CheckBlock(netip.Prefix{}))
	test.NoError(t, mustPool(t, "10.0.0.0/26", 26).CheckBlock(netip.MustParsePrefix("10.0.0.0/26")), test.Sprint("a pool of one block"))
}

func TestTouching(t *testing.T) {
	service := pool.Range{Name: "service", Prefix: netip.MustParsePrefix("10.96.0.0/16")}
	hosts := pool.Range{Name: "hosts", Prefix: netip.MustParsePrefix("10.96.3.7/24")} // host bits do not matter
	host6 := pool.Range{Name: "hosts, IPv6", Prefix: netip.MustParsePrefix("fd00::/64")}
	ranges := []pool.Range{hosts, host6, service, {Name: "none"}}

	test.Eq(t, []pool.Range{hosts, service}, mustPool(t, "10.0.0.0/8", 26).Touching(ranges), test.Sprint("in the order given"))
	test.Eq(t, []pool.Range{service}, mustPool(t, "10.96.4.0/24", 26).Touching(ranges))
	test.Eq(t, []pool.Range{host6}, mustPool(t, "fd00::/48", 0).Touching(ranges))
	test.Nil(t, mustPool(t, "10.97.0.0/16", 26).Touching(ranges))
	test.Nil(t, mustPool(t, "10.97.0.0/16", 26).Touching(nil))
}

func TestPoolDoesNotAllocate(t *testing.T) {
	p, err := pool.New(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("fd00::/48"),
		NodeSelector: "zone in {'a', 'b'} && (name contains 'x' || !has(gpu)) && role != 'c'"})
	must.NoError(t, err)
	var set pool.Set
	must.NoError(t, set.Put(p))
	reserved, _ := pool.ParseReservations([]string{"fd00::/120", "fd00::3", "10.0.0.0/8"})
	labels := map[string]string{"zone": "b", "role": "x"}
	addr := netip.MustParseAddr("fd00::1:2:3:4")
	block, _ := p.BlockOf(addr)
	test.Zero(t, testing.AllocsPerRun(100, func() {
		if set.ByAddr(addr) != p || set.Get("p") != p || set.ByCIDR(p.CIDR()) != p || set.Covering(block) != p ||
			!p.Contains(addr) || p.BlockAt(p.IndexOf(addr).Next().Sub(pool.MakeIndex(0, 1))) != block || !p.SelectsNode(labels) ||
			!p.Allows(pool.Workload) || p.CheckBlock(block) != nil ||
			reserved.Contains(addr) || reserved.OverlapsPrefix(block) || reserved.CoversPrefix(block) {
			t.Error("a wrong answer")
		}
	}))
}

func TestBlocks(t *testing.T) {
	for _, tc := range []struct {
		cidr string
		size int
		want string
	}{
		{"10.0.0.0/26", 26, "[10.0.0.0/26]"},
		{"10.0.0.0/24", 26, "[10.0.0.0/26 10.0.0.64/26 10.0.0.128/26 10.0.0.192/26]"},
		{"255.255.255.252/30", 31, "[255.255.255.252/31 255.255.255.254/31]"},
		{"fd00::/120", 121, "[fd00::/121 fd00::80/121]"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127", 128, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/128 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128]"},
		{"10.0.0.0/27", 26, "[]"},
		{"10.0.0.0/26", 33, "[]"},
	} {
		test.Eq(t, tc.want, fmt.Sprint(slices.Collect(pool.Blocks(netip.MustParsePrefix(tc.cidr), tc.size))), test.Sprintf("%s in /%d", tc.cidr, tc.size))
	}
	test.SliceEmpty(t, slices.Collect(pool.Blocks(netip.Prefix{}, 26)))
	for b := range pool.Blocks(netip.MustParsePrefix("10.0.0.0/8"), 32) {
		test.Eq(t, "10.0.0.0/32", b.String())
		break
	}
}
