package peerbench

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	apool "github.com/ipamsim/ipamsim/pool"
)

// ipamsim is what the others are compared with: blocks of 64 addresses that
// belong to nodes, 16 each, and every node asks in turn. An address has a
// sequence number and an attribute record, with handles also an entry among its
// handle's, and is given back into the queue of its block. It is safe for
// concurrent use.
type ipamsim struct {
	numbers
	a       *ipam.Allocator
	handles bool // an owner is a handle
	args    []ipam.AutoAssignArgs
	turn    int
	v4, v6  ipam.Assignment
}

func newPlain(tb testing.TB, cidr netip.Prefix) pool   { return newIPAMSim(tb, cidr, false) }
func newHandles(tb testing.TB, cidr netip.Prefix) pool { return newIPAMSim(tb, cidr, true) }

// blocksPerNode is below the limit of 20 at which a node must borrow.
const blocksPerNode = 16

func newIPAMSim(tb testing.TB, cidr netip.Prefix, handles bool) *ipamsim {
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	p := &ipamsim{numbers: numbersOf(cidr), a: ipam.New(ipam.Options{Now: clock.Now}), handles: handles}
	if err := p.a.SetPool(apool.Spec{Name: "pool", CIDR: cidr}); err != nil {
		tb.Fatal(err)
	}
	for i := range max(1, p.count/64/blocksPerNode) {
		name := fmt.Sprintf("node-%d", i)
		if err := p.a.SetNode(ipam.Node{Name: name}); err != nil {
			tb.Fatal(err)
		}
		p.args = append(p.args, ipam.AutoAssignArgs{Host: name, Num4: 1, Use: apool.Workload})
	}
	return p
}

func (p *ipamsim) seed(taken []netip.Addr, owners []string) error {
	for i, ip := range taken {
		args := ipam.AssignIPArgs{IP: ip, Host: p.args[p.index(ip)/64/blocksPerNode].Host}
		if p.handles {
			args.Handle = owners[i]
		}
		if err := p.a.AssignIP(args); err != nil {
			return err
		}
	}
	return nil
}

func (p *ipamsim) take(owner string) (netip.Addr, error) {
	args := &p.args[p.turn]
	if p.turn++; p.turn == len(p.args) {
		p.turn = 0
	}
	if p.handles {
		args.Handle = owner
	}
	if err := p.a.AutoAssignInto(args, &p.v4, &p.v6); err != nil {
		return netip.Addr{}, err
	}
	if len(p.v4.IPs) == 0 {
		return netip.Addr{}, errFull
	}
	return p.v4.IPs[0].Addr(), nil
}

func (p *ipamsim) give(owner string, ip netip.Addr) error {
	if p.handles {
		return p.a.ReleaseByHandle(owner)
	}
	_, err := p.a.ReleaseIP(ipam.Release{IP: ip})
	return err
}

// Check looks at the allocator's invariants, for the tests.
func (p *ipamsim) Check() error { return p.a.Check() }
