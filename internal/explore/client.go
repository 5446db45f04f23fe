package explore

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// client is a client of a run. After a death it continues as the host that came
// back.
type client struct {
	run     *run
	number  int
	spec    *Client
	life    int // how often the host has come back
	process *protocol.Process

	steps    []race.Step // of this life
	finished int         // how many of them
	work     *work       // the one under way, nil when there is none
	memory   memory      // of what it was answered
	refused  int         // how many of its writes came too late, in all lives
	err      error       // an error in a step, which ended the client
}

// work is an operation under way, with the ledger's notes about it.
type work struct {
	client, life, number int
	step                 *race.Step
	handle               string // that it assigns for or releases, without what Calico cuts off
	// entitled are the allocations that it may release by their sequence numbers,
	// as of its beginning.
	entitled  map[string]*grant
	granted   []grant        // what it has got so far, even if it lost it again
	taken     []grant        // what it has released so far
	raised    int            // how much it last added to the count of its handle
	surplus   bool           // it may leave counts too high (§7, §15)
	conflicts int            // that it has met so far
	struck    bool           // whether it died, or a call of it failed
	since     []netip.Prefix // blocks that somebody else has made since it began
	open      []*writing     // the claims that it has left unconfirmed so far
	released  []protocol.Key // affinities that it has written pendingDeletion
}

// begin starts a life.
func (c *client) begin(steps []race.Step) error {
	c.steps, c.finished = steps, 0
	r := c.run
	now := func() time.Time { return r.clock.Now().Add(-time.Duration(c.spec.Behind) * time.Second) }
	c.process = protocol.Start(func(access protocol.Access) {
		p := trace.PlayOn(r.options.Engine(r.cluster, access, now), r.clock)
		for i := range steps {
			s := &steps[i]
			c.work = r.ledger.began(c, s)
			c.memory.forget(c.work)
			out, err := p.Do(trace.Op{Op: s.Op, In: s.In})
			if err != nil {
				c.err = fmt.Errorf("%w: operation %d of %s: %w", ErrProgram, i, name(c.number), err)
				return
			}
			r.ledger.told(c.work, &out)
			r.told = append(r.told, Told{c.number, c.life, i, race.Step{Op: s.Op, In: s.In, Out: &out}, r.steps})
			c.finished++
		}
		c.work = nil
	})
	return c.err
}

// waiting reports whether the client still has a call to make.
func (c *client) waiting() bool {
	_, waiting := c.process.Request()
	return waiting
}

// die kills the client before its next call. Its host comes back if the program
// has steps for that.
func (c *client) die() error {
	r := c.run
	c.process.Kill()
	r.ledger.strike(c.work)
	if len(c.spec.Back) == 0 {
		c.work = nil
		c.memory = memory{}
		return nil
	}
	for i := c.finished; i < len(c.steps); i++ {
		r.told = append(r.told, Told{c.number, c.life, i, race.Step{Op: c.steps[i].Op, In: c.steps[i].In}, r.steps})
	}
	c.life++
	return c.begin(c.spec.Back)
}
