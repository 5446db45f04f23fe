package peerbench

import (
	"net/netip"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/bits-and-blooms/bitset"
	"github.com/gaissmai/bart"
)

// The sets know what is taken and nothing else: no owner, handle, block, order
// of release, sequence number or cooldown. What they need to be a pool is here:
// a search begins after the address taken last, so that one given back is not
// given again at once, and goes round the end, once.

// bitSet is bits-and-blooms/bitset: one bit an address, set when it is taken. It
// searches by words. It is not safe for concurrent use.
type bitSet struct {
	numbers
	taken *bitset.BitSet
	from  int
}

func newBitset(_ testing.TB, cidr netip.Prefix) pool {
	n := numbersOf(cidr)
	return &bitSet{numbers: n, taken: bitset.New(uint(n.count))}
}

func (p *bitSet) seed(taken []netip.Addr, _ []string) error {
	for _, ip := range taken {
		p.taken.Set(uint(p.index(ip)))
	}
	return nil
}

func (p *bitSet) next(at netip.Addr) (netip.Addr, bool) {
	i, ok := p.taken.NextClear(uint(p.index(at)))
	return p.addr(int(i)), ok
}

func (p *bitSet) take(string) (netip.Addr, error) {
	i, ok := p.taken.NextClear(uint(p.from))
	if !ok {
		if i, ok = p.taken.NextClear(0); !ok {
			return netip.Addr{}, errFull
		}
	}
	p.taken.Set(i)
	p.from = p.after(int(i))
	return p.addr(int(i)), nil
}

func (p *bitSet) give(_ string, ip netip.Addr) error {
	p.taken.Clear(uint(p.index(ip)))
	return nil
}

// roaringSet is RoaringBitmap: numbers in containers of 65,536, each a list, a
// bitmap or a list of runs, whichever suits. It is not safe for concurrent use.
//
// The set has what is free, not what is taken: it is good at finding the next
// number that it has. Of the next that it has not, NextAbsentValue of v2.30.0
// loses the upper 16 bits, and an UnsetIterator is several times slower and
// allocates. So it takes no memory when the pool is full.
type roaringSet struct {
	numbers
	free *roaring.Bitmap
	from int
}

func newRoaring(_ testing.TB, cidr netip.Prefix) pool {
	n := numbersOf(cidr)
	free := roaring.New()
	free.AddRange(0, uint64(n.count))
	return &roaringSet{numbers: n, free: free}
}

func (p *roaringSet) seed(taken []netip.Addr, _ []string) error {
	for _, ip := range taken {
		p.free.Remove(uint32(p.index(ip)))
	}
	return nil
}

func (p *roaringSet) next(at netip.Addr) (netip.Addr, bool) {
	i := p.free.NextValue(uint32(p.index(at)))
	return p.addr(int(i)), i >= 0
}

func (p *roaringSet) take(string) (netip.Addr, error) {
	i := p.free.NextValue(uint32(p.from))
	if i < 0 {
		if i = p.free.NextValue(0); i < 0 {
			return netip.Addr{}, errFull
		}
	}
	p.free.Remove(uint32(i))
	p.from = p.after(int(i))
	return p.addr(int(i)), nil
}

func (p *roaringSet) give(_ string, ip netip.Addr) error {
	p.free.Add(uint32(p.index(ip)))
	return nil
}

// bartSet is bart's Lite, a table of routes without values: an address that is
// taken is a route of full length. Nothing in it finds what is missing, so
// addresses are tried one after the other. It would do for CIDRs of any size and
// both families at once, and its Table could hold an owner. Reading concurrently
// is safe, changing is not, but by copies.
type bartSet struct {
	numbers
	taken bart.Lite
	from  int
	used  int
}

func newBart(_ testing.TB, cidr netip.Prefix) pool { return &bartSet{numbers: numbersOf(cidr)} }

func (p *bartSet) seed(taken []netip.Addr, _ []string) error {
	for _, ip := range taken {
		p.taken.Insert(netip.PrefixFrom(ip, 32))
	}
	p.used += len(taken)
	return nil
}

func (p *bartSet) next(at netip.Addr) (netip.Addr, bool) {
	for i := p.index(at); i < p.count; i++ {
		if ip := p.addr(i); !p.taken.Contains(ip) {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

func (p *bartSet) take(string) (netip.Addr, error) {
	if p.used == p.count {
		return netip.Addr{}, errFull // or the search would not end
	}
	i := p.from
	for p.taken.Contains(p.addr(i)) {
		i = p.after(i)
	}
	ip := p.addr(i)
	p.taken.Insert(netip.PrefixFrom(ip, 32))
	p.used++
	p.from = p.after(i)
	return ip, nil
}

func (p *bartSet) give(_ string, ip netip.Addr) error {
	p.taken.Delete(netip.PrefixFrom(ip, 32))
	p.used--
	return nil
}
