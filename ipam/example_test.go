package ipam_test

import (
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
	"github.com/ipamsim/ipamsim/pool"
)

// The way in, as the README has it.
func Example() {
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	a := ipam.New(ipam.Options{Now: clock.Now})
	a.SetPool(pool.Spec{Name: "default", CIDR: netip.MustParsePrefix("10.244.0.0/16")})
	a.SetNode(ipam.Node{Name: "minikube"})

	v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{
		Host: "minikube", Num4: 2, Handle: "pod-1", Use: pool.Workload,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v4.IPs, v4.Err()) // too few addresses are no error of the call
	// Output: [10.244.120.64/26 10.244.120.65/26] <nil>
}

// A node gets fewer addresses than it asked for when the cluster has no more. That
// is no error of the call: Err of the answer says what is missing, and why.
func ExampleAllocator_AutoAssign() {
	a := ipam.New(ipam.Options{})
	a.SetPool(pool.Spec{Name: "tiny", CIDR: netip.MustParsePrefix("10.0.0.0/30"), BlockSize: 31})
	a.SetNode(ipam.Node{Name: "n1"})
	v4, _, err := a.AutoAssign(ipam.AutoAssignArgs{Host: "n1", Num4: 5, Use: pool.Workload})
	fmt.Println(len(v4.IPs), err)
	fmt.Println(v4.Err())

	_, _, err = a.AutoAssign(ipam.AutoAssignArgs{Host: "n2", Num4: 1, Use: pool.Workload})
	fmt.Println(errors.Is(err, codes.DoesNotExist), err)
	// Output:
	// 4 <nil>
	// ipam: fewer addresses were given than asked for: 4 of 5 (exhausted:10.0.0.0/30)
	// true ipam: does not exist: node n2
}

// The sequence number prevents a late release from releasing an address that was
// given out anew.
func ExampleAllocator_ReleaseIPs() {
	cluster := ipam.New(ipam.Options{})
	if err := cluster.SetPool(pool.Spec{Name: "tiny", CIDR: netip.MustParsePrefix("10.0.0.0/32"), BlockSize: 32}); err != nil {
		panic(err)
	}
	ip := netip.MustParseAddr("10.0.0.0")
	assign := func(handle string) uint64 {
		if err := cluster.AssignIP(ipam.AssignIPArgs{IP: ip, Host: "n1", Handle: handle}); err != nil {
			panic(err)
		}
		return cluster.SequenceNumber(ip)
	}
	old := assign("first-pod")
	_, released, err := cluster.ReleaseIPs(ipam.Release{IP: ip, Sequence: &old})
	fmt.Println(released, err)

	assign("second-pod")
	_, released, err = cluster.ReleaseIPs(ipam.Release{IP: ip, Sequence: &old})
	fmt.Println(released, errors.Is(err, codes.BadSequenceNumber))
	// Output:
	// [10.0.0.0] <nil>
	// [] true
}

// A virtual clock makes a minute's cooldown pass at once.
func ExampleClock() {
	clock := ipam.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	cluster := ipam.New(ipam.Options{Now: clock.Now})
	if err := errors.Join(
		cluster.SetPool(pool.Spec{Name: "tiny", CIDR: netip.MustParsePrefix("10.0.0.0/32"), BlockSize: 32}),
		cluster.SetIPAMConfig(ipam.Config{AutoAllocateBlocks: true, IPCooldownSeconds: 60}),
		cluster.AssignIP(ipam.AssignIPArgs{IP: netip.MustParseAddr("10.0.0.0"), Host: "n1", Handle: "h"}),
		cluster.ReleaseByHandle("h"),
	); err != nil {
		panic(err)
	}
	for range 2 {
		_, err := cluster.GetAssignmentAttributes(netip.MustParseAddr("10.0.0.0"))
		fmt.Println(clock.Now().Format(time.TimeOnly), string(codes.Of(err)))
		clock.Advance(time.Minute)
	}
	// Output:
	// 00:00:00 ip-in-cooldown
	// 00:01:00 does-not-exist
}
