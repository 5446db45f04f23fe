package race

import (
	"fmt"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// A run is clients at work on one cluster, each standing before its next call.
type run struct {
	cluster *protocol.Cluster
	access  protocol.Access // what calls come to in the end
	clock   *ipam.Clock
	alone   *trace.Player // a client that nobody else is at work beside
	clients []*client
}

// client is one client of a run.
type client struct {
	*protocol.Process
	steps []Step
	at    int         // the number of the operation under way
	calls int         // that it has made
	outs  []trace.Out // of the operations that it has finished
	err   error       // an operation that could not be understood, which ended it
}

// setUp returns a run in the race's setting, without clients. Calls go to the
// cluster's store by way of what access makes of it.
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

// start adds a client and lets it come to its first call.
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

// step carries out the call that client number i is about to make; made is false
// where it makes none.
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
