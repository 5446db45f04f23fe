// Package workload runs whole clusters on an allocator and counts what became
// of every request.
//
// A [Scenario] is data: nodes, pods on each, a pool and its block size, and the
// order in which pods arrive. [Run] asks for every address of it, one at a
// time, over a clock that stands still, and returns a [Result]. Both have the
// fields of plan.jsonl, the file of scenarios that the real allocator was run
// on, so a line of it is a scenario with the result it must have.
//
// The package decides nothing about allocation: all of that is the
// allocator's.
package workload

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// Errors that runs end with.
var (
	// ErrInvalid is matched by errors about a scenario that cannot be run; those
	// are [InvalidError] values, several joined.
	ErrInvalid = errors.New("workload: invalid scenario")
	// ErrStopped is returned when [Options.Progress] said so.
	ErrStopped = errors.New("workload: stopped")
)

// InvalidError is one thing that is wrong with a scenario.
type InvalidError struct {
	Path   string // in JSON's terms: "podsPerNode", "events[2].nodes[0]"
	Reason string // "-1: must not be negative"
}

// Error implements error.
func (e *InvalidError) Error() string { return ErrInvalid.Error() + ": " + e.Path + " " + e.Reason }

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Start is the moment at which the clock of every scenario stands.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Validate returns an error matching [ErrInvalid], with everything that is wrong
// with the scenario, or nil. [Run] does nothing before it has looked at all of it.
func (s *Scenario) Validate() error {
	full := s.withDefaults()
	s = &full
	var errs []error
	bad := func(field string, value any, reason string) {
		errs = append(errs, &InvalidError{Path: field, Reason: fmt.Sprintf("%v: %s", value, reason)})
	}
	if s.Nodes < 1 {
		bad("nodes", s.Nodes, "must be 1 or more")
	}
	if s.PodsPerNode < 0 {
		bad("podsPerNode", s.PodsPerNode, "must not be negative")
	}
	if s.Order != RoundRobin && s.Order != NodeByNode {
		bad("order", fmt.Sprintf("%q", s.Order), "must be round-robin or node-by-node")
	}
	if strings.Count(s.NodeFormat, "%") != 1 || !strings.Contains(s.NodeFormat, "%d") {
		bad("nodeFormat", fmt.Sprintf("%q", s.NodeFormat), "must hold one %d and no other %")
	}
	if !s.Pool.Addr().Is4() {
		bad("pool", s.Pool, "must be an IPv4 CIDR")
	}
	return errors.Join(errs...)
}

// An Engine is what a scenario runs on: an [ipam.Allocator], or whatever else
// claims to do what that does. The methods are the allocator's.
type Engine interface {
	SetIPAMConfig(c ipam.Config) error
	SetPool(spec pool.Spec) error
	Pools() []pool.Spec
	SetNode(n ipam.Node) error
	AutoAssignInto(args *ipam.AutoAssignArgs, v4, v6 *ipam.Assignment) error
	BlockOf(ip netip.Addr) (cidr netip.Prefix, owner affinity.Owner, exists bool)
	Summary() ipam.Summary
}

// Run runs the scenario on an allocator of its own. Its errors match
// [ErrInvalid] or are those of [ipam.Allocator.SetPool]: refusals are results.
func Run(s Scenario) (Result, error) {
	clock := ipam.NewClock(Start)
	return RunOn(ipam.New(ipam.Options{Now: clock.Now}), s)
}

// RunOn is [Run] on an engine that is the caller's, of an empty cluster, whose
// clock stands at [Start].
func RunOn(e Engine, s Scenario) (Result, error) {
	return run(e, s, Options{})
}

// RunWith is [Run] that shows more.
func RunWith(s Scenario, o Options) (Result, error) {
	clock := ipam.NewClock(Start)
	return run(ipam.New(ipam.Options{Now: clock.Now}), s, o)
}

func run(e Engine, s Scenario, _ Options) (Result, error) {
	if err := s.Validate(); err != nil {
		return Result{}, err
	}
	s = s.withDefaults()
	r, err := newRunner(e, &s)
	if err != nil {
		return Result{}, err
	}
	if s.TunnelIPPerNode {
		for i := range r.nodes {
			n := &r.nodes[i]
			r.request(n, pool.Tunnel, r.handle("vxlan-tunnel-addr-", n.name))
		}
	}
	if s.Order == RoundRobin {
		for p := range s.PodsPerNode {
			for i := range r.nodes {
				r.pod(&r.nodes[i], p)
			}
		}
	} else {
		for i := range r.nodes {
			for p := range s.PodsPerNode {
				r.pod(&r.nodes[i], p)
			}
		}
	}
	return r.finish(), nil
}

// runner is a scenario under way.
type runner struct {
	engine  Engine
	nodes   []node
	result  Result
	args    ipam.AutoAssignArgs // of the request under way, as are the answers
	v4, v6  ipam.Assignment
	handles strings.Builder // the texts of many handles, one after the other
}

type node struct {
	name  string
	attrs block.Attrs
}

func newRunner(e Engine, s *Scenario) (*runner, error) {
	r := &runner{engine: e}
	if s.StrictAffinity { // otherwise the default will do
		if err := e.SetIPAMConfig(ipam.Config{StrictAffinity: true, AutoAllocateBlocks: true}); err != nil {
			return nil, err
		}
	}
	if err := r.engine.SetPool(pool.Spec{Name: "pool", CIDR: s.Pool, BlockSize: s.BlockSize}); err != nil {
		return nil, err
	}
	for i := range s.Nodes {
		n := node{name: fmt.Sprintf(s.NodeFormat, i)}
		n.attrs = block.MakeAttrs(map[string]string{ipam.AttrNode: n.name})
		if err := r.engine.SetNode(ipam.Node{Name: n.name}); err != nil {
			return nil, err
		}
		r.nodes = append(r.nodes, n)
	}
	return r, nil
}

// pod asks for the address of a node's pod number p.
func (r *runner) pod(n *node, p int) {
	r.request(n, pool.Workload, r.handle("k8s-pod-network.", n.name, "-", strconv.Itoa(p)))
}

// handle returns a handle made of these parts. Every pod has one, and a string
// of its own would cost more than its address, so they are parts of long ones.
func (r *runner) handle(parts ...string) string {
	b := &r.handles
	if b.Cap()-b.Len() < handleRoom {
		b.Reset()
		b.Grow(64 * handleRoom)
	}
	from := b.Len()
	for _, part := range parts {
		b.WriteString(part)
	}
	return b.String()[from:]
}

// handleRoom is room for a handle, as a rule: names of nodes have up to 253 bytes.
const handleRoom = 512

// request asks for one address and counts what became of it.
func (r *runner) request(n *node, use pool.Use, handle string) {
	res := &r.result
	res.Requests++
	r.args = ipam.AutoAssignArgs{Host: n.name, Num4: 1, Handle: handle, Attrs: n.attrs, Use: use}
	err := r.engine.AutoAssignInto(&r.args, &r.v4, &r.v6)
	if len(r.v4.IPs) == 0 {
		if errors.Is(err, ipam.ErrBlockLimit) {
			res.RefusedBlockLimit++
		} else {
			res.RefusedPoolEmptyOrStrict++
		}
		if res.FirstRefusalRequest == 0 {
			res.FirstRefusalRequest = res.Requests
		}
		return
	}
	res.Assigned++
	if _, owner, _ := r.engine.BlockOf(r.v4.IPs[0].Addr()); owner == affinity.HostOwner(n.name) {
		res.Own++
		return
	}
	res.Borrowed++
	if res.FirstBorrowRequest == 0 {
		res.FirstBorrowRequest = res.Requests
	}
}

// finish looks at where the scenario ended.
func (r *runner) finish() Result {
	res := r.result
	sum := r.engine.Summary()
	res.BlocksClaimed = sum.Confirmed
	spec := r.engine.Pools()[0] // with its defaults
	res.BlocksTotal = 1 << (spec.BlockSize - spec.CIDR.Bits())
	res.NodesWithoutBlock = len(r.nodes) - sum.Owners
	res.Routes = res.BlocksClaimed + res.Borrowed
	return res
}
