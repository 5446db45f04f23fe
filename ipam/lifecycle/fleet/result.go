package fleet

import "time"

// Result is what became of a fleet.
type Result struct {
	BlocksTotal int // that the pool has room for

	NodeLives int // nodes that ever were
	PodLives  int // pods that ever were
	Tunnels   int // tunnel addresses that were asked for

	// RefusedPods were refused an address at least once, and RefusedTunnels are
	// nodes that were refused a tunnel address. WaitingAtEnd are pods that had none
	// yet at the end, and PeakWaiting as many as ever waited at a time.
	RefusedPods, RefusedTunnels int
	WaitingAtEnd                int
	PeakWaiting                 Peak
	// FirstRefusal is nil if there was none.
	FirstRefusal *Refusal

	// PeakDead is the most blocks that nodes held which were gone, and PeakUnheld
	// the most addresses that were allocated for nobody.
	PeakDead, PeakUnheld Peak

	// ReleasedIPs and ReleasedBlocks are what the controller gave back.
	ReleasedIPs, ReleasedBlocks int
	Syncs, FullSyncs            int

	Samples []Sample // in the order of time, from the start to the end
}

// Suffices reports whether nothing was refused.
func (r *Result) Suffices() bool { return r.FirstRefusal == nil }

// Peak is a largest number, and when it was reached first.
type Peak struct {
	N  int
	At time.Duration
}

// see takes a number into account.
func (p *Peak) see(n int, at time.Duration) {
	if n > p.N {
		p.N, p.At = n, at
	}
}

// Refusal is the first request that got nothing.
type Refusal struct {
	At     time.Duration
	Node   string
	Pod    string // empty for a tunnel address
	Reason string // the allocator's
}

// Sample is how things stand at one moment. The first four add up to the pool's
// blocks.
type Sample struct {
	At      time.Duration
	Live    int // blocks in use, whose node exists
	Dead    int // blocks whose node is gone, or that have none
	Empty   int // blocks of nodes that exist, with nothing in them
	Free    int // blocks that nobody has
	Unheld  int // addresses that are allocated and held by no pod or node
	Waiting int // pods without an address
}
