package storm

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/pool"
)

func TestInvalid(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"storm: Nodes 0: must be 1 to 10000":                          func(c *Config) { c.Nodes = 0 },
		"storm: Nodes 10001: must be 1 to 10000":                      func(c *Config) { c.Nodes = 10_001 },
		"storm: Pods 0: must be 1 to 10000":                           func(c *Config) { c.Pods = 0 },
		"storm: Pods 251: 40 nodes may have 250 each, 10000 in all":   func(c *Config) { c.Pods = 251 },
		"storm: Filled -1: must be 0 to 100, blocks of every hundred": func(c *Config) { c.Filled = -1 },
		"storm: Filled 101: must be 0 to 100":                         func(c *Config) { c.Filled = 101 },
		"storm: Rate 0: must be 0.01 to 1000000 calls a second":       func(c *Config) { c.Rate = 0 },
		"storm: Rate -5: ":                                            func(c *Config) { c.Rate = -5 },
		"storm: Rate NaN: ":                                           func(c *Config) { c.Rate = math.NaN() },
		"storm: Rate +Inf: ":                                          func(c *Config) { c.Rate = math.Inf(1) },
		"storm: Burst 0: must":                                        func(c *Config) { c.Burst = 0 },
		"storm: Latency -1ms: must be 0 to a minute":                  func(c *Config) { c.Latency = -time.Millisecond },
		"storm: Pool 10.0.0.0/27: has 32 free addresses for 40 pods: a larger pool, fewer pods or one filled less will do": func(c *Config) {
			c.Pool = netip.MustParsePrefix("10.0.0.0/27")
			c.BlockSize = 27
		},
		"storm: Pool 10.0.0.0/20: has 0 free addresses for 40 pods": func(c *Config) { c.Filled = 100 },
		"storm: Filled 1: 10.0.0.0/8 has 2^18 blocks of /26, and at most 65536 can be filled: larger blocks or a smaller pool will do": func(c *Config) {
			c.Pool = netip.MustParsePrefix("10.0.0.0/8")
			c.Filled = 1
		},
	} {
		c := of(40, "10.0.0.0/20", 0)
		change(&c)
		err := c.Validate()
		must.ErrorContains(t, err, want)
		must.ErrorIs(t, err, ErrInvalid)
		var invalid *InvalidError
		must.ErrorAs[*InvalidError](t, err, &invalid)
		_, run := Run(c)
		must.Eq(t, err, run)
	}
	c := of(0, "10.0.0.0/20", 33)
	err := c.Validate()
	must.ErrorIs(t, err, ErrInvalid)
	must.ErrorIs(t, err, pool.ErrInvalid, must.Sprint("all that is wrong at once"))
	must.ErrorIs(t, new(Config).Validate(), pool.ErrInvalid)
}

// The last address of the pool can be assigned, and Validate refuses one pod more.
func TestRoom(t *testing.T) {
	c := of(30, "10.0.0.0/26", 28)
	c.Filled = 50 // two blocks full, 15 addresses in each of the others
	r, err := Run(c)
	must.NoError(t, err)
	must.Eq(t, 30, r.Pods)
	must.Zero(t, r.Refused)
	c.Nodes++
	must.ErrorContains(t, c.Validate(), "has 30 free addresses for 31 pods")

	c = of(32, "10.0.0.0/27", 0)
	must.ErrorContains(t, c.Validate(), "26", must.Sprint("a pool smaller than a block"))
	c.BlockSize = 32
	r, err = Run(c)
	must.NoError(t, err)
	must.Zero(t, r.Refused)

	c = of(10_000, "fd00::/64", 122)
	must.NoError(t, c.Validate(), must.Sprint("a pool of 2^58 blocks"))
}
