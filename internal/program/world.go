package program

import (
	"fmt"
	"strings"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// World has what the programs of one bias use. The first element of every list is
// the plainest.
type World struct {
	Name, About string

	Pools        []trace.Pool // what SetPool may set
	Begin        int          // how many of them may exist at the beginning
	Nodes        []string     // the state at the beginning
	Hosts        []string     // that make requests: nodes, and others
	Handles      []string     // of requests
	CIDRs        []string     // of claims and releases, beside blocks
	Counts       []int        // numbers of addresses of a request
	Cooldowns    []int        // seconds, some of them invalid
	Seconds      []int64      // by which the clock advances
	Reservations [][]string
	Reserve      int            // one request in so many is a Windows host's
	Odd          int            // one block in so many is not of its pool's size; 0 for none
	Slow         int            // how many times longer than elsewhere an operation takes, if more than 1
	Weights      map[string]int // of operations that are more or less likely
}

// labels are those of nodes and namespaces.
var labels = []map[string]string{nil, {"zone": "x"}, {"team": "t", "zone": "y"}, {"team": "u"}}

// attributes are those of allocations.
var attributes = []map[string]string{
	nil, {"node": "n1", "pod": "a", "namespace": "x"}, {"node": "n2", "vmi-name": "v"}, {"pod": "\u00fc \"<>\" \\ufffd"},
}

// outside are addresses that no pool has, and that cannot be allocated.
var outside = []string{"192.0.2.1", "2001:db8::1", "fd00::1%eth0", "::ffff:10.0.0.1", "10.9.0.1"}

// Worlds are all worlds. Each has something that the others would rarely reach.
var Worlds = []*World{
	mixed(),
	full(),
	hosts(),
	cooldown(),
	single(),
	large(),
	huge(),
	names(),
	windows(),
	crash(),
	odd(),
	off(),
}

// mixed is the base of the other worlds: a pool of every kind, and pools that are
// disabled, replaced, or overlap another.
func mixed() *World {
	return &World{
		Name: "mixed", About: "a pool of every kind, both families",
		Pools: []trace.Pool{
			{Name: "a", CIDR: "10.0.0.0/25", BlockSize: 28},
			{Name: "b", CIDR: "10.0.1.0/27", BlockSize: 30, NodeSelector: "zone == 'x'"},
			{Name: "c", CIDR: "10.0.2.0/29", BlockSize: 32, AssignmentMode: "Manual"},
			{Name: "d", CIDR: "10.0.3.0/27", BlockSize: 29, AllowedUses: []string{"LoadBalancer"}},
			{Name: "six", CIDR: "fd00::/121", BlockSize: 124},
			{Name: "a", CIDR: "10.0.0.0/25", BlockSize: 28, Disabled: true},
			{Name: "a", CIDR: "10.0.0.0/25", BlockSize: 28, NodeSelector: "zone != 'x'"},
			{Name: "b", CIDR: "10.0.1.0/27", BlockSize: 30, AllowedUses: []string{"Tunnel"}, NodeSelector: "has(team) || zone in {'x'}"},
			{Name: "six", CIDR: "fd00::/121", BlockSize: 124, NamespaceSelector: "has(team)", AllowedUses: []string{"Workload"}},
			{Name: "e", CIDR: "10.0.0.0/26", BlockSize: 26},                         // overlaps
			{Name: "a", CIDR: "10.0.0.0/25", BlockSize: 27},                         // immutable
			{Name: "f", CIDR: "10.0.0.0/25", BlockSize: 27},                         // perhaps another size than its blocks
			{Name: "g", CIDR: "10.4.0.1/24", BlockSize: 26},                         // host bits
			{Name: "g", CIDR: "10.4.0.0/24", BlockSize: 26, NodeSelector: "zone ="}, // does not parse
		},
		Begin:   5,
		Nodes:   []string{"n0", "n1", "n2", "n3"},
		Hosts:   []string{"n0", "n1", "n2", "n3", "lb"},
		Handles: []string{"h0", "h1", "h2", "H1", "", "h4\r\nmore", block.HostReservedHandle, "\u00fc \"<>\" \\ufffd"},
		CIDRs: []string{
			"10.0.0.0/25", "10.0.1.0/27", "10.0.2.0/29", "10.0.3.0/27", "fd00::/121", "10.0.0.0/27", // pools, and a part
			"10.0.0.0/30", "10.0.0.1/25", "::ffff:10.0.0.0/124", "0.0.0.0/0", "10.9.0.0/26", "0.0.0.0/1", // and outside all pools
		},
		Counts:       []int{1, 0, 2, 3, 6, 17},
		Cooldowns:    []int{0, 0, 0, 30, 1200, -1, 1201},
		Seconds:      []int64{1, 30, 60, 29, 61, 0, 1200, 86400},
		Reservations: [][]string{nil, {"10.0.0.3", "nonsense", "fd00::/125"}, {" 10.0.0.0/27 ", "", "x"}, {"10.0.0.5", "fd00::/123", "fd00::33", "10.0.1.0/29"}},
		Reserve:      12,
	}
}

// world derives a world from mixed.
func world(name, about string, change func(w *World)) *World {
	w := mixed()
	w.Name, w.About = name, about
	change(w)
	return w
}

// numbered returns n names.
func numbered(format string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf(format, i))
	}
	return names
}

func full() *World {
	return world("full", "pools so small that they are always full", func(w *World) {
		w.Pools = []trace.Pool{
			{Name: "a", CIDR: "10.0.0.0/29", BlockSize: 30},
			{Name: "six", CIDR: "fd00::/125", BlockSize: 127},
			{Name: "b", CIDR: "10.0.0.16/30", BlockSize: 31},
			{Name: "b", CIDR: "10.0.0.16/30", BlockSize: 31, Disabled: true},
		}
		w.Begin = 3
		w.CIDRs = []string{"10.0.0.0/29", "fd00::/125", "10.0.0.16/30"}
		w.Reservations = [][]string{nil, {"10.0.0.1"}, {"10.0.0.0/30", "fd00::2"}}
		w.Weights = map[string]int{"AutoAssign": 12, "DeletePool": 0, "DeleteNode": 0, "RemoveIPAMHost": 0}
	})
}

func hosts() *World {
	return world("hosts", "more hosts than blocks", func(w *World) {
		w.Pools = []trace.Pool{
			{Name: "a", CIDR: "10.0.0.0/26", BlockSize: 30},
			{Name: "six", CIDR: "fd00::/122", BlockSize: 126},
			{Name: "a", CIDR: "10.0.0.0/26", BlockSize: 30, NodeSelector: "zone == 'x'"},
		}
		w.Begin = 2
		w.Nodes = numbered("node-%d", 30)
		w.Hosts = append(numbered("node-%d", 30), "lb")
		w.Handles = append(numbered("h%d", 40), "")
		w.CIDRs = []string{"10.0.0.0/27", "fd00::/124", "10.0.0.0/26"}
		w.Seconds = []int64{1, 60, 59, 61, 600}
		w.Reservations = [][]string{nil, {"10.0.0.0/30"}, {"10.0.0.0/27", "fd00::/126"}}
	})
}

func cooldown() *World {
	return world("cooldown", "addresses cool down for long, and the clock advances", func(w *World) {
		w.Cooldowns = []int{60, 1, 600, 1200, 0}
		w.Seconds = []int64{1, 59, 60, 61, 599, 600, 1200, -1, -60}
		w.Weights = map[string]int{"Advance": 8, "ReleaseIPs": 10, "ReleaseByHandle": 4, "GarbageCollectColdIPs": 3, "SetIPAMConfig": 4, "DeletePool": 0}
	})
}

func single() *World {
	return world("single", "blocks of one address, whose order follows the clock", func(w *World) {
		w.Pools = []trace.Pool{
			{Name: "a", CIDR: "10.0.0.0/27", BlockSize: 32},
			{Name: "six", CIDR: "fd00::/124", BlockSize: 128},
			{Name: "b", CIDR: "10.0.1.0/30", BlockSize: 32, NodeSelector: "zone == 'x'"},
			{Name: "a", CIDR: "10.0.0.0/27", BlockSize: 32, Disabled: true},
		}
		w.Begin = 3
		w.CIDRs = []string{"10.0.0.0/28", "fd00::/125", "10.0.1.0/30", "10.0.0.0/27"}
		w.Reservations = [][]string{nil, {"10.0.0.0/28"}, {"10.0.0.5", "fd00::1"}}
	})
}

func large() *World {
	return world("large", "the largest blocks", func(w *World) {
		w.Pools = []trace.Pool{
			{Name: "a", CIDR: "10.0.0.0/19", BlockSize: 20},
			{Name: "six", CIDR: "fd00::/115", BlockSize: 116},
			{Name: "a", CIDR: "10.0.0.0/19", BlockSize: 20, Disabled: true},
		}
		w.Begin = 2
		w.Slow = 20
		w.CIDRs = []string{"10.0.0.0/19", "fd00::/115", "10.0.16.0/20"}
		w.Counts = []int{1, 0, 64, 65, 1000, 4096, 5000}
		w.Reservations = [][]string{nil, {"10.0.0.0/21"}, {"10.0.0.0/20", "fd00::/117"}}
	})
}

func huge() *World {
	return world("huge", "pools that nobody can walk", func(w *World) {
		w.Pools = []trace.Pool{
			{Name: "six", CIDR: "fd00::/48", BlockSize: 122},
			{Name: "seven", CIDR: "fd01::/16", BlockSize: 128},
			{Name: "a", CIDR: "10.0.0.0/8", BlockSize: 30},
			{Name: "six", CIDR: "fd00::/48", BlockSize: 122, NodeSelector: "zone == 'x'"},
			{Name: "six", CIDR: "fd00::/48", BlockSize: 122, AllowedUses: []string{"Workload"}, NamespaceSelector: "team == 't'"},
		}
		w.Begin = 3
		w.CIDRs = []string{"fd00::/120", "10.0.0.0/27", "fd01::/124"}
		w.Reservations = [][]string{nil, {"fd00::/122", "10.0.0.0/24"}, {"fd01::5"}}
		w.Weights = map[string]int{"AutoAssign": 10}
	})
}

// names has hosts whose affinities have names too long for Kubernetes, that differ
// only in the part cut off, or that sort differently than their hosts.
func names() *World {
	return world("names", "names that are long, or alike", func(w *World) {
		long := strings.Repeat("long.name-", 24)
		w.Nodes = []string{long[:237], long[:238], long[:230] + "x", long + "abcdefghijklm", "n", "n-10", "n.10", "n-10-0-0-0"}
		w.Hosts = append(w.Nodes[:len(w.Nodes):len(w.Nodes)], "lb", long+"abcdefghijklmn", "", "with blank")
		w.Handles = []string{"h", "h\rmore", "h\r\nother", "\r", "", "H", "h\u00fc", long, long + long + "1", long + long + "2"}
		w.Pools = append(w.Pools[:5:5],
			trace.Pool{Name: "e", CIDR: "10.0.0.128/25", BlockSize: 30},
			trace.Pool{Name: "e", CIDR: "10.0.0.128/25", BlockSize: 28},
			trace.Pool{Name: "sixth", CIDR: "2:1::/120", BlockSize: 122},
		)
		w.Pools[0], w.Pools[5] = w.Pools[5], w.Pools[0]
	})
}

func windows() *World {
	return world("windows", "hosts that keep addresses of each block", func(w *World) {
		w.Reserve = 2
		w.Weights = map[string]int{"EnsureBlock": 6, "AutoAssign": 8}
	})
}

func crash() *World {
	return world("crash", "what hosts that died part-way leave", func(w *World) {
		w.Weights = map[string]int{"PutAffinity": 8, "DropAffinity": 5, "DropBlock": 4, "AutoAssign": 8, "EnsureBlock": 3, "DeletePool": 0}
	})
}

// odd has claims of any size, from which overlapping blocks may result, claims
// that are wider than a pool, and owners of both types under the same few names.
func odd() *World {
	return world("odd", "blocks of any size, claims beyond a pool, and namesakes", func(w *World) {
		w.Pools = append(w.Pools[:5:5],
			trace.Pool{Name: "a", CIDR: "10.0.0.0/25", BlockSize: 28, Disabled: true},
			trace.Pool{Name: "d", CIDR: "10.0.3.0/27", BlockSize: 29, AllowedUses: []string{"LoadBalancer"}, Disabled: true},
			trace.Pool{Name: "f", CIDR: "10.0.0.0/25", BlockSize: 27},
		)
		w.Odd = 3
		w.Nodes = []string{"n0", "n1", "lb"}
		w.Hosts = w.Nodes
		w.CIDRs = []string{"10.0.0.0/24", "10.0.0.64/26", "10.0.0.0/23", "10.0.3.0/24", "10.0.2.0/28", "fd00::/120", "10.0.0.128/25", "10.0.0.0/29"}
		w.Weights = map[string]int{"PutAffinity": 6, "ClaimAffinity": 4, "ReleaseAffinity": 3, "ReleasePoolAffinities": 2, "AutoAssign": 10, "GetUtilization": 2}
	})
}

// off has one pool that is disabled and enabled again, with blocks of any size.
func off() *World {
	return world("off", "blocks of any size in a pool that is disabled", func(w *World) {
		w.Pools = []trace.Pool{
			{Name: "a", CIDR: "10.0.0.0/27", BlockSize: 29},
			{Name: "a", CIDR: "10.0.0.0/27", BlockSize: 29, Disabled: true},
		}
		w.Begin = 1
		w.Odd = 2
		w.Nodes = []string{"n0", "n1"}
		w.Hosts = w.Nodes
		w.CIDRs = []string{"10.0.0.0/27", "10.0.0.0/28", "10.0.0.16/28"}
		w.Weights = map[string]int{"PutAffinity": 8, "AutoAssign": 12, "ReleaseIPs": 10, "SetPool": 5, "DeletePool": 0}
	})
}
