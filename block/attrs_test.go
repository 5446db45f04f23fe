package block

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/shoenig/test"
	"github.com/shoenig/test/must"
	"pgregory.net/rapid"
)

func TestAttrs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sets := rapid.MapOf(rapid.StringN(0, 3, -1), rapid.OneOf(rapid.StringN(0, 3, -1), rapid.StringN(120, 140, -1)))
		m, other := sets.Draw(t, "m"), sets.Draw(t, "other")
		a := MakeAttrs(m)
		test.Eq(t, len(m), a.Len())
		test.True(t, maps.Equal(m, a.Map()))
		test.Eq(t, slices.Sorted(maps.Keys(m)), slices.Collect(func(yield func(string) bool) {
			for k := range a.All() {
				if !yield(k) {
					return
				}
			}
		}))
		for k, v := range m {
			got, ok := a.Get(k)
			test.True(t, ok)
			test.Eq(t, v, got)
		}
		for k := range other {
			_, ok := a.Get(k)
			_, want := m[k]
			test.Eq(t, want, ok)
		}
		test.True(t, a == MakeAttrs(maps.Clone(m)), test.Sprint("equal content is equal"))
		test.Eq(t, maps.Equal(m, other), a == MakeAttrs(other))
	})
}

func TestAttrsOddCases(t *testing.T) {
	test.EqOp(t, Attrs{}, MakeAttrs(nil))
	test.EqOp(t, Attrs{}, MakeAttrs(map[string]string{}))
	test.NotEqOp(t, Attrs{}, MakeAttrs(map[string]string{"": ""}))
	test.Nil(t, Attrs{}.Map())
	test.Zero(t, Attrs{}.Len())
	test.Eq(t, "{}", Attrs{}.String())
	test.Eq(t, `{"node":"n1","pod":"a\n"}`, MakeAttrs(map[string]string{"pod": "a\n", "node": "n1"}).String())

	m := map[string]string{"k": "v"}
	a := MakeAttrs(m)
	m["k"] = "w"
	a.Map()["k"] = "x"
	v, _ := a.Get("k")
	test.Eq(t, "v", v, test.Sprint("a set shares nothing with maps"))
	for range MakeAttrs(map[string]string{"a": "", "b": ""}).All() {
		break
	}

	// The lengths keep sets apart that would be the same text without them.
	test.NotEqOp(t, MakeAttrs(map[string]string{"a": "bc"}), MakeAttrs(map[string]string{"ab": "c"}))
}

func TestOrdinals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Ordinals
		want := make(map[int]bool)
		for range rapid.IntRange(0, 5).Draw(t, "ranges") {
			from := rapid.IntRange(0, MaxSize-1).Draw(t, "from")
			to := min(from+rapid.IntRange(-1, 200).Draw(t, "length"), MaxSize)
			s.AddRange(from, to)
			for ord := from; ord < to; ord++ {
				want[ord] = true
			}
		}
		one := rapid.IntRange(0, MaxSize-1).Draw(t, "one")
		s.Add(one)
		want[one] = true
		test.Eq(t, len(want), s.Len())
		for ord := -70; ord < MaxSize+70; ord++ {
			test.EqOp(t, want[ord], s.Contains(ord))
		}
	})
	var none *Ordinals
	test.Zero(t, none.Len())
	test.False(t, none.Contains(0))
	test.Panic(t, func() { new(Ordinals).Add(-1) })
	test.Panic(t, func() { new(Ordinals).Add(MaxSize) })
	test.Panic(t, func() { new(Ordinals).AddRange(0, MaxSize+1) })

	var all Ordinals
	all.AddRange(-1, -1)
	all.AddRange(MaxSize+1, MaxSize+1)
	test.Zero(t, all.Len())
	all.AddRange(0, MaxSize)
	test.Eq(t, MaxSize, all.Len())
	test.Eq(t, MaxSize/64, all.words(), test.Sprint("no more memory than it takes"))
}

// TestAttrsOfAnyLength: texts are kept with their lengths, in as many bytes as that
// takes.
func TestAttrsOfAnyLength(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 129, 255, 256, 1<<14 - 1, 1 << 14, 1<<14 + 128} {
		want := map[string]string{"key": strings.Repeat("v", n), strings.Repeat("k", n+1): "value"}
		must.Eq(t, want, MakeAttrs(want).Map(), must.Sprintf("%d bytes", n))
	}
}

// TestIsHostReserved: letters may be capital or small; nothing else is like it.
func TestIsHostReserved(t *testing.T) {
	for _, handle := range []string{HostReservedHandle, strings.ToUpper(HostReservedHandle)} {
		must.True(t, IsHostReserved(handle), must.Sprint(handle))
	}
	for _, handle := range []string{"", "w", HostReservedHandle + "s", "w" + HostReservedHandle, "w" + strings.Repeat("x", len(HostReservedHandle)-1)} {
		must.False(t, IsHostReserved(handle), must.Sprint(handle))
	}
}

// TestAttrsWith compares a set that grew key by key with one that was made whole.
func TestAttrsWith(t *testing.T) {
	keys := []string{"", "a", "aa", "b", "node", strings.Repeat("k", 300)}
	rapid.Check(t, func(rt *rapid.T) {
		want := make(map[string]string)
		var got Attrs
		for range rapid.IntRange(0, 8).Draw(rt, "keys") {
			key, value := rapid.SampledFrom(keys).Draw(rt, "key"), strings.Repeat("v", rapid.IntRange(0, 200).Draw(rt, "value"))
			want[key] = value
			before := got
			got = before.With(key, value)
			if made := MakeAttrs(want); got != made {
				rt.Fatalf("%v with %q is %v, want %v", before, key, got, made)
			}
		}
	})
	base := MakeAttrs(map[string]string{"namespace": "default", "node": "n"})
	must.Eq(t, 1, testing.AllocsPerRun(100, func() { base.With("pod", "p") }))
}
