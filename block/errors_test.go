package block

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
)

// start has a fraction of a second, which releases must drop.
var start = time.Unix(1_700_000_000, 900_000_000)

// newBlock returns a new block that is checked when the test ends.
func newBlock(t *testing.T, cidr string) *Block {
	t.Helper()
	b, err := New(netip.MustParsePrefix(cidr), 100)
	must.NoError(t, err)
	t.Cleanup(func() { test.NoError(t, b.Check()) })
	return b
}

func TestNewRefuses(t *testing.T) {
	for name, cidr := range map[string]netip.Prefix{
		"zero":              {},
		"IPv4 too large":    netip.MustParsePrefix("10.0.0.0/19"),
		"IPv6 too large":    netip.MustParsePrefix("fd00::/115"),
		"IPv4 host bits":    netip.MustParsePrefix("10.0.0.1/26"),
		"IPv6 host bits":    netip.MustParsePrefix("fd00::1/122"),
		"bits out of range": netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New(cidr, 0)
			test.ErrorIs(t, err, ErrInvalidCIDR)
			test.Nil(t, b)
		})
	}
}

func TestRefusals(t *testing.T) {
	held, cooling, free := 1, 2, 3
	for _, tc := range []struct {
		name string
		do   func(*Block) error
		want error
		text string
	}{
		{"take: below", func(b *Block) error { return b.TakeOrdinal(-1, &Owner{}) }, ErrOrdinal, "block: ordinal out of range: -1 in 10.0.0.0/29"},
		{"take: above", func(b *Block) error { return b.TakeOrdinal(8, &Owner{}) }, ErrOrdinal, "block: ordinal out of range: 8 in 10.0.0.0/29"},
		{"take: held", func(b *Block) error { return b.TakeOrdinal(held, &Owner{}) }, ErrTaken, "block: address taken: 10.0.0.1"},
		{"take: cooling", func(b *Block) error { return b.TakeOrdinal(cooling, &Owner{}) }, ErrTaken, "block: address taken: 10.0.0.2"},
		{"owner: below", func(b *Block) error { return b.SetOwner(-1, nil, nil) }, ErrOrdinal, "block: ordinal out of range: -1 in 10.0.0.0/29"},
		{"owner: above", func(b *Block) error { return b.SetOwner(8, nil, nil) }, ErrOrdinal, "block: ordinal out of range: 8 in 10.0.0.0/29"},
		{"owner: free", func(b *Block) error { return b.SetOwner(free, &Attrs{}, nil) }, ErrNotAllocated, "block: address not allocated: 10.0.0.3"},
		{"owner: cooling", func(b *Block) error { return b.SetOwner(cooling, nil, &Attrs{}) }, ErrCooling, "block: address in cooldown: 10.0.0.2"},
		{"host: too small", func(b *Block) error { return b.ReserveForHost(5, 4, &Owner{}) }, ErrTooSmall, "block: too small for the host's reservation: 5 at the start and 4 at the end of 10.0.0.0/29"},
		{"host: overflow", func(b *Block) error { return b.ReserveForHost(math.MaxInt, math.MaxInt, &Owner{}) }, ErrTooSmall, ""},
		{"host: negative", func(b *Block) error { return b.ReserveForHost(-1, 1, &Owner{}) }, ErrOrdinal, ""},
		{"host: taken at the start", func(b *Block) error { return b.ReserveForHost(2, 0, &Owner{}) }, ErrTaken, "block: address taken: 10.0.0.1"},
		{"host: taken at the end", func(b *Block) error { return b.ReserveForHost(1, 6, &Owner{}) }, ErrTaken, "block: address taken: 10.0.0.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBlock(t, "10.0.0.0/29")
			must.NoError(t, b.TakeOrdinal(held, &Owner{Handle: MakeHandle("h")}))
			must.NoError(t, b.TakeOrdinal(cooling, &Owner{Handle: MakeHandle("h")}))
			b.Release([]int{cooling}, start, ColdAt(start, time.Second))
			before := b.State()
			err := tc.do(b)
			test.ErrorIs(t, err, tc.want)
			if tc.text != "" {
				test.EqError(t, err, tc.text)
			}
			test.Eq(t, before, b.State(), test.Sprint("a refusal changes nothing"))
		})
	}
}

func TestReleasePanics(t *testing.T) {
	for name, ords := range map[string][]int{
		"below": {-1}, "above": {8}, "free": {3}, "cooling": {2}, "twice": {1, 1},
		"one of two below": {1, -1}, "one of two free": {1, 3}, "one of two cooling": {1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			for _, cooldown := range []time.Duration{0, time.Minute} {
				b := newBlock(t, "10.0.0.0/29")
				b.Take(nil, 3, &Owner{}, nil)
				b.Release([]int{2}, start.Add(time.Hour), ColdAt(start, time.Minute))
				before := b.State()
				test.Panic(t, func() { b.Release(ords, start, ColdAt(start, cooldown)) })
				test.Eq(t, before, b.State())
			}
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	good := func() State {
		b := newBlock(t, "10.0.0.0/30")
		b.Take(nil, 3, &Owner{Handle: MakeHandle("h")}, nil)
		b.Release([]int{2}, start, ColdAt(start, time.Second))
		return b.State()
	}
	_, err := Restore(good())
	must.NoError(t, err)
	for _, tc := range []struct {
		name  string
		spoil func(*State)
		want  error
		text  string
	}{
		{"no block", func(s *State) { s.CIDR = netip.Prefix{} }, ErrInvalidCIDR, ""},
		{"short index", func(s *State) { s.Index = s.Index[:3] }, ErrState, "4 ordinals, but 3 record numbers and 4 sequence numbers"},
		{"long numbers", func(s *State) { s.Seqs = append(s.Seqs, 0) }, ErrState, "4 ordinals, but 4 record numbers and 5 sequence numbers"},
		{"queue out of range", func(s *State) { s.Queue = []int{3, 4} }, ErrState, "queue: no ordinal 4"},
		{"queue below", func(s *State) { s.Queue = []int{3, -1} }, ErrState, "queue: no ordinal -1"},
		{"queued twice", func(s *State) { s.Queue = []int{3, 3} }, ErrState, "queue: ordinal 3 twice"},
		{"queued and allocated", func(s *State) { s.Queue = []int{3, 0} }, ErrState, "ordinal 0: in the queue, but allocated"},
		{"neither", func(s *State) { s.Queue = nil }, ErrState, "ordinal 3: neither in the queue nor allocated"},
		{"no record", func(s *State) { s.Index[0] = 2 }, ErrState, "ordinal 0: no record 2"},
		{"negative record", func(s *State) { s.Index[0] = -2 }, ErrState, "ordinal 0: no record -2"},
		{"free with number", func(s *State) { s.Seqs[3] = 9 }, ErrState, "ordinal 3: free with sequence number 9"},
		{"cooling with handle", func(s *State) { s.Records[1].Handle = "h" }, ErrState, "record 1: cooling with an owner"},
		{"cooling with attributes", func(s *State) { s.Records[1].Active = machineAttrs[1] }, ErrState, "record 1: cooling with an owner"},
		{"cooling with alternate", func(s *State) { s.Records[1].Alternate = machineAttrs[1] }, ErrState, "record 1: cooling with an owner"},
		{"fraction", func(s *State) { s.Records[1].ReleasedAt = start }, ErrState, "not a whole second"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := good()
			tc.spoil(&s)
			b, err := Restore(s)
			test.ErrorIs(t, err, tc.want)
			test.ErrorContains(t, err, tc.text)
			test.Nil(t, b)
		})
	}
	t.Run("everything at once", func(t *testing.T) {
		s := good()
		s.Queue, s.Index[0], s.Records[1].Handle = []int{9}, 7, "h"
		_, err := Restore(s)
		for _, text := range []string{"queue: no ordinal 9", "ordinal 0: no record 7", "ordinal 3: neither", "record 1: cooling with an owner"} {
			test.ErrorContains(t, err, text)
		}
	})
	t.Run("an unused record is dropped", func(t *testing.T) {
		s := good()
		s.Records = append(s.Records, Record{Handle: "nobody"})
		b, err := Restore(s)
		must.NoError(t, err)
		test.Eq(t, good(), b.State())
		test.NoError(t, b.Check())
	})
}

// TestCheckFinds breaks a block by hand, once for each thing that Check looks at.
func TestCheckFinds(t *testing.T) {
	for text, spoil := range map[string]func(*Block){
		"queue: 4 is missing or met":   func(b *Block) { b.put(0, 4) },
		"queue: 99 is missing":         func(b *Block) { b.put(1, 99) },
		"queue: 0 is not free":         func(b *Block) { b.put(1, 0) },
		"bitmap: wrong about":          func(b *Block) { b.word |= 1 << 4 },
		"bitmap":                       func(b *Block) { b.word |= 1 << 20 },
		"in the queue":                 func(b *Block) { b.free++ },
		"free with sequence number 7":  func(b *Block) { b.cells[4].seq = 7 },
		"ordinal 0: no record 99":      func(b *Block) { b.cells[0].record = 99 },
		"ordinal 0: no record 5":       func(b *Block) { b.cells[0].record = uint16(len(b.records)) },
		"ordinals cooling":             func(b *Block) { b.cold++ },
		"host-reserved records":        func(b *Block) { b.host++ },
		"record 1: 1 ordinals":         func(b *Block) { b.records[1].refs++ },
		"unused with content":          func(b *Block) { b.records[b.spare].handle = "x" },
		"given before: true":           func(b *Block) { b.records[1].birth = b.records[2].birth },
		"number 5 of 5":                func(b *Block) { b.records[3].birth = b.born },
		"cooling with an owner":        func(b *Block) { b.records[b.cells[1].record].handle = "x" },
		"cooling without a time":       func(b *Block) { delete(b.releases, b.cells[1].record) },
		"1 cooling records, 2 times":   func(b *Block) { b.releases[0] = 1 << 40 },
		"wrong sum":                    func(b *Block) { b.records[1].sum++ },
		"oldest release":               func(b *Block) { b.oldest-- },
		"spare record":                 func(b *Block) { b.spare = 0 },
		"in 0 buckets":                 func(b *Block) { *b.bucket(b.records[1].sum) = 0 },
		"belongs elsewhere":            func(b *Block) { b.records[1].sum += 1 },
		"follows 0, not 1":             func(b *Block) { b.records[1].prev = 1 },
		"record 99 is missing":         func(b *Block) { b.cells[0].bucket = 99 },
		"record 5 is missing":          func(b *Block) { b.cells[0].bucket = uint16(len(b.records)) },
		"spare record 1: in use":       func(b *Block) { b.spare = 1 },
		"spare record 5: in use or mi": func(b *Block) { b.spare = uint16(len(b.records)) },
		"2 spare records, 1 unused":    func(b *Block) { b.records[b.spare].next = b.spare },
		"bitmap: ordinals beyond the ": func(b *Block) { b.word |= 1 << 20 },
	} {
		t.Run(text, func(t *testing.T) {
			b, err := New(netip.MustParsePrefix("10.0.0.0/29"), 1)
			must.NoError(t, err)
			for i, h := range []string{"a", "b", "c"} {
				must.NoError(t, b.TakeOrdinal(i, &Owner{Handle: MakeHandle(h)}))
			}
			b.Release([]int{1}, start, ColdAt(start, time.Second))
			must.NoError(t, b.TakeOrdinal(7, &Owner{Handle: MakeHandle("e")}))
			b.Release([]int{7}, start.Add(-time.Hour), ColdAt(start, time.Minute))
			must.NoError(t, b.Check())
			spoil(b)
			test.ErrorContains(t, b.Check(), text)
		})
	}
}

// TestCheckFindsAll: what is wrong with one ordinal does not hide another.
func TestCheckFindsAll(t *testing.T) {
	b, err := New(netip.MustParsePrefix("10.0.0.0/29"), 1)
	must.NoError(t, err)
	b.Take(nil, 4, &Owner{}, nil)
	b.put(0, 99)
	b.put(1, 0)
	b.cells[2].record, b.cells[3].record = 98, 97
	for _, text := range []string{"queue: 99 is missing", "queue: 0 is not free", "ordinal 2: no record 98", "ordinal 3: no record 97"} {
		test.ErrorContains(t, b.Check(), text)
	}
}
