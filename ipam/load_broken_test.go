package ipam_test

import (
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ipamsim/ipamsim/internal/history"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// TestLoadRejects: histories of broken allocators cannot be explained.
func TestLoadRejects(t *testing.T) {
	for name, how := range brokenUnderLoad {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error {
				l, err := newLoad(breaking(how), 4, 3*time.Second)
				if err != nil {
					return err
				}
				_, err = l.round(uint64(src.Pick("seed", 1<<20)), 150)
				if v := new(history.Violation); err != nil && !errors.As(err, &v) {
					t.Errorf("rejected for another reason: %v", err)
				}
				return err
			})
		})
	}
}

// A turn is true every nth time, across all goroutines.
type turn struct {
	mu    sync.Mutex
	n     int
	every int
}

func (t *turn) is() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	return t.n%t.every == 0
}

// brokenUnderLoad are faults like those of a race. Each happens now and then, and
// none shows in the final state.
var brokenUnderLoad = map[string]func(*broken){
	"hands out a held address": func(b *broken) {
		var mu sync.Mutex
		var last ipam.Assignment
		now := turn{every: 10}
		b.autoAssign = func(r ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
			v4, v6, err = b.Allocator.AutoAssign(r)
			mu.Lock()
			defer mu.Unlock()
			if len(last.IPs) > 0 && now.is() {
				v4 = last
			}
			last = v4
			return v4, v6, err
		}
	},
	"assigns a taken address": func(b *broken) {
		now := turn{every: 10}
		b.assignIP = func(r ipam.AssignIPArgs) error {
			err := b.Allocator.AssignIP(r)
			if errors.Is(err, codes.AlreadyExists) && now.is() {
				return nil
			}
			return err
		}
	},
	"hands out a cooling address": func(b *broken) {
		now := turn{every: 10}
		b.autoAssign = func(r ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
			if now.is() {
				c := b.GetIPAMConfig()
				none := c
				none.IPCooldownSeconds = 0
				_ = b.PutIPAMConfig(none)
				defer func() { _ = b.PutIPAMConfig(c) }()
			}
			return b.Allocator.AutoAssign(r)
		}
	},
	"loses a release": func(b *broken) {
		now := turn{every: 10}
		b.releaseIPs = func(rs ...ipam.Release) (unallocated, released []netip.Addr, err error) {
			if len(rs) == 1 && now.is() {
				if _, err := b.GetAssignmentAttributes(rs[0].IP); err == nil && rs[0].Handle == "" && rs[0].Sequence == nil {
					return nil, []netip.Addr{rs[0].IP}, nil
				}
			}
			return b.Allocator.ReleaseIPs(rs...)
		}
	},
	"loses an address in a release by handle": func(b *broken) {
		now := turn{every: 5}
		b.releaseByHandle = func(id string) error {
			ips, _ := b.Allocator.IPsByHandle(id)
			if len(ips) > 1 && now.is() {
				for _, ip := range ips[1:] {
					_, _ = b.Allocator.ReleaseIP(ipam.Release{IP: ip, Handle: id})
				}
				return nil
			}
			return b.Allocator.ReleaseByHandle(id)
		}
	},
	"releases by a stale number": func(b *broken) {
		b.releaseIPs = func(rs ...ipam.Release) (unallocated, released []netip.Addr, err error) {
			rs = slices.Clone(rs)
			for i := range rs {
				rs[i].Sequence = nil
			}
			return b.Allocator.ReleaseIPs(rs...)
		}
	},
	"releases another's": func(b *broken) {
		b.releaseIPs = func(rs ...ipam.Release) (unallocated, released []netip.Addr, err error) {
			rs = slices.Clone(rs)
			for i := range rs {
				rs[i].Handle = ""
			}
			return b.Allocator.ReleaseIPs(rs...)
		}
	},
	"answers who holds an address as it was": func(b *broken) {
		var mu sync.Mutex
		before := make(map[netip.Addr]ipam.Attributes)
		now := turn{every: 5}
		b.attributes = func(ip netip.Addr) (ipam.Attributes, error) {
			a, err := b.Allocator.GetAssignmentAttributes(ip)
			mu.Lock()
			defer mu.Unlock()
			if was, ok := before[ip]; ok && now.is() {
				return was, nil
			}
			if err == nil {
				before[ip] = a
			}
			return a, err
		}
	},
	"answers what a handle holds as it was": func(b *broken) {
		var mu sync.Mutex
		before := make(map[string][]netip.Addr)
		now := turn{every: 5}
		b.ipsByHandle = func(id string) ([]netip.Addr, error) {
			mu.Lock()
			defer mu.Unlock()
			if was := before[id]; len(was) > 0 && now.is() {
				return was, nil
			}
			ips, err := b.Allocator.IPsByHandle(id)
			before[id] = ips
			return ips, err
		}
	},
	"repeats a sequence number": func(b *broken) {
		b.attributes = func(ip netip.Addr) (ipam.Attributes, error) {
			a, err := b.Allocator.GetAssignmentAttributes(ip)
			if err == nil {
				a.Sequence = 1
			}
			return a, err
		}
	},
	"looks before it takes": func(b *broken) {
		// As if AssignIP released the lock between its check and its write.
		b.assignIP = func(r ipam.AssignIPArgs) error {
			if _, err := b.Allocator.GetAssignmentAttributes(r.IP); !errors.Is(err, codes.DoesNotExist) {
				return b.Allocator.AssignIP(r)
			}
			runtime.Gosched()
			_, _ = b.Allocator.ReleaseIP(ipam.Release{IP: r.IP})
			return b.Allocator.AssignIP(r)
		}
	},
}
