package block

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestReleaseMoments: a cooling record gives back any moment that it was given,
// where other records have something else.
func TestReleaseMoments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.Int64().Draw(t, "at")
		r := record{sum: rapid.Uint32().Draw(t, "sum"), next: 1, prev: 2}
		assert.False(t, r.cooling())
		r.cool(at)
		assert.True(t, r.cooling())
		assert.Equal(t, at, r.released())
	})
}

// TestNumbersRunOut lets the numbers that order the records run out: the order
// stays.
func TestNumbersRunOut(t *testing.T) {
	b, err := New(netip.MustParsePrefix("10.0.0.0/28"), 1)
	require.NoError(t, err)
	b.born = math.MaxUint32 - 3
	var want []Record
	for i := range 8 {
		to := Owner{Handle: string(rune('h' - i))} // not in the order of names
		require.NoError(t, b.TakeOrdinal((i*5)%16, to))
		want = append(want, Record{Handle: to.Handle})
		require.Equal(t, want, b.Records())
	}
	require.Equal(t, uint32(8), b.born)
	b.Release([]int{5}, time.Unix(0, 0), ColdAt(time.Unix(0, 0), 0))
	require.Equal(t, append(want[:1:1], want[2:]...), b.Records())
	require.NoError(t, b.Check())
}
