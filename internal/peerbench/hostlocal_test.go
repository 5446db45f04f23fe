package peerbench

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/allocator"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/disk"
)

// hostLocal is the allocator of the CNI project's host-local plug-in: it walks
// from the address reserved last to the next that its store lets it have, round
// the end, once. The store knows who holds an address, and an owner gives back
// by name. A container and its interface may hold one address of a range set.
//
// It leaves out blocks and other nodes, sequence numbers, cooldown and the order
// of release: an address is used again when the walk comes by. It never hands
// out the first and last address of a subnet, nor its gateway.
//
// Its own store is one file an address, in one directory, under a file lock. To
// see whether an owner has an address, and which, it reads all of them, once to
// take one and once to give it back (twice if there was none): that is
// host-local-disk, as the plug-in runs, but without starting a process for every
// request. host-local-memory is the same allocator over memoryStore.
type hostLocal struct {
	numbers
	alloc *allocator.IPAllocator
}

// eth is the interface that everything is reserved for.
const eth = "eth0"

// spared is how many addresses of a range are never handed out: the first, the
// gateway after it and the last.
const spared = 3

func newHostLocal(tb testing.TB, cidr netip.Prefix, store backend.Store) pool {
	set := &allocator.RangeSet{{Subnet: types.IPNet{
		IP:   cidr.Addr().AsSlice(),
		Mask: net.CIDRMask(cidr.Bits(), 32),
	}}}
	if err := set.Canonicalize(); err != nil {
		tb.Fatal(err)
	}
	return &hostLocal{numbersOf(cidr), allocator.NewIPAllocator(set, store, 0)}
}

func newHostLocalMemory(tb testing.TB, cidr netip.Prefix) pool {
	return newHostLocal(tb, cidr, &memoryStore{
		holder: make(map[netip.Addr]holder),
		held:   make(map[holder][]netip.Addr),
		last:   make(map[string]net.IP),
	})
}

func newHostLocalDisk(tb testing.TB, cidr netip.Prefix) pool {
	store, err := disk.New("net", tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	return newHostLocal(tb, cidr, store)
}

func (p *hostLocal) size() int { return p.count - spared }

func (p *hostLocal) seed(taken []netip.Addr, owners []string) error {
	for i, ip := range taken {
		if at := p.index(ip); at <= 1 || at == p.count-1 {
			continue // spared
		}
		if _, err := p.alloc.Get(owners[i], eth, ip.AsSlice()); err != nil {
			return err
		}
	}
	return nil
}

func (p *hostLocal) take(owner string) (netip.Addr, error) {
	config, err := p.alloc.Get(owner, eth, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	ip, _ := netip.AddrFromSlice(config.Address.IP)
	return ip.Unmap(), nil
}

func (p *hostLocal) give(owner string, _ netip.Addr) error { return p.alloc.Release(owner, eth) }

// memoryStore is a store for host-local in memory: who holds an address, and
// which addresses somebody holds, each a look-up. The store that host-local has
// for its own tests goes through all reservations instead. One process may share
// it, under its lock.
type memoryStore struct {
	sync.Mutex
	holder map[netip.Addr]holder
	held   map[holder][]netip.Addr
	last   map[string]net.IP // by range
}

// holder is a container and its interface.
type holder struct{ id, ifname string }

var _ backend.Store = (*memoryStore)(nil)

func (s *memoryStore) Lock() error {
	s.Mutex.Lock()
	return nil
}

func (s *memoryStore) Unlock() error {
	s.Mutex.Unlock()
	return nil
}

func (s *memoryStore) Close() error { return nil }

func (s *memoryStore) Reserve(id, ifname string, ip net.IP, rangeID string) (bool, error) {
	addr, _ := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	if _, taken := s.holder[addr]; taken {
		return false, nil
	}
	h := holder{id, ifname}
	s.holder[addr] = h
	s.held[h] = append(s.held[h], addr)
	s.last[rangeID] = slices.Clone(ip)
	return true, nil
}

// LastReservedIP's error is what the allocator takes for the first time.
func (s *memoryStore) LastReservedIP(rangeID string) (net.IP, error) {
	if ip, ok := s.last[rangeID]; ok {
		return ip, nil
	}
	return nil, os.ErrNotExist
}

func (s *memoryStore) ReleaseByID(id, ifname string) error {
	h := holder{id, ifname}
	for _, addr := range s.held[h] {
		delete(s.holder, addr)
	}
	delete(s.held, h)
	return nil
}

func (s *memoryStore) GetByID(id, ifname string) []net.IP {
	var ips []net.IP
	for _, addr := range s.held[holder{id, ifname}] {
		ips = append(ips, addr.AsSlice())
	}
	return ips
}
