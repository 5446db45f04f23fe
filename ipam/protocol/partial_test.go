package protocol

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// TestAnswersSayWhatIsMissing: an answer says for each family how many addresses
// were asked for, whether they were looked for, and what is missing.
func TestAnswersSayWhatIsMissing(t *testing.T) {
	six := netip.MustParsePrefix("fd00::/124")
	for name, c := range map[string]struct {
		args   ipam.AutoAssignArgs
		err    error
		tried  [2]bool
		lacks4 string // what Err says; empty for nil
		lacks6 string
	}{
		"all are given":      {args: ipam.AutoAssignArgs{Num4: 2, Num6: 1}, tried: [2]bool{true, true}},
		"none is asked for":  {args: ipam.AutoAssignArgs{}},
		"one family is full": {args: ipam.AutoAssignArgs{Num4: 17, Num6: 1}, tried: [2]bool{true, true}, lacks4: "16 of 17 (exhausted:10.0.0.0/28)"},
		"IPv4 ends the request": {
			args: ipam.AutoAssignArgs{Num4: 9, Num6: 1, MaxBlocksPerHost: 1}, err: codes.BlockLimit,
			tried: [2]bool{true, false}, lacks4: "8 of 9 (block-limit:1)", lacks6: "0 of 1, not tried",
		},
		"IPv6 of the wrong family": {
			args: ipam.AutoAssignArgs{Num4: 1, Num6: 2, Pools6: []netip.Prefix{sidePool.CIDR}}, err: codes.WrongFamily,
			tried: [2]bool{true, true}, lacks4: "0 of 1", lacks6: "0 of 2",
		},
		"IPv4 of the wrong family": {
			args: ipam.AutoAssignArgs{Num4: 1, Num6: 2, Pools4: []netip.Prefix{six}}, err: codes.WrongFamily,
			tried: [2]bool{true, false}, lacks4: "0 of 1", lacks6: "0 of 2, not tried",
		},
	} {
		for engine, made := range map[string]makeEngine{"allocator": allocator, "client": client} {
			t.Run(name+", "+engine, func(t *testing.T) {
				e := made(ipam.Options{Now: ipam.NewClock(time.Unix(1_800_000_000, 0)).Now})
				must.NoError(t, e.SetPool(pool.Spec{Name: "four", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 29}))
				must.NoError(t, e.SetPool(pool.Spec{Name: "six", CIDR: six, BlockSize: 126}))
				must.NoError(t, e.SetNode(ipam.Node{Name: "n"}))
				args := c.args
				args.Host, args.Use = "n", pool.Workload
				v4, v6, err := e.AutoAssign(args)
				must.ErrorIs(t, err, c.err)
				must.Eq(t, [2]int{args.Num4, args.Num6}, [2]int{v4.Asked, v6.Asked})
				must.Eq(t, c.tried, [2]bool{v4.Tried, v6.Tried})
				for _, family := range []struct {
					answer ipam.Assignment
					lacks  string
				}{{v4, c.lacks4}, {v6, c.lacks6}} {
					err := family.answer.Err()
					if family.lacks == "" {
						must.NoError(t, err)
						continue
					}
					must.ErrorIs(t, err, codes.Partial)
					must.EqError(t, err, "ipam: fewer addresses were given than asked for: "+family.lacks)
				}
			})
		}
	}
}
