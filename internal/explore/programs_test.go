package explore

import (
	"fmt"
	"time"

	"github.com/ipamsim/ipamsim/internal/race"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// setting is a cluster with a pool of blocks of four, and nodes n1 and on.
func setting(cidr string, nodes int, config ...ipam.Config) trace.Header {
	h := trace.Header{Version: trace.Version, Start: start, Pools: []trace.Pool{{Name: "p", CIDR: cidr, BlockSize: 30}}}
	for i := range nodes {
		h.Nodes = append(h.Nodes, ipam.Node{Name: fmt.Sprintf("n%d", i+1)})
	}
	for _, c := range config {
		c.AutoAllocateBlocks = true
		h.Config = &c
	}
	return h
}

func op(name string, in trace.In) race.Step { return race.Step{Op: name, In: in} }

func assign(host string, num int, handle string) race.Step {
	return op("AutoAssign", trace.In{Host: host, Num4: num, Handle: handle, Use: "Workload"})
}

func assignIP(host, ip, handle string) race.Step {
	return op("AssignIP", trace.In{Host: host, IP: ip, Handle: handle})
}

func free(handle string) race.Step { return op("ReleaseByHandle", trace.In{Handle: handle}) }

func release(releases ...trace.Release) race.Step {
	return op("ReleaseIPs", trace.In{Releases: releases})
}

func claim(host, cidr string) race.Step {
	return op("ClaimAffinity", trace.In{Host: host, CIDR: cidr})
}

func giveUp(host string, mustBeEmpty bool) race.Step {
	return op("ReleaseHostAffinities", trace.In{Host: host, MustBeEmpty: mustBeEmpty})
}

func advance(seconds int64) race.Step { return op("Advance", trace.In{Seconds: seconds}) }

func does(host string, steps ...race.Step) Client {
	return Client{Host: host, Steps: steps, Back: []race.Step{assign(host, 1, "back-"+host)}}
}

// overtaken is a host that claims a block while another client releases it in the
// host's name.
var overtaken = Program{Name: "a claim overtaken by a release", Setting: setting("10.0.0.0/30", 1), Before: []race.Step{claim("n1", "10.0.0.0/30")}, Clients: []Client{
	does("n1", claim("n1", "10.0.0.0/30"), assign("n1", 1, "h1")),
	does("n1", giveUp("n1", false)),
}}

// programs are explored by the tests: two clients at a time, small pools, and in
// all of them together every operation.
var programs = []Program{
	{Name: "assign and release", Setting: setting("10.0.0.0/29", 2), Clients: []Client{
		does("n1", assign("n1", 1, "h1"), free("h1")),
		does("n2", assign("n2", 5, "h2")),
	}},
	{Name: "claim, assign, release", Setting: setting("10.0.0.0/30", 2), Clients: []Client{
		does("n1", claim("n1", "10.0.0.0/30"), assign("n1", 1, "h1"), free("h1"), giveUp("n1", false)),
		does("n2", claim("n2", "10.0.0.0/30"), assign("n2", 1, "h2"), free("h2"), giveUp("n2", false)),
	}},
	{Name: "two clients of one host", Setting: setting("10.0.0.0/29", 1), Clients: []Client{
		does("n1", assign("n1", 2, "h1"), giveUp("n1", false)),
		does("n1", claim("n1", "10.0.0.0/29"), assign("n1", 1, "h2")),
	}},
	overtaken,
	{Name: "an empty block taken from its owner", Setting: setting("10.0.0.0/30", 2), Before: []race.Step{claim("n1", "10.0.0.0/30"), advance(61)}, Clients: []Client{
		does("n1", assign("n1", 1, "h1"), free("h1")),
		does("n2", assign("n2", 1, "h2"), free("h2")),
	}},
	{Name: "borrowing while the owner leaves", Setting: setting("10.0.0.0/30", 2), Before: []race.Step{assign("n1", 1, "h0")}, Clients: []Client{
		does("n1", giveUp("n1", false), free("h0")),
		does("n2", assign("n2", 2, "h2"), free("h2")),
	}},
	{Name: "one address by name", Setting: setting("10.0.0.0/30", 2), Clients: []Client{
		does("n1", assignIP("n1", "10.0.0.1", "h"), release(trace.Release{IP: "10.0.0.1", Seq: "current"})),
		does("n2", assignIP("n2", "10.0.0.1", "h"), assignIP("n2", "10.0.0.2", "h2"), free("h2")),
	}},
	{Name: "sequence numbers", Setting: setting("10.0.0.0/30", 2), Before: []race.Step{assignIP("n1", "10.0.0.1", "h0")}, Clients: []Client{
		does("n1", release(trace.Release{IP: "10.0.0.1", Seq: "current"}, trace.Release{IP: "10.0.0.2", Seq: "stale"}), assignIP("n1", "10.0.0.1", "h1"), release(trace.Release{IP: "10.0.0.1", Seq: "stale"})),
		does("n2", release(trace.Release{IP: "10.0.0.1", Seq: "current"}), giveUp("n1", true), assignIP("n2", "10.0.0.1", "h2")),
	}},
	{Name: "strict affinity", Setting: setting("10.0.0.0/29", 2, ipam.Config{StrictAffinity: true}), Before: []race.Step{assign("n1", 1, "h0")}, Clients: []Client{
		does("n1", assign("n1", 4, "h1"), giveUp("n1", false)),
		does("n2", assign("n2", 5, "h2")),
	}},
	{Name: "a handle with a limit", Setting: setting("10.0.0.0/29", 2), Clients: []Client{
		does("n1", op("AutoAssign", trace.In{Host: "n1", Num4: 2, Handle: "h", Use: "Workload", MaxAllocPerHandle: 2}), free("h")),
		does("n2", op("AutoAssign", trace.In{Host: "n2", Num4: 1, Handle: "h", Use: "Workload", MaxAllocPerHandle: 2}), op("AssignIP", trace.In{Host: "n2", IP: "10.0.0.6", Handle: "h", MaxAllocPerHandle: 2})),
	}},
	{Name: "cooling down", Setting: setting("10.0.0.0/30", 2, ipam.Config{IPCooldownSeconds: 30}), Before: []race.Step{assign("n1", 3, "h0"), free("h0"), advance(20)}, Clients: []Client{
		does("n1", assign("n1", 2, "h1"), release(trace.Release{IP: "10.0.0.3"}), advance(15), op("GarbageCollectColdIPs", trace.In{})),
		{Host: "n2", Behind: 10, Steps: []race.Step{assign("n2", 2, "h2"), free("h2")}, Back: []race.Step{assign("n2", 1, "back")}},
	}},
	{Name: "many addresses at once", Setting: setting("10.0.0.0/29", 2), Before: []race.Step{assign("n1", 3, "h0"), assign("n2", 2, "h1")}, Clients: []Client{
		does("n1", release(trace.Release{IP: "10.0.0.0"}, trace.Release{IP: "10.0.0.1", Handle: "h1"}, trace.Release{IP: "10.0.0.4"}, trace.Release{IP: "10.0.0.5", Handle: "h0"})),
		does("n2", free("h0"), assign("n2", 1, "h1"), free("h1")),
	}},
	{Name: "an operator", Setting: setting("10.0.0.0/29", 2), Before: []race.Step{assign("n1", 1, "h0")}, Clients: []Client{
		does("n1", op("EnsureBlock", trace.In{Host: "n1", HostReserved4: &ipam.HostReservation{StartOfBlock: 1, Handle: "windows-reserved-ipam-handle"}}), assign("n1", 1, "h1"), op("IPsByHandle", trace.In{Handle: "h1"})),
		does("n2", op("ReleasePoolAffinities", trace.In{CIDR: "10.0.0.0/29"}), op("ReleaseBlockAffinity", trace.In{CIDR: "10.0.0.4/30"}), op("ReleaseAffinity", trace.In{Host: "n1", CIDR: "10.0.0.0/30"}),
			op("RemoveIPAMHost", trace.In{Host: "n1"}), op("SetOwnerAttributes", trace.In{IP: "10.0.0.4", Handle: "h0", ActiveAttrs: map[string]string{"pod": "x"}}), op("GetAssignmentAttributes", trace.In{IP: "10.0.0.4"})),
	}},
}
