package lifecycle

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// TestAssumePods: pods that are assumed keep their addresses, until more is said of them.
func TestAssumePods(t *testing.T) {
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/26"), BlockSize: 28}))
	c := NewCluster(a)
	must.NoError(t, c.SetNode(ipam.Node{Name: "n"}))
	at := make(map[string]netip.Addr)
	for _, namespace := range []string{"seen", "unseen"} {
		v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{
			Host: "n", Num4: 1, Handle: "h-" + namespace, Use: pool.Workload,
			Attrs: block.MakeAttrs(map[string]string{ipam.AttrNode: "n", ipam.AttrPod: "x", ipam.AttrNamespace: namespace}),
		})
		must.NoError(t, err)
		at[namespace] = v4.IPs[0].Addr()
	}
	c.AssumePods(func(namespace string) bool { return namespace == "unseen" })
	k, err := NewController(c, DefaultPolicy())
	must.NoError(t, err)
	released := func() []netip.Addr {
		var ips []netip.Addr
		for range 2 {
			ips = append(ips, k.Sync(true).ReleasedIPs...)
			clock.Advance(DefaultPolicy().GracePeriod)
		}
		return ips
	}
	must.Eq(t, []netip.Addr{at["seen"]}, released())
	must.Zero(t, c.Pods())
	name := PodName{Namespace: "unseen", Name: "x"}
	must.NoError(t, c.SetPod(Pod{PodName: name, Node: "n", IPs: []netip.Addr{netip.MustParseAddr("10.0.0.63")}}))
	must.Eq(t, []netip.Addr{at["unseen"]}, released())
	_, exists := c.Pod(name)
	must.True(t, exists)
}
