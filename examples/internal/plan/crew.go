package plan

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// crew runs scenarios, as many at a time as it has slots: an allocator of a large
// cluster takes gigabytes, and there is one for each run under way. Any number of
// goroutines may use it.
type crew struct {
	ctx   context.Context
	slots chan struct{}

	mu   sync.Mutex
	bar  *cli.Progress
	done int // requests
	of   int // as far as is known by now
}

// newCrew returns a crew that shows on w, if that is a terminal, how far it is with
// about so many requests.
func newCrew(ctx context.Context, workers int, w io.Writer, requests int) *crew {
	return &crew{ctx: ctx, slots: make(chan struct{}, workers), bar: cli.NewCount(w, "requests", int64(requests)), of: requests}
}

// add tells that more is done, and that there is more to do.
func (c *crew) add(done, of int) {
	if c.bar == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done += done
	c.of += of
	// A bar that is full is gone, even if there is more to do later.
	c.bar.SetOf(int64(c.done), int64(max(c.of, c.done)+1))
}

// slot waits until the caller may run something, and returns what to call then.
func (c *crew) slot() (free func(), err error) {
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return nil, sim.ErrStopped
	}
	return func() { <-c.slots }, nil
}

// run runs a scenario. Planned are the requests of this run that the crew was told
// of when it was made.
func (c *crew) run(s *sim.Scenario, o sim.Options, planned int) (sim.Result, error) {
	asks := requests(s)
	c.add(0, asks-planned)
	free, err := c.slot()
	if err != nil {
		return sim.Result{}, err
	}
	defer free()
	done, of := 0, asks
	o.Progress = func(d, total int) bool {
		c.add(d-done, total-of)
		done, of = d, total
		return c.ctx.Err() == nil
	}
	result, err := sim.Run(*s, o)
	c.add(of-done, 0)
	return result, err
}

// reference runs a scenario on the slow allocator, which makes the datastore calls
// of the real one, and returns how many those were. The crew was told of the
// requests.
func (c *crew) reference(s *sim.Scenario) (result sim.Result, calls int, err error) {
	free, err := c.slot()
	if err != nil {
		return result, 0, err
	}
	defer free()
	cluster := protocol.NewCluster()
	cluster.SetCalico(s.Release())
	result, err = sim.Run(*s, sim.Options{Engine: func(now func() time.Time) sim.Engine { return cluster.Client(nil, now) }})
	c.add(requests(s), 0)
	return result, cluster.Store().Counts().Calls, err
}

// requests returns how many addresses a scenario asks for, events aside.
func requests(s *sim.Scenario) int {
	n := ofGroup(&s.Group, s.TunnelIPPerNode)
	for i := range s.Groups {
		n += ofGroup(&s.Groups[i], s.TunnelIPPerNode)
	}
	if len(s.PodGroups) > 0 {
		pods, _ := s.PodsAtStart()
		n += pods
	}
	if s.Churn != nil {
		n += int(s.Churn.PerSecond * float64(s.Churn.For) / 1e9)
	}
	return n
}

// ofGroup returns how many addresses the nodes of a group ask for.
func ofGroup(g *sim.Group, tunnel bool) int {
	n := g.Nodes * g.PodsPerNode
	if nodes, pods := shares(g); nodes > 0 {
		n = pods * g.Nodes / nodes
	}
	if tunnel {
		n += g.Nodes
	}
	return n
}

// shares returns the nodes of a group's histogram, and their pods.
func shares(g *sim.Group) (nodes, pods int) {
	for _, b := range g.PodHistogram {
		nodes += b.Nodes
		pods += b.Nodes * b.Pods
	}
	return nodes, pods
}
