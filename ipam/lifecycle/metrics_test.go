package lifecycle

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// small is a cluster of two nodes, n1 and n2, in 16 addresses.
func small(t *testing.T, p Policy) (*Cluster, *Controller, *ipam.Clock) {
	t.Helper()
	clock := ipam.NewClock(time.Unix(1e9, 0))
	a := ipam.New(ipam.Options{Now: clock.Now})
	must.NoError(t, a.SetPool(pool.Spec{Name: `a "pool"`, CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 29}))
	must.NoError(t, a.SetPool(pool.Spec{Name: "six", CIDR: netip.MustParsePrefix("fd00::/64"), BlockSize: 122, AssignmentMode: pool.Manual}))
	c := NewCluster(a)
	must.NoError(t, c.SetNode(ipam.Node{Name: "n1"}))
	must.NoError(t, c.SetNode(ipam.Node{Name: "n2"}))
	k, err := NewController(c, p)
	must.NoError(t, err)
	t.Cleanup(func() {
		must.NoError(t, k.Check())
		must.NoError(t, a.Check())
	})
	return c, k, clock
}

// give assigns addresses to a pod, and shows the pod unless it is to be unknown.
func give(t *testing.T, c *Cluster, name, node string, n int, shown bool) []netip.Addr {
	t.Helper()
	attrs := map[string]string{ipam.AttrPod: name, ipam.AttrNamespace: "ns", ipam.AttrNode: node}
	v4, _, err := c.Allocator().AutoAssign(ipam.AutoAssignArgs{Host: node, Num4: n, Handle: "h-" + name, Attrs: block.MakeAttrs(attrs), Use: pool.Workload})
	must.NoError(t, err)
	must.Len(t, n, v4.IPs)
	var ips []netip.Addr
	for _, ip := range v4.IPs {
		ips = append(ips, ip.Addr())
	}
	if shown {
		must.NoError(t, c.SetPod(Pod{PodName: PodName{"ns", name}, Node: node, IPs: ips}))
	}
	return ips
}

func TestMetrics(t *testing.T) {
	c, k, clock := small(t, Policy{GracePeriod: time.Minute})
	give(t, c, "a", "n1", 3, true)
	give(t, c, "b", "n2", 8, true)
	give(t, c, "c", "n2", 1, false) // borrowed from n1, and leaked
	k.Sync(true)
	text := func() string {
		var b bytes.Buffer
		must.NoError(t, k.WriteMetrics(&b))
		return b.String()
	}
	must.Eq(t, `# HELP ipam_allocations_borrowed Addresses in use in a block of another node.
# TYPE ipam_allocations_borrowed gauge
ipam_allocations_borrowed{ippool="a \"pool\"",node="n2"} 1
# HELP ipam_allocations_gc_candidates Addresses that may have leaked.
# TYPE ipam_allocations_gc_candidates gauge
ipam_allocations_gc_candidates{ippool="a \"pool\"",node="n2"} 1
# HELP ipam_allocations_gc_reclamations Leaked addresses released.
# TYPE ipam_allocations_gc_reclamations counter
# HELP ipam_allocations_in_use Addresses in use.
# TYPE ipam_allocations_in_use gauge
ipam_allocations_in_use{ippool="a \"pool\"",node="n1"} 3
ipam_allocations_in_use{ippool="a \"pool\"",node="n2"} 9
# HELP ipam_blocks Blocks by the node that owns them.
# TYPE ipam_blocks gauge
ipam_blocks{ippool="a \"pool\"",node="n1"} 1
ipam_blocks{ippool="a \"pool\"",node="n2"} 1
# HELP ipam_ippool_size Addresses of a pool.
# TYPE ipam_ippool_size gauge
ipam_ippool_size{ippool="a \"pool\""} 16
ipam_ippool_size{ippool="six"} 1.8446744073709552e+19
`, text())
	clock.Advance(time.Minute)
	k.Sync(true)
	must.StrContains(t, text(), "ipam_allocations_gc_reclamations{ippool=\"a \\\"pool\\\"\",node=\"n2\"} 1\n")
	must.StrContains(t, text(), "ipam_allocations_in_use{ippool=\"a \\\"pool\\\"\",node=\"n2\"} 8\n", must.Sprint("at once"))
	must.True(t, c.Allocator().DeletePool(`a "pool"`))
	must.StrContains(t, text(), "ipam_blocks{ippool=\"\",node=\"n1\"} 1\n")
	must.Eq(t, `a\\b\n\"`, escapeLabel.Replace("a\\b\n\""))

	must.EqError(t, k.WriteMetrics(unwritable{}), "no")
}

type unwritable struct{}

func (unwritable) Write([]byte) (int, error) { return 0, errors.New("no") }
