package sim

import (
	"cmp"
	"errors"
	"math/rand"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
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
	// anonymous runs have no handles: their addresses are never given back, nobody
	// else sees the allocator, and what a request without a handle gets is the same.
	anonymous bool
	own       bool // nobody else sees the engine
	moves     int  // all that may make a refused request succeed; see [runner.again]

	nodes      []*node          // that ever came up
	count      map[string]int   // nodes by format
	successors map[string]int   // the number of the next, by format; nil before the first
	named      map[string]*node // as far as somebody looked
	places     []*node          // nil where a node was removed
	absent     int              // of places
	order      []int            // in which places lose their nodes
	turn       int              // in order

	agenda   agenda
	cluster  *lifecycle.Cluster // Kubernetes, where a cleaner looks at it; nil for none
	cleaner  cleaner
	reserved *pool.Reservations // nil before the first pool
	spaces   []space
	pods     pods
	groups   podGroups
	machines int // virtual machines that were ever made
	result   Result
	ledger   *ledger // nil until somebody looks
	carried  []Cell  // that are different since the last sample

	inUse, borrowed int                 // addresses that somebody holds, and those of other nodes' blocks among them
	unheld          int                 // addresses that are allocated and nobody holds
	left            map[netip.Addr]bool // which those are; nil without a cleaner and Windows nodes
	expected        int                 // requests, about
	sampled         int                 // samples taken, but for those after events
	stopped         bool
	searchesAll     bool // for headroom, even where it can be counted: for tests

	args    ipam.AutoAssignArgs // of the request under way, as are the answers
	v4, v6  ipam.Assignment
	moment  Moment
	handles strings.Builder // the texts of many handles, one after the other
	shown   [1]netip.Addr
}

func newRunner(e Engine, clock *ipam.Clock, s Scenario, o Options) (*runner, error) {
	r := &runner{scenario: s, options: o, engine: e, clock: clock, count: make(map[string]int)}
	r.random = rand.New(rand.NewSource(s.Seed))
	r.is4 = s.pools()[0].CIDR.Addr().Is4()
	r.pods.kept = s.Churn != nil || len(s.Events) > 0 || s.RetryEvery > 0 || s.cleans()
	r.pods.listed = s.Churn != nil
	r.expected = s.requests()
	if s.cleans() {
		allocator, ok := e.(*ipam.Allocator)
		if !ok {
			return nil, &InvalidError{"cleaner", "needs an ipam.Allocator to clean up"}
		}
		r.cluster = lifecycle.NewCluster(allocator)
		r.cluster.SetKubeVirt(s.hasMachines())
		r.result.Cleaned = new(Cleaned)
		r.cleaner.policy = s.Cleaner.policy()
		if s.hasWindows() {
			r.left = make(map[netip.Addr]bool)
		}
		if err := r.addShadows(); err != nil {
			return nil, err
		}
	}
	if o.Peaks {
		r.result.Peaks = new(Peaks)
	}
	return r, nil
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
	r.gather()
	for _, p := range s.pools() {
		if err := r.engine.SetPool(p.spec()); err != nil {
			return err
		}
		r.addSpace(p.spec())
	}
	if len(s.Reservations) > 0 {
		r.engine.SetReservations(s.Reservations)
	}
	return nil
}

// arrive brings up the services, the nodes and their pods.
func (r *runner) arrive() {
	s := &r.scenario
	r.serve()
	if s.takesTurns() {
		n := 0
		for _, g := range s.groups() {
			n += g.Nodes
		}
		r.order = r.random.Perm(n)
	}
	for _, g := range s.groups() {
		for _, pods := range g.podCounts() {
			if n := r.bringUp(&g, pods, r.groups.next(len(r.nodes))); s.Order == oneByOne {
				r.join(n)
			}
		}
	}
	if s.Order == oneByOne {
		return
	}
	if s.TunnelIPPerNode {
		for _, n := range r.nodes {
			r.tunnel(n)
		}
	}
	switch s.Order {
	case nodeByNode:
		for _, n := range r.nodes {
			r.startPods(n)
		}
	case roundRobin:
		for round, some := 0, true; some; round++ {
			some = false
			for _, n := range r.nodes {
				if round < n.firstPods {
					some = true
					r.startPod(n)
				}
			}
		}
	case random:
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

// takesTurns reports whether there are events that take nodes in turn.
func (s *Scenario) takesTurns() bool {
	return slices.ContainsFunc(s.Events, func(e Event) bool {
		switch e.Do {
		case replaceNodes, interruptNodes, upgradeNodes:
			return len(e.Nodes) == 0
		}
		return false
	})
}

// schedule files all that is to happen, in the order in which it happens at one
// moment.
func (r *runner) schedule() {
	s := &r.scenario
	for i := range s.Events {
		e := &s.Events[i]
		r.agenda.file(time.Duration(e.At), func() {
			r.happen(e)
			if r.options.Samples >= len(s.Events) && !r.stopped {
				r.sample()
			}
		})
	}
	if r.cluster != nil {
		for _, down := range s.Cleaner.Down {
			r.agenda.file(time.Duration(down.From), func() { r.fail(time.Duration(down.To)) })
		}
		reaction := time.Duration(s.Cleaner.Reaction)
		if reaction == 0 {
			reaction = defaultReaction
		}
		r.repeat(reaction, reaction, r.sync)
	}
	if every := time.Duration(s.RetryEvery); every > 0 {
		r.repeat(every, every, r.askAgain)
	}
	if every := r.options.SampleEvery; every > 0 {
		r.repeat(0, every, r.sample)
	}
	if s.Churn != nil {
		r.tick(1)
	}
}

// repeat files something for a moment, and from then on again and again.
func (r *runner) repeat(at, every time.Duration, do func()) {
	var again func()
	again = func() {
		do()
		r.agenda.file(r.at+every, again)
	}
	r.agenda.file(at, again)
}

// tick files the nth restart of churn, from 1, and with it those that follow.
func (r *runner) tick(n int) {
	c := r.scenario.Churn
	var next func()
	file := func() {
		if at := time.Duration(float64(n) / c.PerSecond * float64(time.Second)); at <= time.Duration(c.For) {
			r.agenda.file(at, next)
		}
	}
	next = func() {
		r.churn()
		n++
		file()
	}
	file()
}

// live lets happen what is on the agenda, up to the scenario's end.
func (r *runner) live() {
	end := r.scenario.end()
	for !r.stopped {
		next, ok := r.agenda.next(end)
		if !ok {
			return
		}
		r.clock.Advance(next.at - r.at)
		r.at = next.at
		r.moves++
		next.do()
		r.peak()
	}
}

// tunnel asks for a node's tunnel address.
func (r *runner) tunnel(n *node) {
	n.tunnel = pod{node: n}
	if !r.anonymous {
		n.tunnel.handle = r.handle("vxlan-tunnel-addr-", n.name)
	}
	if r.request(n, pool.Tunnel, &n.tunnel); !n.tunnel.address.IsValid() {
		r.result.TunnelsRefused++
	}
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
	ip, why := r.ask(n, use, p)
	res, m := &r.result, &r.moment
	res.Requests++
	*m = Moment{Request: res.Requests, At: Duration(r.at), Node: n.name, Tunnel: use == pool.Tunnel}
	group := r.countOf(p)
	if group != nil {
		m.Group = group.name
	}
	if !ip.IsValid() {
		n.refused++
		m.Outcome = why
		res.refuse(why)
		if res.FirstRefusal == nil {
			first := *m
			if !m.Tunnel {
				first.Pod = r.nameOf(p).Name
			}
			res.FirstRefusalRequest, res.FirstRefusal = m.Request, &first
		}
	} else {
		m.Address = ip
		r.hold(n, p, m)
	}
	if group != nil {
		group.outcomes[m.Outcome]++
	}
	r.counted()
}

// windowsKeeps is how many addresses a Windows node keeps of each block.
const windowsKeeps = 4

// windowsReserved is what they are.
var windowsReserved = &ipam.HostReservation{StartOfBlock: 3, EndOfBlock: 1, Handle: block.HostReservedHandle, Note: "windows host rsvd"}

// assign asks for an address: any of the pool's family, or the one that the pod wants.
// It is invalid if there was none.
func (r *runner) assign(n *node, use pool.Use, p *pod) (netip.Addr, error) {
	if p.named != nil && p.named.address.IsValid() {
		ip := p.named.address
		args := ipam.AssignIPArgs{IP: ip, Host: n.name, Handle: p.handle, Attrs: r.attrsOf(n, use, p), Use: use}
		if n.group.Windows {
			args.Windows, args.HostReserved = true, windowsReserved
		}
		err := r.engine.AssignIP(args)
		if err != nil {
			return netip.Addr{}, err
		}
		return ip, nil
	}
	r.args = ipam.AutoAssignArgs{Host: n.name, Handle: p.handle, Attrs: r.attrsOf(n, use, p), Use: use}
	r.args.Namespace = r.labelsOf(p, use)
	if p.isMachine() {
		r.args.MaxAllocPerHandle = 1
	}
	if n.group.Windows {
		r.args.Windows, r.args.HostReserved4, r.args.HostReserved6 = true, windowsReserved, windowsReserved
	}
	return r.assignAny()
}

// assignAny asks for an address of the pools' family, with r.args. It is invalid if there
// was none.
func (r *runner) assignAny() (netip.Addr, error) {
	got := &r.v4
	if r.is4 {
		r.args.Num4 = 1
	} else {
		r.args.Num6, got = 1, &r.v6
	}
	err := r.engine.AutoAssignInto(&r.args, &r.v4, &r.v6)
	if len(got.IPs) == 0 {
		return netip.Addr{}, err
	}
	return got.IPs[0].Addr(), err
}

// refusal is the last of a node's requests that was refused.
type refusal struct {
	moves int
	use   pool.Use
	group int32 // the pod's
	why   Outcome
}

// ask asks for an address. It is invalid if there was none; why says why.
func (r *runner) ask(n *node, use pool.Use, p *pod) (ip netip.Addr, why Outcome) {
	if r.again(n, use, p) {
		return netip.Addr{}, n.refusal.why
	}
	ip, err := r.assign(n, use, p)
	if !ip.IsValid() {
		why = r.why(n, use, p, err)
		if p.named == nil {
			n.refusal = refusal{r.moves, use, p.group, why}
		}
	}
	return ip, why
}

// again reports whether a request is the same as one of the node that was refused, and
// nothing has happened since, not even time: it would be refused again. In a full pool
// all pods of a node ask one after the other. On Windows a request that is refused may
// claim a block, in which Windows leaves no room (§10, §13).
func (r *runner) again(n *node, use pool.Use, p *pod) bool {
	last := &n.refusal
	return r.own && !n.group.Windows && last.why != "" && last.moves == r.moves && last.use == use && last.group == p.group && p.named == nil
}

// why says why a request was refused.
func (r *runner) why(n *node, use pool.Use, p *pod, err error) Outcome {
	if why := reasonOf(err); why != "" {
		return why
	}
	if r.config.StrictAffinity && r.free(n, use, r.labelsOf(p, use)) {
		return refusedStrict
	}
	return refusedPoolEmpty
}

// reasonOf returns why a request was refused where its error says so.
func reasonOf(err error) Outcome {
	switch {
	case errors.Is(err, codes.BlockLimit):
		return refusedBlockLimit
	case errors.Is(err, codes.AlreadyExists):
		return refusedTaken
	case errors.Is(err, codes.NoPoolsForNode), errors.Is(err, codes.NoQualifiedPool), errors.Is(err, codes.BlockTooSmall), errors.Is(err, codes.BadHostReservation):
		return refusedNoPool
	}
	return ""
}

// blockLimit returns how many blocks a node may have.
func (r *runner) blockLimit() int {
	return cmp.Or(r.config.MaxBlocksPerHost, ipam.DefaultMaxBlocksPerHost)
}

// hold counts an address that was given out, and keeps it for the pod.
func (r *runner) hold(n *node, p *pod, m *Moment) {
	res := &r.result
	r.moves++
	of := r.spaceOf(m.Address)
	keeps := r.keeps(n, p, m.Address)
	if !keeps {
		res.Assigned++
		of.inUse++
	}
	if of.by != nil {
		of.by[r.holder(p, m.Tunnel)]++
	}
	r.inUse++
	n.inUse++
	p.address, p.borrowed = m.Address, true
	switch owns := r.owns(n, m.Address); {
	case keeps:
		m.Outcome, p.borrowed = kept, !owns
		res.Kept++
		n.kept++
		if !owns {
			res.Moved++
			r.borrowed++
		}
	case owns:
		m.Outcome, p.borrowed = own, false
		res.Own++
		n.own++
	default:
		m.Outcome = borrowed
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

// owns reports whether an address that is in use lies in a block of the node's own.
// Where nothing is given back, no block in use changes hands.
func (r *runner) owns(n *node, ip netip.Addr) bool {
	if r.anonymous && n.mine.Contains(ip) {
		return true
	}
	cidr, owner, _ := r.engine.BlockOf(ip)
	if owner != affinity.HostOwner(n.name) {
		return false
	}
	n.mine = cidr
	return true
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

// emptyHandles counts the handles that hold no address.
func emptyHandles(s ipam.State) int {
	held, empty := s.Held(), 0
	for _, h := range s.Handles {
		if held[strings.ToLower(h.ID)] == nil {
			empty++
		}
	}
	return empty
}

// finish looks at where the scenario ended.
func (r *runner) finish() Result {
	if r.options.Samples > 0 {
		r.sample()
	} else {
		r.look()
	}
	res := r.result
	if c := res.Cleaned; c != nil {
		cleaned := *c
		cleaned.Syncs, cleaned.FullSyncs = r.cleaner.syncs, r.cleaner.fullSyncs
		res.Cleaned = &cleaned
	}
	for i := range r.cleaner.shadows {
		res.graces = append(res.graces, r.cleaner.shadows[i].result(res.Cleaned))
	}
	res.releases = r.options.others.same()
	if p := res.Peaks; p != nil {
		peaks := *p
		res.Peaks = &peaks
	}
	res.Waiting, res.Unheld = r.pods.waiting, r.unheld
	if r.options.Handles {
		empty := emptyHandles(r.engine.State())
		res.EmptyHandles = &empty
	}
	sum := r.engine.Summary()
	res.ServiceBlocks = r.ledger.services
	res.BlocksClaimed = sum.Confirmed - res.ServiceBlocks
	res.BlocksTotal = r.ledger.total()
	res.Blocks = r.blocks()
	res.NodesWithoutBlock = res.Blocks.NodesWithoutBlock
	res.Routes = res.Blocks.Routes
	for i, n := range r.nodes {
		if !n.gone && r.ledger.owned[i].blocks == 0 && (n.running > 0 || n.tunnel.node != nil) {
			res.NodesInNeed++
		}
	}
	r.perGroup(&res)
	if r.options.PerNode {
		for i, n := range r.nodes {
			res.PerNode = append(res.PerNode, NodeCount{
				Node: n.name, Requests: n.own + n.borrowed + n.kept + n.refused, Own: n.own, Borrowed: n.borrowed, Kept: n.kept, Refused: n.refused,
				Blocks: r.ledger.owned[i].blocks, InUse: n.inUse,
			})
		}
	}
	return res
}
