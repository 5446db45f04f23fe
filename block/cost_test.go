package block

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
)

func TestNoAllocations(t *testing.T) {
	b := halfFull("10.0.0.0/26")
	reserved := &Ordinals{}
	reserved.AddRange(0, 8)
	to := &Owner{MakeHandle("k8s-pod-network.ffff"), podAttrs(99)}
	dst := make([]int, 0, 64)
	now := time.Unix(1_700_000_000, 0)
	hot, cool := ColdAt(now, 0), ColdAt(now, time.Minute)
	warm := func() { // as many records as the half-full block and the test need
		dst = b.Take(dst[:0], 4, to, nil)
		b.Release(dst, now, cool)
		b.Collect(hot)
	}
	warm()
	var sink int
	for name, f := range map[string]func(){
		"Take and Release":       func() { dst = b.Take(dst[:0], 1, to, reserved); b.Release(dst, now, hot) },
		"four":                   func() { dst = b.Take(dst[:0], 4, to, nil); b.Release(dst, now, hot) },
		"TakeOrdinal":            func() { _ = b.TakeOrdinal(33, to); b.Release(append(dst[:0], 33), now, hot) },
		"cooldown":               warm,
		"Available":              func() { sink += b.Available(hot, reserved) },
		"Empty":                  func() { _ = b.Empty(hot) },
		"AppendHandle":           func() { dst = b.AppendHandle(dst[:0], to.Handle) },
		"Holder":                 func() { _, _, _ = b.Holder(2, hot) },
		"Allocation":             func() { _, _ = b.Allocation(2) },
		"Addr and Ordinal":       func() { sink, _ = b.Ordinal(b.Addr(5)) },
		"Attrs.Get":              func() { _, _ = to.Active.Get("pod") },
		"SetOwner":               func() { _ = b.SetOwner(2, &to.Active, nil) },
		"Collect without effect": func() { sink += b.Collect(hot) },
	} {
		test.Zero(t, testing.AllocsPerRun(100, f), test.Sprint(name))
	}
	must.NoError(t, b.Check())
}

// TestAttrsAllocations: a pod's attributes cost one allocation, their text. Many
// keys, and long ones, may cost more.
func TestAttrsAllocations(t *testing.T) {
	pod := map[string]string{"namespace": "default", "node": "node-1", "pod": "web-5d9c7b8f6-x2x7k"}
	test.Eq(t, 1.0, testing.AllocsPerRun(100, func() { MakeAttrs(pod) }))
}

// TestRecordSize: a cluster has a record for nearly every pod.
func TestRecordSize(t *testing.T) {
	if strconv.IntSize == 64 {
		test.Eq(t, 48, reflect.TypeFor[record]().Size())
	}
}

var kept []*Block // so that the compiler cannot drop them

// heapOf returns the bytes of heap a block takes.
func heapOf(make func(netip.Prefix) *Block, cidr string) int {
	const n = 1000
	prefix := netip.MustParsePrefix(cidr)
	make(prefix)
	kept = slicesOf(n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // the second frees what finalizers kept
	runtime.ReadMemStats(&before)
	for i := range n {
		kept[i] = make(prefix)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	clear(kept)
	return (int(after.HeapAlloc) - int(before.HeapAlloc)) / n
}

func slicesOf(n int) []*Block { return make([]*Block, n) }

// TestMemory limits the memory of blocks: a large cluster has thousands.
func TestMemory(t *testing.T) {
	empty := func(cidr netip.Prefix) *Block {
		b, err := New(cidr, 1)
		if err != nil {
			panic(err)
		}
		return b
	}
	full := func(cidr netip.Prefix) *Block {
		b := empty(cidr)
		b.Take(make([]int, 0, b.Size()), b.Size(), &Owner{}, nil)
		return b
	}
	for _, tc := range []struct {
		name string
		make func(netip.Prefix) *Block
		cidr string
		most int
	}{
		{"empty", empty, "10.0.0.0/26", 1280},
		{"full", full, "10.0.0.0/26", 64*20 + 128},
		{"empty", empty, "10.0.0.0/20", 4096 * 20},
		{"full", full, "10.0.0.0/20", 4096 * 20},
	} {
		t.Run(fmt.Sprint(tc.name, " ", tc.cidr), func(t *testing.T) {
			if tc.cidr == "10.0.0.0/20" {
				property.Slow(t)
			}
			got := heapOf(tc.make, tc.cidr)
			t.Logf("%d bytes", got)
			test.LessEq(t, tc.most, got)
		})
	}
}

// TestFewCells: a block has cells for the addresses that it ever needed them for, and
// is the same block when it gets more.
func TestFewCells(t *testing.T) {
	property.Slow(t)
	b, err := New(netip.MustParsePrefix("10.0.0.0/20"), 1)
	must.NoError(t, err)
	now := time.Unix(1_700_000_000, 0)
	for i := range MaxSize {
		want := 8
		for want <= i {
			want *= 8
		}
		must.Eq(t, []int{i}, b.Take(nil, 1, &Owner{Handle: MakeHandle(strconv.Itoa(i))}, nil))
		must.Len(t, want, b.cells, must.Sprintf("with %d addresses in use", i+1))
		if i%100 == 0 {
			again, err := Restore(b.State())
			must.NoError(t, err)
			must.Len(t, want, again.cells, must.Sprint("restored"))
			must.Eq(t, b.State(), again.State())
			must.NoError(t, errors.Join(b.Check(), again.Check()))
		}
	}

	b, err = New(netip.MustParsePrefix("10.0.0.0/26"), 1)
	must.NoError(t, err)
	for range 3 { // a pod that comes and goes
		ords := b.Take(nil, 1, &Owner{Handle: MakeHandle("h")}, nil)
		b.Release(ords, now, ColdAt(now, 0))
	}
	must.Len(t, 8, b.cells)
	must.NoError(t, b.TakeOrdinal(63, &Owner{Handle: MakeHandle("h")}))
	must.Len(t, 64, b.cells)
	must.Eq(t, []int{63}, b.AppendHandle(nil, MakeHandle("h")))
	must.NoError(t, b.Check())
}

// TestLines: what a pod needs when it comes or goes is in the first two cache lines of
// a block, and the record of its only pod is in one.
func TestLines(t *testing.T) {
	if math.MaxInt < math.MaxInt64 {
		t.Skip("pointers are smaller")
	}
	const line = 64
	var b Block
	end := unsafe.Offsetof(b.releases) + unsafe.Sizeof(b.releases)
	must.LessEq(t, 2*line, int(end))
	only := unsafe.Offsetof(b.few) + unsafe.Sizeof(b.few[0])
	must.Eq(t, int(only/line), int((only+unsafe.Sizeof(b.few[1])-1)/line), must.Sprint("lines of the second record"))
}
