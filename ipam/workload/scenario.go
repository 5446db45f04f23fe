package workload

import (
	"net/netip"
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

	// The configuration, Calico's IPAMConfig (CALICO.md §1).
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
	// Drain evicts the pods of Nodes, one after the other: each gives its address
	// back and starts again on the node with the fewest pods, the first of several.
	// Drained nodes stay, without pods, and take none.
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
	if full.NodeFormat == "" {
		full.NodeFormat = "node-%d"
	}
	return full
}
