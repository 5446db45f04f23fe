package block

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
)

func TestAddr(t *testing.T) {
	for _, cidr := range []string{
		"10.0.0.0/32", "10.0.0.255/32", "10.0.0.64/26", "10.255.240.0/20", "192.168.1.252/30",
		"fd00::/128", "fd00::40/122", "fd00::ffff:f000/116", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:f000/116", "::ffff:10.0.0.0/122",
	} {
		t.Run(cidr, func(t *testing.T) {
			b := newBlock(t, cidr)
			test.EqOp(t, netip.MustParsePrefix(cidr), b.CIDR())
			addr := b.CIDR().Addr()
			for ord := range b.Size() {
				must.EqOp(t, addr, b.Addr(ord))
				got, ok := b.Ordinal(addr)
				test.True(t, ok)
				test.EqOp(t, ord, got)
				addr = addr.Next()
			}
			test.False(t, b.Addr(-1).IsValid())
			test.False(t, b.Addr(b.Size()).IsValid())
			for _, other := range []netip.Addr{{}, addr, b.CIDR().Addr().Prev(), b.Addr(0).WithZone("eth0")} {
				if other.Is4() && other.IsValid() && b.CIDR().Contains(other) {
					continue // IPv4 has no zones
				}
				_, ok := b.Ordinal(other)
				test.False(t, ok, test.Sprint(other))
			}
		})
	}
	b := newBlock(t, "10.0.0.0/26")
	_, ok := b.Ordinal(netip.MustParseAddr("::ffff:10.0.0.1"))
	test.False(t, ok)
}

func TestColdAt(t *testing.T) {
	at := time.Unix(1000, 0)
	for _, tc := range []struct {
		now      time.Time
		cooldown time.Duration
		want     Cold
	}{
		{at, 0, 1000},
		{at.Add(999 * time.Millisecond), 0, 1000},
		{at, 30 * time.Second, 970},
		{at.Add(999 * time.Millisecond), 30 * time.Second, 970},
		{at, 1500 * time.Millisecond, 998},
		{at.Add(500 * time.Millisecond), 1500 * time.Millisecond, 999},
		{time.Unix(-1, 500_000_000), 0, -1},
	} {
		test.Eq(t, tc.want, ColdAt(tc.now, tc.cooldown), test.Sprint(tc))
	}
}

// TestHandlesByContent: equal handles share a record whatever lies between, and
// different handles of the same sum do not.
func TestHandlesByContent(t *testing.T) {
	b := newBlock(t, "10.0.0.0/26")
	long, same := equalSums()
	for range 2 {
		for _, h := range []string{long, same, "", "x", "1234567", "12345678"} {
			b.Take(nil, 1, &Owner{Handle: MakeHandle(string([]byte(h)))}, nil)
		}
	}
	test.Len(t, 6, b.Records())
	test.Eq(t, []int{0, 6}, b.AppendHandle(nil, MakeHandle(long)))
	test.Eq(t, []int{1, 7}, b.AppendHandle(nil, MakeHandle(same)))
	test.SliceEmpty(t, b.AppendHandle(nil, Handle{}))
	test.SliceEmpty(t, b.AppendHandle(nil, MakeHandle("nobody's handle")))
}

// equalSums returns two handles that have the same sum.
func equalSums() (one, other string) {
	seen := make(map[uint32]string)
	for i := 0; ; i++ {
		other = fmt.Sprintf("k8s-pod-network.%064x", i)
		sum := MakeHandle(other).Hash()
		if one = seen[sum]; one != "" {
			return one, other
		}
		seen[sum] = other
	}
}

// TestNumbersDoNotRunOut: counts are 16 bits wide, and so are links.
func TestNumbersDoNotRunOut(t *testing.T) {
	b := newBlock(t, "fd00::/116")
	for i, h := range podHandles(MaxSize) {
		test.Eq(t, []int{i}, b.Take(nil, 1, &Owner{Handle: MakeHandle(h)}, nil))
	}
	test.SliceEmpty(t, b.Take(nil, 1, &Owner{}, nil))
	all := make([]int, MaxSize)
	for i := range all {
		all[i] = MaxSize - 1 - i
	}
	b.Release(all, start, ColdAt(start, time.Second))
	test.Eq(t, MaxSize, b.Cooling())
	test.Len(t, 1, b.Records())
	test.Eq(t, MaxSize, b.Available(ColdAt(start, 0), nil))
	test.True(t, b.Empty(ColdAt(start, 0)))
	test.Eq(t, MaxSize, b.Collect(ColdAt(start, 0)))
	test.Len(t, MaxSize, b.Take(nil, MaxSize+1, &Owner{Handle: MakeHandle(HostReservedHandle)}, nil))
	test.True(t, b.Empty(0))
}
