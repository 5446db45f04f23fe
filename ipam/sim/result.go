package sim

import (
	"net/netip"
	"time"
)

// Totals are what became of all requests: the fields of plan.jsonl.
type Totals struct {
	Requests int `json:"requests"`
	Assigned int `json:"assigned"`
	Own      int `json:"own"`      // from a block of the node's own
	Borrowed int `json:"borrowed"` // from another's

	// RefusedPoolEmptyOrStrict is the sum of the three others of [Refused].
	RefusedPoolEmptyOrStrict int `json:"refusedPoolEmptyOrStrict"`
	RefusedBlockLimit        int `json:"refusedBlockLimit"`
	RefusedTaken             int `json:"refusedTaken,omitempty"` // somebody has the address that the pod wants

	BlocksTotal       int `json:"blocksTotal"` // that the pools have room for
	BlocksClaimed     int `json:"blocksClaimed"`
	NodesWithoutBlock int `json:"nodesWithoutBlock"`
	Routes            int `json:"routes"` // blocks claimed + addresses borrowed

	// The number of the first such request, from 1; 0 if there was none.
	FirstBorrowRequest  int `json:"firstBorrowRequest,omitempty"`
	FirstRefusalRequest int `json:"firstRefusalRequest,omitempty"`
}

// Result is what became of a scenario.
type Result struct {
	Totals
	// Refused says why: the others are in Totals.
	RefusedStrict    int `json:"refusedStrict"`    // no block left, and strict affinity forbids to borrow what is free
	RefusedPoolEmpty int `json:"refusedPoolEmpty"` // no address left
	RefusedNoPool    int `json:"refusedNoPool"`    // no pool selects the node and allows the use, or its blocks have no room beside what Windows keeps

	Blocks Blocks `json:"blocks"` // as they stand in the end

	// ServiceRequests is how many requests of services came to what, and ServiceBlocks the
	// blocks that they have. Nothing else counts them.
	ServiceRequests map[Outcome]int `json:"serviceRequests,omitempty"`
	ServiceBlocks   int             `json:"serviceBlocks,omitempty"`

	FirstBorrow  *Moment `json:"firstBorrow,omitempty"`
	FirstRefusal *Moment `json:"firstRefusal,omitempty"`

	// Released are addresses that were given back. ReuseGap is the shortest time
	// from there until one was given out again; nil if none was.
	Released int       `json:"released,omitempty"`
	ReuseGap *Duration `json:"reuseGap,omitempty"`
	// Unscheduled are pods that a drain evicted or scale asked for, and no node took.
	Unscheduled int `json:"unscheduled,omitempty"`
	// NodesInNeed are those of NodesWithoutBlock that run pods or asked for a tunnel
	// address.
	NodesInNeed int `json:"nodesInNeed,omitempty"`

	// NodesStarted and PodsStarted are those that ever were. One that comes back, or in
	// the place of another, counts anew.
	NodesStarted int `json:"nodesStarted"`
	PodsStarted  int `json:"podsStarted"`
	// PodsRefused are pods whose first request was refused, and TunnelsRefused nodes
	// whose tunnel address was. Retries are the requests of pods that were refused
	// before, and Waiting the pods that have no address in the end.
	PodsRefused    int `json:"podsRefused,omitempty"`
	TunnelsRefused int `json:"tunnelsRefused,omitempty"`
	Retries        int `json:"retries,omitempty"`
	Waiting        int `json:"waiting,omitempty"`
	// Unheld are the addresses that are allocated in the end and nobody holds.
	Unheld int `json:"unheld,omitempty"`
	// Kept are the requests of virtual machines that got the address that the machine had:
	// they are in Requests and in none of Own, Borrowed and Assigned. Moved are those of
	// them whose address is in a block of another node, which takes a route.
	Kept  int `json:"kept,omitempty"`
	Moved int `json:"keptElsewhere,omitempty"`
	// EmptyHandles are the handles that hold no address in the end: what releases
	// before v3.33 leave behind (§16); nil unless asked for.
	EmptyHandles *int `json:"emptyHandles,omitempty"`
	// Cleaned is what the cleaner did; nil without one.
	Cleaned *Cleaned `json:"cleaned,omitempty"`

	graces   []*Cleaned // for those of [Options].Graces that make no difference
	releases []bool     // which of [Options].Releases make no difference

	// PerPodGroup is how many requests of each pod group came to what. PerPool is by pool
	// and by pod group, "tunnels", "services" or "others" (pods that start-pod events
	// started) how many addresses they have in the end. Both are there where there are pod groups.
	PerPodGroup map[string]map[Outcome]int `json:"perPodGroup,omitempty"`
	PerPool     map[string]map[string]int  `json:"perPool,omitempty"`

	Peaks    *Peaks      `json:"peaks,omitempty"`    // if asked for
	Headroom *Headroom   `json:"headroom,omitempty"` // if asked for
	PerNode  []NodeCount `json:"perNode,omitempty"`  // if asked for, in the order in which they came up
	Samples  []Sample    `json:"samples,omitempty"`  // if asked for, in the order of time
	Map      *Map        `json:"map,omitempty"`      // if asked for
}

// Refused returns how many requests got nothing.
func (t *Totals) Refused() int {
	return t.RefusedPoolEmptyOrStrict + t.RefusedBlockLimit + t.RefusedTaken
}

// WithGrace returns the result with another grace period, by its place in
// [Options].Graces, and whether it is known to be the same but for how often the cleaner
// looks. It shares all that pointers and slices lead to.
func (r *Result) WithGrace(i int) (other Result, same bool) {
	if i >= len(r.graces) || r.graces[i] == nil {
		return Result{}, false
	}
	other = *r
	other.Cleaned, other.graces, other.releases = r.graces[i], nil, nil
	return other, true
}

// WithRelease returns the result with another release of Calico, by its place in
// [Options].Releases, and whether it is known to be the same. It shares all that
// pointers and slices lead to.
func (r *Result) WithRelease(i int) (other Result, same bool) {
	if i >= len(r.releases) || !r.releases[i] {
		return Result{}, false
	}
	other = *r
	other.graces, other.releases = nil, nil
	return other, true
}

// refuse counts a refusal.
func (r *Result) refuse(why Outcome) {
	switch why {
	case refusedBlockLimit:
		r.RefusedBlockLimit++
		return
	case refusedTaken:
		r.RefusedTaken++
		return
	case refusedNoPool:
		r.RefusedNoPool++
	case refusedStrict:
		r.RefusedStrict++
	default:
		r.RefusedPoolEmpty++
	}
	r.RefusedPoolEmptyOrStrict++
}

// Cleaned is what a cleaner gave back, and how often it looked.
type Cleaned struct {
	Addresses int `json:"addresses"`
	Blocks    int `json:"blocks"`
	Syncs     int `json:"syncs"`
	FullSyncs int `json:"fullSyncs"` // of those
}

// Peaks are the most that there ever was of something at a time.
type Peaks struct {
	Dead    Peak `json:"dead"`    // blocks, see [Blocks]
	Unheld  Peak `json:"unheld"`  // addresses that are allocated and nobody holds
	Waiting Peak `json:"waiting"` // pods without an address
}

// Peak is a largest number, and when it was reached first.
type Peak struct {
	N  int      `json:"n"`
	At Duration `json:"at"`
}

// see takes a number into account.
func (p *Peak) see(n int, at time.Duration) {
	if n > p.N {
		p.N, p.At = n, Duration(at)
	}
}

// Outcome is what became of a request:
//
//	own          an address from a block of the node's own
//	borrowed     an address from another's block, or from nobody's
//	kept         the address that the virtual machine had
//	strict       refused: no block is left, and strict affinity forbids to borrow what
//	             is free
//	block-limit  refused: the node has as many blocks as it may have
//	pool-empty   refused: no address is left
//	no-pool      refused: no pool selects the node and allows the use, or its blocks
//	             have no room beside what Windows keeps
//	taken        refused: somebody has the address that the pod wants
type Outcome string

const (
	own               Outcome = "own"
	borrowed          Outcome = "borrowed"
	kept              Outcome = "kept"
	refusedStrict     Outcome = "strict"
	refusedBlockLimit Outcome = "block-limit"
	refusedPoolEmpty  Outcome = "pool-empty"
	refusedNoPool     Outcome = "no-pool"
	refusedTaken      Outcome = "taken"
)

// Moment is a request and what became of it.
type Moment struct {
	Request int        `json:"request"` // from 1
	At      Duration   `json:"at"`      // since the start
	Node    string     `json:"node"`
	Pod     string     `json:"pod,omitempty"` // only of the first refusal
	Group   string     `json:"podGroup,omitempty"`
	Tunnel  bool       `json:"tunnel,omitempty"` // the node's tunnel address, not a pod's
	Outcome Outcome    `json:"outcome"`
	Address netip.Addr `json:"address,omitzero"`
}

// Blocks is how the blocks of all pools stand at one moment.
type Blocks struct {
	Claimed int `json:"claimed"` // by nodes, confirmed
	// Live, Empty and Dead add up to the blocks that exist.
	Live   int `json:"live"`           // of nodes that exist, with something allocated in them
	Empty  int `json:"empty"`          // of nodes that exist, with nothing allocated in them
	Dead   int `json:"dead,omitempty"` // of nodes that are gone, or of nobody
	OnePod int `json:"onePod"`         // of the claimed: held by a single address
	Free   int `json:"free"`           // that a node can still claim
	// Stranded are the addresses free in claimed blocks: no other node can have
	// them but by borrowing, and with strict affinity not at all.
	Stranded          int `json:"stranded"`
	NodesWithoutBlock int `json:"nodesWithoutBlock"`
	Routes            int `json:"routes"`
}

// Sample is how things stand at one moment. Requests and what became of them are
// counted from the start.
type Sample struct {
	At       Duration `json:"at"`
	Request  int      `json:"request"`
	InUse    int      `json:"inUse"`             // addresses held by pods and tunnels
	Unheld   int      `json:"unheld,omitempty"`  // addresses that are allocated and nobody holds
	Waiting  int      `json:"waiting,omitempty"` // pods without an address
	Borrowed int      `json:"borrowed"`          // of those
	Refused  int      `json:"refused"`
	Blocks
}

// NodeCount is what one node got.
type NodeCount struct {
	Node     string `json:"node"`
	Requests int    `json:"requests"`
	Own      int    `json:"own"`
	Borrowed int    `json:"borrowed"`
	Kept     int    `json:"kept,omitempty"` // by virtual machines
	Refused  int    `json:"refused"`
	Blocks   int    `json:"blocks"` // in the end, confirmed
	InUse    int    `json:"inUse"`  // addresses in the end
}

// NoEnd is a [Headroom] without an end: nobody asks for anything.
const NoEnd = -1

// Headroom is how much more a cluster takes before something is refused, found by
// going on: whole nodes, and whole rounds of pods, up to the first refusal. It is 0
// where something was refused before.
type Headroom struct {
	Nodes       int `json:"nodes"`       // like those of the first group, one after the other
	PodsPerNode int `json:"podsPerNode"` // on every node, in rounds

	// NodesFit and PodsFit are how many of those came before anybody borrowed; 0 where
	// somebody did before.
	NodesFit int `json:"nodesFit"`
	PodsFit  int `json:"podsFit"`

	// The search ended at [Options.HeadroomRequests], before anything was refused.
	NodesAtLeast bool `json:"nodesAtLeast,omitempty"`
	PodsAtLeast  bool `json:"podsAtLeast,omitempty"`
}

// Map is which block was whose, and how full, all along. Blocks are numbered from
// 0 in address order, through all pools, whether they exist or not.
type Map struct {
	Pools  []MapPool `json:"pools"`  // in address order
	Owners []string  `json:"owners"` // nodes
	Frames []Frame   `json:"frames"` // one a sample
}

// MapPool is where the blocks of a pool are in a [Map].
type MapPool struct {
	Name      string       `json:"name"`
	CIDR      netip.Prefix `json:"cidr"`
	BlockSize int          `json:"blockSize"`
	First     int          `json:"first"`  // the number of its first block
	Blocks    int          `json:"blocks"` // that it has room for
}

// Frame is what is different in a [Map] since the frame before.
type Frame struct {
	At      Duration `json:"at"`
	Request int      `json:"request"`
	Cells   []Cell   `json:"cells"`
}

// Cell is one block in a [Frame].
type Cell struct {
	Block    int `json:"b"`           // its number
	Owner    int `json:"o"`           // its place in the map's Owners; Nobody, or Gone
	InUse    int `json:"u,omitempty"` // addresses allocated, cooling ones not
	Borrowed int `json:"x,omitempty"` // of those: by nodes that do not own the block
	Cooling  int `json:"c,omitempty"`
}

// What a [Cell] has for an owner where there is none.
const (
	Nobody = -1 // the block exists, with addresses, and belongs to nobody
	Gone   = -2 // there is no such block any more
)
