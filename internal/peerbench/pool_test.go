package peerbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// A pool hands out the addresses of one IPv4 CIDR. It is what every peer is
// made into, and asks for no more than the least of them can do: a peer that
// has no owners takes no notice of those given.
type pool interface {
	// seed takes these addresses of an empty pool, each for the owner at its
	// place. Addresses that the peer never hands out are passed over.
	seed(taken []netip.Addr, owners []string) error
	// take takes an address that is free. When there is none it refuses.
	take(owner string) (netip.Addr, error)
	// give gives back the address that the owner took.
	give(owner string, ip netip.Addr) error
	// size returns how many addresses the peer hands out of the CIDR.
	size() int
}

// A finder is a pool that can be asked for the first free address at or after
// another, and takes nothing.
type finder interface {
	pool
	next(at netip.Addr) (netip.Addr, bool)
}

// errFull is the refusal of those pools whose peer has none of its own.
var errFull = errors.New("the pool is full")

// peer is something to compare.
type peer struct {
	name string
	new  func(tb testing.TB, cidr netip.Prefix) pool
}

// onDisk is the peer whose pools must be small, for an address is a file.
const onDisk = "host-local-disk"

// peers are all, allocators first.
var peers = []peer{
	{"ipamsim", newPlain},
	{"ipamsim-handles", newHandles},
	{"cilium-ipallocator", newCilium},
	{"host-local-memory", newHostLocalMemory},
	{onDisk, newHostLocalDisk},
	{"bitset", newBitset},
	{"roaring", newRoaring},
	{"bart", newBart},
	{"netipx", newNetipx},
}

// numbers maps addresses of a CIDR to their place in it and back, for peers
// whose elements are small numbers.
type numbers struct {
	first uint32
	count int
}

func numbersOf(cidr netip.Prefix) numbers {
	first := cidr.Masked().Addr().As4()
	return numbers{binary.BigEndian.Uint32(first[:]), 1 << (32 - cidr.Bits())}
}

func (n numbers) size() int { return n.count }

func (n numbers) addr(i int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n.first+uint32(i))
	return netip.AddrFrom4(b)
}

func (n numbers) index(ip netip.Addr) int {
	b := ip.As4()
	return int(binary.BigEndian.Uint32(b[:]) - n.first)
}

// after returns the place after i, the first after the last.
func (n numbers) after(i int) int {
	if i++; i < n.count {
		return i
	}
	return 0
}

// ownerNames returns so many names of 80 bytes, as container runtimes make them.
func ownerNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("k8s-pod-network.%064x", uint64(i)*0x9e3779b97f4a7c15)
	}
	return names
}

// half returns half of the CIDR's addresses, scattered, the same for every peer.
// The first two and the last are not among them: some peers never hand them out.
func half(cidr netip.Prefix) []netip.Addr {
	n := numbersOf(cidr)
	var taken []netip.Addr
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n.count) {
		if i > 1 && i < n.count-1 && len(taken) < n.count/2 {
			taken = append(taken, n.addr(i))
		}
	}
	return taken
}

// allBut returns the CIDR's addresses but the one in the middle, and that one.
func allBut(cidr netip.Prefix) (taken []netip.Addr, free netip.Addr) {
	n := numbersOf(cidr)
	for i := range n.count {
		if i != n.count/2 {
			taken = append(taken, n.addr(i))
		}
	}
	return taken, n.addr(n.count / 2)
}
