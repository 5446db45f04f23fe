package plan

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// randomMap is a map of pools of so many blocks, with frames that change so many
// blocks each, in any way that blocks can change.
func randomMap(r *rand.Rand, pools []sim.MapPool, frames, changes int) *sim.Map {
	m := &sim.Map{Pools: pools}
	for i := range 40 {
		m.Owners = append(m.Owners, fmt.Sprintf("node-%d", i))
	}
	last := pools[len(pools)-1]
	for f := range frames {
		frame := sim.Frame{At: sim.Duration(f) * 1e9, Request: f * 100}
		for range changes {
			block := r.IntN(last.First + last.Blocks)
			p := pools[slices.IndexFunc(pools, func(p sim.MapPool) bool { return block < p.First+p.Blocks })]
			size := 1 << (p.CIDR.Addr().BitLen() - p.BlockSize)
			c := sim.Cell{Block: block, Owner: r.IntN(len(m.Owners)+2) - 2}
			if c.Owner == sim.Nobody {
				c.InUse = 1 + r.IntN(size)
			} else if c.Owner >= 0 {
				c.InUse = []int{0, r.IntN(size + 1), size}[r.IntN(3)]
				c.Cooling = r.IntN(size - c.InUse + 1)
			}
			c.Borrowed = r.IntN(c.InUse + 1)
			frame.Cells = append(frame.Cells, c)
		}
		m.Frames = append(m.Frames, frame)
	}
	return m
}

// poolsOf numbers the blocks of pools.
func poolsOf(blockSizes []int, cidrs ...string) (pools []sim.MapPool) {
	first := 0
	for i, cidr := range cidrs {
		p := netip.MustParsePrefix(cidr)
		pools = append(pools, sim.MapPool{Name: fmt.Sprintf("pool-%d", i), CIDR: p, BlockSize: blockSizes[i], First: first, Blocks: 1 << (blockSizes[i] - p.Bits())})
		first += pools[i].Blocks
	}
	return pools
}

// statesOf are the blocks that exist after each frame.
func statesOf(m *sim.Map) (states []map[int]sim.Cell) {
	now := map[int]sim.Cell{}
	for _, f := range m.Frames {
		for _, c := range f.Cells {
			if now[c.Block] = c; c.Owner == sim.Gone {
				delete(now, c.Block)
			}
		}
		states = append(states, maps.Clone(now))
	}
	return states
}

// unpacked reads what the page's script would, and returns the blocks that exist
// after each frame.
func unpacked(t *testing.T, data *reportData, s *reportSheet) (states []map[int]sim.Cell) {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(s.Frames)
	must.NoError(t, err)
	z, err := zlib.NewReader(bytes.NewReader(packed))
	must.NoError(t, err)
	raw, err := io.ReadAll(z)
	must.NoError(t, err)
	in := bytes.NewReader(raw)
	next := func() int {
		n, err := binary.ReadUvarint(in)
		must.NoError(t, err)
		return int(n)
	}
	signed := func() int {
		n, err := binary.ReadVarint(in)
		must.NoError(t, err)
		return int(n)
	}
	var blocks []int // by cell
	for i, p := range s.Pools {
		block := s.source.Pools[i].First
		for j := range p.Cells {
			if p.Whole {
				blocks = append(blocks, block+j)
			} else {
				block += next()
				blocks = append(blocks, block)
			}
		}
	}
	cells := make([]sim.Cell, len(blocks))
	for i := range cells {
		cells[i] = sim.Cell{Block: blocks[i], Owner: sim.Gone}
	}
	for range s.At {
		changed := make([]int, next())
		cell := 0
		for i := range changed {
			cell += next()
			changed[i] = cell
		}
		for _, i := range changed {
			if o := next(); o != 0 {
				cells[i].Owner = o - 3
			}
		}
		for _, i := range changed {
			cells[i].InUse += signed()
		}
		for _, i := range changed {
			cells[i].Borrowed += signed()
		}
		for _, i := range changed {
			cells[i].Cooling += signed()
		}
		now := map[int]sim.Cell{}
		for _, c := range cells {
			if c.Owner == sim.Gone {
				continue
			}
			if c.Owner >= 0 { // from the page's numbers to the map's
				c.Owner = slices.Index(s.source.Owners, data.Owners[c.Owner])
			}
			now[c.Block] = c
		}
		states = append(states, now)
	}
	must.Zero(t, in.Len())
	return states
}

// TestMapIsWhatWasRun: what the page holds is what the run told, at every moment.
func TestMapIsWhatWasRun(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	maps := 30
	if testing.Short() {
		maps = 4
	}
	for range maps {
		a := randomMap(r, poolsOf([]int{28, 27, 122}, "10.0.0.0/24", "10.1.0.0/27", "fd00::/117"), 1+r.IntN(8), r.IntN(30))
		b := randomMap(r, poolsOf([]int{122, 26}, "fd00::/64", "10.9.0.0/20"), 1+r.IntN(8), r.IntN(30))
		slices.Reverse(b.Owners) // another order
		a.Owners[3] = "only here"
		rows := []row{{BlockSize: 28, Result: sim.Result{Map: a}}, {BlockSize: 27}, {BlockSize: 26, Result: sim.Result{Map: b}}}
		data, err := reportMaps(rows, 1<<20)
		must.NoError(t, err)
		must.Len(t, 2, data.Maps)
		must.Len(t, 41, data.Owners)
		for i, m := range []*sim.Map{a, b} {
			must.Eq(t, statesOf(m), unpacked(t, data, data.Maps[i]))
		}
		must.False(t, data.Maps[1].Pools[0].Whole)
		must.Eq(t, "288,230,376,151,711,744", data.Maps[1].Pools[0].Blocks)

		// Whoever changes one count is found out.
		if f := &a.Frames[len(a.Frames)-1]; len(f.Cells) > 0 && f.Cells[len(f.Cells)-1].Owner != sim.Gone {
			want := statesOf(a)
			f.Cells[len(f.Cells)-1].Cooling++
			data, err := reportMaps(rows, 1<<20)
			must.NoError(t, err)
			must.NotEq(t, want, unpacked(t, data, data.Maps[0]))
		}
	}
}

// TestMapThatIsTooLarge leaves moments out, and the rest stays right.
func TestMapThatIsTooLarge(t *testing.T) {
	property.Slow(t)
	m := randomMap(rand.New(rand.NewPCG(5, 6)), poolsOf([]int{26}, "10.0.0.0/16"), 50, 200)
	rows := []row{{BlockSize: 26, Result: sim.Result{Map: m}}}
	all, err := reportMaps(rows, 1<<20)
	must.NoError(t, err)
	must.Eq(t, 1, all.Maps[0].Every)
	limit := len(all.Maps[0].Frames) * 2 / 3
	some, err := reportMaps(rows, limit)
	must.NoError(t, err)
	s := some.Maps[0]
	must.LessEq(t, limit, len(s.Frames))
	must.Greater(t, 1, s.Every)
	must.Eq(t, "0", s.Request[0])
	must.Eq(t, "4,900", s.Request[len(s.Request)-1])
	must.Less(t, 50, len(s.At))
	want, got := statesOf(m), unpacked(t, some, s)
	must.Eq(t, want[0], got[0])
	must.Eq(t, want[49], got[len(got)-1])
	must.Eq(t, want[49-s.Every], got[len(got)-2])
	fewest, err := reportMaps(rows, 1)
	must.NoError(t, err)
	must.Len(t, 2, fewest.Maps[0].At, must.Sprint("the first and the last stay, however large"))
}

// TestMapThatIsWrong: a page that would show something else is none.
func TestMapThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		cell sim.Cell
		says string
	}{
		{sim.Cell{Block: 16}, "map of blocks of /28: block 16 is in no pool"},
		{sim.Cell{Block: -1}, "block -1 is in no pool"},
		{sim.Cell{Block: 1, Owner: 2}, "block 1 belongs to 2 of 2 nodes"},
		{sim.Cell{Block: 1, Owner: -3}, "block 1 belongs to -3 of 2 nodes"},
	} {
		m := &sim.Map{Pools: poolsOf([]int{28}, "10.0.0.0/24"), Owners: []string{"a", "b"}, Frames: []sim.Frame{{Cells: []sim.Cell{c.cell}}}}
		var b bytes.Buffer
		err := writeReport(&b, &plan{Rows: []row{{BlockSize: 28, Result: sim.Result{Map: m}}}})
		must.ErrorContains(t, err, c.says)
		must.Zero(t, b.Len(), must.Sprint("nothing is written of a page that fails"))
	}
}

// TestReportIsSmall: as many blocks as a /14 has of /28, a hundred moments, and a
// third of the blocks different at each.
func TestReportIsSmall(t *testing.T) {
	if !property.Long() {
		t.Skip("takes seconds; IPAMSIM_LONG=1 runs it")
	}
	m := randomMap(rand.New(rand.NewPCG(7, 8)), poolsOf([]int{28}, "10.0.0.0/14"), 1, 16384)
	r := rand.New(rand.NewPCG(9, 10))
	state := statesOf(m)[0]
	for i := range 99 {
		f := sim.Frame{At: sim.Duration(i) * 1e9, Request: i * 5000}
		for _, block := range r.Perm(16384)[:5000] { // a pod more or less in each, as a rule
			c := state[block]
			c.Block = block
			if r.IntN(20) == 0 {
				c.Owner = r.IntN(40)
			}
			c.InUse = min(max(c.InUse+r.IntN(3)-1, 0), 16)
			c.Cooling = min(r.IntN(3), 16-c.InUse)
			c.Borrowed = min(c.Borrowed, c.InUse)
			state[block] = c
			f.Cells = append(f.Cells, c)
		}
		m.Frames = append(m.Frames, f)
	}
	p := &plan{Rows: []row{{BlockSize: 28, Result: sim.Result{Map: m}}}}
	p.Scenario.Pool = netip.MustParsePrefix("10.0.0.0/14")
	var b bytes.Buffer
	must.NoError(t, writeReport(&b, p))
	t.Logf("%d bytes", b.Len())
	must.Less(t, 5<<20, b.Len())
	must.Greater(t, 500_000, b.Len(), must.Sprint("is everything there?"))
	must.StrContains(t, b.String(), `"every":1,`)
}
