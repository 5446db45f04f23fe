package race

import (
	"fmt"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// A run is clients at work on one cluster, each before its next call.
type run struct {
	cluster *protocol.Cluster
	access  protocol.Access // where calls arrive in the end
	clock   *ipam.Clock
	alone   *trace.Player // a client that works while all others rest
	clients []*client
}

// client is one client of a run.
type client struct {
	*protocol.Process
	steps []Step
	at    int         // the number of the operation under way
	calls int         // that it has made
	outs  []trace.Out // of the operations that it has finished
	err   error       // the error of an invalid operation, which ended it
}

// setUp returns a run in the race's setting, without clients. Calls go through
// access(store).
func setUp(h trace.Header, access func(*protocol.Store) protocol.Access) (*run, error) {
	r := &run{cluster: protocol.NewCluster(), clock: ipam.NewClock(h.Start)}
	o, err := h.Options(r.clock)
	if err != nil {
		return nil, fmt.Errorf("setting: %w", err)
	}
	r.cluster.SetCalico(o.Calico)
	r.access = access(r.cluster.Store())
	r.alone = trace.PlayOn(r.cluster.Client(r.access, r.clock.Now), r.clock)
	if err := r.alone.Set(h); err != nil {
		return nil, fmt.Errorf("setting: %w", err)
	}
	return r, nil
}

// start adds a client and runs it up to its first call.
func (r *run) start(steps []Step) {
	c := &client{steps: steps}
	c.Process = protocol.Start(func(access protocol.Access) {
		p := trace.PlayOn(r.cluster.Client(access, r.clock.Now), r.clock)
		for _, s := range steps {
			out, err := p.Do(trace.Op{Op: s.Op, In: s.In})
			if err != nil {
				c.err = err
				return
			}
			c.outs = append(c.outs, out)
			c.at++
		}
	})
	r.clients = append(r.clients, c)
}

// step makes the next call of client number i; made is false if it has none.
func (r *run) step(i int) (call Call, made bool) {
	c := r.clients[i]
	request, waiting := c.Request()
	if !waiting {
		return Call{}, false
	}
	call = Call{Client: i, Step: c.at, Verb: request.Verb, Key: request.Key}
	answer := r.access.Do(request)
	call.Result = answer.Result
	c.calls++
	c.Answer(answer)
	return call, true
}

// end kills the clients that are still at work.
func (r *run) end() {
	for _, c := range r.clients {
		c.Kill()
	}
}
