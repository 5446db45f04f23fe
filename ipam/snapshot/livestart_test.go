package snapshot

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
			require.NoError(t, a.SetPool(pool.Spec{Name: "small", CIDR: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 28}))
			require.NoError(t, a.SetNode(ipam.Node{Name: "node-1"}))
			config := ipam.DefaultConfig()
			config.IPCooldownSeconds = int(c.cooldown / time.Second)
			require.NoError(t, a.SetIPAMConfig(config))
			l, err := (&Snapshot{Cluster: a.Cluster()}).Live()
			require.NoError(t, err)
			for i := range pods {
				p := LivePod{Namespace: "shop", Name: fmt.Sprintf("web-%02d", i), Node: "node-1"}
				if c.fixed && i == 0 {
					p.Fixed = []netip.Addr{netip.MustParseAddr("10.0.0.9")}
				}
				require.NoError(t, l.Start(p)[0].Err)
			}
			before := l.Clock().Now()
			refused, waited := 0, 0
			moves := l.RestartAll()
			require.Len(t, moves, pods)
			for _, m := range moves {
				require.Len(t, m.Old, 1)
				if m.Err != nil {
					require.ErrorIs(t, m.Err, codes.Partial)
					refused++
				}
				if m.Waited {
					waited++
				}
			}
			require.Equal(t, c.refused, refused)
			passed := time.Duration(0)
			if c.fixed {
				require.Equal(t, 1, waited)
				passed = c.cooldown
			}
			require.Equal(t, passed, l.Clock().Now().Sub(before))
			require.NoError(t, l.a.Check())
		})
	}
}
