package protocol

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/history"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// A crowd is clients at work side by side on one cluster. A scheduler picks the
// client that makes the next request. Now and then one dies, and its host comes
// back as another client.
type crowd struct {
	src      property.Source
	cluster  *Cluster
	access   Access // where requests arrive in the end
	clock    *ipam.Clock
	cooldown time.Duration
	world    history.World
	time     int64 // counts calls and returns
	clients  []*member
	logs     []*history.Log // of dead clients too
}

// A member is one client of a crowd. Each of its operations is a process of its
// own, as a client keeps nothing between two of them.
type member struct {
	host    string
	log     *history.Log
	worker  *history.Worker
	process *Process // of the operation under way, if any
}

// newCrowd returns n clients on a cluster of two hosts and eight addresses in
// blocks of two. They reach the datastore through access(store).
func newCrowd(src property.Source, clients int, cooldown time.Duration, access func(*Store) Access) (*crowd, error) {
	c := &crowd{src: src, cluster: NewCluster(), clock: ipam.NewClock(time.Unix(1000, 0)), cooldown: cooldown}
	c.access = access(c.cluster.Store())
	alone := c.cluster.Client(nil, nil)
	cidr := netip.MustParsePrefix("10.0.0.0/29")
	err := errors.Join(
		c.cluster.SetPool(pool.Spec{Name: "p", CIDR: cidr, BlockSize: 31}),
		alone.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: int(cooldown / time.Second)}))
	for i := range 2 {
		err = errors.Join(err, alone.SetNode(ipam.Node{Name: fmt.Sprint("n", i)}))
	}
	for ip := cidr.Addr(); cidr.Contains(ip); ip = ip.Next() {
		c.world.IPs = append(c.world.IPs, ip)
		if b := netip.PrefixFrom(ip, 31); b.Masked() == b {
			c.world.Blocks = append(c.world.Blocks, b)
		}
	}
	c.world.Handles = []string{"g", "h"}
	for i := range clients {
		c.join(i, fmt.Sprint("n", i%2))
	}
	return c, err
}

// join makes client i a client of the host.
func (c *crowd) join(i int, host string) {
	m := &member{host: host, log: history.NewLog(len(c.logs), nil, c.tick, c.clock.Now)}
	m.log.Halfway = true
	m.worker = history.NewWorker(m.log, c.src, c.world, host)
	c.logs = append(c.logs, m.log)
	if i == len(c.clients) {
		c.clients = append(c.clients, nil)
	}
	c.clients[i] = m
}

func (c *crowd) tick() int64 { c.time++; return c.time }

// step makes the next request of client i, and starts an operation if it has none.
// It reports whether a handle is about to be lowered a second time for the same
// addresses: by a ReleaseByHandle that found its block deleted by another release (§15).
func (c *crowd) step(i int) (twice bool) {
	m := c.clients[i]
	if m.process == nil {
		m.process = Start(func(access Access) {
			m.log.Allocator = c.cluster.Client(access, c.clock.Now)
			m.worker.Do()
		})
	}
	request, waiting := m.process.Request()
	switch {
	case !waiting:
	case c.src.Pick("death", 100) == 99:
		c.die(i, request)
		return false
	default:
		answer := c.access.Do(request)
		m.process.Answer(answer)
		var next Request
		next, waiting = m.process.Request()
		if _, ok := request.Object.(*Block); ok && request.Verb == Delete && answer.Result == Missing {
			twice = waiting && next.Verb == Get && strings.HasPrefix(string(next.Key), "handle/")
		}
	}
	if !waiting {
		m.process = nil
	}
	return twice
}

// die ends client i at a request: before it, after it, or half-way through a
// deletion. Its host comes back.
func (c *crowd) die(i int, r Request) {
	switch c.src.Pick("death when", 3) {
	case 1:
		c.access.Do(r)
	case 2:
		if r.Verb == Delete {
			r.Verb = Mark
			c.access.Do(r)
		}
	}
	c.end(i)
	c.join(i, c.clients[i].host)
}

// end ends client i before its next request, if it is at any.
func (c *crowd) end(i int) {
	if m := c.clients[i]; m.process != nil {
		m.process.Kill()
		m.log.LeaveOpen()
	}
}

// run makes that many requests of the clients, and checks that their answers can
// be explained. It switches between clients seldom, in some runs less often than
// in others: most faults need few switches. It ends early when a handle is about to
// be lowered twice, as the handle may then count too little, and IPsByHandle miss an
// address that it holds: see TestReleaseByHandleLowersTwice.
func (c *crowd) run(requests int) error {
	at, stay := 0, 2+c.src.Pick("stay", 12)
	for range requests {
		if c.src.Pick("switch", stay) == stay-1 {
			at = c.src.Pick("client", len(c.clients))
		}
		if c.src.Pick("let time pass", 100) == 99 {
			c.clock.Advance(time.Second)
		}
		if c.step(at) {
			break
		}
	}
	for i := range c.clients {
		c.end(i)
	}
	observer := history.NewLog(len(c.logs), nil, c.tick, c.clock.Now)
	observer.See(c.cluster.State)
	c.logs = append(c.logs, observer)
	return history.Check(c.cooldown, c.logs...)
}

// crowdOf returns the crowd of a seed: two to four clients, with and without a
// cooldown.
func crowdOf(seed uint64, access func(*Store) Access) (*crowd, error) {
	return newCrowd(property.Seeded(seed), 2+int(seed%3), time.Duration(seed%2)*2*time.Second, access)
}

// honest is access to the store and nothing else.
func honest(s *Store) Access { return s }

// TestHistories: the answers of clients that work side by side and die at any
// request are possible answers of one allocator that does one operation at a time.
func TestHistories(t *testing.T) {
	seeds := uint64(200)
	switch {
	case property.Long():
		seeds = 12_000
	case property.UnderRace:
		seeds = 600
	case testing.Short():
		seeds = 50
	}
	answers, deaths := 0, 0
	var counts Counts
	for seed := range seeds {
		c, err := crowdOf(seed, honest)
		must.NoError(t, err)
		must.NoError(t, c.run(300), must.Sprintf("seed %d", seed))
		deaths += len(c.logs) - 1 - len(c.clients)
		for _, l := range c.logs {
			answers += l.Len()
		}
		counts.Calls += c.cluster.Store().Counts().Calls
		counts.Conflicts += c.cluster.Store().Counts().Conflicts
	}
	must.Positive(t, counts.Conflicts)
	t.Logf("%d histories, %d requests, %d conflicts, %d deaths, %d answers", seeds, counts.Calls, counts.Conflicts, deaths, answers)
}
