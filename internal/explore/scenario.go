package explore

import (
	"fmt"
	"math/rand"
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
	"github.com/ipamsim/ipamsim/pool"
)

// Scenario returns a small case drawn from the seed: two or three clients of that
// release of Calico that compete for a pool of two or four blocks. One of them may
// die and come back. The same seed gives the same case, on every machine, and the
// same program for every release.
func Scenario(seed int64, calico calico.Version) (*Case, error) {
	random := rand.New(rand.NewSource(seed))
	p := drawProgram(random, fmt.Sprintf("seed %d", seed))
	if calico != 0 {
		p.Setting.Calico = calico.String()
	}
	deaths := random.Intn(2)
	length, err := lengthOf(p, Options{})
	if err != nil {
		return nil, err
	}
	best := &Case{Version: Version, Program: *p}
	most := -1
	for range 128 {
		d := newDraw(random.Int63(), p, length, Bounds{Deaths: deaths})
		for range random.Intn(4) { // clients meet at the beginning
			d.switches = append(d.switches, random.Intn(16))
		}
		slices.Sort(d.switches)
		var report Report
		r, s, err := d.run(p, Options{}, &report)
		if err != nil {
			return nil, err
		}
		worth := r.worth(s)
		r.end()
		if worth > most {
			most, best.Schedule = worth, s
		}
	}
	return best, nil
}

// scenarioStart is the time at which scenarios begin.
var scenarioStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// longest is the number of steps that people are willing to read.
const longest = 40

// worth scores how interesting a run is: by deaths, and writes that came too late.
// A long one is worth less.
func (r *run) worth(s Schedule) int {
	worth := 2 * r.deaths
	for _, c := range r.clients {
		worth += 3 * min(c.refused, 2)
	}
	return max(0, 4*worth-max(0, len(s)-longest))
}

// drawProgram draws what clients do.
func drawProgram(random *rand.Rand, title string) *Program {
	p := &Program{Name: title, Setting: trace.Header{
		Version: trace.Version, Name: title, Start: scenarioStart,
		Pools: []trace.Pool{{Name: "p", CIDR: []string{"10.0.0.0/29", "10.0.0.0/29", "10.0.0.0/28"}[random.Intn(3)], BlockSize: 30}},
	}}
	hosts := drawHosts(random, p.Setting.Pools[0], 2+random.Intn(2))
	for _, host := range hosts {
		p.Setting.Nodes = append(p.Setting.Nodes, ipam.Node{Name: host})
	}
	if random.Intn(5) == 0 {
		hosts[1] = hosts[0] // two clients of one host
	}
	if random.Intn(3) == 0 { // empty blocks, old enough to be reclaimed
		p.Before = []race.Step{
			{Op: "ClaimAffinity", In: trace.In{Host: hosts[0], CIDR: p.Setting.Pools[0].CIDR}},
			{Op: "Advance", In: trace.In{Seconds: 61}},
		}
	}
	for i, host := range hosts {
		c := Client{Host: host, Back: []race.Step{drawAssign(random, host, name(i)+"-back")}}
		handle := name(i) + "1"
		c.Steps = append(c.Steps, drawAssign(random, host, handle))
		switch random.Intn(5) {
		case 0, 1:
			c.Steps = append(c.Steps, race.Step{Op: "ReleaseByHandle", In: trace.In{Handle: handle}})
		case 2:
			c.Steps = append(c.Steps, race.Step{Op: "ReleaseHostAffinities", In: trace.In{Host: host}})
		case 3:
			c.Steps = append(c.Steps, drawAssign(random, host, name(i)+"2"))
		}
		p.Clients = append(p.Clients, c)
	}
	return p
}

// drawHosts draws names of hosts that all try the same block first.
func drawHosts(random *rand.Rand, p trace.Pool, n int) (hosts []string) {
	of, err := pool.New(pool.Spec{Name: p.Name, CIDR: netip.MustParsePrefix(p.CIDR), BlockSize: p.BlockSize})
	if err != nil {
		panic("explore: " + err.Error()) // the host exists
	}
	var wanted netip.Prefix
	for _, i := range random.Perm(99) {
		host := fmt.Sprintf("n%d", i+1)
		for first := range of.Order(host, scenarioStart) {
			if len(hosts) == 0 {
				wanted = first
			}
			if first == wanted && len(hosts) < n {
				hosts = append(hosts, host)
			}
			break
		}
	}
	return hosts
}

// drawAssign draws a request for addresses.
func drawAssign(random *rand.Rand, host, handle string) race.Step {
	if random.Intn(6) == 0 {
		ip := fmt.Sprintf("10.0.0.%d", random.Intn(8))
		return race.Step{Op: "AssignIP", In: trace.In{Host: host, IP: ip, Handle: handle}}
	}
	return race.Step{Op: "AutoAssign", In: trace.In{Host: host, Num4: 1 + random.Intn(2), Handle: handle, Use: string(pool.Workload)}}
}
