package storm

import (
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"
)

func newAgenda(seed int64) *agenda { return &agenda{random: rand.New(rand.NewSource(seed))} }

// The agenda returns the same calls as a list that is searched for the smallest
// each time.
func TestAgenda(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAgenda(1)
		var list []call
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			if len(list) > 0 && rapid.Bool().Draw(t, "take") {
				want := slices.MinFunc(list, compareCalls)
				must.EqOp(t, want, a.next())
				list = slices.DeleteFunc(list, func(c call) bool { return c == want })
				continue
			}
			node, at := len(list), time.Duration(rapid.IntRange(0, 3).Draw(t, "at"))
			before := slices.Clone(a.calls)
			a.add(node, at)
			for _, c := range a.calls {
				if !slices.Contains(before, c) {
					must.EqOp(t, call{at, c.draw, node}, c)
					list = append(list, c)
				}
			}
		}
		must.Len(t, len(list), a.calls)
	})
}

// tied returns the order of five calls at the same moment.
func tied(seed int64) (order []int) {
	a := newAgenda(seed)
	for node := range 5 {
		a.add(node, time.Second)
	}
	for range 5 {
		order = append(order, a.next().node)
	}
	return order
}

func TestAgendaTies(t *testing.T) {
	first := make(map[int]bool)
	for seed := range int64(50) {
		must.Eq(t, tied(seed), tied(seed))
		first[tied(seed)[0]] = true
	}
	must.MapLen(t, 5, first, must.Sprint("everybody is first now and then"))

	x, y := call{1, 7, 0}, call{1, 7, 1}
	must.Less(t, 0, compareCalls(x, y), must.Sprint("should two draws be equal"))
}
