package storm

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// The largest storms that there are.
const (
	MaxPods   = 10_000  // of all nodes together
	MaxFilled = 1 << 16 // blocks of a pool that is filled beforehand
)

// The limits of a Kubernetes client that nobody has told others.
const (
	DefaultRate  = 5.0 // calls a second
	DefaultBurst = 10  // calls
)

// ErrInvalid is matched by errors about a storm that cannot be.
var ErrInvalid = errors.New("storm: invalid configuration")

// InvalidError is one thing wrong with one field of a [Config]. errors.Is(err,
// [ErrInvalid]) holds for it.
type InvalidError struct {
	Field  string // the field's name, such as "Rate"
	Value  string // what it held
	Reason string // what it must hold
}

// Error returns one line that names field, value and reason.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("storm: %s %s: %s", e.Field, e.Value, e.Reason)
}

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// A Config is a storm: nodes that come up at the same instant in a cluster with
// one pool, and ask for the addresses of their pods.
type Config struct {
	// Nodes is how many there are, 1 or more. They are called node-0, node-1, …
	Nodes int
	// Pods is how many each node has, 1 or more. It asks for one address a pod,
	// the next one when it has the last. Nodes × Pods is at most [MaxPods], and
	// the pool must have that many addresses.
	Pods int
	// Pool holds the pool's addresses, IPv4 or IPv6.
	Pool netip.Prefix
	// BlockSize is the prefix length of the pool's blocks, as in [pool.Spec]. 0
	// means Calico's default, 26 or 122.
	BlockSize int
	// Filled is how many of every hundred blocks are full when the storm begins:
	// 0 to 100, rounded down to whole blocks. Unless it is 0 all other blocks
	// exist too, each with an owner that is none of the nodes and one address in
	// use. Which blocks are full follows from Seed. With more than 0 a pool has
	// at most [MaxFilled] blocks.
	Filled int
	// Calico is the release that the nodes run. The zero value is the newest.
	Calico calico.Version
	// Strict is Calico's strictAffinity: no borrowing.
	Strict bool
	// Rate is how many calls a second the token bucket of each node allows in
	// the long run, 0.01 to 1,000,000, such as [DefaultRate]. The time from one
	// call to the next is rounded to whole nanoseconds.
	Rate float64
	// Burst is how many calls a node may make before the bucket is empty, 1 to
	// 1,000,000, such as [DefaultBurst].
	Burst int
	// Latency is how long after a call its answer comes, 0 to a minute.
	Latency time.Duration
	// Seed decides whose call comes first among those due at the same moment,
	// and which blocks are full beforehand. Any number will do.
	Seed int64
	// Answered, unless nil, is called by [Run] whenever a pod has its answer:
	// twice for each, once for [Result.InTurn].
	Answered func()
}

// Validate returns everything wrong with the storm, joined, nil if there can be
// one. Its errors match [ErrInvalid], or [pool.ErrInvalid] where there can be no
// such pool.
func (c *Config) Validate() error {
	_, err := c.newPool()
	return err
}

// newPool checks the storm and returns its pool.
func (c *Config) newPool() (*pool.Pool, error) {
	var errs []error
	demand := func(ok bool, field string, value any, reason string, args ...any) {
		if !ok {
			errs = append(errs, &InvalidError{field, fmt.Sprint(value), fmt.Sprintf(reason, args...)})
		}
	}
	demand(c.Nodes >= 1 && c.Nodes <= MaxPods, "Nodes", c.Nodes, "must be 1 to %d", MaxPods)
	demand(c.Pods >= 1 && c.Pods <= MaxPods, "Pods", c.Pods, "must be 1 to %d", MaxPods)
	demand(c.Filled >= 0 && c.Filled <= 100, "Filled", c.Filled, "must be 0 to 100, blocks of every hundred")
	demand(c.Rate >= 0.01 && c.Rate <= 1e6, "Rate", c.Rate, "must be 0.01 to 1000000 calls a second")
	demand(c.Burst >= 1 && c.Burst <= 1e6, "Burst", c.Burst, "must be 1 to 1000000 calls")
	demand(c.Latency >= 0 && c.Latency <= time.Minute, "Latency", c.Latency, "must be 0 to a minute")
	p, err := pool.New(pool.Spec{Name: "pool", CIDR: c.Pool, BlockSize: c.BlockSize})
	if err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if c.Nodes > MaxPods/c.Pods {
		return nil, &InvalidError{"Pods", fmt.Sprint(c.Pods), fmt.Sprintf("%d nodes may have %d each, %d in all", c.Nodes, MaxPods/c.Nodes, MaxPods)}
	}
	if c.Filled > 0 && p.BlockBits() > 16 {
		return nil, &InvalidError{"Filled", fmt.Sprint(c.Filled), fmt.Sprintf(
			"%s has 2^%d blocks of /%d, and at most %d can be filled: larger blocks or a smaller pool will do", c.Pool, p.BlockBits(), p.BlockSize(), MaxFilled)}
	}
	if room := c.room(p); c.Nodes*c.Pods > room {
		return nil, &InvalidError{"Pool", c.Pool.String(), fmt.Sprintf(
			"has %d free addresses for %d pods: a larger pool, fewer pods or one filled less will do", room, c.Nodes*c.Pods)}
	}
	return p, nil
}

// room returns how many addresses the pool has for the pods, or as many pods as
// there can be if it has more.
func (c *Config) room(p *pool.Pool) int {
	sizeBits := c.Pool.Addr().BitLen() - p.BlockSize()
	if c.Filled == 0 {
		return 1 << min(sizeBits+p.BlockBits(), 30)
	}
	blocks := 1 << p.BlockBits()
	return (blocks - full(blocks, c.Filled)) * (1<<sizeBits - 1)
}

// full returns how many of the blocks are full beforehand.
func full(blocks, percent int) int { return blocks * percent / 100 }

func (c *Config) answered() {
	if c.Answered != nil {
		c.Answered()
	}
}
