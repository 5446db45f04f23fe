package pool

import (
	"math/rand"
	"sync"
)

// The start of a host in a pool needs about two numbers of math/rand, whose
// seeding fills 607 words: ten microseconds wasted for every host. The words do
// not depend on each other, so draws computes only those that it needs.
//
// The generator adds: number j is word (334-j) + word (607-j), modulo 607 and
// 2^64. Word i is made of three steps, numbers 21+3i to 23+3i, of the sequence
// seed * 48271^n modulo 2^31-1, put side by side and XORed with a constant of its
// own. The powers are a table; the constants are derived from the numbers of
// math/rand for one seed. Go's promise of compatibility fixes its sequence for a
// seed, and a test compares all of this with math/rand.
const (
	stateLen = 607 // the generator's state
	lag      = 273 // distance between the two words that are added
	modulus  = 1<<31 - 1
	factor   = 48271
	skipped  = 20 // steps before the first word
)

// tables has the tables of draws, 12 KB made at first use.
var tables = sync.OnceValue(func() *drawTables {
	t := new(drawTables)
	t.power[0] = 1
	for n := 1; n < len(t.power); n++ {
		t.power[n] = t.power[n-1] * factor % modulus
	}
	// After 607 numbers the state consists of those numbers. Undoing the steps one
	// by one gives the state right after seeding.
	source := rand.NewSource(1).(rand.Source64)
	var numbers, state [stateLen]uint64
	for j := range stateLen {
		numbers[j] = source.Uint64()
		state[feed(j)] = numbers[j]
	}
	for j := stateLen - 1; j >= 0; j-- {
		state[feed(j)] = numbers[j] - state[tap(j)]
	}
	for i := range stateLen {
		t.constant[i] = state[i] ^ t.steps(1, i)
	}
	return t
})

type drawTables struct {
	power    [skipped + 3*stateLen + 1]uint64 // factor^n modulo modulus
	constant [stateLen]uint64
}

// feed and tap are the two words whose sum is number j, counted from 0.
func feed(j int) int { return (2*stateLen - lag - 1 - j) % stateLen }
func tap(j int) int  { return (2*stateLen - 1 - j) % stateLen }

// steps returns word i for a seed, without its constant.
func (t *drawTables) steps(seed uint64, i int) uint64 {
	n := skipped + 1 + 3*i
	return seed*t.power[n]%modulus<<40 ^ seed*t.power[n+1]%modulus<<20 ^ seed*t.power[n+2]%modulus
}

// draws yields the numbers of rand.NewSource(seed), from the first on.
type draws struct {
	tables *drawTables
	seed   uint64 // as the generator reduces it
	next   int
	slow   rand.Source64 // for numbers that cannot be computed directly; nil until then
	full   int64         // the seed as given, for slow
}

func newDraws(seed int64) draws {
	reduced := seed % modulus
	if reduced < 0 {
		reduced += modulus
	}
	if reduced == 0 {
		reduced = 89482311 // 0 would stay 0
	}
	return draws{tables: tables(), seed: uint64(reduced), full: seed}
}

// uint32 returns the next number as (*rand.Rand).Uint32 gives it.
func (d *draws) uint32() uint32 {
	j := d.next
	d.next++
	// Number 273 is the first that adds a word which an earlier number changed. So
	// many are needed once in 2^68 times.
	if j >= lag {
		return uint32(d.number() >> 31 & (1<<32 - 1))
	}
	sum := d.word(feed(j)) + d.word(tap(j))
	return uint32(sum >> 31)
}

func (d *draws) word(i int) uint64 { return d.tables.steps(d.seed, i) ^ d.tables.constant[i] }

// number returns the next number of the real generator, after skipping those
// already drawn.
func (d *draws) number() uint64 {
	if d.slow == nil {
		d.slow = rand.NewSource(d.full).(rand.Source64)
		for range d.next - 1 {
			d.slow.Uint64()
		}
	}
	return d.slow.Uint64()
}
