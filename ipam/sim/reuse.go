package sim

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// givenBack remembers which addresses were given back, and when, until they are given
// out again. They lie side by side in blocks, so it keeps the moments of as many
// addresses as a block has in one table. The zero value remembers none.
type givenBack struct {
	tables map[tableKey]*[tableSize]time.Duration
	key    tableKey // of the table used last, for addresses come in runs
	last   *[tableSize]time.Duration
}

const tableSize = 64

// tableKey is the bits of an address that the addresses of a table have in common.
type tableKey struct{ hi, lo uint64 }

// table returns the moment at which the address was given back, where it is kept: 1 more
// than it is, or 0 for an address that was not. It is nil if there is no table and none
// is to be made.
func (g *givenBack) table(ip netip.Addr, make bool) *time.Duration {
	bytes := ip.As16()
	lo := binary.BigEndian.Uint64(bytes[8:])
	key := tableKey{binary.BigEndian.Uint64(bytes[:8]), lo / tableSize}
	if g.last == nil || key != g.key {
		of := g.tables[key]
		if of == nil {
			if !make {
				return nil
			}
			of = new([tableSize]time.Duration)
			if g.tables == nil {
				g.tables = map[tableKey]*[tableSize]time.Duration{}
			}
			g.tables[key] = of
		}
		g.key, g.last = key, of
	}
	return &g.last[lo%tableSize]
}

// add remembers an address that was given back at a moment.
func (g *givenBack) add(ip netip.Addr, at time.Duration) { *g.table(ip, true) = at + 1 }

// take forgets an address that is given out, and returns when it was given back, if it
// was.
func (g *givenBack) take(ip netip.Addr) (at time.Duration, ok bool) {
	of := g.table(ip, false)
	if of == nil || *of == 0 {
		return 0, false
	}
	at = *of - 1
	*of = 0
	return at, true
}
