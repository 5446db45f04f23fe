package session

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// This file has acts in slow motion: clients that work side by side on the objects of
// the datastore, one call at a time, in the order that the reader chooses.

// The most of a slow act, so that a reader can follow it.
const (
	maxClients    = 4
	maxClientPods = 4
	maxSchedule   = 2000
)

// slow is an act in slow motion. The world stays as it was until the act has ended.
type slow struct {
	world    *world
	cluster  *protocol.Cluster
	clients  []*client
	schedule []string
	touched  map[netip.Prefix]bool
	says     []string
}

// A client is one of those that work side by side: the CNI plug-in of a node, which
// asks for the addresses of pods or gives them back.
type client struct {
	op   *Op
	node *node
	pods []*pod // new ones, or those to be removed

	process *protocol.Process
	log     []Call
	now     int   // which pod it works on
	begun   []int // by pod, at which step of the schedule
	ended   []int
	answers []answer
	dead    bool
	died    string // before which call
}

// answer is what a client was told about a pod.
type answer struct {
	v4, v6 ipam.Assignment
	err    error
}

// Slow is what the page shows of a slow act.
type Slow struct {
	Clients    []SlowClient   `json:"clients"`
	Says       []string       `json:"says"`
	Blocks     []Cells        `json:"blocks"` // that the clients have read or written
	Affinities []SlowAffinity `json:"affinities"`
	Schedule   []string       `json:"schedule"`
	Ended      bool           `json:"ended"` // all clients have ended or died
}

// SlowClient is a client of a slow act.
type SlowClient struct {
	Name    string `json:"name"` // its node
	Op      string `json:"op"`   // in words
	Log     []Call `json:"log"`
	Waiting *Call  `json:"waiting"` // what it does next; null if it has ended
	Result  string `json:"result"`  // a sentence; empty until it has ended
	Dead    bool   `json:"dead"`
}

// Call is one call to the datastore.
type Call struct {
	Call   string `json:"call"` // get, list, create, update, delete
	Key    string `json:"key"`  // of the object
	Result string `json:"result"`
	Says   string `json:"says"`
}

// SlowAffinity is a claim on a block.
type SlowAffinity struct {
	Node  string `json:"node"`
	CIDR  string `json:"cidr"`
	State string `json:"state"`
}

// startSlow begins a slow act of these clients.
func (w *world) startSlow(ops []Op) (*slow, error) {
	if len(ops) == 0 || len(ops) > maxClients {
		return nil, fmt.Errorf("clients: want 1 to %d", maxClients)
	}
	s := &slow{world: w, touched: make(map[netip.Prefix]bool)}
	number := w.started
	taken := make(map[*pod]bool)
	for i := range ops {
		c, err := w.newClient(&ops[i], &number, taken)
		if err != nil {
			return nil, fmt.Errorf("clients[%d]: %w", i, err)
		}
		s.clients = append(s.clients, c)
	}
	s.cluster = w.datastore()
	for _, c := range s.clients {
		c.process = protocol.Start(func(access protocol.Access) { c.run(s, s.cluster.Client(access, w.clock.Now)) })
	}
	return s, nil
}

// newClient returns a client that has not begun.
func (w *world) newClient(op *Op, number *int, taken map[*pod]bool) (*client, error) {
	c := &client{op: op}
	n := orElse(op.Count, 1)
	if n > maxClientPods {
		return nil, fmt.Errorf("count: %d is out of range in slow motion: 1 to %d", n, maxClientPods)
	}
	switch op.Do {
	case "add-pods":
		if op.Fill {
			return nil, fmt.Errorf("fill: not in slow motion: give a count of 1 to %d", maxClientPods)
		}
		if op.Node == "" {
			return nil, errors.New("node: in slow motion a client is of a node: give it")
		}
		var err error
		if c.node, err = w.node("node", op.Node); err != nil {
			return nil, err
		}
		if c.node.cordoned {
			return nil, fmt.Errorf("node: %s is drained and takes no pods; undrain it first", op.Node)
		}
		for range n {
			*number++
			for w.pods[fmt.Sprintf("default/web-%d", *number)] != nil {
				*number++
			}
			p := newPod("default", fmt.Sprintf("web-%d", *number), c.node)
			p.begin()
			c.pods = append(c.pods, p)
		}
	case "remove-pod":
		p, err := w.pod(op.Pod)
		if err != nil {
			return nil, err
		}
		c.pods, c.node = []*pod{p}, p.node
	case "remove-pods":
		var err error
		if c.node, err = w.node("node", op.Node); err != nil {
			return nil, err
		}
		web := deployed(c.node.pods)
		if len(web) < n {
			return nil, fmt.Errorf("count: %s has only %s to remove", op.Node, count(len(web), "pod"))
		}
		c.pods = slices.Clone(web[len(web)-n:])
		slices.Reverse(c.pods) // the newest first
	default:
		return nil, fmt.Errorf("do: %s has no slow motion: add-pods, remove-pod and remove-pods have", op.Do)
	}
	for _, p := range c.pods {
		if taken[p] {
			return nil, fmt.Errorf("pod: %s is another client's already", p.label())
		}
		taken[p] = true
	}
	return c, nil
}

// adds reports whether the client adds pods.
func (c *client) adds() bool { return c.op.Do == "add-pods" }

// run is what the client does.
func (c *client) run(s *slow, p *protocol.Client) {
	w := s.world
	for i, one := range c.pods {
		c.now = i
		c.begun = append(c.begun, len(s.schedule))
		var a answer
		if c.adds() {
			args, _ := w.request(one)
			a.v4, a.v6, a.err = p.AutoAssign(args)
			if short(a.v4, a.v6, a.err) != "" && len(a.v4.IPs)+len(a.v6.IPs) > 0 {
				_ = p.ReleaseByHandle(one.handle) // of one family only: it gives that back
			}
		} else {
			a.err = p.ReleaseByHandle(one.handle)
		}
		c.answers = append(c.answers, a)
		c.ended = append(c.ended, len(s.schedule))
	}
}

// datastore is the cluster as objects of a datastore.
func (w *world) datastore() *protocol.Cluster {
	c := w.ipam.Cluster()
	to := protocol.NewCluster()
	to.SetCalico(w.ipam.Calico())
	for _, spec := range c.Pools {
		_ = to.PutPool(spec) // it is one of an allocator of this release
	}
	to.SetReservations(c.Reservations)
	put := func(o protocol.Object) {
		to.Store().Do(protocol.Request{Verb: protocol.Apply, Key: o.Key(), Object: o})
	}
	if c.Config != ipam.DefaultConfig() { // else there is no object
		put(&protocol.Config{Config: c.Config})
	}
	for _, n := range c.Nodes {
		put(&protocol.Node{Node: n})
	}
	for i := range c.Blocks {
		put(blockObject(&c.Blocks[i]))
	}
	for _, a := range c.Affinities {
		put(&protocol.Affinity{Owner: a.Owner, CIDR: a.CIDR, State: a.State, Created: a.Created})
	}
	for _, h := range c.Handles {
		counts := make(map[netip.Prefix]int, len(h.Counts))
		for _, n := range h.Counts {
			counts[n.Block] = n.Count
		}
		put(&protocol.Handle{ID: h.ID, Counts: counts})
	}
	// New blocks begin above all sequence numbers ever given out.
	last := &protocol.Block{CIDR: netip.MustParsePrefix("255.255.255.255/32"), Sequence: c.LastSequence}
	if to.Store().Look(last.Key()) == nil {
		put(last)
		to.Store().Do(protocol.Request{Verb: protocol.Delete, Key: last.Key(), Object: to.Store().Look(last.Key())})
	}
	return to
}

// blockObject is a block as an object of a datastore.
func blockObject(b *ipam.BlockState) *protocol.Block {
	size := 1 << (b.CIDR.Addr().BitLen() - b.CIDR.Bits())
	o := &protocol.Block{
		CIDR: b.CIDR, Owner: b.Owner, Claimed: b.Claimed, Sequence: b.Sequence, Queue: slices.Clone(b.Free),
		Index: make([]int, size), Sequences: make([]uint64, size),
	}
	for i := range o.Index {
		o.Index[i] = -1
	}
	for _, a := range b.Allocations {
		for len(o.Records) <= a.Record {
			o.Records = append(o.Records, protocol.Record{})
		}
		o.Records[a.Record] = protocol.Record{Handle: a.Handle, Active: a.Active, Alternate: a.Alternate, ReleasedAt: a.ReleasedAt}
		o.Index[a.Ordinal], o.Sequences[a.Ordinal] = a.Record, a.Seq
	}
	return o
}

// step lets a client make its next call, or die before it.
func (s *slow) step(i int, die bool) error {
	if i < 0 || i >= len(s.clients) {
		return fmt.Errorf("client: there is no client %d; they are 0 to %d", i, len(s.clients)-1)
	}
	c := s.clients[i]
	r, waiting := c.process.Request()
	if !waiting {
		return fmt.Errorf("client: client %d has ended", i)
	}
	if len(s.schedule) >= maxSchedule {
		return fmt.Errorf("there are %s steps, and no more can be", thousands(maxSchedule))
	}
	s.touch(r.Key)
	if die {
		c.dead = true
		c.died, _, _ = strings.Cut(c.saysRequest(r), ": ") // without what the call would bring about
		c.process.Kill()
		s.schedule = append(s.schedule, "kill "+strconv.Itoa(i))
		s.says = []string{fmt.Sprintf("%s dies before it %s.", c.node.name, c.died)}
		return nil
	}
	call := Call{Call: string(r.Verb), Key: string(r.Key)}
	does := c.saysRequest(r)
	answer := s.cluster.Store().Do(r)
	call.Result = string(answer.Result)
	call.Says = does + saysResult(r, answer)
	c.log = append(c.log, call)
	s.schedule = append(s.schedule, strconv.Itoa(i))
	s.says = []string{c.node.name + " " + call.Says + "."}
	c.process.Answer(answer)
	return nil
}

// ended reports whether all clients have ended.
func (s *slow) ended() bool {
	for _, c := range s.clients {
		if _, waiting := c.process.Request(); waiting {
			return false
		}
	}
	return true
}

// cancel ends all clients, with nothing done.
func (s *slow) cancel() {
	for _, c := range s.clients {
		c.process.Kill()
	}
}

// touch notes which block a call is about.
func (s *slow) touch(key protocol.Key) {
	kind, rest, _ := strings.Cut(string(key), "/")
	if kind == "affinity" {
		_, rest, _ = strings.Cut(rest, "/")
	}
	if kind == "affinity" || kind == "block" {
		if cidr, err := netip.ParsePrefix(rest); err == nil {
			s.touched[cidr] = true
		}
	}
}

// view is what the page shows.
func (s *slow) view() *Slow {
	v := &Slow{Clients: []SlowClient{}, Says: notNil(s.says), Blocks: []Cells{}, Affinities: []SlowAffinity{}, Schedule: notNil(s.schedule), Ended: s.ended()}
	owners := make(map[affinity.Owner]bool)
	for _, c := range s.clients {
		owners[c.node.owner()] = true
		of := SlowClient{Name: c.node.name, Op: c.op.String(), Log: notNil(c.log), Dead: c.dead}
		if r, waiting := c.process.Request(); waiting {
			of.Waiting = &Call{Call: string(r.Verb), Key: string(r.Key), Says: c.saysRequest(r)}
		} else {
			of.Result = c.result(s.world)
		}
		v.Clients = append(v.Clients, of)
	}
	claims := make(map[claim]affinity.State)
	for _, o := range s.cluster.Store().LookList(protocol.AffinitiesKey) {
		a := o.(*protocol.Affinity)
		claims[claim{a.Owner, a.CIDR}] = a.State
		if owners[a.Owner] || s.touched[a.CIDR] {
			v.Affinities = append(v.Affinities, SlowAffinity{a.Owner.Name, a.CIDR.String(), a.State.String()})
		}
	}
	reserved, _ := pool.ParseReservations(s.world.ipam.Reservations())
	for _, cidr := range slices.SortedFunc(maps.Keys(s.touched), comparePrefixes) {
		if b, ok := s.cluster.Store().Look(protocol.Key("block/" + cidr.String())).(*protocol.Block); ok {
			state := blockState(b)
			v.Blocks = append(v.Blocks, cellsOf(&state, claims[claim{state.Owner, cidr}], reserved))
		} else {
			v.Blocks = append(v.Blocks, Cells{CIDR: cidr.String(), Next: []int{}, Who: map[string]string{}})
		}
	}
	return v
}

// blockState is a block of a datastore as the allocator describes it.
func blockState(b *protocol.Block) ipam.BlockState {
	s := ipam.BlockState{CIDR: b.CIDR, Owner: b.Owner, Claimed: b.Claimed, Sequence: b.Sequence, Free: slices.Clone(b.Queue)}
	for ord, i := range b.Index {
		if i >= 0 {
			r := b.Records[i]
			s.Allocations = append(s.Allocations, block.Allocation{
				Ordinal: ord, Handle: r.Handle, Active: r.Active, Alternate: r.Alternate, ReleasedAt: r.ReleasedAt, Seq: b.Sequences[ord], Record: i,
			})
		}
	}
	return s
}

// result says what came of a client that has ended.
func (c *client) result(w *world) string {
	if c.dead {
		return "dies before it " + c.died
	}
	var words []string
	for i, a := range c.answers {
		p := c.pods[i]
		switch {
		case !c.adds():
			words = append(words, p.label()+" has given its address back")
		case short(a.v4, a.v6, a.err) == "":
			words = append(words, fmt.Sprintf("%s gets %s", p.label(), list(a.addresses())))
		default:
			words = append(words, fmt.Sprintf("%s gets no address: %s", p.label(), w.reason(&pod{node: c.node, why: short(a.v4, a.v6, a.err)})))
		}
	}
	return strings.Join(words, "; ")
}

// addresses are those of the answer.
func (a *answer) addresses() (ips []string) {
	for _, got := range append(a.v4.IPs[:len(a.v4.IPs):len(a.v4.IPs)], a.v6.IPs...) {
		ips = append(ips, got.Addr().String())
	}
	return ips
}

// slow does an act that was played in slow motion.
func (w *world) slow(op *Op) error {
	s, err := w.startSlow(op.Clients)
	if err != nil {
		return err
	}
	defer s.cancel()
	if len(op.Schedule) > maxSchedule {
		return fmt.Errorf("schedule: %s steps are too many: at most %s", thousands(len(op.Schedule)), thousands(maxSchedule))
	}
	for i, text := range op.Schedule {
		number, die := strings.CutPrefix(text, "kill ")
		n, err := strconv.Atoi(number)
		if err != nil || strconv.Itoa(n) != number {
			return fmt.Errorf("schedule[%d]: %q: want the number of a client, such as 0, or kill 0", i, text)
		}
		if err := s.step(n, die); err != nil {
			return fmt.Errorf("schedule[%d]: %w", i, err)
		}
	}
	if !s.ended() {
		return errors.New("schedule: not all clients have ended or died")
	}
	return w.fold(s)
}
