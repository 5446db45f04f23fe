package plan

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/sim"
	"github.com/ipamsim/ipamsim/pool"
)

// filled is a cluster that fills up and empties again: nodes claim blocks, pods come
// in turns, then one node in ten gives up its blocks and one pod in six its address.
type filled struct {
	pools       []netip.Prefix
	blockSize   int
	nodes, pods int
	strict      bool
	moments     int
}

// row runs the cluster and returns what became of it, with samples and a map. It
// counts on its own, so that the report is tested without what fills it in.
func (f filled) row(t testing.TB) row {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := ipam.NewClock(start)
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetIPAMConfig(ipam.Config{StrictAffinity: f.strict, AutoAllocateBlocks: true, IPCooldownSeconds: 600}))
	m := &sim.Map{}
	for i, p := range f.pools {
		must.NoError(t, a.SetPool(pool.Spec{Name: fmt.Sprintf("pool-%d", i), CIDR: p, BlockSize: f.blockSize}))
		before := sim.MapPool{}
		if i > 0 {
			before = m.Pools[i-1]
		}
		m.Pools = append(m.Pools, sim.MapPool{
			Name: fmt.Sprintf("pool-%d", i), CIDR: p, BlockSize: f.blockSize,
			First: before.First + before.Blocks, Blocks: 1 << (f.blockSize - p.Bits()),
		})
	}
	if len(f.pools) == 1 {
		m.Pools[0].Name = "pool"
	}
	owners := map[string]int{}
	for i := range f.nodes {
		name := fmt.Sprintf("node-%d", i)
		owners[name] = i
		m.Owners = append(m.Owners, name)
		must.NoError(t, a.SetNode(ipam.Node{Name: name}))
	}
	watch := a.Watch()
	defer watch.Stop()
	r := row{BlockSize: f.blockSize}
	res := &r.Result
	state := map[int]sim.Cell{}
	moment := func() {
		frame := sim.Frame{At: sim.Duration(clock.Now().Sub(start)), Request: res.Requests}
		for _, cidr := range watch.AppendChanged(nil) {
			c := f.cell(a, m, owners, cidr)
			state[c.Block] = c
			frame.Cells = append(frame.Cells, c)
		}
		slices.SortFunc(frame.Cells, func(a, b sim.Cell) int { return a.Block - b.Block })
		m.Frames = append(m.Frames, frame)
		res.Samples = append(res.Samples, f.sample(res, m, state, &frame))
	}
	requests, every := f.nodes*f.pods, max(f.nodes*f.pods/max(f.moments-8, 1), 1)
	num4, num6 := 1, 0
	if f.pools[0].Addr().Is6() {
		num4, num6 = 0, 1
	}
	var held []string
	for i := range requests {
		if i%every == 0 {
			moment()
		}
		handle := fmt.Sprintf("pod-%d", i)
		host := m.Owners[i%f.nodes]
		res.Requests++
		v4, v6, _ := a.AutoAssign(ipam.AutoAssignArgs{Host: host, Num4: num4, Num6: num6, Handle: handle, Use: pool.Workload,
			Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: host})})
		if got := append(v4.IPs, v6.IPs...); len(got) == 1 {
			res.Assigned++
			held = append(held, handle)
			if _, owner, _ := a.BlockOf(got[0].Addr()); owner == affinity.HostOwner(host) {
				res.Own++
			} else {
				res.Borrowed++
			}
		} else {
			res.RefusedPoolEmptyOrStrict++
			res.RefusedPoolEmpty++
		}
	}
	for i := range 7 {
		clock.Advance(30 * time.Second)
		for n := i; n < f.nodes; n += 70 {
			must.NoError(t, a.ReleaseHostAffinities(affinity.HostOwner(m.Owners[n]), false))
		}
		for n := i; n < len(held); n += 42 {
			must.NoError(t, a.ReleaseByHandle(held[n]))
			res.Released++
		}
		moment()
	}
	last := res.Samples[len(res.Samples)-1]
	res.Blocks, res.Routes, res.NodesWithoutBlock = last.Blocks, last.Routes, last.NodesWithoutBlock
	res.BlocksClaimed, res.Map = last.Claimed, m
	for _, p := range m.Pools {
		res.BlocksTotal += p.Blocks
	}
	r.Fits = res.Refused() == 0 && res.Borrowed == 0
	return r
}

// cell reads a block.
func (f filled) cell(a *ipam.Allocator, m *sim.Map, owners map[string]int, cidr netip.Prefix) sim.Cell {
	var b ipam.BlockState
	c := sim.Cell{Block: blockNumber(m, cidr.Addr()), Owner: sim.Gone}
	if !a.ReadBlock(cidr, &b) {
		return c
	}
	c.Owner = sim.Nobody
	if !b.Owner.IsZero() {
		c.Owner = owners[b.Owner.Name]
	}
	for _, x := range b.Allocations {
		switch {
		case !x.ReleasedAt.IsZero():
			c.Cooling++
		default:
			c.InUse++
			if node, _ := x.Active.Get(ipam.AttrNode); c.Owner < 0 || node != b.Owner.Name {
				c.Borrowed++
			}
		}
	}
	return c
}

// blockNumber is the number of an address's block in a map.
func blockNumber(m *sim.Map, addr netip.Addr) int {
	for _, p := range m.Pools {
		if p.CIDR.Contains(addr) {
			base, at := new(big.Int).SetBytes(p.CIDR.Addr().AsSlice()), new(big.Int).SetBytes(addr.AsSlice())
			at.Sub(at, base)
			return p.First + int(at.Rsh(at, uint(addr.BitLen()-p.BlockSize)).Int64())
		}
	}
	return -1
}

// sample counts.
func (f filled) sample(res *sim.Result, m *sim.Map, state map[int]sim.Cell, frame *sim.Frame) sim.Sample {
	s := sim.Sample{At: frame.At, Request: frame.Request, Refused: res.Refused()}
	has := map[int]bool{}
	exists := 0
	for _, c := range state {
		if c.Owner == sim.Gone {
			continue
		}
		exists++
		s.InUse += c.InUse
		s.Borrowed += c.Borrowed
		if c.Owner >= 0 {
			has[c.Owner] = true
			s.Claimed++
			s.Stranded += 1<<(m.Pools[0].CIDR.Addr().BitLen()-f.blockSize) - c.InUse - c.Cooling
			if c.InUse == 0 {
				s.Empty++
			}
			if c.InUse == 1 {
				s.OnePod++
			}
		}
	}
	for _, p := range m.Pools {
		s.Free += p.Blocks
	}
	s.Free -= exists
	s.Routes = s.Claimed + s.Borrowed
	s.NodesWithoutBlock = f.nodes - len(has)
	return s
}
