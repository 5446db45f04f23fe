package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Set is the pools of a cluster: at most one of each name, none overlapping another, always in byte order of their names,
// which is the order in which Calico walks them (§1). Disabled pools are members too.
//
// The zero value is an empty set ready for use. Put and Delete replace the set's
// slices and never change them in place, so a copy of a Set is independent of the
// original. Reading concurrently is safe, changing is not. Methods need a non-nil
// receiver.
type Set struct {
	byName []*Pool // in byte order of names
	byCIDR []*Pool // the same pools by first address, IPv4 before IPv6; they do not overlap
}

// Put adds p, or replaces the pool of that name. It fails, and leaves the set as it was, with an error that matches
//
//   - [ErrImmutable] if a pool of that name has another CIDR or block size;
//   - [ErrOverlap] if p shares addresses with a pool of another name. The error names both pools; of several the first by
//     name.
//
// Everything else about a pool may change. p must not be nil.
func (s *Set) Put(p *Pool) error {
	at, found := s.search(p.Name())
	if found {
		if old := s.byName[at]; old.CIDR() != p.CIDR() || old.BlockSize() != p.BlockSize() {
			return fmt.Errorf("%w: pool %q is %v with blocks of /%d, not %v with blocks of /%d", ErrImmutable,
				p.Name(), old.CIDR(), old.BlockSize(), p.CIDR(), p.BlockSize())
		}
	}
	if err := s.CheckOverlap(p); err != nil {
		return err
	}
	byName := slices.Clone(s.byName)
	if found {
		byName[at] = p
	} else {
		byName = slices.Insert(byName, at, p)
	}
	s.replace(byName)
	return nil
}

// CheckOverlap returns the error matching [ErrOverlap] with which [Set.Put] refuses p,
// or nil.
func (s *Set) CheckOverlap(p *Pool) error {
	for _, other := range s.byName {
		if other.Name() != p.Name() && other.CIDR().Overlaps(p.CIDR()) {
			return fmt.Errorf("%w: pool %q (%v) and pool %q (%v)", ErrOverlap,
				p.Name(), p.CIDR(), other.Name(), other.CIDR())
		}
	}
	return nil
}

// Delete removes the pool of a name and reports whether there was one.
func (s *Set) Delete(name string) bool {
	at, found := s.search(name)
	if found {
		s.replace(slices.Delete(slices.Clone(s.byName), at, at+1))
	}
	return found
}

func (s *Set) replace(byName []*Pool) {
	byCIDR := slices.Clone(byName)
	slices.SortFunc(byCIDR, func(a, b *Pool) int { return a.CIDR().Addr().Compare(b.CIDR().Addr()) })
	s.byName, s.byCIDR = slices.Clip(byName), byCIDR
}

func (s *Set) search(name string) (int, bool) {
	return slices.BinarySearchFunc(s.byName, name, func(p *Pool, name string) int { return strings.Compare(p.Name(), name) })
}

// Get returns the pool of a name, or nil.
func (s *Set) Get(name string) *Pool {
	if at, found := s.search(name); found {
		return s.byName[at]
	}
	return nil
}

// ByAddr returns the pool that holds addr, as [Pool.Contains] has it, or nil. It does not allocate, and takes time
// logarithmic in the number of pools.
func (s *Set) ByAddr(addr netip.Addr) *Pool {
	low, high := 0, len(s.byCIDR) // pools below low start at or before addr, those from high on after it
	for low < high {
		mid := int(uint(low+high) >> 1)
		if s.byCIDR[mid].spec.CIDR.Addr().Compare(addr) <= 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	// Pools do not overlap: only the last one that starts at or before addr can reach it.
	if low > 0 && s.byCIDR[low-1].Contains(addr) {
		return s.byCIDR[low-1]
	}
	return nil
}

// ByCIDR returns the pool with exactly this CIDR, or nil. A prefix with host bits is no pool's CIDR.
func (s *Set) ByCIDR(cidr netip.Prefix) *Pool {
	if p := s.ByAddr(cidr.Addr()); p != nil && p.CIDR() == cidr {
		return p
	}
	return nil
}

// Covering returns the pool whose CIDR contains the whole of prefix, or nil. Host bits of the prefix are ignored.
func (s *Set) Covering(prefix netip.Prefix) *Pool {
	if p := s.ByAddr(prefix.Addr()); p != nil && p.CIDR().Bits() <= prefix.Bits() {
		return p
	}
	return nil
}

// All returns the pools in byte order of their names, nil or empty if there are none. The slice belongs to the set and must
// not be changed. It is a snapshot: Put and Delete do not alter it.
func (s *Set) All() []*Pool { return s.byName }

// Check reports every broken invariant of the set at once, nil if all hold: names
// in order and unique, both views of the same pools, no overlaps. It is for tests:
// an error is a bug of this package.
func (s *Set) Check() error {
	var errs []error
	broken := func(format string, args ...any) { errs = append(errs, fmt.Errorf("pool: set: "+format, args...)) }
	if len(s.byName) != len(s.byCIDR) {
		broken("%d pools by name, %d by CIDR", len(s.byName), len(s.byCIDR))
	}
	for i, p := range s.byName {
		if i > 0 && s.byName[i-1].Name() >= p.Name() {
			broken("%q stands before %q", s.byName[i-1].Name(), p.Name())
		}
		if !slices.Contains(s.byCIDR, p) {
			broken("%q is missing by CIDR", p.Name())
		}
		for _, q := range s.byName[:i] {
			if q.CIDR().Overlaps(p.CIDR()) {
				broken("%q and %q overlap", q.Name(), p.Name())
			}
		}
	}
	for i := 1; i < len(s.byCIDR); i++ {
		if p, q := s.byCIDR[i-1], s.byCIDR[i]; p.CIDR().Addr().Compare(q.CIDR().Addr()) >= 0 {
			broken("%v stands before %v", p.CIDR(), q.CIDR())
		}
	}
	return errors.Join(errs...)
}
