package peerbench

import (
	"fmt"
	"net/netip"
	"testing"
)

// knowing is a set with what it lacks beside an allocator with handles: the owner of
// an address, the addresses of an owner, and the order in which addresses were given
// back, that released longest ago coming first. It is what one would build around a
// set, and then the set only says what is taken. Like the sets it is not safe for
// concurrent use.
type knowing struct {
	numbers
	set    pool
	owners []string                // by place
	held   map[string][]netip.Addr // by owner
	queue  []netip.Addr            // a ring of those that are free
	head   int
	free   int
	one    [1]netip.Addr
}

// knowers are the peers that know as much as ipamsim with handles, of one pool.
var knowers = []peer{
	{"ipamsim-handles", newHandles},
	{"host-local-memory", newHostLocalMemory},
	{"bitset-knowing", knowingOf(newBitset)},
	{"roaring-knowing", knowingOf(newRoaring)},
	{"bart-knowing", knowingOf(newBart)},
}

func knowingOf(set func(testing.TB, netip.Prefix) pool) func(testing.TB, netip.Prefix) pool {
	return func(tb testing.TB, cidr netip.Prefix) pool {
		n := numbersOf(cidr)
		p := &knowing{
			numbers: n, set: set(tb, cidr), owners: make([]string, n.count),
			held: make(map[string][]netip.Addr), queue: make([]netip.Addr, n.count), free: n.count,
		}
		for i := range p.queue {
			p.queue[i] = n.addr(i)
		}
		return p
	}
}

func (p *knowing) seed(taken []netip.Addr, owners []string) error {
	if err := p.set.seed(taken, owners); err != nil {
		return err
	}
	for i, ip := range taken {
		p.owners[p.index(ip)] = owners[i]
		p.held[owners[i]] = append(p.held[owners[i]], ip)
	}
	p.head, p.free = 0, 0
	for i := range p.count {
		if p.owners[i] == "" {
			p.queue[p.free] = p.addr(i)
			p.free++
		}
	}
	return nil
}

func (p *knowing) take(owner string) (netip.Addr, error) {
	if p.free == 0 {
		return netip.Addr{}, errFull
	}
	ip := p.queue[p.head]
	p.head = p.after(p.head)
	p.free--
	p.one[0] = ip
	p.owners[p.index(ip)] = owner
	p.held[owner] = append(p.held[owner], ip)
	return ip, p.set.seed(p.one[:], nil)
}

// give gives back all that the owner has, as ipamsim does by handle.
func (p *knowing) give(owner string, _ netip.Addr) error {
	ips := p.held[owner]
	if len(ips) == 0 {
		return fmt.Errorf("%s has nothing", owner)
	}
	delete(p.held, owner)
	for _, ip := range ips {
		p.owners[p.index(ip)] = ""
		p.queue[(p.head+p.free)%p.count] = ip
		p.free++
		if err := p.set.give(owner, ip); err != nil {
			return err
		}
	}
	return nil
}

// Check holds the parts against each other.
func (p *knowing) Check() error {
	held := 0
	for owner, ips := range p.held {
		for _, ip := range ips {
			held++
			if got := p.owners[p.index(ip)]; got != owner {
				return fmt.Errorf("%v is %q's, not %q's", ip, got, owner)
			}
		}
	}
	if held+p.free != p.count {
		return fmt.Errorf("%d held and %d free of %d", held, p.free, p.count)
	}
	return nil
}

// BenchmarkKnowing is [BenchmarkTakeRelease] among those that know as much: the
// address goes to an owner, is given back by owner, and the one that was released
// longest ago comes first. host-local goes round instead.
func BenchmarkKnowing(b *testing.B) { takeRelease(b, knowers) }

// TestKnowersRemember: what was given back comes again last, by owner.
func TestKnowersRemember(t *testing.T) {
	cidr := netip.MustParsePrefix("10.1.4.0/26")
	for _, peer := range knowers {
		if peer.name == "host-local-memory" {
			continue // goes round
		}
		t.Run(peer.name, func(t *testing.T) {
			p := peer.new(t, cidr)
			first, err := p.take("one")
			if err != nil {
				t.Fatal(err)
			}
			if err := p.give("one", first); err != nil {
				t.Fatal(err)
			}
			if p.give("one", first) == nil {
				t.Error("gives back twice")
			}
			for i := range p.size() {
				ip, err := p.take(fmt.Sprint("owner ", i))
				if err != nil {
					t.Fatal(err)
				}
				if last := i == p.size()-1; (ip == first) != last {
					t.Errorf("address %d is %v, and the first was %v", i, ip, first)
				}
			}
			if err := check(p); err != nil {
				t.Error(err)
			}
		})
	}
}
