package ipam_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// ordinary is a program without anything in which the releases differ: no pool
// runs out of blocks, addresses are released one at a time or by handle, and
// nothing cools down, is capped or selected. With several, it releases several
// addresses at a time.
func ordinary(src property.Source, v calico.Version, several bool) string {
	a := ipam.New(ipam.Options{Calico: v})
	for _, s := range []pool.Spec{spec("a", "10.0.0.0/20", 29), spec("six", "fd00::/112", 125)} {
		if err := a.SetPool(s); err != nil {
			return err.Error()
		}
	}
	hosts := []string{"n1", "n2", "n3"}
	for _, h := range hosts {
		if err := a.SetNode(ipam.Node{Name: h}); err != nil {
			return err.Error()
		}
	}
	log := ""
	var live []netip.Addr
	for range 60 {
		switch src.Pick("what", 4) {
		case 0, 1:
			args := ipam.AutoAssignArgs{
				Host: hosts[src.Pick("host", len(hosts))], Num4: 1 + src.Pick("num4", 3), Num6: src.Pick("num6", 2),
				Handle: fmt.Sprint("h", src.Pick("handle", 5)), Use: pool.Workload,
			}
			v4, v6, err := a.AutoAssign(args)
			log += fmt.Sprintln(v4, v6, err)
			for _, p := range append(v4.IPs, v6.IPs...) {
				live = append(live, p.Addr())
			}
		case 2:
			n := 1
			if several {
				n = 3
			}
			var releases []ipam.Release
			for range min(n, len(live)) {
				i := src.Pick("address", len(live))
				releases = append(releases, ipam.Release{IP: live[i]})
				live = append(live[:i], live[i+1:]...)
			}
			unallocated, _, err := a.ReleaseIPs(releases...)
			log += fmt.Sprintln(unallocated, err)
		case 3:
			log += fmt.Sprintln(a.ReleaseByHandle(fmt.Sprint("h", src.Pick("handle", 5))))
		}
	}
	state := a.State()
	for i := range state.Blocks { // claim times are since v3.32
		state.Blocks[i].Claimed = a.Now()
	}
	return log + stateText(&state)
}

// TestReleasesAlike: an ordinary program gives the same addresses on all releases.
func TestReleasesAlike(t *testing.T) {
	alike := func(several bool) func(*rapid.T) {
		return func(t *rapid.T) {
			seed := rapid.Uint64().Draw(t, "seed")
			v := calico.V3(22 + rapid.IntRange(0, 10).Draw(t, "line"))
			must.Eq(t, ordinary(property.Seeded(seed), calico.V3(33), several), ordinary(property.Seeded(seed), v, several), must.Sprintf("%s", v))
		}
	}
	property.Check(t, 100, 1, alike(false))
	must.True(t, property.Breaks(t, 100, 1, alike(true)), must.Sprint("what the releases differ in is not found"))
}
