package storm

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/pool"
)

// The limits of a storm.
const (
	MaxPods   = 10_000  // of all nodes together
	MaxFilled = 1 << 16 // blocks of a pool that is filled before the storm
)

// The default rate limits of a Kubernetes client.
const (
	DefaultRate  = 5.0 // calls a second
	DefaultBurst = 10  // calls
)

// ErrInvalid is matched by errors about an invalid storm.
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

// A Config is a storm: nodes that start at the same instant in a cluster with one
// pool, and ask for the addresses of their pods.
type Config struct {
	// Nodes is the number of nodes, 1 or more, named node-0, node-1, …
	Nodes int
	// Pods is the number of pods on each node, 1 or more. A node asks for one
	// address for each pod, one after the other. Nodes × Pods is at most
	// [MaxPods], and the pool must have that many addresses.
	Pods int
	// Pool holds the pool's addresses, IPv4 or IPv6.
	Pool netip.Prefix
	// BlockSize is the prefix length of the pool's blocks, as in [pool.Spec]. 0
	// means Calico's default, 26 or 122.
	BlockSize int
	// Filled is the percentage of blocks that are full when the storm begins: 0 to
	// 100, rounded down to whole blocks. Unless it is 0, all other blocks exist
	// too, each with one address in use and an owner that is not one of the nodes,
	// and the pool has at most [MaxFilled] blocks. Seed decides which blocks are
	// full.
	Filled int
	// Calico is the release that the nodes run. The zero value is the newest.
	Calico calico.Version
	// Strict is Calico's strictAffinity: no borrowing.
	Strict bool
	// Rate is the refill rate of each node's token bucket, in calls a second: 0.01
	// to 1,000,000, such as [DefaultRate]. The time from one call to the next is
	// rounded to whole nanoseconds.
	Rate float64
	// Burst is the size of the bucket, in calls: 1 to 1,000,000, such as
	// [DefaultBurst].
	Burst int
	// Latency is the time from a call to its answer, 0 to a minute.
	Latency time.Duration
	// Seed decides which call comes first among those due at the same time, and
	// which blocks are full at the beginning. Any number is valid.
	Seed int64
	// Answered, unless nil, is called by [Run] whenever a pod has its answer:
	// twice for each, once for [Result.InTurn].
	Answered func()
}

// Validate returns everything that is invalid in the storm, joined, or nil. Its
// errors match [ErrInvalid], or [pool.ErrInvalid] for an invalid pool.
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

// room returns the number of addresses that the pool has for the pods, at most the
// greatest possible number of pods.
func (c *Config) room(p *pool.Pool) int {
	sizeBits := c.Pool.Addr().BitLen() - p.BlockSize()
	if c.Filled == 0 {
		return 1 << min(sizeBits+p.BlockBits(), 30)
	}
	blocks := 1 << p.BlockBits()
	return (blocks - full(blocks, c.Filled)) * (1<<sizeBits - 1)
}

// full returns the number of blocks that are full at the beginning.
func full(blocks, percent int) int { return blocks * percent / 100 }

func (c *Config) answered() {
	if c.Answered != nil {
		c.Answered()
	}
}
