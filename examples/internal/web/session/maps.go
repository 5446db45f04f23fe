package session

import (
	"fmt"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/pool"
)

type mapArgs struct {
	Pool string `json:"pool"`
}

// Map is a pool, block by block.
type Map struct {
	Name      string  `json:"name"`
	CIDR      string  `json:"cidr"`
	BlockSize int     `json:"blockSize"`
	Blocks    float64 `json:"blocks"`
	// Runs are the blocks that exist or that somebody claims, in order: the first, how
	// many, the kind (1 owned, 2 nobody's, 3 only claimed so far), the owner's place among
	// the nodes of the view (-1 for none), and for each address of such a block how many are
	// in use: 0 only if none is, 100 only if all are. All others are free to claim.
	Runs   [][5]float64 `json:"runs"`
	Starts []Start      `json:"starts"`
}

// Start is where a node begins its walk.
type Start struct {
	Node  string  `json:"node"`
	Index float64 `json:"index"`
}

// The kinds of runs.
const (
	runOwned = 1 + iota
	runUnowned
	runClaimed
)

// poolNamed returns the pool of that name; the only one if it is empty.
func (w *world) poolNamed(name string) (*pool.Pool, error) {
	if name == "" && len(w.pools) > 0 {
		return w.pools[0], nil
	}
	var names []string
	for _, p := range w.pools {
		if p.Name() == name {
			return p, nil
		}
		names = append(names, p.Name())
	}
	return nil, unknown("pool", "pool", name, names)
}

// Map returns the pool, block by block.
func (s *Session) Map(name string) (*Map, error) {
	w := s.world
	p, err := w.poolNamed(name)
	if err != nil {
		return nil, err
	}
	if p.BlockBits() > maxBits {
		return nil, fmt.Errorf("pool: %s has 2^%d blocks, too many to draw; the blocks that exist are with their nodes", p.CIDR(), p.BlockBits())
	}
	m := &Map{Name: p.Name(), CIDR: p.CIDR().String(), BlockSize: p.BlockSize(), Blocks: float64(uint64(1) << p.BlockBits()), Runs: [][5]float64{}, Starts: []Start{}}
	for cidr, b := range w.blocks {
		if !p.Contains(cidr.Addr()) {
			continue
		}
		kind, place := float64(runUnowned), -1.0
		if n := w.nodes[b.owner.Name]; n != nil && b.owner == n.owner() {
			kind, place = runOwned, float64(n.place)
		}
		size := 1 << (cidr.Addr().BitLen() - cidr.Bits())
		m.Runs = append(m.Runs, [5]float64{float64(p.IndexOf(cidr.Addr()).Lo()), 1, kind, place, percent(b.count.InUse, size)})
	}
	for c, state := range w.claimed {
		n := w.nodes[c.owner.Name]
		if w.blocks[c.cidr] == nil && n != nil && c.owner == n.owner() && state != affinity.None && p.Contains(c.cidr.Addr()) {
			m.Runs = append(m.Runs, [5]float64{float64(p.IndexOf(c.cidr.Addr()).Lo()), 1, runClaimed, float64(n.place), 0})
		}
	}
	slices.SortFunc(m.Runs, func(a, b [5]float64) int {
		for i := range a {
			if a[i] != b[i] {
				return int(min(1, max(-1, a[i]-b[i])))
			}
		}
		return 0
	})
	merged := m.Runs[:0]
	for _, r := range m.Runs {
		if n := len(merged); n > 0 {
			if last := &merged[n-1]; last[0]+last[1] == r[0] && last[2] == r[2] && last[3] == r[3] && last[4] == r[4] {
				last[1]++
				continue
			}
		}
		merged = append(merged, r)
	}
	m.Runs = merged
	for _, n := range w.order {
		if !n.gone && p.SelectsNode(n.labels) {
			m.Starts = append(m.Starts, Start{n.name, float64(p.Start(n.name, w.clock.Now()).Lo())})
		}
	}
	return m, nil
}

// percent is how many of a hundred are in use, 0 and 100 only where none and all are.
func percent(used, size int) float64 {
	if used == 0 {
		return 0
	}
	return float64(max(1, 100*used/size))
}

type walkArgs struct {
	Pool string `json:"pool"`
	Node string `json:"node"`
	Most int    `json:"most"` // 0 for 64
}

// Walk is the order in which a node looks for a block.
type Walk struct {
	Pool  string `json:"pool"`
	Node  string `json:"node"`
	Steps []Step `json:"steps"`
}

// Step is a block of a walk.
type Step struct {
	Index float64 `json:"index"`
	CIDR  string  `json:"cidr"`
	// State is "free" to claim, "own", or "taken" by Owner, who is empty for nobody.
	State string `json:"state"`
	Owner string `json:"owner"`
}

// Walk returns the first blocks of a node's walk through a pool.
func (s *Session) Walk(args walkArgs) (*Walk, error) {
	w := s.world
	p, err := w.poolNamed(args.Pool)
	if err != nil {
		return nil, err
	}
	if args.Most == 0 {
		args.Most = 64
	}
	if args.Most < 0 || args.Most > 4096 {
		return nil, fmt.Errorf("most: %d is out of range: 1 to 4,096", args.Most)
	}
	n, err := w.node("node", args.Node)
	if err != nil {
		return nil, err
	}
	walk := &Walk{Pool: p.Name(), Node: n.name, Steps: []Step{}}
	for cidr := range p.Order(n.name, w.clock.Now()) {
		if len(walk.Steps) == args.Most {
			break
		}
		i := p.IndexOf(cidr.Addr())
		step := Step{Index: float64(i.Hi())*(1<<64) + float64(i.Lo()), CIDR: cidr.String(), State: "free"}
		if b := w.blocks[cidr]; b != nil {
			step.State, step.Owner = "taken", b.owner.Name
			if b.owner == n.owner() {
				step.State = "own"
			}
		}
		walk.Steps = append(walk.Steps, step)
	}
	return walk, nil
}
