package report

import (
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
)

// usage makes a Usage of numbers that fit an int64.
func usage(capacity, inUse, reserved, available int64) ipam.Usage {
	return ipam.Usage{
		Capacity: big.NewInt(capacity), InUse: big.NewInt(inUse),
		Reserved: big.NewInt(reserved), Available: big.NewInt(available),
	}
}

func blockUsage(cidr string, inUse, reserved, available int64) ipam.BlockUsage {
	p := netip.MustParsePrefix(cidr)
	return ipam.BlockUsage{CIDR: p, Usage: usage(1<<(p.Addr().BitLen()-p.Bits()), inUse, reserved, available)}
}

func poolUsage(cidr string, inUse, reserved, available int64, blocks ...ipam.BlockUsage) ipam.PoolUsage {
	b := blockUsage(cidr, inUse, reserved, available)
	return ipam.PoolUsage{Name: "p", CIDR: b.CIDR, Usage: b.Usage, Blocks: blocks}
}

// orphans is the entry that GetUtilization always adds.
func orphans(blocks ...ipam.BlockUsage) ipam.PoolUsage {
	return ipam.PoolUsage{
		Name: ipam.OrphanedBlocks, CIDR: netip.MustParsePrefix("0.0.0.0/0"),
		Usage: usage(0, 0, 0, 0), Blocks: blocks,
	}
}

// golden drops the first newline, which lets a literal start on its own line.
func golden(text string) string { return strings.TrimPrefix(text, "\n") }

// From the recordings (affinity-0, reservations-2, churn-0, large-blocks-0).
// newest is the calicoctl of the newest release.
var newest Calicoctl

func TestPools(t *testing.T) {
	for name, c := range map[string]struct {
		usage []ipam.PoolUsage
		want  string
	}{
		"two pools": {
			[]ipam.PoolUsage{poolUsage("10.60.0.0/24", 187, 0, 69), poolUsage("10.61.0.0/25", 51, 0, 77), orphans()}, `
+----------+--------------+-----------+------------+--------------+----------+
| GROUPING | CIDR         | IPS TOTAL | IPS IN USE | IPS RESERVED | IPS FREE |
+----------+--------------+-----------+------------+--------------+----------+
| IP Pool  | 10.60.0.0/24 |       256 |  187 (73%) |       0 (0%) | 69 (27%) |
| IP Pool  | 10.61.0.0/25 |       128 |   51 (40%) |       0 (0%) | 77 (60%) |
+----------+--------------+-----------+------------+--------------+----------+
`},
		"wide column of what is free": {
			[]ipam.PoolUsage{poolUsage("192.168.0.0/16", 171, 0, 65365), orphans()}, `
+----------+----------------+-----------+------------+--------------+--------------+
| GROUPING | CIDR           | IPS TOTAL | IPS IN USE | IPS RESERVED | IPS FREE     |
+----------+----------------+-----------+------------+--------------+--------------+
| IP Pool  | 192.168.0.0/16 |     65536 |   171 (0%) |       0 (0%) | 65365 (100%) |
+----------+----------------+-----------+------------+--------------+--------------+
`},
		"both families": {
			[]ipam.PoolUsage{poolUsage("10.158.0.0/26", 23, 0, 41), poolUsage("fd04::/120", 19, 0, 237), orphans()}, `
+----------+---------------+-----------+------------+--------------+-----------+
| GROUPING | CIDR          | IPS TOTAL | IPS IN USE | IPS RESERVED | IPS FREE  |
+----------+---------------+-----------+------------+--------------+-----------+
| IP Pool  | 10.158.0.0/26 |        64 |   23 (36%) |       0 (0%) |  41 (64%) |
| IP Pool  | fd04::/120    |       256 |    19 (7%) |       0 (0%) | 237 (93%) |
+----------+---------------+-----------+------------+--------------+-----------+
`},
		"no pool": {
			[]ipam.PoolUsage{orphans(blockUsage("10.0.0.0/30", 1, 0, 3))}, `
+----------+------+-----------+------------+--------------+----------+
| GROUPING | CIDR | IPS TOTAL | IPS IN USE | IPS RESERVED | IPS FREE |
+----------+------+-----------+------------+--------------+----------+
+----------+------+-----------+------------+--------------+----------+
`},
	} {
		t.Run(name, func(t *testing.T) {
			must.Eq(t, golden(c.want), newest.Pools(c.usage))
		})
	}
}

// From the recordings (multi-pool-1, reservations): blocks stand under their
// pool, orphaned ones under the last.
func TestBlocks(t *testing.T) {
	u := []ipam.PoolUsage{
		poolUsage("10.1.0.0/24", 2, 16, 239, blockUsage("10.1.0.160/28", 2, 1, 14)),
		poolUsage("10.2.0.0/26", 8, 0, 56, blockUsage("10.2.0.0/29", 8, 0, 0), blockUsage("10.2.0.16/29", 0, 0, 8)),
		orphans(blockUsage("10.3.0.56/30", 0, 0, 4)),
	}
	must.Eq(t, golden(`
+----------+---------------+-----------+------------+--------------+-----------+
| GROUPING | CIDR          | IPS TOTAL | IPS IN USE | IPS RESERVED | IPS FREE  |
+----------+---------------+-----------+------------+--------------+-----------+
| IP Pool  | 10.1.0.0/24   |       256 |     2 (1%) |      16 (6%) | 239 (93%) |
| Block    | 10.1.0.160/28 |        16 |    2 (12%) |       1 (6%) |  14 (88%) |
| IP Pool  | 10.2.0.0/26   |        64 |    8 (12%) |       0 (0%) |  56 (88%) |
| Block    | 10.2.0.0/29   |         8 |   8 (100%) |       0 (0%) |    0 (0%) |
| Block    | 10.2.0.16/29  |         8 |     0 (0%) |       0 (0%) |  8 (100%) |
| Block    | 10.3.0.56/30  |         4 |     0 (0%) |       0 (0%) |  4 (100%) |
+----------+---------------+-----------+------------+--------------+-----------+
`), newest.Blocks(u))
	must.StrNotContains(t, newest.Pools(u), "Block ", must.Sprint("blocks belong to the other table"))
}

// Large numbers have five digits, and halves of a percent are rounded to even.
func TestUsageNumbers(t *testing.T) {
	huge := ipam.PoolUsage{Name: "six", CIDR: netip.MustParsePrefix("fd5f:abcd:64::/48"), Usage: usage(0, 5, 0, 0)}
	huge.Capacity = new(big.Int).Lsh(big.NewInt(1), 80)
	huge.Available = new(big.Int).Sub(huge.Capacity, huge.InUse)
	must.StrContains(t, newest.Pools([]ipam.PoolUsage{huge}), "| 1.2089e+24 |     5 (0%) |       0 (0%) | 1.2089e+24 (100%) |")

	for inUse, percent := range map[int64]string{1: "12", 3: "38", 5: "62", 7: "88"} {
		must.StrContains(t, newest.Pools([]ipam.PoolUsage{poolUsage("10.0.0.0/29", inUse, 0, 8-inUse)}), fmt.Sprintf(" %d (%s%%) |", inUse, percent))
	}
	must.StrContains(t, newest.Pools([]ipam.PoolUsage{poolUsage("10.0.0.0/12", 123456, 0, 925120)}), "| 1.0486e+06 | 1.2346e+05 (12%) |")
}

// The form of older releases, as Calico's documentation prints it.
func TestUsageOfOlderReleases(t *testing.T) {
	four := poolUsage("10.65.0.0/16", 78, 6, 65452, blockUsage("10.65.79.0/26", 78, 6, 0))
	four.Blocks[0].InUse = big.NewInt(5)
	six := ipam.PoolUsage{Name: "six", CIDR: netip.MustParsePrefix("fd5f:abcd:64::/48"), Usage: usage(0, 0, 0, 0)}
	six.Capacity = new(big.Int).Lsh(big.NewInt(1), 80)
	six.Available = six.Capacity
	u := []ipam.PoolUsage{four, six, orphans(blockUsage("10.0.0.0/29", 3, 1, 4))}

	must.Eq(t, golden(`
+----------+-------------------+------------+------------+-------------------+
| GROUPING |       CIDR        | IPS TOTAL  | IPS IN USE |     IPS FREE      |
+----------+-------------------+------------+------------+-------------------+
| IP Pool  | 10.65.0.0/16      |      65536 | 78 (0%)    | 65458 (100%)      |
| IP Pool  | fd5f:abcd:64::/48 | 1.2089e+24 | 0 (0%)     | 1.2089e+24 (100%) |
+----------+-------------------+------------+------------+-------------------+
`), Calicoctl(calico.V3(28)).Pools(u))
	must.Eq(t, golden(`
+----------+-------------------+------------+------------+-------------------+
| GROUPING |       CIDR        | IPS TOTAL  | IPS IN USE |     IPS FREE      |
+----------+-------------------+------------+------------+-------------------+
| IP Pool  | 10.65.0.0/16      |      65536 | 78 (0%)    | 65458 (100%)      |
| Block    | 10.65.79.0/26     |         64 | 5 (8%)     | 59 (92%)          |
| IP Pool  | fd5f:abcd:64::/48 | 1.2089e+24 | 0 (0%)     | 1.2089e+24 (100%) |
| Block    | 10.0.0.0/29       |          8 | 3 (38%)    | 5 (62%)           |
+----------+-------------------+------------+------------+-------------------+
`), Calicoctl(calico.V3(28)).Blocks(u))
	must.Eq(t, golden(`
+----------+------+-----------+------------+----------+
| GROUPING | CIDR | IPS TOTAL | IPS IN USE | IPS FREE |
+----------+------+-----------+------------+----------+
+----------+------+-----------+------------+----------+
`), Calicoctl(calico.V3(28)).Pools(nil))
}

// v3.32 already knew virtual machines and both owners of an address, but still
// drew tables with the older library.
func TestReleasesInBetween(t *testing.T) {
	a := newAllocator(t)
	ip := assign(t, a, "10.0.0.4", "a", "h", map[string]string{"node": "b", "namespace": "n", "vmi-name": "vm"})
	for v, want := range map[calico.Version][2]string{
		calico.V3(31): {"|    IP    | BORROWING-NODE |    BLOCK    | BLOCK OWNER | TYPE | ALLOCATED-TO |", "IP 10.0.0.4 is in use\nAttributes:\n  namespace: n\n"},
		calico.V3(32): {"|    IP    | BORROWING-NODE |    BLOCK    | BLOCK OWNER | TYPE | ALLOCATED-TO |", "IP 10.0.0.4 is in use\nHandle ID: h\nActive Owner Attributes:\n"},
		calico.V3(33): {"| IP       | BORROWING-NODE | BLOCK       | BLOCK OWNER | TYPE | ALLOCATED-TO |", "IP 10.0.0.4 is in use\nHandle ID: h\nActive Owner Attributes:\n"},
	} {
		must.StrContains(t, Calicoctl(v).Borrowed(a.State()), want[0], must.Sprintf("%s", v))
		must.Eq(t, v != calico.V3(31), strings.Contains(Calicoctl(v).Borrowed(a.State()), "| vmi "), must.Sprintf("%s", v))
		text, err := Calicoctl(v).IP(a, ip)
		must.NoError(t, err)
		must.StrContains(t, text, want[1], must.Sprintf("%s", v))
		must.Eq(t, v == calico.V3(33), strings.Contains(Calicoctl(v).Pools(a.GetUtilization()), "RESERVED"), must.Sprintf("%s", v))
	}
}

// A Usage without numbers counts nothing.
func TestUsageZero(t *testing.T) {
	u := []ipam.PoolUsage{{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/24"), Usage: ipam.Usage{Capacity: big.NewInt(256)}}}
	must.StrContains(t, newest.Pools(u), "|       256 |     0 (0%) |       0 (0%) |   0 (0%) |")
}
