package explore

import "fmt"

// An Invariant is what must hold, whoever races whom and whoever dies.
type Invariant string

// The invariants. All but the last three are looked at after every step that
// writes, and hold at every moment.
const (
	// Queue: every ordinal of a block is either in the queue, once, or
	// allocated. A block is made with all of them in order. What AutoAssign takes
	// leaves at the head, what AssignIP names leaves where it stands, and what is
	// freed joins at the tail: first what has cooled down, then what was
	// released, each in ascending order (§6, §9). Before v3.33 what one
	// ReleaseIPs frees may join in any order.
	Queue Invariant = "queue"
	// Holder: an address is given only while it is free, to the handle that asks
	// for it, and taken only by a release that names it: not one with another
	// handle, and not one with the sequence number of an earlier allocation. A
	// block is deleted only when nothing is allocated in it (§9).
	Holder Invariant = "holder"
	// Answers: a client is told of the addresses that the datastore says it has got
	// or given back, of these and no others.
	Answers Invariant = "answers"
	// Owner: a block has one owner from its making until it is given up, and does
	// not pass from one to another. Its maker has announced it with an affinity,
	// and nobody deletes that while the block is there, but for one that was
	// made since, or by who reads what was old (§5). A block can so end
	// without an affinity: when a release deletes that while a claim is on its
	// way.
	Owner Invariant = "owner"
	// Claim: a confirmed affinity has its block, which is the claimant's
	// (§5), so that two hosts never have confirmed affinities for one
	// block. But a claim that finds its block there confirms the affinity without
	// writing the block, so that a release that was on its way may take that
	// (§15), and one that reads what was old may be wrong: such an
	// affinity is left for recovery to mend.
	Claim Invariant = "claim"
	// Sequence: a block's number rises by one with every write, an allocation
	// remembers the number before that, and a block made anew begins above all
	// numbers so far (§6).
	Sequence Invariant = "sequence"
	// Count: a handle counts at least what the blocks hold for it (§7),
	// but where an assignment was written and its answer lost: it is taken
	// for one that was not made, and the handle lowered (§15).
	Count Invariant = "count"

	// Pending: when all are at rest, whoever left an affinity pending or
	// pendingDeletion was kept from finishing: it died, was not answered, or lost
	// the block or the affinity to somebody else meanwhile.
	Pending Invariant = "pending"
	// Surplus: when all are at rest, a handle counts more than it holds only
	// where §7 and §15 say how that came about: a block gave fewer
	// addresses than were asked of it, AssignIP met a conflict, somebody died or
	// was not answered, or one ReleaseIPs before v3.33 freed several addresses
	// of a block (§9).
	Surplus Invariant = "surplus"
	// Recovery: a host that has come back and has gone through all that it left
	// has its affinities confirmed and its blocks with them, and affinities for
	// all its blocks that had an address to give (§5).
	Recovery Invariant = "recovery"
)

// A Violation is an invariant that does not hold.
type Violation struct {
	Invariant Invariant
	Text      string // what is wrong, in a sentence
	Step      int    // how many steps had been made
}

// Error returns the violation in a line.
func (v *Violation) Error() string {
	return fmt.Sprintf("after step %d: %s: %s", v.Step, v.Invariant, v.Text)
}
