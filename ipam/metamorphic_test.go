package ipam_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
)

// sameTranscripts does the same operations on two allocators that should have the
// same transcripts.
func sameTranscripts(t *testing.T, one, other makeSubject) (seed uint64, same bool) {
	for seed := range uint64(property.Times(20)) {
		a, b := transcript(t, seed, one), transcript(t, seed, other)
		if a != b {
			x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
			for i := range min(len(x), len(y)) {
				if x[i] != y[i] {
					t.Logf("seed %d, operation %d:\n one   %s\n other %s", seed, i, x[i], y[i])
					break
				}
			}
			return seed, false
		}
	}
	return 0, true
}

// unplanned makes requests from a namespace without labels, which have the same
// answers but no plan.
func unplanned(b *broken) {
	requests(func(r *ipam.AutoAssignArgs) {
		if r.Namespace == nil {
			r.Namespace = map[string]string{}
		}
	})(b)
}

// TestPlansDoNotShow: plans do not change any answer.
func TestPlansDoNotShow(t *testing.T) {
	property.Slow(t)
	seed, same := sameTranscripts(t, realAllocator, breaking(unplanned))
	must.True(t, same, must.Sprintf("seed %d", seed))
}

// TestPlansDoNotShowRejects: the test finds an allocator with stale plans, here
// with the pools from before the last change.
func TestPlansDoNotShowRejects(t *testing.T) {
	property.Broken(t)
	_, same := sameTranscripts(t, realAllocator, breaking(func(b *broken) {
		var remembered *ipam.AutoAssignArgs
		b.autoAssign = func(r ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
			if len(r.Pools4) == 0 && remembered != nil && remembered.Host == r.Host && remembered.Use == r.Use {
				r.Pools4 = remembered.Pools4
			}
			v4, v6, err = b.Allocator.AutoAssign(r)
			if len(v4.IPs) > 0 && remembered == nil {
				for _, s := range b.Pools() {
					if s.CIDR.Contains(v4.IPs[0].Addr()) {
						r.Pools4 = []netip.Prefix{s.CIDR}
					}
				}
				remembered = &r
			}
			return v4, v6, err
		}
	}))
	must.False(t, same)
}

// TestReleaseIPIsReleaseIPs: the short form does the same.
func TestReleaseIPIsReleaseIPs(t *testing.T) {
	property.Slow(t)
	seed, same := sameTranscripts(t, realAllocator, breaking(func(b *broken) {
		b.releaseIPs = func(rs ...ipam.Release) (unallocated, released []netip.Addr, err error) {
			if len(rs) != 1 {
				return b.Allocator.ReleaseIPs(rs...)
			}
			ip := rs[0].IP
			inPool := false
			for _, s := range b.Pools() {
				inPool = inPool || s.CIDR.Contains(ip)
			}
			_, _, exists := b.BlockOf(ip)
			switch allocated, err := b.ReleaseIP(rs[0]); {
			case err != nil:
				return nil, nil, err
			case allocated:
				return nil, []netip.Addr{ip}, nil
			case inPool || exists:
				return []netip.Addr{ip}, []netip.Addr{ip}, nil
			}
			return []netip.Addr{ip}, nil, nil
		}
	}))
	must.True(t, same, must.Sprintf("seed %d", seed))
}

// TestAutoAssignIntoIsAutoAssign: the form that reuses answers does the same.
func TestAutoAssignIntoIsAutoAssign(t *testing.T) {
	property.Slow(t)
	seed, same := sameTranscripts(t, realAllocator, breaking(func(b *broken) {
		var v4, v6 ipam.Assignment
		b.autoAssign = func(r ipam.AutoAssignArgs) (ipam.Assignment, ipam.Assignment, error) {
			err := b.AutoAssignInto(&r, &v4, &v6)
			return v4, v6, err
		}
	}))
	must.True(t, same, must.Sprintf("seed %d", seed))
}
