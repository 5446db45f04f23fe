package ipam

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/block"
)

// chooser makes choices: rapid, or a seed.
type chooser func(what string, n int) int

func seeded(seed uint64) chooser {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(_ string, n int) int { return r.IntN(n) }
}

// tryTable adds and removes handles in a table and in a map, with hashes that
// collide as clash says, and returns how they differ.
func tryTable(pick chooser, steps int, remove func(*handleTable, *handle)) error {
	t := newHandleTable()
	want := make(map[string]*handle)
	ids := 4 << pick("ids", 8)
	clash := uint32(1) << pick("clash", 9) // that many different hashes
	hash := func(id string) uint32 {
		var sum uint32
		for _, c := range []byte(id) {
			sum = sum*31 + uint32(c)
		}
		return sum % clash * 0x9e3779b1
	}
	for range steps {
		id := fmt.Sprint("handle-", pick("id", ids))
		switch h := want[id]; {
		case h == nil:
			h = t.add(id, hash(id))
			h.n = 1
			want[id] = h
		case pick("remove", 3) > 0:
			remove(&t, h)
			delete(want, id)
		}
		for range 3 {
			id := fmt.Sprint("handle-", pick("look for", ids))
			if got := t.lookup(id, hash(id)); got != want[id] {
				return fmt.Errorf("%s is %v, want %v, of %d", id, got, want[id], len(want))
			}
		}
		if t.live != len(want) {
			return fmt.Errorf("%d handles, want %d", t.live, len(want))
		}
	}
	var got []string
	for _, h := range t.all() {
		if h.n != 1 || want[h.id] != h {
			return fmt.Errorf("%q is another's, or has moved", h.id)
		}
		got = append(got, h.id)
	}
	if ids := slices.Sorted(maps.Keys(want)); !slices.Equal(got, ids) {
		return fmt.Errorf("handles %q, want %q", got, ids)
	}
	if 4*len(want) > 3*len(t.index) {
		return fmt.Errorf("%d handles in an index of %d", len(want), len(t.index))
	}
	return nil
}

func TestHandleTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		if err := tryTable(pick, 60, (*handleTable).remove); err != nil {
			t.Fatal(err)
		}
	})
	seeds := uint64(60)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		must.NoError(t, tryTable(seeded(seed), 2000, (*handleTable).remove), must.Sprintf("seed %d", seed))
	}
}

func TestHandleTableRejects(t *testing.T) {
	for what, remove := range map[string]func(*handleTable, *handle){
		"leaves a hole that ends searches": func(t *handleTable, h *handle) {
			i := t.place(h)
			t.spare = append(t.spare, t.index[i].number)
			t.index[i] = slot{}
			t.live--
			*h = handle{}
		},
		"gives a number out twice": func(t *handleTable, h *handle) {
			n := t.index[t.place(h)].number
			t.remove(h)
			t.spare = append(t.spare, n)
		},
		"removes nothing": func(t *handleTable, h *handle) { t.live-- },
		"moves back one too few": func(t *handleTable, h *handle) {
			mask := uint32(len(t.index) - 1)
			gap := t.place(h)
			t.spare = append(t.spare, t.index[gap].number)
			t.live--
			*h = handle{}
			if i := (gap + 1) & mask; t.index[i].number != 0 && t.index[i].hash&mask != i {
				t.index[gap], gap = t.index[i], i
			}
			t.index[gap] = slot{}
		},
	} {
		t.Run(what, func(t *testing.T) {
			for seed := range uint64(200) {
				if err := tryTable(seeded(seed), 300, remove); err != nil {
					t.Logf("caught by seed %d: %.150v", seed, err)
					return
				}
			}
			t.Error("never caught")
		})
	}
}

// TestHandleCounts raises and lowers counts of a few handles in a few blocks, and
// compares them with maps.
func TestHandleCounts(t *testing.T) {
	type key struct {
		id   string
		cidr netip.Prefix
	}
	rapid.Check(t, func(t *rapid.T) {
		pick := func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		a := New(Options{})
		// Two blocks may have one CIDR: the later was made where the first was.
		var blocks []*ipamBlock
		for _, cidr := range []string{"10.0.0.4/30", "10.0.0.16/30", "10.0.0.4/30", "fd00::/126", "10.0.1.0/30"} {
			b := new(ipamBlock)
			if err := b.Reset(netip.MustParsePrefix(cidr), 1); err != nil {
				t.Fatal(err)
			}
			blocks = append(blocks, b)
		}
		want := make(map[key]int)
		total := func(id string, is4 bool) int {
			sum := 0
			for k, n := range want {
				if k.id == id && k.cidr.Addr().Is4() == is4 {
					sum += n
				}
			}
			return sum
		}
		for range 40 {
			id := fmt.Sprint("h", pick("handle", 3))
			b := blocks[pick("block", len(blocks))]
			k, n := key{id, b.CIDR()}, 1+pick("n", 4)
			if pick("raise", 2) == 0 {
				limit := pick("limit", 4) * 3
				_, raised := a.raise(block.MakeHandle(id), b, n, limit)
				fits := limit == 0 || total(id, b.CIDR().Addr().Is4())+n <= limit
				if raised != fits {
					t.Fatalf("raise %v by %d to at most %d: %t", k, n, limit, raised)
				}
				if fits {
					want[k] += n
				}
			} else {
				a.lower(a.handles.find(id), b, n)
				if want[k] >= n {
					want[k] -= n
				}
				if want[k] == 0 {
					delete(want, k)
				}
			}
			got := make(map[key]int)
			for _, h := range a.State().Handles {
				for _, c := range h.Counts {
					got[key{h.ID, c.Block}] = c.Count
				}
				if len(h.Counts) == 0 {
					t.Fatalf("%s is there without counts", h.ID)
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("after %v: %v, want %v", k, got, want)
			}
			if err := a.Check(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestHandleLetters: ids that differ only in case find one handle, which keeps its
// first id.
func TestHandleLetters(t *testing.T) {
	for _, ids := range [][]string{
		{"Pod-A", "pod-a", "POD-A"},
		{"pod_a", "POD_a", "Pod_A"}, // in lower case already, though not simple
		{"\u0130", "i", "I"},        // two bytes, whose lower case has one
		{"\u212a8s", "k8s", "K8S"},  // three
		{"pod-\xff", "POD-\ufffd", "pod-\xfe"},
	} {
		for first, id := range ids {
			table := newHandleTable()
			h := table.add(id, hashOf(id))
			for _, other := range ids {
				must.EqOp(t, h, table.find(other), must.Sprintf("%q by %q", id, other))
			}
			must.Nil(t, table.find("pod-b"))
			must.Eq(t, ids[first], h.id)
			table.remove(h)
			must.Nil(t, table.find(id))
		}
	}
}
