package sim

import (
	"math"
	"math/big"
	"net/netip"

	"github.com/ipamsim/ipamsim/pool"
)

// space is how full a pool is.
type space struct {
	spec  pool.Spec
	pool  *pool.Pool
	size  int // addresses that are not reserved, or as many as an int can say
	inUse int
	by    []int // of those, by who holds them (see holder); nil without pod groups
}

// addSpace takes note of a pool, which was validated.
func (r *runner) addSpace(s pool.Spec) {
	if r.reserved == nil {
		r.reserved, _ = pool.ParseReservations(r.scenario.Reservations) // were validated
	}
	p, _ := pool.New(s)
	size := new(big.Int).Lsh(big.NewInt(1), uint(s.CIDR.Addr().BitLen()-s.CIDR.Bits()))
	size.Sub(size, r.reserved.CountIn(s.CIDR))
	most := math.MaxInt
	if size.IsInt64() && size.Int64() < math.MaxInt {
		most = int(size.Int64())
	}
	of := space{spec: s, pool: p, size: most}
	if n := len(r.groups.counts); n > 0 {
		of.by = make([]int, n+3)
	}
	r.spaces = append(r.spaces, of)
	if r.ledger != nil {
		r.ledger.enable(s.Name, !s.Disabled)
	}
}

// disableSpace disables a pool.
func (r *runner) disableSpace(name string) {
	for i := range r.spaces {
		s := &r.spaces[i]
		if s.spec.Name != name || s.spec.Disabled {
			continue
		}
		s.spec.Disabled = true
		s.pool, _ = pool.New(s.spec)
		_ = r.engine.SetPool(s.spec) // nothing but that is different
		if r.ledger != nil {
			r.ledger.enable(name, false)
		}
	}
}

// spaceOf returns the pool of an address that was given out.
func (r *runner) spaceOf(ip netip.Addr) *space {
	i := 0
	for i < len(r.spaces)-1 && !r.spaces[i].pool.Contains(ip) {
		i++
	}
	return &r.spaces[i]
}

// free reports whether a pool that the node may use for this, in a namespace of these
// labels, has an address that nobody holds: a node that is refused then is so because
// of the rules.
func (r *runner) free(n *node, use pool.Use, namespace map[string]string) bool {
	for i := range r.spaces {
		s := &r.spaces[i]
		if s.inUse < s.size && !s.pool.Disabled() && s.pool.SelectsNode(n.labels) && s.pool.SelectsNamespace(namespace) && s.pool.Allows(use) {
			return true
		}
	}
	return false
}
