package peerbench

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// conforms holds a pool that nobody has used against what the benchmarks count
// on: it gives all its addresses, each once, refuses when there is none, and
// gives again what has been given back, and that alone.
func conforms(p pool, cidr netip.Prefix) error {
	holds := make(map[netip.Addr]string)
	fill := func(round string, want int) error {
		for i := range want {
			owner := fmt.Sprint(round, i)
			ip, err := p.take(owner)
			if err != nil {
				return fmt.Errorf("%s: refuses at %d of %d: %w", round, i, want, err)
			}
			if !cidr.Contains(ip) {
				return fmt.Errorf("%s: %v is not in %v", round, ip, cidr)
			}
			if other, taken := holds[ip]; taken {
				return fmt.Errorf("%s: gives %v twice, to %s and %s", round, ip, other, owner)
			}
			holds[ip] = owner
		}
		for range 2 { // a refusal changes nothing
			if ip, err := p.take("one too many"); err == nil {
				return fmt.Errorf("%s: gives %v when full", round, ip)
			}
		}
		return nil
	}
	if err := fill("first", p.size()); err != nil {
		return err
	}
	for round := range 3 {
		given := 0
		for _, ip := range slices.SortedFunc(maps.Keys(holds), netip.Addr.Compare) {
			if (given+int(ip.As4()[3]))%3 != round {
				given++
				if err := p.give(holds[ip], ip); err != nil {
					return fmt.Errorf("giving back %v: %w", ip, err)
				}
				delete(holds, ip)
			}
		}
		if err := fill(fmt.Sprintf("round %d/", round), given); err != nil {
			return err
		}
	}
	return check(p)
}

// check looks at the pool's own invariants, if it has any.
func check(p pool) error {
	if c, ok := p.(interface{ Check() error }); ok {
		return c.Check()
	}
	return nil
}

var small = netip.MustParsePrefix("10.1.4.0/22")

func TestPeersConform(t *testing.T) {
	for _, peer := range slices.Concat(peers, knowers) {
		t.Run(peer.name, func(t *testing.T) {
			cidr := small
			if peer.name == onDisk {
				cidr = netip.MustParsePrefix("10.1.4.0/26") // the square of it in files read
			}
			if err := conforms(peer.new(t, cidr), cidr); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSeeds: what a benchmark begins with is taken, and the rest is free.
func TestSeeds(t *testing.T) {
	cidr := netip.MustParsePrefix("10.1.4.0/26")
	owners := ownerNames(2 << 6)
	for _, peer := range slices.Concat(peers, knowers) {
		for _, seeds := range []struct {
			name  string
			taken []netip.Addr
		}{
			{"half", half(cidr)},
			{"all but one", func() []netip.Addr { taken, _ := allBut(cidr); return taken }()},
		} {
			t.Run(peer.name+"/"+seeds.name, func(t *testing.T) {
				p := peer.new(t, cidr)
				if err := p.seed(seeds.taken, owners); err != nil {
					t.Fatal(err)
				}
				seen := make(map[netip.Addr]bool)
				for {
					ip, err := p.take(owners[len(seeds.taken)+len(seen)])
					if err != nil {
						break
					}
					if slices.Contains(seeds.taken, ip) || seen[ip] {
						t.Fatalf("gives %v, which is taken", ip)
					}
					seen[ip] = true
				}
				// A peer may spare some: those are free, or seeded and passed over.
				free := 1<<6 - len(seeds.taken)
				if spares := 1<<6 - p.size(); len(seen) > free || len(seen) < free-spares {
					t.Errorf("gives %d addresses of %d", len(seen), free)
				}
				if err := check(p); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestFinders holds every answer of a finder against the slow way, in a CIDR
// that spans several of roaring's containers.
func TestFinders(t *testing.T) {
	cidr := netip.MustParsePrefix("10.4.0.0/14")
	n := numbersOf(cidr)
	frees := []int{3, 64, 65_535, 131_072, 200_000}
	var taken []netip.Addr
	for i := range n.count {
		if !slices.Contains(frees, i) {
			taken = append(taken, n.addr(i))
		}
	}
	found := 0
	for _, peer := range peers {
		p, ok := peer.new(t, cidr).(finder)
		if !ok {
			continue
		}
		found++
		t.Run(peer.name, func(t *testing.T) {
			if err := p.seed(taken, nil); err != nil {
				t.Fatal(err)
			}
			for _, at := range []int{0, 3, 4, 63, 64, 65, 65_535, 65_536, 131_071, 131_072, 131_073, 199_999, 200_000, 200_001, n.count - 1} {
				ip, ok := p.next(n.addr(at))
				i := slices.IndexFunc(frees, func(free int) bool { return free >= at })
				if ok != (i >= 0) || ok && p.(interface{ index(netip.Addr) int }).index(ip) != frees[i] {
					t.Errorf("after %d: %v %v", at, ip, ok)
				}
			}
		})
	}
	if found != 4 {
		t.Errorf("%d finders", found)
	}
}

// broken is a bitset that does one thing wrong.
type broken struct {
	pool
	fault string
	last  netip.Addr
	takes int
}

func (p *broken) take(owner string) (netip.Addr, error) {
	ip, err := p.pool.take(owner)
	p.takes++
	switch {
	case p.fault == "gives twice" && p.takes == 9:
		return p.last, nil
	case p.fault == "never refuses" && err != nil:
		return p.last, nil
	case p.fault == "refuses early" && p.takes == 9:
		return netip.Addr{}, errFull
	case p.fault == "strays" && p.takes == 9:
		return netip.MustParseAddr("10.9.9.9"), nil
	case p.fault == "is out of order" && err == nil:
		return ip, nil
	}
	p.last = ip
	return ip, err
}

func (p *broken) give(owner string, ip netip.Addr) error {
	switch p.fault {
	case "keeps":
		return nil
	case "gives back another":
		return p.pool.give(owner, numbersOf(small).addr(numbersOf(small).after(numbersOf(small).index(ip))))
	case "fails to give back":
		return errors.New("no")
	}
	return p.pool.give(owner, ip)
}

func (p *broken) Check() error {
	if p.fault == "is out of order" {
		return errors.New("out of order")
	}
	return nil
}

func TestConformsRejects(t *testing.T) {
	for fault, says := range map[string]string{
		"gives twice":        "twice",
		"never refuses":      "when full",
		"refuses early":      "refuses at 8",
		"strays":             "not in",
		"keeps":              "refuses at",
		"gives back another": "round 0/",
		"fails to give back": "giving back",
		"is out of order":    "out of order",
	} {
		err := conforms(&broken{pool: newBitset(t, small), fault: fault}, small)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("a pool that %s: %v", fault, err)
		}
	}
	if err := conforms(&broken{pool: newBitset(t, small)}, small); err != nil {
		t.Error(err)
	}
}
