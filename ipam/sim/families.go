package sim

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// family is what a scenario asks of one family of addresses.
type family struct {
	Scenario
	pools, events []int // which of the whole scenario's its own are
}

// families takes a dual stack apart: a scenario for IPv4 and one for IPv6, in which
// every pod and node asks for an address each. The families of a request have nothing
// in common in Calico but the node: pools, blocks, affinities, handles' counts per
// block and the limit of blocks are each family's own (§3, §4). It returns nil for a
// scenario of one family.
func (s *Scenario) families() []family {
	var all [2]family
	for i, p := range s.Pools {
		of := &all[1]
		if p.CIDR.Addr().Is4() {
			of = &all[0]
		}
		of.pools = append(of.pools, i)
	}
	if len(all[0].pools) == 0 || len(all[1].pools) == 0 {
		return nil
	}
	named := make(map[string]bool) // whether pools are IPv4's
	for _, p := range s.allPools() {
		named[p.Name] = p.CIDR.Addr().Is4()
	}
	for k, name := range []string{"IPv4", "IPv6"} {
		of := &all[k]
		of.Scenario = *s
		of.Name = strings.TrimSpace(s.Name + " (" + name + ")")
		of.Pools, of.Events = nil, nil
		for _, i := range of.pools {
			of.Pools = append(of.Pools, s.Pools[i])
		}
		for i, e := range s.Events {
			switch {
			case e.Pool != nil && named[e.Pool.Name] != (k == 0):
				continue // the other's
			case e.Address.IsValid() && e.Address.Is4() != (k == 0):
				e.Address = netip.Addr{} // of this family it takes any
			}
			of.events = append(of.events, i)
			of.Events = append(of.Events, e)
		}
	}
	four, six := all[0].servicesOf(&all[1].Scenario), all[1].servicesOf(&all[0].Scenario)
	all[0].Services, all[1].Services = four, six
	return all[:]
}

// inWhole returns an error about one family's scenario in terms of the whole.
func (f *family) inWhole(err error) error {
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		return err
	}
	path := invalid.Path
	for list, index := range map[string][]int{"pools": f.pools, "events": f.events} {
		for own, whole := range index {
			if rest, is := strings.CutPrefix(path, fmt.Sprintf("%s[%d]", list, own)); is {
				return &InvalidError{fmt.Sprintf("%s[%d]%s", list, whole, rest), invalid.Reason}
			}
		}
	}
	return invalid
}

// namesTwice returns an error if two pools have one name, of whatever families.
func (s *Scenario) namesTwice() error {
	known := make(map[string]bool)
	for i, p := range s.Pools {
		if known[p.Name] {
			return &InvalidError{fmt.Sprintf("pools[%d].name", i), fmt.Sprintf("%q: is another pool's too", p.Name)}
		}
		known[p.Name] = true
	}
	return nil
}
