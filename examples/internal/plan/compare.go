package plan

import (
	"cmp"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"sync"

	"github.com/ipamsim/ipamsim/ipam/sim"
	"github.com/ipamsim/ipamsim/pool"
)

// sizes returns the block sizes at which a scenario is to be run: the one that it
// names, or all that Calico allows and the pool is large enough for, and small enough
// to be run. There may be none.
func sizes(s *sim.Scenario) []int {
	if s.BlockSize != 0 || len(s.Pools) > 0 {
		return []int{s.BlockSize}
	}
	least, most := allowed(s)
	var all []int
	for size := max(least, s.Pool.Bits()); size <= min(most, finest(s)); size++ {
		all = append(all, size)
	}
	return all
}

// allowed returns the block sizes that Calico allows in the pool's family.
func allowed(s *sim.Scenario) (least, most int) {
	if s.Pool.Addr().Is4() {
		return 20, 32
	}
	return 116, 128
}

// finest returns the smallest block size at which the scenario's own pool can be run: it
// and those that events add have at most 2^[sim.MaxBlockBits] blocks in all.
func finest(s *sim.Scenario) int {
	left := uint64(1) << sim.MaxBlockBits
	for i := range s.Events {
		if p := s.Events[i].Pool; p != nil && p.CIDR.IsValid() {
			spec := pool.Spec{CIDR: p.CIDR, BlockSize: p.BlockSize}.WithDefaults()
			left -= min(left, 1<<max(0, spec.BlockSize-spec.CIDR.Bits()))
		}
	}
	return min(addressBits(s), s.Pool.Bits()+bits.Len64(left)-1)
}

// notRun says of which blocks a pool has too many, if there are any: they are not among
// those that are compared.
func notRun(s *sim.Scenario) string {
	from := finest(s) + 1
	_, most := allowed(s)
	if s.BlockSize != 0 || len(s.Pools) > 0 || from > most {
		return ""
	}
	text := fmt.Sprintf("Blocks of /%d to /%d were", from, most)
	if from == most {
		text = fmt.Sprintf("Blocks of /%d were", most)
	}
	if asked := question(s); from <= asked {
		text = fmt.Sprintf("Blocks of /%d to /%d, Calico's default of /%d among them, were", from, most, asked)
	}
	has, room := "has", from-1-s.Pool.Bits()
	if room < sim.MaxBlockBits {
		has = "and the pools that events add have"
	}
	return fmt.Sprintf("%s not run: %s %s more than 2^%d of them. They can be compared in a part of it, %s say",
		text, s.Pool, has, sim.MaxBlockBits, netip.PrefixFrom(s.Pool.Addr(), most-room))
}

// question returns the block size whose failures are explained and mended: the one
// that the scenario names, or Calico's default, which its pool may be too small for.
func question(s *sim.Scenario) int {
	switch {
	case s.BlockSize != 0:
		return s.BlockSize
	case len(s.Pools) > 0:
		return ofPools(s)
	case s.Pool.Addr().Is4():
		return pool.DefaultBlockSize4
	}
	return pool.DefaultBlockSize6
}

// warnings returns what is likely to disappoint about a scenario. Of those that are
// compared it is about Calico's default, or about the largest blocks if that is not run.
func warnings(s *sim.Scenario) (all []string) {
	with := *s
	before := ""
	if possible := sizes(s); s.BlockSize == 0 && len(s.Pools) == 0 {
		with.BlockSize = question(s)
		if !slices.Contains(possible, with.BlockSize) {
			with.BlockSize = possible[0]
			before = fmt.Sprintf("with blocks of /%d, the largest: ", with.BlockSize)
		} else {
			before = fmt.Sprintf("with Calico's default, /%d: ", with.BlockSize)
		}
	}
	for _, w := range with.Warnings() {
		if w.Path == "nodes" {
			w.Text = before + w.Text
		}
		all = append(all, w.Text)
	}
	if text := notRun(s); text != "" {
		all = append(all, text)
	}
	return all
}

// sized returns a scenario with blocks of this size.
func sized(s *sim.Scenario, size int) *sim.Scenario {
	with := *s
	with.BlockSize = size
	return &with
}

// extras is what the runs of a plan show.
type extras struct {
	samples  int // with a map and every node, for the report
	headroom bool
}

// makePlan runs a scenario at every block size that it is for, and tries what would
// make the default work. Its errors are [sim.ErrStopped] or say what is wrong
// with the scenario.
func (c *crew) makePlan(e *sim.Entry, index int, x extras) (*plan, error) {
	p := &plan{Index: index, File: e.File, Line: e.Line, Scenario: e.Scenario}
	p.Warnings = warnings(&p.Scenario)
	o := sim.Options{Samples: x.samples, Map: x.samples > 0, PerNode: x.samples > 0, Headroom: x.headroom, HeadroomCounted: !x.headroom, HeadroomRequests: enough(&p.Scenario)}
	all := sizes(&p.Scenario)
	p.Rows = make([]row, len(all))
	// The smallest blocks take longest and come first.
	err := together(len(all), func(i int) error {
		i = len(all) - 1 - i
		s := sized(&p.Scenario, all[i])
		r, err := c.run(s, o, requests(s))
		p.Rows[i] = row{BlockSize: all[i], Fits: fits(&r), FailsAt: failsAt(s, &r), Result: r}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(p.Scenario.Pools) > 0 {
		p.Rows[0].BlockSize = ofPools(&p.Scenario)
	}
	if err := c.measure(p, x); err != nil {
		return nil, err
	}
	changes, err := c.changes(p)
	if err != nil {
		return nil, err
	}
	p.Verdict = judge(p)
	p.Verdict.Changes = changes
	return p, nil
}

// ofPools returns the block size of all pools in use, or 0 if they have different ones.
func ofPools(s *sim.Scenario) int {
	size := 0
	for i := range s.Pools {
		if s.Pools[i].Disabled {
			continue
		}
		spec := pool.Spec{CIDR: s.Pools[i].CIDR, BlockSize: s.Pools[i].BlockSize}.WithDefaults()
		if size != 0 && size != spec.BlockSize {
			return 0
		}
		size = spec.BlockSize
	}
	return size
}

// together calls do for every number below n, all at the same time, and returns the
// first error by number.
func together(n int, do func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// fits reports whether a scenario went as it should: nothing was refused or
// borrowed, every node that is of use has a block, and every service an address.
func fits(r *sim.Result) bool {
	return r.Refused() == 0 && r.Borrowed == 0 && r.Unscheduled == 0 && r.NodesInNeed == 0 && r.ServicesRefused() == 0
}

// measure finds out how much room there is at the block sizes that may come out best,
// where it could not be counted: that takes longer than running the scenario. Of the
// others it keeps nothing unless somebody asks.
func (c *crew) measure(p *plan, x extras) error {
	var rows []*row
	may := best(p.Rows)
	for i := range p.Rows {
		switch r := &p.Rows[i]; {
		case r.Fits && slices.Contains(may, r):
			if r.Result.Headroom == nil {
				rows = append(rows, r)
			}
		case !x.headroom:
			r.Result.Headroom = nil
		}
	}
	return together(len(rows), func(i int) error {
		r := rows[i]
		size := r.BlockSize
		if len(p.Scenario.Pools) > 0 {
			size = 0
		}
		result, err := c.run(sized(&p.Scenario, size), sim.Options{Headroom: true, HeadroomRequests: enough(&p.Scenario)}, 0)
		r.Result.Headroom = result.Headroom
		return err
	})
}

// enough returns after how many more requests the search for room may end: a pool that
// is much larger than its cluster takes long to fill, and that there is room for several
// such clusters is all that anybody wants to know.
func enough(s *sim.Scenario) int { return max(200_000, 4*requests(s)) }

// best returns the rows that are best by all but headroom: those that fit with the
// fewest routes. If none does, those that refuse least, and of them those that
// borrow least.
func best(rows []row) []*row {
	order := make([]*row, len(rows))
	for i := range rows {
		order[i] = &rows[i]
	}
	compare := func(a, b *row) int {
		switch {
		case a.Fits && b.Fits:
			return cmp.Compare(a.Result.Routes, b.Result.Routes)
		case a.Fits:
			return -1
		case b.Fits:
			return 1
		}
		return cmp.Or(cmp.Compare(a.Result.Refused(), b.Result.Refused()), cmp.Compare(a.Result.Borrowed, b.Result.Borrowed),
			cmp.Compare(a.Result.NodesInNeed, b.Result.NodesInNeed), cmp.Compare(a.Result.Routes, b.Result.Routes))
	}
	slices.SortStableFunc(order, compare)
	n := 1
	for n < len(order) && compare(order[0], order[n]) == 0 {
		n++
	}
	return order[:n]
}

// choose returns the best row: of those that are equal otherwise, the one with the
// most headroom, and then the one whose size is nearest to the one in question. Room
// for a cluster of twice the size is room enough.
func choose(p *plan) *row {
	asked, most := question(&p.Scenario), uint(largest(&p.Scenario))
	room := func(r *row) (nodes, pods int) {
		h := r.Result.Headroom
		if h == nil {
			return 0, 0
		}
		// As unsigned numbers, no end is more than any.
		return int(min(uint(h.Nodes), uint(p.Scenario.Nodes))), int(min(uint(h.PodsPerNode), most))
	}
	return slices.MinFunc(best(p.Rows), func(a, b *row) int {
		nodesA, podsA := room(a)
		nodesB, podsB := room(b)
		return cmp.Or(cmp.Compare(nodesB, nodesA), cmp.Compare(podsB, podsA),
			cmp.Compare(max(a.BlockSize, asked)-min(a.BlockSize, asked), max(b.BlockSize, asked)-min(b.BlockSize, asked)))
	})
}
