package sim

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// runner is a scenario under way.
type runner struct {
	scenario Scenario // with its defaults
	options  Options
	engine   Engine
	clock    *ipam.Clock
	at       time.Duration // since the start
	config   ipam.Config
	is4      bool
	random   *rand.Rand

	nodes  []*node          // that ever came up
	count  map[string]int   // nodes by format
	named  map[string]*node // as far as somebody looked
	spaces []space
	pods   pods
	result Result
	ledger *ledger // nil until somebody looks

	inUse, borrowed int // addresses, and those of other nodes' blocks among them
	expected        int // requests, about
	sampled         int // samples taken, but for those after events
	stopped         bool

	args    ipam.AutoAssignArgs // of the request under way, as are the answers
	v4, v6  ipam.Assignment
	moment  Moment
	handles strings.Builder // the texts of many handles, one after the other
}

// node is a node that came up. Those that have gone keep their counts.
type node struct {
	number         int // of those that ever came up
	name           string
	labels         map[string]string
	attrs          block.Attrs
	pods           int // that it runs
	started        int // pods ever
	tunnel         pod
	cordoned, gone bool
	own, borrowed  int // requests
	refused, inUse int
	firstPods      int // that it comes up with
}

func newRunner(e Engine, clock *ipam.Clock, s Scenario, o Options) *runner {
	r := &runner{scenario: s, options: o, engine: e, clock: clock, count: make(map[string]int)}
	r.random = rand.New(rand.NewSource(s.Seed))
	r.is4 = s.pools()[0].CIDR.Addr().Is4()
	r.pods.kept = s.Churn != nil || len(s.Events) > 0
	r.expected = s.requests()
	return r
}

// setUp makes the cluster. Its nodes come up with the first requests.
func (r *runner) setUp() error {
	s := &r.scenario
	r.config = ipam.Config{
		StrictAffinity: s.StrictAffinity, AutoAllocateBlocks: !s.NoAutoAllocate,
		MaxBlocksPerHost: s.MaxBlocksPerHost, IPCooldownSeconds: s.IPCooldownSeconds,
	}
	if r.config != ipam.DefaultConfig() {
		if err := r.configure(); err != nil {
			return err
		}
	}
	reserved, _ := pool.ParseReservations(s.Reservations) // were validated
	for _, p := range s.pools() {
		if err := r.engine.SetPool(p.spec()); err != nil {
			return err
		}
		r.spaces = append(r.spaces, newSpace(p.spec(), reserved))
	}
	if len(s.Reservations) > 0 {
		r.engine.SetReservations(s.Reservations)
	}
	return nil
}

// configure sets the configuration. Calico refuses a block limit without strict
// affinity, but an edit of the resource does not.
func (r *runner) configure() error {
	if r.config.MaxBlocksPerHost > 0 && !r.config.StrictAffinity {
		return r.engine.PutIPAMConfig(r.config)
	}
	return r.engine.SetIPAMConfig(r.config)
}

// arrive brings up the nodes and their pods.
func (r *runner) arrive() {
	s := &r.scenario
	for _, g := range s.groups() {
		for _, pods := range g.podCounts() {
			r.bringUp(&g, pods)
		}
	}
	if s.TunnelIPPerNode {
		for _, n := range r.nodes {
			r.tunnel(n)
		}
	}
	switch s.Order {
	case NodeByNode:
		for _, n := range r.nodes {
			r.startPods(n)
		}
	case RoundRobin:
		for round, some := 0, true; some; round++ {
			some = false
			for _, n := range r.nodes {
				if round < n.firstPods {
					some = true
					r.startPod(n)
				}
			}
		}
	case Random:
		var turns []int32
		for i, n := range r.nodes {
			turns = append(turns, slices.Repeat([]int32{int32(i)}, n.firstPods)...)
		}
		r.random.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
		for _, i := range turns {
			r.startPod(r.nodes[i])
		}
	}
}

// bringUp adds a node of the group that is to run so many pods, without any yet.
func (r *runner) bringUp(g *Group, pods int) *node {
	n := &node{number: len(r.nodes), name: fmt.Sprintf(g.NodeFormat, r.count[g.NodeFormat]), firstPods: pods}
	r.count[g.NodeFormat]++
	n.labels = g.Labels
	n.attrs = block.MakeAttrs(map[string]string{ipam.AttrNode: n.name})
	_ = r.engine.SetNode(ipam.Node{Name: n.name, Labels: g.Labels}) // the name is in order
	r.nodes = append(r.nodes, n)
	return n
}

// tunnel asks for a node's tunnel address.
func (r *runner) tunnel(n *node) {
	n.tunnel = pod{node: n, handle: r.handle("vxlan-tunnel-addr-", n.name)}
	r.request(n, pool.Tunnel, &n.tunnel)
}

// startPods starts the pods that a node comes up with.
func (r *runner) startPods(n *node) {
	for range n.firstPods {
		r.startPod(n)
	}
}

// startPod starts one more pod on a node.
func (r *runner) startPod(n *node) {
	p := r.pods.add()
	p.node, p.handle = n, r.handle("k8s-pod-network.", n.name, "-", strconv.Itoa(n.started))
	n.started++
	n.pods++
	r.request(n, pool.Workload, p)
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

// request asks for the address of a pod, or of a tunnel, and counts what became of
// it.
func (r *runner) request(n *node, use pool.Use, p *pod) {
	if r.stopped {
		return
	}
	r.args = ipam.AutoAssignArgs{Host: n.name, Handle: p.handle, Attrs: n.attrs, Use: use}
	got := &r.v4
	if r.is4 {
		r.args.Num4 = 1
	} else {
		r.args.Num6, got = 1, &r.v6
	}
	err := r.engine.AutoAssignInto(&r.args, &r.v4, &r.v6)

	res, m := &r.result, &r.moment
	res.Requests++
	*m = Moment{Request: res.Requests, At: Duration(r.at), Node: n.name, Tunnel: use == pool.Tunnel}
	if len(got.IPs) == 0 {
		n.refused++
		m.Outcome = r.refuse(n, use, err)
		if res.FirstRefusal == nil {
			first := *m
			res.FirstRefusalRequest, res.FirstRefusal = m.Request, &first
		}
	} else {
		m.Address = got.IPs[0].Addr()
		r.hold(n, p, m)
	}
	r.counted()
}

// refuse counts a refusal and says why it was.
func (r *runner) refuse(n *node, use pool.Use, err error) Outcome {
	res := &r.result
	if errors.Is(err, ipam.ErrBlockLimit) {
		res.RefusedBlockLimit++
		return RefusedBlockLimit
	}
	res.RefusedPoolEmptyOrStrict++
	switch {
	case errors.Is(err, ipam.ErrNoPoolsForNode), errors.Is(err, ipam.ErrNoQualifiedPool):
		res.RefusedNoPool++
		return RefusedNoPool
	case r.config.StrictAffinity && r.free(n, use):
		res.RefusedStrict++
		return RefusedStrict
	default:
		res.RefusedPoolEmpty++
		return RefusedPoolEmpty
	}
}

// hold counts an address that was given out, and keeps it for the pod.
func (r *runner) hold(n *node, p *pod, m *Moment) {
	res := &r.result
	res.Assigned++
	r.spaceOf(m.Address).inUse++
	r.inUse++
	n.inUse++
	p.address, p.borrowed = m.Address, true
	if _, owner, _ := r.engine.BlockOf(m.Address); owner == affinity.HostOwner(n.name) {
		m.Outcome, p.borrowed = Own, false
		res.Own++
		n.own++
	} else {
		m.Outcome = Borrowed
		res.Borrowed++
		n.borrowed++
		r.borrowed++
		if res.FirstBorrow == nil {
			first := *m
			res.FirstBorrowRequest, res.FirstBorrow = m.Request, &first
		}
	}
	r.reused(m.Address)
}

// progressEvery is how many requests pass between two looks at who watches.
const progressEvery = 4096

// counted tells those who watch of the request just made.
func (r *runner) counted() {
	if r.options.Each != nil {
		r.options.Each(&r.moment)
	}
	if r.sampleDue() {
		r.sample()
		r.sampled++
	}
	if r.options.Progress != nil && r.result.Requests%progressEvery == 0 && !r.options.Progress(r.result.Requests, r.expected) {
		r.stopped = true
	}
}

// finish looks at where the scenario ended.
func (r *runner) finish() Result {
	if r.options.Samples > 0 {
		r.sample()
	} else {
		r.look()
	}
	res := r.result
	sum := r.engine.Summary()
	res.BlocksClaimed = sum.Confirmed
	res.BlocksTotal = r.ledger.total
	res.Blocks = r.blocks()
	res.NodesWithoutBlock = res.Blocks.NodesWithoutBlock
	res.Routes = res.Blocks.Routes
	for i, n := range r.nodes {
		if !n.gone && r.ledger.owned[i] == 0 && (n.pods > 0 || n.tunnel.node != nil) {
			res.NodesInNeed++
		}
	}
	if r.options.PerNode {
		for i, n := range r.nodes {
			res.PerNode = append(res.PerNode, NodeCount{
				Node: n.name, Requests: n.own + n.borrowed + n.refused, Own: n.own, Borrowed: n.borrowed, Refused: n.refused,
				Blocks: r.ledger.owned[i], InUse: n.inUse,
			})
		}
	}
	return res
}
