package snapshot

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// TestRestartAllAtOnce: no address cools down while the pods ask, however short the
// cooldown is, so that a pool must have room for all of them twice. A pod that asks for
// the address that it had waits for one cooldown.
func TestRestartAllAtOnce(t *testing.T) {
	const pods = 60 // of 64 addresses
	for _, c := range []struct {
		cooldown time.Duration
		fixed    bool
		refused  int
	}{
		{0, false, 0},
		{time.Second, false, pods - 4},
		{10 * time.Second, false, pods - 4},
		{time.Minute, false, pods - 4},
		{20 * time.Minute, false, pods - 4},
		{10 * time.Second, true, pods - 5}, // that one waits
	} {
		t.Run(fmt.Sprint(c.cooldown, c.fixed), func(t *testing.T) {
			a := ipam.New(ipam.Options{})
			must.NoError(t, a.SetPool(pool.Spec{Name: "small", CIDR: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 28}))
			must.NoError(t, a.SetNode(ipam.Node{Name: "node-1"}))
			config := ipam.DefaultConfig()
			config.IPCooldownSeconds = int(c.cooldown / time.Second)
			must.NoError(t, a.SetIPAMConfig(config))
			l, err := (&Snapshot{Cluster: a.Cluster()}).Live()
			must.NoError(t, err)
			for i := range pods {
				p := LivePod{Namespace: "shop", Name: fmt.Sprintf("web-%02d", i), Node: "node-1"}
				if c.fixed && i == 0 {
					p.Fixed = []netip.Addr{netip.MustParseAddr("10.0.0.9")}
				}
				must.NoError(t, l.Start(p)[0].Err)
			}
			before := l.Clock().Now()
			refused, waited := 0, 0
			moves := l.RestartAll()
			must.Len(t, pods, moves)
			for _, m := range moves {
				must.Len(t, 1, m.Old)
				if m.Err != nil {
					must.ErrorIs(t, m.Err, codes.Partial)
					refused++
				}
				if m.Waited {
					waited++
				}
			}
			must.Eq(t, c.refused, refused)
			passed := time.Duration(0)
			if c.fixed {
				must.Eq(t, 1, waited)
				passed = c.cooldown
			}
			must.Eq(t, passed, l.Clock().Now().Sub(before))
			must.NoError(t, l.a.Check())
		})
	}
}
