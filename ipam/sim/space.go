package sim

import (
	"math"
	"math/big"
	"net/netip"

	"github.com/ipamsim/ipamsim/pool"
)

// space is how full a pool is.
type space struct {
	pool  *pool.Pool
	size  int // addresses that are not reserved, or as many as an int can say
	inUse int
}

func newSpace(s pool.Spec, reserved *pool.Reservations) space {
	p, _ := pool.New(s) // was validated
	size := new(big.Int).Lsh(big.NewInt(1), uint(s.CIDR.Addr().BitLen()-s.CIDR.Bits()))
	size.Sub(size, reserved.CountIn(s.CIDR))
	if !size.IsInt64() || size.Int64() > math.MaxInt {
		return space{pool: p, size: math.MaxInt}
	}
	return space{pool: p, size: int(size.Int64())}
}

// spaceOf returns the pool of an address that was given out.
func (r *runner) spaceOf(ip netip.Addr) *space {
	i := 0
	for i < len(r.spaces)-1 && !r.spaces[i].pool.Contains(ip) {
		i++
	}
	return &r.spaces[i]
}

// free reports whether a pool that the node may use for this has an address that
// nobody holds: a node that is refused then is so because of the rules.
func (r *runner) free(n *node, use pool.Use) bool {
	for i := range r.spaces {
		s := &r.spaces[i]
		if s.inUse < s.size && !s.pool.Disabled() && s.pool.SelectsNode(n.labels) && s.pool.Allows(use) {
			return true
		}
	}
	return false
}
