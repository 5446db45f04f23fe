package plan

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"

	"github.com/ipamsim/ipamsim/internal/chart"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

const (
	// reportWhole is up to how many blocks a pool is drawn as a whole. Of a larger
	// one, a /64 say, only the blocks that were ever there have cells.
	reportWhole = 1 << 20
	// reportBytes is how much all maps of a page may take. Beyond that, moments are
	// left out.
	reportBytes = 6 << 20
)

// reportData is what the page's script reads.
type reportData struct {
	Owners []string       `json:"owners"` // of all maps
	Maps   []*reportSheet `json:"maps"`
}

// reportSheet is the map of one row.
type reportSheet struct {
	Name    string       `json:"name"` // "/26"
	Pools   []reportPool `json:"pools"`
	At      []string     `json:"at"` // of each frame, as are the requests
	Request []string     `json:"request"`
	Every   int          `json:"every"` // only every so-manieth moment is here
	// Frames are the changes, in base64 of zlib of unsigned varints. First, for each
	// pool that is not whole, its cells' blocks, each as the distance from the one
	// before. Then, for each frame, the number of cells that change, and five columns:
	// the cells, each as the distance from the one before; the owners, as in
	// [reportOwner]; and what is added to each of the addresses in use, borrowed and
	// cooling, in zigzag.
	Frames string `json:"frames"`

	source *sim.Map
}

// reportPool is a pool of a map. Its cells come after those of the pool before.
type reportPool struct {
	Name   string `json:"name"`
	CIDR   string `json:"cidr"`
	Base   string `json:"base"` // the first address, in hexadecimal
	Bits   int    `json:"bits"` // of an address
	Size   int    `json:"size"` // the prefix length of its blocks
	Cells  int    `json:"cells"`
	Whole  bool   `json:"whole"`
	Blocks string `json:"blocks"` // that it has room for, for people
}

// reportMaps are the maps of those rows that have one, at so many bytes.
func reportMaps(rows []row, limit int) (*reportData, error) {
	data := &reportData{Owners: []string{}, Maps: []*reportSheet{}}
	owners := map[string]int{}
	for i := range rows {
		m := rows[i].Result.Map
		if m == nil || len(m.Frames) == 0 || len(m.Pools) == 0 {
			continue
		}
		// Rows have the same nodes, as a rule, and their names are most of the page.
		for _, o := range m.Owners {
			if _, known := owners[o]; !known {
				owners[o] = len(data.Owners)
				data.Owners = append(data.Owners, o)
			}
		}
		data.Maps = append(data.Maps, &reportSheet{Name: reportSize(rows[i].BlockSize), Every: 1, source: m})
	}
	slots := make(chan struct{}, runtime.GOMAXPROCS(0)) // each takes memory
	err := together(len(data.Maps), func(i int) error {
		slots <- struct{}{}
		defer func() { <-slots }()
		s := data.Maps[i]
		if err := s.encode(owners); err != nil {
			return fmt.Errorf("map of blocks of %s: %w", s.Name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for {
		total := 0
		for _, s := range data.Maps {
			total += len(s.Frames)
		}
		if total <= limit {
			return data, nil
		}
		largest := slices.MaxFunc(data.Maps, func(a, b *reportSheet) int { return cmp.Compare(len(a.Frames), len(b.Frames)) })
		if len(largest.At) <= 2 {
			return data, nil
		}
		largest.Every *= 2
		if err := largest.encode(owners); err != nil {
			return nil, err
		}
	}
}

// reportOwner is how an owner is written: 0 for the one before, or one of the
// constants of [sim.Cell], or a node's number, each plus 3.
func reportOwner(before, now int) uint64 {
	if before == now {
		return 0
	}
	return uint64(now + 3)
}

// reportMerged returns the frames that are left if only every so-manieth is shown,
// the last one among them. Their cells are in order, each once.
func reportMerged(frames []sim.Frame, every int) (merged []sim.Frame) {
	var changed []sim.Cell
	for i, f := range frames {
		changed = append(changed, f.Cells...)
		if i != 0 && (len(frames)-1-i)%every != 0 {
			continue
		}
		slices.SortStableFunc(changed, func(a, b sim.Cell) int { return cmp.Compare(a.Block, b.Block) })
		f.Cells = make([]sim.Cell, 0, len(changed))
		for j, c := range changed {
			if j+1 == len(changed) || changed[j+1].Block != c.Block { // the last word on it
				f.Cells = append(f.Cells, c)
			}
		}
		changed = changed[:0]
		merged = append(merged, f)
	}
	return merged
}

// encode fills in everything but Name and Every.
func (s *reportSheet) encode(owners map[string]int) error {
	m := s.source
	frames := reportMerged(m.Frames, s.Every)
	s.Pools, s.At, s.Request = nil, nil, nil
	var raw []byte
	where := make([]func(block int) int, len(m.Pools)) // the cell of a block, by pool
	cells := 0
	for i, p := range m.Pools {
		base := p.CIDR.Masked().Addr()
		pool := reportPool{
			Name: p.Name, CIDR: p.CIDR.Masked().String(), Base: hex.EncodeToString(base.AsSlice()), Bits: base.BitLen(), Size: p.BlockSize,
			Cells: p.Blocks, Whole: p.Blocks <= reportWhole, Blocks: chart.Thousands(p.Blocks),
		}
		first := cells
		if pool.Whole {
			where[i] = func(block int) int { return first + block - p.First }
		} else {
			known := reportBlocks(frames, p.First, p.Blocks)
			pool.Cells = len(known)
			last := p.First
			place := make(map[int]int, len(known))
			for j, block := range known {
				raw = binary.AppendUvarint(raw, uint64(block-last))
				last, place[block] = block, first+j
			}
			where[i] = func(block int) int { return place[block] }
		}
		cells += pool.Cells
		s.Pools = append(s.Pools, pool)
	}
	state := make([]sim.Cell, cells)
	for i := range state {
		state[i].Owner = sim.Gone
	}
	for _, f := range frames {
		s.At = append(s.At, reportDuration(f.At))
		s.Request = append(s.Request, chart.Thousands(f.Request))
		columns := make([][]byte, 5)
		last := 0
		for _, c := range f.Cells {
			i := 0
			for i < len(m.Pools) && (c.Block < m.Pools[i].First || c.Block-m.Pools[i].First >= m.Pools[i].Blocks) {
				i++
			}
			if i == len(m.Pools) {
				return fmt.Errorf("block %d is in no pool", c.Block)
			}
			if c.Owner < sim.Gone || c.Owner >= len(m.Owners) {
				return fmt.Errorf("block %d belongs to %d of %d nodes", c.Block, c.Owner, len(m.Owners))
			}
			cell := where[i](c.Block)
			if c.Owner >= 0 {
				c.Owner = owners[m.Owners[c.Owner]]
			}
			before := state[cell]
			state[cell] = c
			columns[0] = binary.AppendUvarint(columns[0], uint64(cell-last))
			columns[1] = binary.AppendUvarint(columns[1], reportOwner(before.Owner, c.Owner))
			columns[2] = binary.AppendVarint(columns[2], int64(c.InUse-before.InUse))
			columns[3] = binary.AppendVarint(columns[3], int64(c.Borrowed-before.Borrowed))
			columns[4] = binary.AppendVarint(columns[4], int64(c.Cooling-before.Cooling))
			last = cell
		}
		raw = binary.AppendUvarint(raw, uint64(len(f.Cells)))
		raw = append(raw, bytes.Join(columns, nil)...)
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(raw); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	s.Frames = base64.StdEncoding.EncodeToString(packed.Bytes())
	return nil
}

// reportBlocks are the blocks of a pool that are in any frame, in order.
func reportBlocks(frames []sim.Frame, first, blocks int) (known []int) {
	for _, f := range frames {
		for _, c := range f.Cells {
			if c.Block >= first && c.Block-first < blocks {
				known = append(known, c.Block)
			}
		}
	}
	slices.Sort(known)
	return slices.Compact(known)
}
