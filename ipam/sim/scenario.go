package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/lifecycle"
	"github.com/ipamsim/ipamsim/pool"
)

// The orders of a scenario.
const (
	roundRobin = "round-robin"
	nodeByNode = "node-by-node"
	random     = "random"
	oneByOne   = "one-by-one"
)

// Scenario is a cluster and what happens to it. Nodes come up in order, each
// asking for a tunnel address if TunnelIPPerNode is set; then come the pods, at
// the same moment; then churn and events, each at its time. Each request is for
// one address, with a handle.
//
// Each node of the start has a place. A node that is replaced leaves its place to
// its successor, which is of the same group, runs as many pods, and has a name that
// no node had before. In events a node's name stands for whoever is in its place.
//
// It is plain data; slices, maps and pointers are shared by copies. In JSON and YAML
// the keys are those of plan.jsonl, and unknown ones are errors (see [Read]).
type Scenario struct {
	Name  string `json:"name,omitempty"`
	About string `json:"about,omitempty"` // what it is for, in a sentence or two

	// Pool, of either family, and BlockSize, a prefix length or 0 for Calico's
	// default, are the only pool, unless there are Pools instead.
	Pool         netip.Prefix `json:"pool,omitzero"`
	BlockSize    int          `json:"blockSize,omitempty"`
	Pools        []Pool       `json:"pools,omitempty"`
	Reservations []string     `json:"reservations,omitempty"` // CIDRs and addresses
	// ServiceCIDR is only for a warning: pools should not touch it.
	ServiceCIDR netip.Prefix `json:"serviceCIDR,omitzero"`

	Group                   // the nodes, or the first of them
	Groups          []Group `json:"groups,omitempty"` // and others, after them
	TunnelIPPerNode bool    `json:"tunnelIPPerNode,omitempty"`
	// PodGroups are the pods, where they are not all alike: then no group of nodes has
	// PodsPerNode or PodHistogram. On each node they take turns in proportion.
	PodGroups []PodGroup `json:"podGroups,omitempty"`
	// Services are those of type LoadBalancer. Each asks for an address before all others
	// do, of a pool that allows LoadBalancer; all their blocks are of one virtual owner. It
	// is counted apart from nodes and pods, and so are those pools.
	Services int `json:"services,omitempty"`
	// Order is the order in which the pods of the start ask for their addresses:
	//
	//	round-robin   pod 0 of every node, then pod 1 of every node, …; so is an empty
	//	              order
	//	node-by-node  all pods of node 0, then of node 1, …
	//	random        shuffled by the seed
	//	one-by-one    as node-by-node, and each node comes up and asks for its tunnel
	//	              address after the pods of the one before it
	Order string `json:"order,omitempty"`
	// Seed decides all that is random: the order where that is random, which pods
	// churn and events take, which nodes go first, and whose release is lost.
	Seed int64 `json:"seed,omitempty"`

	// The configuration, Calico's IPAMConfig (§1).
	StrictAffinity    bool `json:"strictAffinity,omitempty"`
	NoAutoAllocate    bool `json:"noAutoAllocateBlocks,omitempty"` // autoAllocateBlocks: false
	MaxBlocksPerHost  int  `json:"maxBlocksPerHost,omitempty"`     // 0 for 20
	IPCooldownSeconds int  `json:"ipCooldownSeconds,omitempty"`    // 0 to 1200

	// Calico is the release whose behaviour is wanted, such as v3.28 or v3.28.2 (see
	// [calico.Parse]); empty for the newest.
	Calico  string   `json:"calico,omitempty"`
	Cleaner *Cleaner `json:"cleaner,omitempty"` // nil for none
	// Leaks is the share, 0 to 1, of pods whose release is lost: the allocator never
	// hears that they are gone.
	Leaks float64 `json:"leaks,omitempty"`
	// RetryEvery is how often the pods that were refused an address ask again, all at
	// one moment: 1m for a kubelet's. 0: never.
	RetryEvery Duration `json:"retryEvery,omitempty"`

	Churn  *Churn  `json:"churn,omitempty"`
	Events []Event `json:"events,omitempty"` // in the order of At
	// For is how long it runs, at most a year: 0 up to the last event and the end of
	// churn. Nothing happens after it.
	For Duration `json:"for,omitempty"`
}

// Pool is an IP pool. Its zero fields are those of [pool.Spec].
type Pool struct {
	Name         string       `json:"name"`
	CIDR         netip.Prefix `json:"cidr"`
	BlockSize    int          `json:"blockSize,omitempty"`
	NodeSelector string       `json:"nodeSelector,omitempty"`
	// NamespaceSelector picks the namespaces whose pods may use the pool. Tunnels are in
	// no namespace: AllowedUses must not name them.
	NamespaceSelector string     `json:"namespaceSelector,omitempty"`
	AllowedUses       []pool.Use `json:"allowedUses,omitempty"`
	Disabled          bool       `json:"disabled,omitempty"`
}

// Group is nodes that are alike.
type Group struct {
	Nodes int `json:"nodes,omitempty"`
	// NodeFormat is "node-%d" or "node-%06d", say: numbered from NumberFrom, or on from the last
	// node of the same format. Empty for "node-%d".
	NodeFormat string            `json:"nodeFormat,omitempty"`
	NumberFrom int               `json:"numberFrom,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	// Windows nodes keep the first three addresses of each of their blocks and the last
	// (§10). They borrow nothing: StrictAffinity must be set.
	Windows bool `json:"windows,omitempty"`

	// PodsPerNode is how many pods each node runs, or PodHistogram how many nodes
	// run how many; not both.
	PodsPerNode  int      `json:"podsPerNode,omitempty"`
	PodHistogram []Bucket `json:"podHistogram,omitempty"`
	// PodsOf is, by the names of pod groups, how many of its pods each of these nodes
	// runs: they run no others. Nil for what the pod groups say.
	PodsOf map[string]int `json:"podsOf,omitzero"`
}

// Bucket is how many nodes of a group run so many pods. Nodes are shares if they
// do not add up to the group's. The buckets take turns in proportion, so that
// nodes of all kinds come up all along.
type Bucket struct {
	Pods  int `json:"pods"`
	Nodes int `json:"nodes"`
}

// Churn restarts pods: one goes, its address is given back, and another starts on
// the same node at once.
type Churn struct {
	PerSecond float64  `json:"perSecond"` // more than 0, in the whole cluster, evenly
	For       Duration `json:"for"`       // from the start on
}

// Cleaner is the controller that cleans up after nodes and pods (§12); see
// [lifecycle.Controller]. Its zero value is Calico's.
type Cleaner struct {
	// GracePeriod is how long an address is suspect, and a block empty, before it is
	// released, on a node that exists: nil for Calico's 15 minutes, 0 for never.
	GracePeriod *Duration `json:"gracePeriod,omitempty"`
	// SyncPeriod is the time between two looks at everything: 0 for half the grace
	// period, or 5 minutes where that is 0.
	SyncPeriod Duration `json:"syncPeriod,omitempty"`
	// Reaction is how long after a change the controller looks at it at most: 0 for 10
	// seconds.
	Reaction Duration `json:"reaction,omitempty"`

	Off  bool     `json:"off,omitempty"`  // there is none after all
	Down []Outage `json:"down,omitempty"` // in the order of From; it comes back without its memory
}

// Outage is a time in which a [Cleaner] is down.
type Outage struct {
	From Duration `json:"from"`
	To   Duration `json:"to"` // after From
}

// Duration is a [time.Duration] that is written as text, "1m30s".
type Duration time.Duration

// String returns the duration as [time.Duration] does.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// withDefaults fills in what empty fields stand for.
func (s *Scenario) withDefaults() Scenario {
	full := *s
	if full.Order == "" {
		full.Order = roundRobin
	}
	full.Group = full.Group.withDefaults()
	full.Groups = slices.Clone(full.Groups)
	for i, g := range full.Groups {
		full.Groups[i] = g.withDefaults()
	}
	return full
}

func (g Group) withDefaults() Group {
	if g.NodeFormat == "" {
		g.NodeFormat = "node-%d"
	}
	return g
}

// Release returns the release of Calico, the newest if it is none. What
// [Options].Engine makes must be of that release.
func (s *Scenario) Release() calico.Version {
	v, _ := calico.Parse(s.Calico)
	return v
}

// policy returns the cleaner's.
func (c *Cleaner) policy() lifecycle.Policy {
	p := lifecycle.DefaultPolicy()
	if c.GracePeriod != nil {
		p.GracePeriod = time.Duration(*c.GracePeriod)
	}
	p.SyncPeriod = time.Duration(c.SyncPeriod)
	return p
}

// hasWindows reports whether some nodes run Windows.
func (s *Scenario) hasWindows() bool {
	return slices.ContainsFunc(s.groups(), func(g Group) bool { return g.Windows }) ||
		slices.ContainsFunc(s.Events, func(e Event) bool { return e.Do == addNodes && e.Group.Windows })
}

// groups returns the nodes of the start.
func (s *Scenario) groups() []Group { return append([]Group{s.Group}, s.Groups...) }

// added returns the group of an AddNodes event.
func (s *Scenario) added(e *Event) Group {
	g, first := *e.Group, &s.Group
	if g.NodeFormat == "" {
		g.NodeFormat = first.NodeFormat
	}
	if g.Labels == nil {
		g.Labels = first.Labels
	}
	if g.PodsPerNode == 0 && g.PodHistogram == nil {
		g.PodsPerNode, g.PodHistogram = first.PodsPerNode, first.PodHistogram
	}
	if g.PodsOf == nil {
		g.PodsOf = first.PodsOf
	}
	return g
}

// pools returns the pools, of which there is one at least.
func (s *Scenario) pools() []Pool {
	if len(s.Pools) > 0 {
		return s.Pools
	}
	return []Pool{{Name: "pool", CIDR: s.Pool, BlockSize: s.BlockSize}}
}

// allPools returns the pools, and those that are added later.
func (s *Scenario) allPools() []Pool {
	all := slices.Clone(s.pools())
	for i := range s.Events {
		if e := &s.Events[i]; e.Do == addPool && e.Pool != nil {
			all = append(all, *e.Pool)
		}
	}
	return all
}

func (p *Pool) spec() pool.Spec {
	return pool.Spec{Name: p.Name, CIDR: p.CIDR, BlockSize: p.BlockSize, NodeSelector: p.NodeSelector, NamespaceSelector: p.NamespaceSelector, AllowedUses: p.AllowedUses, Disabled: p.Disabled}
}

// podCounts returns how many pods each node of the group runs.
func (g *Group) podCounts() []int {
	if len(g.PodHistogram) == 0 {
		return slices.Repeat([]int{g.PodsPerNode}, g.Nodes)
	}
	counts := make([]int, 0, g.Nodes)
	total := 0
	for _, b := range g.PodHistogram {
		total += b.Nodes
	}
	taken := make([]int, len(g.PodHistogram))
	for i := range g.Nodes {
		// Next is the bucket that is furthest behind its share.
		next := 0
		for j := range taken {
			behind := func(k int) int { return g.PodHistogram[k].Nodes*(i+1) - taken[k]*total }
			if behind(j) > behind(next) {
				next = j
			}
		}
		taken[next]++
		counts = append(counts, g.PodHistogram[next].Pods)
	}
	return counts
}

// starts returns how many pods the nodes of a group start as they come up, those aside of
// which there is a number in all.
func (s *Scenario) starts(g *Group) (pods int) {
	for _, n := range g.podCounts() {
		pods += n
	}
	for _, n := range s.podsOf(g) {
		pods += g.Nodes * n
	}
	return pods
}

// asks returns how many requests the nodes of a group make as they come up.
func (s *Scenario) asks(g *Group) (n int) {
	n = s.starts(g)
	if s.TunnelIPPerNode {
		n += g.Nodes
	}
	return n
}

// end returns when the scenario ends.
func (s *Scenario) end() time.Duration {
	if s.For > 0 {
		return time.Duration(s.For)
	}
	last := Duration(0)
	if n := len(s.Events); n > 0 {
		last = s.Events[n-1].At
	}
	if s.Churn != nil {
		last = max(last, s.Churn.For)
	}
	return time.Duration(last)
}

// requests returns how many requests the scenario makes, those that events cause
// about.
func (s *Scenario) requests() (n int) {
	nodes := 0
	for _, g := range s.groups() {
		n += s.asks(&g)
		nodes += g.Nodes
	}
	for i := range s.PodGroups {
		n += s.PodGroups[i].Pods
	}
	average := n / nodes
	for i := range s.Events {
		switch e := &s.Events[i]; e.Do {
		case addNodes:
			g := s.added(e)
			n += s.asks(&g)
		case drainNodes, removeNodes:
			n += len(e.Nodes) * average
		case replaceNodes, interruptNodes:
			n += s.times(e) * max(e.Count, len(e.Nodes)) * average
		case replacePods:
			n += s.times(e) * e.Count
		case upgradeNodes:
			n += nodes * average
		case scalePods:
			n += e.Pods
		}
	}
	if c := s.Churn; c != nil {
		n += int(c.PerSecond * time.Duration(c.For).Seconds())
	}
	return n
}

// times returns how often an event happens.
func (s *Scenario) times(e *Event) int {
	left := s.end() - time.Duration(e.At)
	switch {
	case left < 0:
		return 0
	case e.Every > 0:
		return 1 + int(left/time.Duration(e.Every))
	}
	return 1
}
