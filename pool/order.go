package pool

import (
	"iter"
	"net/netip"
	"time"
)

// Start returns the number of the first block that host looks at in the pool (§2).
// It depends only on the host's name and the number of blocks, so that hosts
// spread over the pool without talking to each other, and a host that comes back
// finds its old blocks. If blocks hold a single address (/32, /128) it depends on
// now instead of the name; otherwise now is ignored.
//
// It costs some tens of nanoseconds and does not allocate.
func (p *Pool) Start(host string, now time.Time) Index {
	if p.blockBits == 0 {
		return Index{}
	}
	return randomIndex(p.seed(host, now), int(p.blockBits))
}

func (p *Pool) seed(host string, now time.Time) int64 {
	if p.shift == 0 {
		return now.UnixNano()
	}
	// FNV-1, like fnv.New32 but without an allocation. FNV-1a, with the two steps
	// swapped, would give other blocks.
	hash := uint32(2166136261)
	for i := range len(host) {
		hash = hash*16777619 ^ uint32(host[i])
	}
	return int64(hash)
}

// randomIndex returns what new(big.Int).Rand(rand.New(rand.NewSource(seed)), 2^n)
// returns on a 64-bit machine, for n from 1 to 128. It repeats the algorithm for
// two reasons: big.Int draws machine words, so 32-bit machines would get other
// numbers than the 64-bit ones that Calico runs on; and drawing below a power of
// two needs no allocation.
//
// Every word is two draws, low half first. The limit 2^n is n+1 bits long, so n+1
// bits are kept. While the topmost of them is set, the number is too large and
// everything is drawn again.
func randomIndex(seed int64, n int) Index {
	r := newDraws(seed)
	for {
		var words [3]uint64
		for i := range n/64 + 1 {
			low := uint64(r.uint32())
			words[i] = low | uint64(r.uint32())<<32
		}
		if words[n/64]>>(n%64)&1 == 0 {
			return Index{words[1], words[0]}.Low(n)
		}
	}
}

// Order returns the blocks of the pool in the order in which host looks at them:
// from [Pool.Start] up, from the last block on to block 0, once round (§2). It
// yields all 2^BlockBits, whether they exist or not, until the caller stops. The
// start is fixed when Order is called, and the sequence can be iterated any number
// of times.
func (p *Pool) Order(host string, now time.Time) iter.Seq[netip.Prefix] {
	start := p.Start(host, now)
	return func(yield func(netip.Prefix) bool) {
		// The number of blocks may not fit an Index (2^128), so the walk ends
		// where it began and not after a count.
		for i, first := start, true; first || i != start; first = false {
			if !yield(p.BlockAt(i)) {
				return
			}
			i = i.Next().Low(int(p.blockBits))
		}
	}
}
