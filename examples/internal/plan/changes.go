package plan

import (
	"errors"
	"fmt"
	"net/netip"
	"sort"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// steps is how many larger pools are tried, each twice as large as the one before.
const steps = 8

// changes tries what would make the block size in question work, by running it.
// They come in the order of what they cost: a setting, a number that the pool is
// made with, a setting that lets nodes borrow, more addresses, less of a cluster.
// There are none where nothing has to change.
func (c *crew) changes(p *plan) ([]change, error) {
	t := c.trial(p)
	if t == nil {
		return nil, nil
	}
	return t.changes(validOnly)
}

// upTo returns the last change of a row of them, each of which goes further, if the next one
// cannot be run.
func upTo(last *change, err error) (*change, error) {
	if errors.Is(err, sim.ErrInvalid) {
		return last, nil
	}
	return nil, err
}

// trial returns the scenario of a plan to try changes of, or nil where nothing has to
// change. Where the default was not run, for the pool is too small or too large, it has the
// best of the other block sizes.
func (c *crew) trial(p *plan) *trial {
	r := p.at(question(&p.Scenario))
	if r == nil && p.compared() {
		r = choose(p)
	}
	if r == nil || r.Fits {
		return nil
	}
	s := p.Scenario
	if len(s.Pools) == 0 {
		s.BlockSize = r.BlockSize
	}
	return &trial{crew: c, plan: p, scenario: &s, result: &r.Result}
}

// validOnly leaves out a change that makes the scenario one that cannot be run, as Windows
// nodes cannot without strict affinity. The user did not write that scenario, so what is
// wrong with it is no answer.
func validOnly(c *change, err error) (*change, error) {
	if errors.Is(err, sim.ErrInvalid) {
		return nil, nil
	}
	return c, err
}

// trial is a scenario that does not fit. Each of its methods changes one thing, and
// returns nil where that thing cannot be changed or has nothing to do with it.
type trial struct {
	crew     *crew
	plan     *plan
	scenario *sim.Scenario
	result   *sim.Result // without a change
}

// changes tries everything, and takes what accept returns of it.
func (t *trial) changes(accept func(*change, error) (*change, error)) ([]change, error) {
	tries := []func() (*change, error){t.autoAllocate, t.higherLimit, t.smallerBlock, t.strictOff, t.largerPool, t.fewerPods}
	found := make([]*change, len(tries))
	err := together(len(tries), func(i int) (err error) {
		found[i], err = accept(tries[i]())
		return err
	})
	var all []change
	for _, f := range found {
		if f != nil {
			all = append(all, *f)
		}
	}
	return all, err
}

// run runs the scenario with a change. Its error matches [sim.ErrInvalid] if that cannot be
// run.
func (t *trial) run(s *sim.Scenario) (sim.Result, error) {
	return t.crew.run(s, sim.Options{}, 0)
}

// outcome is a change that has been tried.
func outcome(what string, s *sim.Scenario, r *sim.Result) *change {
	c := &change{What: what, Works: fits(r), Result: &r.Totals}
	if c.Works {
		c.Why = routes(&r.Totals)
	} else {
		c.Why = shortcomings(s, r)
	}
	return c
}

// autoAllocate lets nodes claim blocks again.
func (t *trial) autoAllocate() (*change, error) {
	s := *t.scenario
	if !s.NoAutoAllocate {
		return nil, nil
	}
	s.NoAutoAllocate = false
	r, err := t.run(&s)
	return outcome("autoAllocateBlocks on", &s, &r), err
}

// higherLimit lets nodes have as many blocks as their pods fill.
func (t *trial) higherLimit() (*change, error) {
	if t.result.RefusedBlockLimit == 0 {
		return nil, nil
	}
	s := *t.scenario
	what := ""
	if !s.StrictAffinity {
		s.StrictAffinity = true
		what = " and strict affinity, without which Calico takes no limit"
	}
	size := question(t.scenario)
	if size == 0 {
		return nil, nil // pools of several block sizes
	}
	block := 1 << (addressBits(&s) - size)
	most := limit(t.scenario)
	s.MaxBlocksPerHost = max(most+1, (largest(&s)+block-1)/block)
	var last *change
	for {
		r, err := t.run(&s)
		if err != nil {
			return upTo(last, err) // there is an end to limits
		}
		last = outcome(fmt.Sprintf("a limit of %s a node%s", cli.Count(s.MaxBlocksPerHost, "block"), what), &s, &r)
		// What comes and goes can take more than what is there at any time.
		if r.RefusedBlockLimit == 0 || s.MaxBlocksPerHost >= most<<steps {
			return last, nil
		}
		s.MaxBlocksPerHost *= 2
	}
}

// addressBits returns how many bits an address of the scenario has.
func addressBits(s *sim.Scenario) int {
	if len(s.Pools) > 0 {
		return s.Pools[0].CIDR.Addr().BitLen()
	}
	return s.Pool.Addr().BitLen()
}

// largest returns how many addresses the largest node asks for.
func largest(s *sim.Scenario) int {
	_, n := s.PodsAtStart()
	if s.TunnelIPPerNode {
		n++
	}
	return n
}

// smallerBlock takes the largest block below the one in question that fits.
func (t *trial) smallerBlock() (*change, error) {
	s := t.scenario
	smallest := finest(s)
	if len(s.Pools) > 0 || s.BlockSize >= smallest || t.plan.compared() && s.BlockSize != common(s) {
		return nil, nil // in the last case all sizes are in the table, and none fits
	}
	var tried []row
	for size := s.BlockSize + 1; size <= smallest; size++ {
		with := sized(s, size)
		r := t.plan.at(size)
		if r == nil {
			result, err := t.run(with)
			if err != nil {
				return nil, err
			}
			r = &row{BlockSize: size, Fits: fits(&result), Result: result}
		}
		if r.Fits {
			return outcome(fmt.Sprintf("a smaller block: /%d", size), with, &r.Result), nil
		}
		tried = append(tried, *r)
	}
	r := best(tried)[0]
	c := outcome(fmt.Sprintf("a smaller block: /%d", r.BlockSize), sized(s, r.BlockSize), &r.Result)
	if len(tried) > 1 {
		c.What = fmt.Sprintf("a smaller block: none of /%d to /%d", s.BlockSize+1, smallest)
		c.Why = fmt.Sprintf("at best, with /%d, %s", r.BlockSize, c.Why)
	}
	return c, nil
}

// strictOff lets nodes borrow. It works if nobody is refused any more, though
// nobody's addresses are all its own.
func (t *trial) strictOff() (*change, error) {
	s := *t.scenario
	if !s.StrictAffinity || s.NoAutoAllocate {
		return nil, nil
	}
	what := "strict affinity off"
	s.StrictAffinity = false
	if s.MaxBlocksPerHost > 0 { // which Calico takes with strict affinity only
		s.MaxBlocksPerHost = 0
		what += ", and the limit of blocks with it"
	}
	r, err := t.run(&s)
	if err != nil {
		return nil, err
	}
	c := outcome(what, &s, &r)
	if r.Refused() == 0 && !c.Works {
		c.Works = true
		c.Why = "nothing is refused, but " + shortcomings(&s, &r)
	}
	return c, nil
}

// largerPool doubles the pool until the scenario fits. If it was too small for a block of
// the default size, it may have blocks of any size then, of that one if they fit.
func (t *trial) largerPool() (*change, error) {
	s := *t.scenario
	if len(s.Pools) > 0 {
		return nil, nil
	}
	least := max(8, s.BlockSize-sim.MaxBlockBits) // there is no larger private range, nor are more blocks run
	from, sizes := s.Pool.Bits(), []int{s.BlockSize}
	if standard := common(&s); t.plan.compared() && from > standard {
		sizes = sizes[:0]
		for size := standard; size <= addressBits(&s); size++ {
			sizes = append(sizes, size)
		}
	}
	var last *change
	for step := range steps {
		length := from - 1 - step
		if length < least {
			break
		}
		s.Pool = netip.PrefixFrom(s.Pool.Addr(), length).Masked()
		if p := overlapped(&s); p != nil {
			return &change{What: fmt.Sprintf("a larger pool: %s", s.Pool), Why: fmt.Sprintf("it would overlap pool %s, %s", p.Name, p.CIDR)}, nil
		}
		var tried []row
		for _, s.BlockSize = range sizes {
			if s.BlockSize < length {
				continue
			}
			r, err := t.run(&s)
			if err != nil {
				return upTo(last, err)
			}
			tried = append(tried, row{BlockSize: s.BlockSize, Fits: fits(&r), Result: r})
			if fits(&r) {
				break
			}
		}
		of := best(tried)[0]
		r := &of.Result
		c := outcome(fmt.Sprintf("a larger pool: %s", s.Pool), &s, r)
		if len(sizes) > 1 {
			c.What += fmt.Sprintf(" in blocks of /%d", of.BlockSize)
		}
		if c.Works && s.ServiceCIDR.IsValid() && s.ServiceCIDR.Overlaps(s.Pool) {
			c.Works = false
			c.Why = fmt.Sprintf("it would touch the service CIDR, %s", s.ServiceCIDR)
		}
		blocks := r.Borrowed + r.RefusedPoolEmptyOrStrict - r.RefusedNoPool // for want of blocks
		if c.Works || len(sizes) == 1 && blocks <= 0 && r.NodesInNeed == 0 || step == steps-1 || length == least {
			return c, nil
		}
		last = c
	}
	return nil, nil
}

// overlapped returns the pool of an event that the scenario's own overlaps, or nil.
func overlapped(s *sim.Scenario) *sim.Pool {
	for i := range s.Events {
		if p := s.Events[i].Pool; p != nil && p.CIDR.IsValid() && p.CIDR.Overlaps(s.Pool) {
			return p
		}
	}
	return nil
}

// fewerPods starts as many pods on every node as fit.
func (t *trial) fewerPods() (*change, error) {
	s := *t.scenario
	if s.PodsPerNode < 2 || len(s.PodHistogram) > 0 || len(s.Groups) > 0 || t.result.ServicesRefused() > 0 {
		return nil, nil
	}
	pods := s.PodsPerNode
	// An event may restart more pods at a time than there are with one on each node.
	least := 1 + sort.Search(pods-1, func(i int) bool {
		s.PodsPerNode = 1 + i
		return s.Validate() == nil
	})
	if least == pods {
		return nil, nil
	}
	s.PodsPerNode = least
	r, err := t.run(&s)
	if err != nil {
		return nil, err
	}
	if !fits(&r) {
		what := fmt.Sprintf("fewer pods: %s a node is too many", cli.Number(least))
		if least > 1 {
			what += ", and the events need as many"
		}
		return outcome(what, &s, &r), nil
	}
	best := r
	n := least + sort.Search(pods-1-least, func(i int) bool { // of those above, the first that is too many
		s.PodsPerNode = least + 1 + i
		if err == nil {
			r, err = t.run(&s)
		}
		if err != nil || !fits(&r) {
			return true
		}
		best = r
		return false
	})
	if err != nil {
		return nil, err
	}
	s.PodsPerNode = n
	return outcome(fmt.Sprintf("fewer pods: %s a node", cli.Number(n)), &s, &best), nil
}
