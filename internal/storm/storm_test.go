package storm

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// of returns a storm of n nodes on a pool with blocks of that size, with the
// limits of Kubernetes' clients.
func of(nodes int, cidr string, blockSize int) Config {
	return Config{
		Nodes: nodes, Pods: 1, Pool: netip.MustParsePrefix(cidr), BlockSize: blockSize,
		Rate: DefaultRate, Burst: DefaultBurst, Latency: 10 * time.Millisecond, Seed: 1,
	}
}

// passing is a datastore that records the calls.
type passing struct {
	protocol.Access
	calls []string
}

func (p *passing) Do(r protocol.Request) protocol.Response {
	answer := p.Access.Do(r)
	p.calls = append(p.calls, fmt.Sprintf("%s %s %s", r.Verb, r.Key, answer.Result))
	return answer
}

// watched runs a storm and returns it with its calls.
func watched(t testing.TB, c Config) (*storm, []string) {
	t.Helper()
	p, err := c.newPool()
	must.NoError(t, err)
	s, err := newStorm(&c, p)
	must.NoError(t, err)
	log := &passing{Access: s.cluster.Store()}
	s.pass(log)
	return s, log.calls
}

// One node alone makes the calls of §15, and waits for its bucket.
func TestAlone(t *testing.T) {
	c := of(1, "10.0.0.0/28", 30)
	c.Pods = 2
	s, calls := watched(t, c)
	const block, affinity = "block/10.0.0.12/30 ", "affinity/host:node-0/10.0.0.12/30 "
	must.Eq(t, []string{
		"get config missing", "get node/node-0 ok", "list affinities/host:node-0/ipv4 ok",
		"list blocks ok", "create " + affinity + "ok", // pend
		"get " + block + "missing", "update " + affinity + "ok", "get config missing", // recover
		"create " + block + "ok", "update " + affinity + "ok", // claim, confirm
		"get handle/k8s-pod-network.node-0-0 missing", "create handle/k8s-pod-network.node-0-0 ok", "update " + block + "ok", // assign
		"get config missing", "get node/node-0 ok", "list affinities/host:node-0/ipv4 ok",
		"get " + affinity + "ok", "get " + block + "ok", // recover
		"get handle/k8s-pod-network.node-0-1 missing", "create handle/k8s-pod-network.node-0-1 ok", "update " + block + "ok", // assign
	}, calls)
	// Ten calls of 10 ms; the eleventh is the first that has to wait, until 200
	// ms after the start, and each later one comes 200 ms after the one before.
	must.Eq(t, []time.Duration{610 * time.Millisecond, 2210 * time.Millisecond}, s.nodes[0].waits)

	r, err := Run(c)
	must.NoError(t, err)
	must.Eq(t, Result{
		BlockSize: 30, BlockBits: 2, Pods: 2, Total: Cost{Calls: 21}, InTurn: 21,
		Worst: Node{"node-0", Cost{Calls: 21}}, Median: 610 * time.Millisecond, Last: 2210 * time.Millisecond,
	}, r)
}

// In a full pool a node lists the blocks, and then reads block after block.
func TestAloneInFullPool(t *testing.T) {
	c := of(1, "10.0.0.0/26", 30)
	c.Filled = 99 // 15 of 16
	s, calls := watched(t, c)
	must.Eq(t, "list blocks ok", calls[3])
	read := 0
	for read = 0; calls[4+read][:len("get block/")] == "get block/"; read++ {
	}
	must.Greater(t, 1, read)
	must.Len(t, 4+read+3, calls)
	open := s.nodes[0].ips[0]
	must.Eq(t, fmt.Sprintf("get block/%v ok", netip.PrefixFrom(open, 30).Masked()), calls[4+read-1])
	must.Eq(t, fmt.Sprintf("update block/%v ok", netip.PrefixFrom(open, 30).Masked()), calls[4+read+2])
}

// Two nodes and one block: both announce a claim, one creates the block, the other
// gives its claim up, which is two writes, looks again and borrows.
func TestTwoNodesOneBlock(t *testing.T) {
	c := of(2, "10.0.0.0/29", 29)
	winners := make(map[string]bool)
	for seed := range int64(20) {
		c.Seed = seed
		s, _ := watched(t, c)
		winner, loser := s.nodes[0], s.nodes[1]
		if loser.Retries == 0 {
			winner, loser = loser, winner
		}
		winners[winner.Name] = true
		must.Eq(t, Cost{Calls: 13}, winner.Cost)
		// As the winner up to create B, then get B, delete A, list blocks, get B,
		// get H, create H, update B.
		must.Eq(t, Cost{Calls: 16, Retries: 1}, loser.Cost)
		must.Eq(t, []time.Duration{1410 * time.Millisecond}, loser.waits, must.Sprint("17 writes, ten of them at once"))
	}
	must.MapLen(t, 2, winners)
}

// A node gives up after a hundred conflicts: of 120 nodes that borrow from one
// block at once, the hundredth winner is the last.
func TestGivesUp(t *testing.T) {
	property.Slow(t)
	r, err := Run(of(120, "10.0.0.0/24", 24))
	must.NoError(t, err)
	must.Eq(t, 120-101, r.Refused, must.Sprint("one claims the block, a hundred win a round each"))
	must.Eq(t, 100, r.Worst.Conflicts)
}

func TestStrict(t *testing.T) {
	c := of(6, "10.0.0.0/28", 30)
	c.Strict = true
	r, err := Run(c)
	must.NoError(t, err)
	must.Eq(t, 2, r.Refused, must.Sprint("four blocks"))
	c.Strict = false
	r, err = Run(c)
	must.NoError(t, err)
	must.Zero(t, r.Refused)
}

func TestSameEveryTime(t *testing.T) {
	c := of(30, "10.0.0.0/22", 26)
	times := 5
	if testing.Short() {
		times = 1
	}
	for _, c.Filled = range []int{0, 75} {
		_, calls := watched(t, c)
		want, err := Run(c)
		must.NoError(t, err)
		for range times {
			_, again := watched(t, c)
			must.Eq(t, calls, again)
			got, err := Run(c)
			must.NoError(t, err)
			must.Eq(t, want, got)
		}
		other := c
		other.Seed++
		_, again := watched(t, other)
		must.NotEq(t, calls, again)
	}
}

// sound is the property of storms that no address is given twice, that the sums
// are those of the datastore, and that no node is faster or slower than its
// bucket. The datastore is made(store).
func sound(src property.Source, broken func(*storm) protocol.Access) error {
	c := of(1+src.Pick("nodes", 12), "10.0.0.0/25", 25+src.Pick("size", 6))
	c.Pods = 1 + src.Pick("pods", 3)
	c.Filled = []int{0, 50, 80}[src.Pick("filled", 3)]
	c.Strict = src.Pick("strict", 4) == 3
	c.Burst = 1 + src.Pick("burst", 12)
	c.Rate = float64(1 + src.Pick("rate", 30))
	c.Latency = time.Duration(src.Pick("latency", 300)) * time.Millisecond
	c.Seed = int64(src.Pick("seed", 1000))
	p, err := c.newPool()
	if errors.Is(err, ErrInvalid) {
		return nil // no room
	}
	if err != nil {
		return err
	}
	s, err := newStorm(&c, p)
	if err != nil {
		return err
	}
	before := s.cluster.Store().Counts()
	s.pass(broken(s))

	after, r := s.cluster.Store().Counts(), s.result()
	if want := (protocol.Counts{Calls: r.Total.Calls, Conflicts: r.Total.Conflicts}); after.Calls-before.Calls != want.Calls || after.Conflicts-before.Conflicts != want.Conflicts {
		return fmt.Errorf("counts %+v, of which %+v before, sums %+v", after, before, want)
	}
	holder := make(map[netip.Addr]string)
	for _, n := range s.nodes {
		for _, ip := range n.ips {
			if other, taken := holder[ip]; taken {
				return fmt.Errorf("%v is given to %s and %s", ip, other, n.Name)
			}
			holder[ip] = n.Name
			if s.cluster.SequenceNumber(ip) == 0 {
				return fmt.Errorf("%v of %s is free", ip, n.Name)
			}
		}
		if len(n.waits) != c.Pods {
			return fmt.Errorf("%s has answers for %d pods of %d", n.Name, len(n.waits), c.Pods)
		}
		interval := newBucket(c.Rate, c.Burst).interval
		last, least := n.waits[c.Pods-1], time.Duration(n.Calls-c.Burst)*interval+c.Latency
		if most := 2 * time.Duration(n.Calls) * (interval + c.Latency); last < least || last > most {
			return fmt.Errorf("%s waits %v for %d calls: at least %v, at most %v", n.Name, last, n.Calls, least, most)
		}
	}
	return nil
}

func store(s *storm) protocol.Access { return s.cluster.Store() }

func TestSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { must.NoError(t, sound(property.Rapid(t), store)) })
}

// forgiving is a datastore that skips the revision check.
type forgiving struct{ protocol.Access }

func (f forgiving) Do(r protocol.Request) protocol.Response {
	if r.Verb == protocol.Update {
		r.Verb = protocol.Apply
	}
	return f.Access.Do(r)
}

// double is a datastore that makes every call twice.
type double struct{ protocol.Access }

func (d double) Do(r protocol.Request) protocol.Response {
	if r.Verb == protocol.Get {
		d.Access.Do(r)
	}
	return d.Access.Do(r)
}

func TestSoundRejectsBroken(t *testing.T) {
	buckets := func(broken bucket) func(*storm) protocol.Access {
		return func(s *storm) protocol.Access {
			for _, n := range s.nodes {
				n.bucket = broken
			}
			return s.cluster.Store()
		}
	}
	for name, broken := range map[string]func(*storm) protocol.Access{
		"no revision check":    func(s *storm) protocol.Access { return forgiving{s.cluster.Store()} },
		"calls nobody counts":  func(s *storm) protocol.Access { return double{s.cluster.Store()} },
		"bucket without limit": buckets(bucket{}),
		"bucket never refills": buckets(bucket{interval: 24 * time.Hour}),
		"address twice in the state": func(s *storm) protocol.Access {
			n := s.nodes[0]
			n.ips = append(n.ips, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.1"))
			return s.cluster.Store()
		},
	} {
		t.Run(name, func(t *testing.T) {
			property.Rejects(t, func(s property.Source) error { return sound(s, broken) })
		})
	}
}

func TestAnswered(t *testing.T) {
	c := of(3, "10.0.0.0/24", 26)
	c.Pods = 2
	answers := 0
	c.Answered = func() { answers++ }
	_, err := Run(c)
	must.NoError(t, err)
	must.Eq(t, 2*6, answers)
}

// Nodes make the calls of their release: before v3.33 a pod that borrows reads the
// configuration twice, to search for a block and to borrow.
func TestCallsOfRelease(t *testing.T) {
	c := of(1, "10.0.0.0/24", 28)
	c.Filled = 90
	newest, err := Run(c)
	must.NoError(t, err)
	for v, more := range map[calico.Version]int{calico.V3(28): 1, calico.V3(32): 1, calico.V3(33): 0} {
		c.Calico = v
		old, err := Run(c)
		must.NoError(t, err)
		must.Eq(t, newest.Total.Calls+more, old.Total.Calls, must.Sprint(v))
		must.Eq(t, newest.InTurn+more, old.InTurn, must.Sprint(v))
	}
}
