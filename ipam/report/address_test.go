package report

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

var moment = time.Date(2026, time.January, 1, 12, 0, 0, 0, time.UTC)

// newAllocator returns one with a pool of four blocks and the nodes a and b.
func newAllocator(t *testing.T) *ipam.Allocator {
	t.Helper()
	a := ipam.New(ipam.Options{Now: func() time.Time { return moment }})
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/28"), BlockSize: 30}))
	for _, name := range []string{"a", "b"} {
		must.NoError(t, a.SetNode(ipam.Node{Name: name}))
	}
	t.Cleanup(func() { must.NoError(t, a.Check()) })
	return a
}

// assign assigns one certain address.
func assign(t *testing.T, a *ipam.Allocator, ip, host, handle string, attrs map[string]string) netip.Addr {
	t.Helper()
	addr := netip.MustParseAddr(ip)
	must.NoError(t, a.AssignIP(ipam.AssignIPArgs{IP: addr, Host: host, Handle: handle, Attrs: block.MakeAttrs(attrs)}))
	return addr
}

// shown is IP for an address that is not cooling.
func shown(t *testing.T, a *ipam.Allocator, ip netip.Addr) string {
	t.Helper()
	text, err := newest.IP(a, ip)
	must.NoError(t, err)
	return text
}

func TestIP(t *testing.T) {
	a := newAllocator(t)
	// From the recordings (affinity-0, owners-2, load-balancer-0, affinity-2).
	pod := assign(t, a, "10.0.0.0", "a", "k8s-pod-network.039a406f0208",
		map[string]string{"pod": "pod-208", "namespace": "default", "node": "af203-3"})
	must.Eq(t, golden(`
IP 10.0.0.0 is in use
Handle ID: k8s-pod-network.039a406f0208
Active Owner Attributes:
  namespace: default
  node: af203-3
  pod: pod-208
`), shown(t, a, pod))

	bare := assign(t, a, "10.0.0.1", "a", "k8s-pod-network.b6e9736e0099", nil)
	must.Eq(t, golden(`
IP 10.0.0.1 is in use
Handle ID: k8s-pod-network.b6e9736e0099
No Active Owner attributes defined
`), shown(t, a, bare))

	service := assign(t, a, "10.0.0.2", "a", "k8s-pod-network.27819d0a0128",
		map[string]string{"type": "loadbalancer", "service": "svc-128", "namespace": "default"})
	must.Eq(t, golden(`
IP 10.0.0.2 is in use
Handle ID: k8s-pod-network.27819d0a0128
Active Owner Attributes:
  namespace: default
  service: svc-128
  type: loadbalancer
`), shown(t, a, service))

	must.Eq(t, "10.0.0.3 is not assigned\n", shown(t, a, netip.MustParseAddr("10.0.0.3")))
	must.Eq(t, "10.0.0.9 is not assigned\n", shown(t, a, netip.MustParseAddr("10.0.0.9")), must.Sprint("no block"))
	must.Eq(t, "192.0.2.1 is not assigned\n", shown(t, a, netip.MustParseAddr("192.0.2.1")), must.Sprint("no pool"))
}

func TestIPWithoutHandle(t *testing.T) {
	a := newAllocator(t)
	must.Eq(t, golden(`
IP 10.0.0.0 is in use
Handle ID: <none>
No Active Owner attributes defined
`), shown(t, a, assign(t, a, "10.0.0.0", "a", "", nil)))
}

// Live migration gives an address a second owner for a while.
func TestIPAlternate(t *testing.T) {
	a := newAllocator(t)
	ip := assign(t, a, "10.0.0.0", "a", "vm", map[string]string{"pod": "old", "namespace": "n"})
	must.NoError(t, a.SetOwnerAttributes(ip, "vm", ipam.OwnerUpdate{
		Alternate: block.MakeAttrs(map[string]string{"pod": "new", "namespace": "n"}),
	}, ipam.OwnerPreconditions{}))
	must.Eq(t, golden(`
IP 10.0.0.0 is in use
Handle ID: vm
Active Owner Attributes:
  namespace: n
  pod: old
Alternate Owner Attributes:
  namespace: n
  pod: new
`), shown(t, a, ip))
	must.NoError(t, a.SetOwnerAttributes(ip, "vm", ipam.OwnerUpdate{ClearActive: true}, ipam.OwnerPreconditions{}))
	must.Eq(t, golden(`
IP 10.0.0.0 is in use
Handle ID: vm
No Active Owner attributes defined
Alternate Owner Attributes:
  namespace: n
  pod: new
`), shown(t, a, ip))
}

func TestIPCooling(t *testing.T) {
	a := newAllocator(t)
	must.NoError(t, a.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}))
	ip := assign(t, a, "10.0.0.0", "a", "h", map[string]string{"node": "a"})
	must.NoError(t, a.ReleaseByHandle("h"))
	_, err := newest.IP(a, ip)
	must.ErrorIs(t, err, codes.IPInCooldown)
	must.StrContains(t, newest.Borrowed(a.State()), "Note: found 1 IP allocations", must.Sprint("it is nobody's, but still in use"))
}

func TestBorrowed(t *testing.T) {
	a := newAllocator(t)
	// The first of each block claims it for its host.
	assign(t, a, "10.0.0.4", "a", "own", map[string]string{"node": "a", "namespace": "default", "pod": "own"})
	assign(t, a, "10.0.0.6", "b", "h", map[string]string{"node": "b", "namespace": "default", "pod": "pod-344"})
	assign(t, a, "10.0.0.5", "b", "h", map[string]string{"node": "b", "namespace": "vms", "vmi-name": "vm-0"})
	assign(t, a, "10.0.0.7", "b", "vxlan-tunnel-addr-b", map[string]string{"node": "b", "type": "vxlanTunnelAddress"})
	assign(t, a, "10.0.0.12", "b", "h", map[string]string{"node": "b", "namespace": "default", "pod": "left"})
	must.NoError(t, a.ReleaseHostAffinities(affinity.HostOwner("b"), false))
	must.Eq(t, golden(`
+-----------+----------------+--------------+-------------+--------------------+-----------------+
| IP        | BORROWING-NODE | BLOCK        | BLOCK OWNER | TYPE               | ALLOCATED-TO    |
+-----------+----------------+--------------+-------------+--------------------+-----------------+
| 10.0.0.12 | b              | 10.0.0.12/30 |             | pod                | default/left    |
| 10.0.0.5  | b              | 10.0.0.4/30  | a           | vmi                | vms/vm-0        |
| 10.0.0.6  | b              | 10.0.0.4/30  | a           | pod                | default/pod-344 |
| 10.0.0.7  | b              | 10.0.0.4/30  | a           | vxlanTunnelAddress |                 |
+-----------+----------------+--------------+-------------+--------------------+-----------------+
`), newest.Borrowed(a.State()))
}

// From the recordings (caps-1).
func TestBorrowedNote(t *testing.T) {
	a := newAllocator(t)
	for _, ip := range []string{"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		assign(t, a, ip, "a", "h", map[string]string{"service": "s"})
	}
	must.Eq(t, golden(`
+----+----------------+-------+-------------+------+--------------+
| IP | BORROWING-NODE | BLOCK | BLOCK OWNER | TYPE | ALLOCATED-TO |
+----+----------------+-------+-------------+------+--------------+
+----+----------------+-------+-------------+------+--------------+

Note: found 4 IP allocations without an explicit node association. Unable to determine if they are borrowed.
`), newest.Borrowed(a.State()))
	must.StrNotContains(t, newest.Borrowed(ipam.State{}), "Note")
}

// Only the name of a virtual owner counts, which may also be a node's.
func TestBorrowedFromVirtual(t *testing.T) {
	a := newAllocator(t)
	_, _, err := a.ClaimAffinity(netip.MustParsePrefix("10.0.0.0/30"), affinity.VirtualOwner("a"))
	must.NoError(t, err)
	assign(t, a, "10.0.0.1", "a", "h", map[string]string{"node": "a", "namespace": "default", "pod": "p"})
	assign(t, a, "10.0.0.2", "b", "h", map[string]string{"node": "b", "namespace": "default", "pod": "p", "vmi-name": "vm"})
	assign(t, a, "10.0.0.3", "b", "h", map[string]string{"node": "", "pod": ""})
	must.Eq(t, golden(`
+----------+----------------+-------------+-------------+------+--------------+
| IP       | BORROWING-NODE | BLOCK       | BLOCK OWNER | TYPE | ALLOCATED-TO |
+----------+----------------+-------------+-------------+------+--------------+
| 10.0.0.2 | b              | 10.0.0.0/30 | a           | vmi  | default/vm   |
| 10.0.0.3 |                | 10.0.0.0/30 | a           | pod  | /            |
+----------+----------------+-------------+-------------+------+--------------+
`), newest.Borrowed(a.State()))
}
