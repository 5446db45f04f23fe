package lifecycle

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

func TestPolicy(t *testing.T) {
	for _, p := range []Policy{{GracePeriod: -1}, {SyncPeriod: -1}, {BatchLimit: -1}} {
		must.ErrorIs(t, p.Validate(), ErrInvalid)
		_, err := NewController(NewCluster(ipam.New(ipam.Options{})), p)
		must.ErrorIs(t, err, ErrInvalid)
	}
	must.Eq(t, 450*time.Second, DefaultPolicy().FullEvery())
	must.Eq(t, 5*time.Minute, Policy{}.FullEvery())
	must.Eq(t, time.Second, Policy{SyncPeriod: time.Second}.FullEvery())
	must.NoError(t, DefaultPolicy().Validate())
	must.Eq(t, 15*time.Minute, DefaultPolicy().GracePeriod)
}

func TestBadPods(t *testing.T) {
	c := NewCluster(ipam.New(ipam.Options{}))
	ok := Pod{PodName: PodName{"ns", "p"}}
	for _, change := range []func(p *Pod){
		func(p *Pod) { p.Name = "" },
		func(p *Pod) { p.Namespace = "" },
		func(p *Pod) { p.IPs = []netip.Addr{{}} },
		func(p *Pod) { p.IPs = []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.1")} },
	} {
		p := ok
		change(&p)
		must.ErrorIs(t, c.SetPod(p), ErrInvalid)
	}
	must.Error(t, c.SetNode(ipam.Node{}))
	must.Zero(t, c.Nodes()+c.Pods(), must.Sprint("nothing half applied"))
	must.NoError(t, c.SetPod(ok))
	must.True(t, c.DeletePod(ok.PodName))
	must.False(t, c.DeletePod(ok.PodName))
	must.False(t, c.DeleteNode("n"))
}

// TestGivenOutAnew: the same handle gets the same address again, which is no suspect.
func TestGivenOutAnew(t *testing.T) {
	c, k, clock := small(t, Policy{GracePeriod: time.Minute})
	ip := give(t, c, "a", "n1", 1, false)[0]
	k.Sync(true) // suspect from now on
	clock.Advance(59 * time.Second)
	must.NoError(t, c.Allocator().ReleaseByHandle("h-a"))
	attrs := block.MakeAttrs(map[string]string{ipam.AttrPod: "b", ipam.AttrNamespace: "ns", ipam.AttrNode: "n2"})
	must.NoError(t, c.Allocator().AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n1", Handle: "h-a", Attrs: attrs}))
	clock.Advance(time.Second)
	must.SliceEmpty(t, k.Sync(true).ReleasedIPs, must.Sprint("a new suspect"))
	must.NoError(t, c.SetPod(Pod{PodName: PodName{"ns", "b"}, Node: "n2", IPs: []netip.Addr{ip}}))
	clock.Advance(time.Minute)
	must.SliceEmpty(t, k.Sync(true).ReleasedIPs, must.Sprint("it is b's"))
}

// TestBatch: a batch has at most BatchLimit addresses, and whole handles.
func TestBatch(t *testing.T) {
	for limit, want := range map[int][]int{0: {9}, 1: {4, 2, 3}, 4: {4, 2, 3}, 5: {4, 5}, 6: {6, 3}, 9: {9}} {
		c, k, _ := small(t, Policy{BatchLimit: limit})
		give(t, c, "a", "n1", 4, false)
		give(t, c, "b", "n1", 2, false)
		give(t, c, "c", "n2", 3, false)
		c.DeleteNode("n1")
		c.DeleteNode("n2")
		for i, n := range want {
			r := k.Sync(false)
			must.Len(t, n, r.ReleasedIPs, must.Sprintf("limit %d, sync %d", limit, i))
			must.Eq(t, i < len(want)-1, r.WorkRemaining)
		}
	}
}

// TestOff: it counts, and releases nothing.
func TestOff(t *testing.T) {
	c, k, _ := small(t, Policy{Off: true})
	give(t, c, "a", "n1", 4, false)
	c.DeleteNode("n1")
	must.Eq(t, Result{}, k.Sync(true))
	k.Stop()
	must.SliceEmpty(t, c.controllers, must.Sprint(c.controllers))
}

// BenchmarkSync shows the cost of a sync, by the size of the cluster and by how much
// of it changed.
func BenchmarkSync(b *testing.B) {
	for _, nodes := range []int{100, 1000} {
		a := ipam.New(ipam.Options{})
		if err := a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/14")}); err != nil {
			b.Fatal(err)
		}
		c := NewCluster(a)
		k, err := NewController(c, DefaultPolicy())
		if err != nil {
			b.Fatal(err)
		}
		for n := range nodes {
			node := fmt.Sprintf("n%d", n)
			succeed(c.SetNode(ipam.Node{Name: node}))
			for p := range 40 {
				name := PodName{"ns", fmt.Sprintf("p%d-%d", n, p)}
				attrs := block.MakeAttrs(map[string]string{ipam.AttrPod: name.Name, ipam.AttrNamespace: "ns", ipam.AttrNode: node})
				v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: node, Num4: 1, Handle: "h-" + name.Name, Attrs: attrs, Use: pool.Workload})
				succeed(err)
				succeed(c.SetPod(Pod{PodName: name, Node: node, IPs: []netip.Addr{v4.IPs[0].Addr()}}))
			}
		}
		k.Sync(true)
		b.Run(fmt.Sprintf("full/allocations=%d", 40*nodes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.Sync(true)
			}
		})
		for _, changes := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("changed=%d/allocations=%d", changes, 40*nodes), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					for n := range changes {
						args := ipam.AutoAssignArgs{Host: fmt.Sprintf("n%d", n), Num4: 1, Handle: "h", Use: pool.Workload}
						_, _, err := a.AutoAssign(args)
						succeed(err)
					}
					succeed(a.ReleaseByHandle("h"))
					k.Sync(false)
				}
			})
		}
	}
}
