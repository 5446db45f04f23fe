package history

import (
	"net/netip"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// counted counts the calls of an allocator and their results.
type counted struct {
	*ipam.Allocator
	done map[string]int
}

func (c *counted) count(what string, err error) {
	if code := codes.Of(err); code != "" {
		what += " " + string(code)
	}
	c.done[what]++
}

func (c *counted) AutoAssign(args ipam.AutoAssignArgs) (v4, v6 ipam.Assignment, err error) {
	v4, v6, err = c.Allocator.AutoAssign(args)
	c.count("AutoAssign", err)
	return v4, v6, err
}
func (c *counted) AssignIP(args ipam.AssignIPArgs) error {
	err := c.Allocator.AssignIP(args)
	c.count("AssignIP", err)
	return err
}
func (c *counted) ReleaseIPs(rs ...ipam.Release) (unallocated, released []netip.Addr, err error) {
	unallocated, released, err = c.Allocator.ReleaseIPs(rs...)
	c.count("ReleaseIPs", err)
	return unallocated, released, err
}
func (c *counted) ReleaseByHandle(id string) error {
	err := c.Allocator.ReleaseByHandle(id)
	c.count("ReleaseByHandle", err)
	return err
}
func (c *counted) IPsByHandle(id string) ([]netip.Addr, error) {
	ips, err := c.Allocator.IPsByHandle(id)
	c.count("IPsByHandle", err)
	return ips, err
}
func (c *counted) GetAssignmentAttributes(ip netip.Addr) (ipam.Attributes, error) {
	a, err := c.Allocator.GetAssignmentAttributes(ip)
	c.count("GetAssignmentAttributes", err)
	return a, err
}
func (c *counted) ClaimAffinity(cidr netip.Prefix, o affinity.Owner) (claimed, failed []netip.Prefix, err error) {
	claimed, failed, err = c.Allocator.ClaimAffinity(cidr, o)
	c.count("ClaimAffinity", err)
	return claimed, failed, err
}

// TestWorker: two workers, one step at a time, meet every answer, and all of them
// are explained.
func TestWorker(t *testing.T) {
	clock := ipam.NewClock(time.Unix(1000, 0))
	a := &counted{ipam.New(ipam.Options{Now: clock.Now}), make(map[string]int)}
	must.NoError(t, a.SetPool(pool.Spec{Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/29"), BlockSize: 30}))
	must.NoError(t, a.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 2}))
	world := World{Handles: []string{"g", "h"}, Blocks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30")}}
	for ip := netip.MustParseAddr("10.0.0.0"); len(world.IPs) < 8; ip = ip.Next() {
		world.IPs = append(world.IPs, ip)
	}
	var time int64
	src := property.Seeded(1)
	var logs []*Log
	var workers []*Worker
	for i, host := range []string{"m", "n"} {
		must.NoError(t, a.SetNode(ipam.Node{Name: host}))
		logs = append(logs, NewLog(i, a, func() int64 { time++; return time }, clock.Now))
		workers = append(workers, NewWorker(logs[i], src, world, host))
	}
	for range 2000 {
		workers[src.Pick("who", 2)].Do()
		if src.Pick("let time pass", 10) == 0 {
			clock.Advance(1e9)
		}
	}
	for _, what := range []string{
		"AutoAssign", "AssignIP", "AssignIP already-exists", "AssignIP max-alloc",
		"ReleaseIPs", "ReleaseIPs bad-handle", "ReleaseIPs bad-sequence-number", "ReleaseByHandle", "ReleaseByHandle does-not-exist",
		"IPsByHandle", "IPsByHandle does-not-exist", "GetAssignmentAttributes", "GetAssignmentAttributes does-not-exist",
		"GetAssignmentAttributes ip-in-cooldown", "ClaimAffinity",
	} {
		must.Positive(t, a.done[what], must.Sprintf("%s, of %v", what, a.done))
	}
	logs[0].See(a.State)
	must.NoError(t, Check(2e9, logs...))
	must.ErrorAs[*Violation](t, Check(4e9, logs...), new(*Violation), must.Sprint("it cooled for longer, they say"))
	must.NoError(t, a.Check())
}
