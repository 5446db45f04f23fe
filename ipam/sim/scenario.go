package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/pool"
)

// Order is the order in which pods ask for their addresses.
type Order string

// The orders.
const (
	RoundRobin Order = "round-robin"  // pod 0 of every node, then pod 1 of every node, …
	NodeByNode Order = "node-by-node" // all pods of node 0, then of node 1, …
	Random     Order = "random"       // shuffled by the scenario's seed
)

// Scenario is a cluster and what happens to it. Nodes come up in order, each
// asking for a tunnel address if TunnelIPPerNode is set; then come the pods, at
// the same moment; then churn and events, each at its time. Each request is for
// one address, with a handle and the attribute node. A pod that is refused does
// not ask again, unless it is restarted.
//
// It is plain data; slices and maps are shared by copies. In JSON and YAML the
// keys are those of plan.jsonl, and unknown ones are errors (see [Read]).
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
	Order           Order   `json:"order,omitempty"` // empty for RoundRobin
	// Seed decides the order where that is Random, and which pods churn takes.
	Seed int64 `json:"seed,omitempty"`

	// The configuration, Calico's IPAMConfig (§1).
	StrictAffinity    bool `json:"strictAffinity,omitempty"`
	NoAutoAllocate    bool `json:"noAutoAllocateBlocks,omitempty"` // autoAllocateBlocks: false
	MaxBlocksPerHost  int  `json:"maxBlocksPerHost,omitempty"`     // 0 for 20
	IPCooldownSeconds int  `json:"ipCooldownSeconds,omitempty"`    // 0 to 1200

	Churn  *Churn  `json:"churn,omitempty"`
	Events []Event `json:"events,omitempty"` // in the order of At
}

// Pool is an IP pool. Its zero fields are those of [pool.Spec].
type Pool struct {
	Name         string       `json:"name"`
	CIDR         netip.Prefix `json:"cidr"`
	BlockSize    int          `json:"blockSize,omitempty"`
	NodeSelector string       `json:"nodeSelector,omitempty"`
	AllowedUses  []pool.Use   `json:"allowedUses,omitempty"`
	Disabled     bool         `json:"disabled,omitempty"`
}

// Group is nodes that are alike.
type Group struct {
	Nodes int `json:"nodes,omitempty"`
	// NodeFormat is "node-%d", say: numbered from 0, or on from the last node of
	// the same format. Empty for "node-%d".
	NodeFormat string            `json:"nodeFormat,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`

	// PodsPerNode is how many pods each node runs, or PodHistogram how many nodes
	// run how many; not both.
	PodsPerNode  int      `json:"podsPerNode,omitempty"`
	PodHistogram []Bucket `json:"podHistogram,omitempty"`
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

// Kind is what happens in an [Event].
type Kind string

// The kinds.
const (
	// Drain keeps pods from Nodes and evicts those that run there, one after the other:
	// each gives its address back and starts again on the node with the fewest pods,
	// the first of several. Drained nodes stay, without pods.
	Drain Kind = "drain"
	// RemoveNodes drains Nodes and deletes them: tunnel address and affinities go.
	RemoveNodes Kind = "remove-nodes"
	// AddNodes adds a Group, with its pods, one node after the other. What the group
	// leaves empty is as in the scenario's first.
	AddNodes Kind = "add-nodes"
	// SetLabels replaces the Labels of Nodes.
	SetLabels Kind = "set-labels"
	// SetStrictAffinity sets it to Strict.
	SetStrictAffinity Kind = "set-strict-affinity"
	// SetCooldown sets the cooldown of addresses to Seconds.
	SetCooldown Kind = "set-cooldown"
)

// Event is something that happens to a cluster.
type Event struct {
	At      Duration          `json:"at"` // since the start
	Do      Kind              `json:"do"`
	Nodes   []string          `json:"nodes,omitempty"`   // by name
	Group   *Group            `json:"group,omitempty"`   // of AddNodes
	Labels  map[string]string `json:"labels,omitempty"`  // of SetLabels
	Strict  bool              `json:"strict,omitempty"`  // of SetStrictAffinity
	Seconds int               `json:"seconds,omitempty"` // of SetCooldown
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
		full.Order = RoundRobin
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
	return g
}

// pools returns the pools, of which there is one at least.
func (s *Scenario) pools() []Pool {
	if len(s.Pools) > 0 {
		return s.Pools
	}
	return []Pool{{Name: "pool", CIDR: s.Pool, BlockSize: s.BlockSize}}
}

func (p *Pool) spec() pool.Spec {
	return pool.Spec{Name: p.Name, CIDR: p.CIDR, BlockSize: p.BlockSize, NodeSelector: p.NodeSelector, AllowedUses: p.AllowedUses, Disabled: p.Disabled}
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

// asks returns how many requests the nodes of a group make as they come up.
func (s *Scenario) asks(g *Group) (n int) {
	for _, pods := range g.podCounts() {
		n += pods
	}
	if s.TunnelIPPerNode {
		n += g.Nodes
	}
	return n
}

// requests returns how many requests the scenario makes, those that drains cause
// about.
func (s *Scenario) requests() (n int) {
	nodes := 0
	for _, g := range s.groups() {
		n += s.asks(&g)
		nodes += g.Nodes
	}
	average := n / nodes
	for i := range s.Events {
		switch e := &s.Events[i]; e.Do {
		case AddNodes:
			g := s.added(e)
			n += s.asks(&g)
		case Drain, RemoveNodes:
			n += len(e.Nodes) * average
		}
	}
	if c := s.Churn; c != nil {
		n += int(c.PerSecond * time.Duration(c.For).Seconds())
	}
	return n
}
