package block

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
	"pgregory.net/rapid"
)

// TestReleaseMoments: a cooling record keeps any release time.
func TestReleaseMoments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64().Draw(t, "at"), 0).UTC()
		if at.IsZero() || at.Unix() == never {
			t.Skip("stands for no release")
		}
		b, err := Restore(State{
			CIDR: netip.MustParsePrefix("10.0.0.0/31"), Queue: []int{1},
			Records: []Record{{ReleasedAt: at}}, Index: []int{0, -1}, Seqs: []uint64{0, 0},
		})
		must.NoError(t, err)
		test.EqOp(t, at, b.Records()[0].ReleasedAt)
		oldest, _ := b.OldestRelease()
		test.Eq(t, at.Unix(), oldest)
	})
}

// TestNumbersRunOut: when the numbers of the records run out the order stays, with
// short handles and with long ones.
func TestNumbersRunOut(t *testing.T) {
	for _, prefix := range []string{"", "7 bytes", "k8s-pod-network."} {
		b, err := New(netip.MustParsePrefix("10.0.0.0/28"), 1)
		must.NoError(t, err)
		for i := range 8 { // which leaves spare slots behind
			must.NoError(t, b.TakeOrdinal(i, &Owner{Handle: MakeHandle(strconv.Itoa(i))}))
		}
		b.Release([]int{0, 1, 2, 3, 4, 5, 6, 7}, time.Unix(0, 0), ColdAt(time.Unix(0, 0), 0))
		b.born = math.MaxUint32 - 3
		var want []Record
		for i := range 8 {
			to := &Owner{Handle: MakeHandle(prefix + string(rune('h'-i)))} // not in the order of names
			must.NoError(t, b.TakeOrdinal((i*5)%16, to))
			want = append(want, Record{Handle: to.Handle.String()})
			must.Eq(t, want, b.Records())
		}
		must.Eq(t, uint32(8), b.born)
		b.Release([]int{5}, time.Unix(0, 0), ColdAt(time.Unix(0, 0), 0))
		must.Eq(t, append(want[:1:1], want[2:]...), b.Records())
		must.NoError(t, b.Check())
	}
}

// TestOldestIsShared: records can become equal when owners change. Then the oldest
// is shared, wherever it is in its chain.
func TestOldestIsShared(t *testing.T) {
	for _, name := range []string{"first made equal last", "last made equal last"} {
		t.Run(name, func(t *testing.T) {
			b, err := New(netip.MustParsePrefix("10.0.0.0/29"), 1)
			must.NoError(t, err)
			one, other := MakeAttrs(map[string]string{"pod": "one"}), MakeAttrs(map[string]string{"pod": "other"})
			must.NoError(t, b.TakeOrdinal(0, &Owner{MakeHandle("h"), one}))
			must.NoError(t, b.TakeOrdinal(1, &Owner{MakeHandle("h"), other}))
			if name == "first made equal last" {
				must.NoError(t, b.SetOwner(0, &other, nil))
			} else {
				must.NoError(t, b.SetOwner(1, &one, nil))
			}
			first, _ := b.Allocation(0)
			must.NoError(t, b.TakeOrdinal(2, &Owner{MakeHandle("h"), first.Active}))
			third, _ := b.Allocation(2)
			must.Eq(t, 0, third.Record)
			must.NoError(t, b.Check())
		})
	}
}

// TestReleasedHandlesAreFreed: a block keeps no handle alive that holds nothing, also
// where its records have moved.
func TestReleasedHandlesAreFreed(t *testing.T) {
	b, err := New(netip.MustParsePrefix("10.0.0.0/25"), 1)
	must.NoError(t, err)
	var texts []weak.Pointer[byte]
	for i := range b.Size() {
		text := []byte(fmt.Sprintf("a handle of a pod that is long enough: %d", i))
		texts = append(texts, weak.Make(&text[0]))
		must.NoError(t, b.TakeOrdinal(i, &Owner{Handle: MakeHandle(unsafe.String(&text[0], len(text)))}))
	}
	now := time.Unix(1, 0)
	for i := range b.Size() - 1 {
		b.Release([]int{i}, now, ColdAt(now, 0))
	}
	runtime.GC()
	for i, text := range texts[:len(texts)-1] {
		must.Nil(t, text.Value(), must.Sprintf("handle %d", i))
	}
	must.NotNil(t, texts[len(texts)-1].Value())
	must.NoError(t, b.Check())
}

// TestRestoreDropsRecords: Restore drops records that nothing points at, wherever
// they are.
func TestRestoreDropsRecords(t *testing.T) {
	s := State{CIDR: netip.MustParsePrefix("10.0.0.0/31"), Seq: 3, Seqs: []uint64{2, 1}, Index: []int{3, 1}}
	for _, handle := range []string{"unused", "a", "unused too", "b"} {
		s.Records = append(s.Records, Record{Handle: handle})
	}
	b, err := Restore(s)
	must.NoError(t, err)
	must.Eq(t, []Record{{Handle: "a"}, {Handle: "b"}}, b.Records())
	must.Eq(t, []int{1, 0}, b.State().Index)
	must.NoError(t, b.Check())
}
