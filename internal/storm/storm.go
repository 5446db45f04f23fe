package storm

import (
	"cmp"
	"math/rand"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/pool"
)

// Cost counts calls to the datastore.
type Cost struct {
	Calls     int // as in [protocol.Counts]
	Conflicts int // calls refused because another client had written meanwhile
	// Retries counts what was tried again because another node was faster: after
	// each conflict, and after each claim on a block that another node had created
	// first.
	Retries int
}

// Node is a node with its cost.
type Node struct {
	Name string
	Cost
}

// Result is the cost of a storm.
type Result struct {
	BlockSize int // prefix length of the pool's blocks
	BlockBits int // the pool has room for 2^BlockBits blocks
	Pods      int // of all nodes together
	Refused   int // pods that got no address; a kubelet would try again
	// Limited are those of Refused whose node had as many blocks as it may have,
	// [ipam.DefaultMaxBlocksPerHost] (docs/calico.md §4).
	Limited int
	Total   Cost
	// InTurn is the number of calls that the same pods take one after the other,
	// the first of every node before the second of any. The excess of Total.Calls
	// over it is the cost of contention.
	InTurn int
	// Worst is the node that made the most calls; of several, the one with the
	// most conflicts, and the first.
	Worst Node
	// Median and Last are the times from the start of the storm until half of the
	// pods, rounded up, and all of them had their answers.
	Median, Last time.Duration
}

// Run runs the storm. Its errors are those of [Config.Validate].
//
// It takes time in proportion to the calls, and where no block is left to claim,
// also to Nodes × Pods × blocks: a second for 1,000 nodes and 1,000 blocks, half a
// minute for 16,000.
func Run(c Config) (Result, error) {
	p, err := c.newPool()
	if err != nil {
		return Result{}, err
	}
	inTurn, err := c.inTurn(p)
	if err != nil {
		return Result{}, err
	}
	s, err := newStorm(&c, p)
	if err != nil {
		return Result{}, err
	}
	s.pass(s.cluster.Store())
	result := s.result()
	result.BlockSize, result.BlockBits, result.InTurn = p.BlockSize(), p.BlockBits(), inTurn
	return result, nil
}

// inTurn returns [Result.InTurn].
func (c *Config) inTurn(p *pool.Pool) (int, error) {
	cluster, err := c.cluster(p, rand.New(rand.NewSource(c.Seed)))
	if err != nil {
		return 0, err
	}
	before := cluster.Store().Counts().Calls
	client := cluster.Client(nil, func() time.Time { return start })
	for pod := range c.Pods {
		for i := range c.Nodes {
			c.newNode(i).serve(client, pod)
			c.answered()
		}
	}
	return cluster.Store().Counts().Calls - before, nil
}

// storm is a storm in progress.
type storm struct {
	cluster *protocol.Cluster
	nodes   []*node
	agenda  agenda
}

// newStorm returns a storm whose nodes are before their first calls.
func newStorm(c *Config, p *pool.Pool) (*storm, error) {
	random := rand.New(rand.NewSource(c.Seed))
	cluster, err := c.cluster(p, random)
	if err != nil {
		return nil, err
	}
	s := &storm{cluster: cluster, agenda: agenda{random: random}}
	for i := range c.Nodes {
		n := c.newNode(i)
		// No two nodes' clocks agree to the nanosecond, and the clock seeds the
		// search for blocks of one address.
		now := func() time.Time { return start.Add(n.now + time.Duration(i)) }
		n.process = protocol.Start(func(access protocol.Access) {
			client := cluster.Client(access, now)
			for pod := range c.Pods {
				n.serve(client, pod)
				c.answered()
			}
		})
		s.nodes = append(s.nodes, n)
		s.agenda.add(i, n.bucket.take(0))
	}
	return s, nil
}

// pass runs the nodes' calls until all pods have their answers.
func (s *storm) pass(datastore protocol.Access) {
	for s.agenda.calls.Len() > 0 {
		next := s.agenda.next()
		n := s.nodes[next.node]
		n.call(next.at, datastore)
		if _, waiting := n.process.Request(); waiting {
			s.agenda.add(next.node, n.bucket.take(n.now))
		}
	}
}

// result sums up the cost of the storm.
func (s *storm) result() Result {
	var r Result
	var waits []time.Duration
	for _, n := range s.nodes {
		r.Total.Calls += n.Calls
		r.Total.Conflicts += n.Conflicts
		r.Total.Retries += n.Retries
		r.Refused += len(n.waits) - len(n.ips)
		r.Limited += n.limit
		waits = append(waits, n.waits...)
	}
	r.Pods = len(waits)
	r.Worst = slices.MaxFunc(s.nodes, func(x, y *node) int {
		return cmp.Or(cmp.Compare(x.Calls, y.Calls), cmp.Compare(x.Conflicts, y.Conflicts))
	}).Node
	slices.Sort(waits)
	r.Median, r.Last = waits[(len(waits)-1)/2], waits[len(waits)-1]
	return r
}
