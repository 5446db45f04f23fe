package sim

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/pool"
)

func small() Scenario {
	return Scenario{Pool: netip.MustParsePrefix("10.0.0.0/24"), BlockSize: 28, Group: Group{Nodes: 2, PodsPerNode: 1}}
}

func TestValidate(t *testing.T) {
	prefix := netip.MustParsePrefix
	event := func(e Event) func(*Scenario) { return func(s *Scenario) { s.Events = []Event{e} } }
	for name, c := range map[string]struct {
		spoil func(*Scenario)
		want  string // path, a blank and how the reason begins
	}{
		"no nodes":                {func(s *Scenario) { s.Nodes = 0 }, "nodes 0: must be 1"},
		"too many nodes":          {func(s *Scenario) { s.Nodes = 250_001 }, "nodes 250001: must be"},
		"too many in groups":      {func(s *Scenario) { s.Groups = []Group{{Nodes: 250_000}} }, "groups[0].nodes 250000: makes more than"},
		"too many pods":           {func(s *Scenario) { s.Nodes, s.PodsPerNode = 1000, 50_000 }, "nodes 1000: makes more than"},
		"negative pods":           {func(s *Scenario) { s.PodsPerNode = -1 }, "podsPerNode -1: must be"},
		"unknown order":           {func(s *Scenario) { s.Order = "backwards" }, `order "backwards": must be`},
		"no %d":                   {func(s *Scenario) { s.NodeFormat = "node" }, `nodeFormat "node": must`},
		"other verbs":             {func(s *Scenario) { s.NodeFormat = "node-%d-%s" }, `nodeFormat "node-%d-%s": must`},
		"control characters":      {func(s *Scenario) { s.NodeFormat = "node\n%d" }, `nodeFormat "node\n%d": ipam: invalid node`},
		"a long name":             {func(s *Scenario) { s.NodeFormat = strings.Repeat("n", 253) + "%d" }, "nodeFormat "},
		"a name twice":            {func(s *Scenario) { s.Nodes, s.Groups = 11, []Group{{Nodes: 2, NodeFormat: "node-%d0"}} }, `groups[0].nodeFormat "node-%d0": makes the name "node-10"`},
		"two histograms":          {func(s *Scenario) { s.PodHistogram = []Bucket{{1, 1}} }, "podHistogram and podsPerNode"},
		"an empty histogram":      {func(s *Scenario) { s.PodsPerNode, s.PodHistogram = 0, []Bucket{{1, 0}} }, "podHistogram has no nodes"},
		"negative in a histogram": {func(s *Scenario) { s.PodsPerNode, s.PodHistogram = 0, []Bucket{{1, 1}, {-1, -2}} }, "podHistogram[1].pods -1: must"},
		"no pool":                 {func(s *Scenario) { s.Pool = netip.Prefix{} }, "pool "},
		"pool with host bits":     {func(s *Scenario) { s.Pool = prefix("10.0.0.1/24") }, "pool 10.0.0.1/24: "},
		"pool smaller than block": {func(s *Scenario) { s.BlockSize = 20 }, "pool 10.0.0.0/24: "},
		"block size out of range": {func(s *Scenario) { s.BlockSize = 33 }, "blockSize 33: "},
		"a pool of 2^64 blocks":   {func(s *Scenario) { s.Pool, s.BlockSize = prefix("fd00::/58"), 122 }, "pool fd00::/58: has 2^64 blocks of /122, must have at most 2^60: plan with a part of it"},
		"pool and pools":          {func(s *Scenario) { s.Pools = []Pool{{Name: "p", CIDR: prefix("10.1.0.0/24")}} }, "pools and a pool"},
		"pools that overlap": {func(s *Scenario) {
			s.Pool, s.BlockSize = netip.Prefix{}, 0
			s.Pools = []Pool{{Name: "p", CIDR: prefix("10.1.0.0/24")}, {Name: "q", CIDR: prefix("10.1.0.0/25")}}
		}, "pools[1].cidr 10.1.0.0/25: "},
		"pools of one name": {func(s *Scenario) {
			s.Pool, s.BlockSize = netip.Prefix{}, 0
			s.Pools = []Pool{{Name: "p", CIDR: prefix("10.1.0.0/24")}, {Name: "p", CIDR: prefix("10.2.0.0/25")}}
		}, `pools[1].name "p": is another`},
		"pools of two families": {func(s *Scenario) {
			s.Pool, s.BlockSize = netip.Prefix{}, 0
			s.Pools = []Pool{{Name: "p", CIDR: prefix("10.1.0.0/24")}, {Name: "q", CIDR: prefix("fd00::/120")}}
		}, "pools[1].cidr fd00::/120: of another family"},
		"a bad selector": {func(s *Scenario) {
			s.Pool, s.BlockSize = netip.Prefix{}, 0
			s.Pools = []Pool{{Name: "p", CIDR: prefix("10.1.0.0/24"), NodeSelector: "rack = 'a'"}}
		}, "pools[0].nodeSelector "},
		"a bad reservation":         {func(s *Scenario) { s.Reservations = []string{"10.0.0.1", "10.0.0"} }, `reservations[1] "10.0.0": must be`},
		"an empty reservation":      {func(s *Scenario) { s.Reservations = []string{" "} }, `reservations[0] " ": must be`},
		"service CIDR's host bits":  {func(s *Scenario) { s.ServiceCIDR = prefix("10.96.0.1/12") }, "serviceCIDR 10.96.0.1/12: has host bits"},
		"no way to get a block":     {func(s *Scenario) { s.NoAutoAllocate = true }, "noAutoAllocateBlocks without strictAffinity: Calico refuses autoAllocateBlocks off while strict affinity is off"},
		"a limit below zero":        {func(s *Scenario) { s.MaxBlocksPerHost = -1 }, "maxBlocksPerHost -1: must"},
		"a cooldown below zero":     {func(s *Scenario) { s.IPCooldownSeconds = -1 }, "ipCooldownSeconds -1: must"},
		"a long cooldown":           {func(s *Scenario) { s.IPCooldownSeconds = 1201 }, "ipCooldownSeconds 1201: must"},
		"a rate below zero":         {func(s *Scenario) { s.Churn = &Churn{PerSecond: -1, For: 1} }, "churn.perSecond -1: must"},
		"a rate that is none":       {func(s *Scenario) { s.Churn = &Churn{PerSecond: math.NaN(), For: 1} }, "churn.perSecond NaN: must"},
		"churn for no time":         {func(s *Scenario) { s.Churn = &Churn{PerSecond: 1} }, "churn.for 0s: must"},
		"churn without end":         {func(s *Scenario) { s.Churn = &Churn{PerSecond: 1e5, For: Duration(time.Hour)} }, "churn 100000 a second for 1h0m0s: makes more"},
		"an event before the start": {event(Event{At: -1, Do: setCooldown}), "events[0].at -1ns: must"},
		"events out of order": {func(s *Scenario) {
			s.Events = []Event{{At: 2, Do: setCooldown}, {At: 1, Do: setCooldown}}
		}, "events[1].at 1ns: is before"},
		"an unknown event":  {event(Event{Do: "explode"}), `events[0].do "explode": must be drain`},
		"a mistyped event":  {event(Event{Do: "drian", Nodes: []string{"node-0"}}), `events[0].do "drian": must be drain`},
		"nobody to drain":   {event(Event{Do: drainNodes}), "events[0].nodes is empty"},
		"an unknown node":   {event(Event{Do: drainNodes, Nodes: []string{"node-2"}}), `events[0].nodes[0] "node-2": there never`},
		"a node twice gone": {event(Event{Do: removeNodes, Nodes: []string{"node-1", "node-1"}}), `events[0].nodes[1] "node-1": was removed`},
		"added later": {func(s *Scenario) {
			s.Events = []Event{{Do: drainNodes, Nodes: []string{"node-2"}}, {Do: addNodes, Group: &Group{Nodes: 1}}}
		}, `events[0].nodes[0] "node-2": there never`},
		"nothing to add":    {event(Event{Do: addNodes}), "events[0].group is missing"},
		"no nodes to add":   {event(Event{Do: addNodes, Group: &Group{}}), "events[0].group.nodes 0: must"},
		"cooldown too long": {event(Event{Do: setCooldown, Seconds: 1201}), "events[0].seconds 1201: must"},
		"no way any more": {func(s *Scenario) {
			s.StrictAffinity, s.NoAutoAllocate = true, true
			s.Events = []Event{{Do: setStrictAffinity}}
		}, "events[0].strict false with noAutoAllocateBlocks: Calico refuses strict affinity off while autoAllocateBlocks is off"},
		"what does not go with it": {event(Event{Do: setCooldown, Nodes: []string{"node-0"}}), "events[0].nodes does not go with set-cooldown"},
	} {
		t.Run(name, func(t *testing.T) {
			s := small()
			must.NoError(t, s.Validate())
			c.spoil(&s)
			_, err := Run(s, Options{})
			must.ErrorIs(t, err, ErrInvalid)
			var invalid *InvalidError
			must.ErrorAs[*InvalidError](t, err, &invalid)
			must.True(t, strings.HasPrefix(invalid.Path+" "+invalid.Reason, c.want), must.Sprintf("%s %s", invalid.Path, invalid.Reason))
		})
	}
}

// TestValidateTellsAll: everything that is wrong is in the error.
func TestValidateTellsAll(t *testing.T) {
	s := small()
	s.Nodes, s.Order, s.MaxBlocksPerHost = 0, "backwards", -1
	for _, want := range []string{"nodes 0", "order", "maxBlocksPerHost"} {
		must.ErrorContains(t, s.Validate(), want)
	}
	_, err := Run(s, Options{})
	must.ErrorIs(t, err, ErrInvalid)
	must.False(t, errors.Is(err, ErrStopped))
}

func TestWarnings(t *testing.T) {
	property.Slow(t)
	s := small()
	must.SliceEmpty(t, s.Warnings())
	s.Events, s.For, s.Cleaner = []Event{{Do: upgradeNodes, Count: 1}}, Duration(time.Hour), new(Cleaner)
	must.NoError(t, s.Validate())
	must.SliceEmpty(t, s.Warnings(), must.Sprint("somebody cleans up"))
	for name, c := range map[string]struct {
		change     func(*Scenario)
		path, text string
	}{
		"more nodes than blocks": {func(s *Scenario) { s.Nodes = 20 }, "nodes", "20 nodes and 16 blocks: not every"},
		"and those added": {func(s *Scenario) {
			s.Events = []Event{{Do: addNodes, Group: &Group{Nodes: 15}}}
		}, "nodes", "17 nodes and 16 blocks"},
		"the limit":              {func(s *Scenario) { s.BlockSize, s.PodsPerNode = 32, 20; s.TunnelIPPerNode = true }, "maxBlocksPerHost", "a node may have 20 blocks of 1 address, and needs 21 addresses"},
		"on Windows":             {func(s *Scenario) { s.StrictAffinity, s.MaxBlocksPerHost, s.Windows, s.PodsPerNode = true, 1, true, 13 }, "maxBlocksPerHost", "a Windows node may have 1 block of 16 addresses, of which it keeps 4 of each, and needs 13 addresses"},
		"an explicit limit":      {func(s *Scenario) { s.StrictAffinity, s.MaxBlocksPerHost, s.PodsPerNode = true, 1, 17 }, "maxBlocksPerHost", "a node may have 1 block of 16 addresses, and needs 17"},
		"a limit without strict": {func(s *Scenario) { s.MaxBlocksPerHost = 30 }, "maxBlocksPerHost", "a block limit without strict affinity"},
		"as many blocks as do": {func(s *Scenario) {
			s.StrictAffinity, s.MaxBlocksPerHost, s.PodsPerNode, s.TunnelIPPerNode = true, 1, 16, true
		}, "maxBlocksPerHost", "a node may have 1 block of 16 addresses, and needs 17"},
		"reservations": {func(s *Scenario) { s.Reservations = []string{"10.0.0.0/28", "10.0.0.16/29", "10.0.0.24/31"} }, "reservations", "26 of 256 addresses are reserved"},
		"service CIDR": {func(s *Scenario) { s.ServiceCIDR = netip.MustParsePrefix("10.0.0.0/16") }, "pool", "10.0.0.0/24 touches the service CIDR 10.0.0.0/16"},
		"of a pool that is added": {func(s *Scenario) {
			s.Events = []Event{{Do: addPool, Pool: &Pool{Name: "more", CIDR: netip.MustParsePrefix("10.1.0.0/24")}}}
			s.ServiceCIDR = netip.MustParsePrefix("10.1.0.0/16")
		}, "events", "10.1.0.0/24 touches"},
		"nobody cleans": {func(s *Scenario) {
			s.Events = []Event{{Do: interruptNodes, Count: 1}}
		}, "events", "nodes that are replaced leave addresses and blocks behind"},
		"an old release":    {func(s *Scenario) { s.Calico = "v3.16.5" }, "calico", "Calico v3.16.5 is answered as v3.22: "},
		"a new release":     {func(s *Scenario) { s.Calico = "v3.99" }, "calico", "Calico v3.99 is answered as v3.33"},
		"an old controller": {func(s *Scenario) { s.Calico, s.Cleaner, s.For = "v3.23.5", new(Cleaner), Duration(time.Hour) }, "calico", "the cleaning controller of Calico v3.23.5 was not looked at"},
		"of one of several": {func(s *Scenario) {
			s.Pool, s.BlockSize = netip.Prefix{}, 0
			s.Pools = []Pool{{Name: "p", CIDR: netip.MustParsePrefix("10.1.0.0/24"), AllowedUses: []pool.Use{pool.Workload}}}
			s.ServiceCIDR = netip.MustParsePrefix("10.1.0.128/25")
		}, "pools[0].cidr", "10.1.0.0/24 touches"},
	} {
		t.Run(name, func(t *testing.T) {
			s := small()
			c.change(&s)
			must.NoError(t, s.Validate())
			got := s.Warnings()
			must.Len(t, 1, got)
			must.Eq(t, c.path, got[0].Path)
			must.StrContains(t, got[0].Text, c.text)
		})
	}
	s.Reservations = []string{"10.0.0.0/28", "10.0.0.16/29", "10.0.0.24"} // 25 of 256
	s.Nodes = 16
	must.SliceEmpty(t, s.Warnings(), must.Sprint("a tenth is not more than a tenth, and as many nodes not more than blocks"))
	s.Pool, s.Reservations = netip.MustParsePrefix("10.0.0.0/24"), []string{"10.0.0.0/28", "10.0.0.16/29", "10.0.0.24/31"}
	must.Len(t, 1, s.Warnings(), must.Sprint("26 of 256"))
	s.Reservations, s.StrictAffinity, s.MaxBlocksPerHost, s.PodsPerNode = nil, true, 1, 16
	must.SliceEmpty(t, s.Warnings(), must.Sprint("as many addresses as it needs"))

	// Of the nodes of a histogram one runs many pods.
	s = small()
	s.Pool, s.BlockSize = netip.MustParsePrefix("10.0.0.0/8"), 26
	s.Nodes, s.PodsPerNode, s.PodHistogram = 200_000, 0, []Bucket{{0, 199_999}, {300, 1}}
	must.NoError(t, s.Validate())
	s.PodHistogram[0].Pods = 300
	must.ErrorContains(t, s.Validate(), "nodes 200000: makes more than 50000000 requests in all")
}
