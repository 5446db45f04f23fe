package explore

import "fmt"

// An Invariant must hold in every race, whoever dies.
type Invariant string

// The invariants. All but the last three are checked after every step that writes,
// and always hold.
const (
	// Queue: every ordinal of a block is either in the queue, once, or allocated.
	// A block is made with all of them in order. AutoAssign takes from the head,
	// AssignIP from any place. Freed ordinals join at the tail: first those that
	// have cooled down, then those just released, each in ascending order (§6,
	// §9). Before v3.33 the ordinals of one ReleaseIPs may join in any order.
	Queue Invariant = "queue"
	// Holder: an address is given only while it is free, to the handle that asks
	// for it. Only a release that names it takes it back, not one with another
	// handle or with the sequence number of an earlier allocation. A block is
	// deleted only when nothing is allocated in it (§9).
	Holder Invariant = "holder"
	// Answers: a client is told exactly the addresses that it got or released by
	// the datastore's account.
	Answers Invariant = "answers"
	// Owner: a block has one owner from its creation until it is given up, and
	// never passes from one to another. Its creator has an affinity for it, which
	// nobody deletes while the block exists, except one that was made since then,
	// or after a stale read (§5). So a block can lose its affinity: when a release
	// deletes the affinity during a claim.
	Owner Invariant = "owner"
	// Claim: a confirmed affinity has its block, which is the claimant's (§5), so
	// that two hosts never have confirmed affinities for one block. Two exceptions
	// are left to recovery: a claim that finds its own block confirms the affinity
	// without writing the block, so a release under way may still take the block
	// (§15); and a claim may be wrong after a stale read.
	Claim Invariant = "claim"
	// Sequence: every write raises a block's number by one, an allocation
	// remembers the number before that, and a block made anew begins above all
	// numbers so far (§6).
	Sequence Invariant = "sequence"
	// Count: a handle counts at least what the blocks hold for it (§7), except
	// after an assignment whose answer was lost: the client assumes that it was
	// not written, and lowers the handle (§15).
	Count Invariant = "count"

	// Pending: when all are at rest, an affinity is pending or pendingDeletion
	// only if its writer could not finish: it died, was not answered, or lost the
	// block or the affinity to another client.
	Pending Invariant = "pending"
	// Surplus: when all are at rest, a handle counts more than it holds only for
	// reasons in §7 and §15: a block gave fewer addresses than requested, AssignIP
	// met a conflict, somebody died or was not answered, or, before v3.33, one
	// ReleaseIPs freed several addresses of a block (§9).
	Surplus Invariant = "surplus"
	// Recovery: once a host that came back has tried all its affinities, each is
	// confirmed and has its block, and each of its blocks with a free address has
	// an affinity (§5).
	Recovery Invariant = "recovery"
)

// A Violation is an invariant that does not hold.
type Violation struct {
	Invariant Invariant
	Text      string // what is wrong, in a sentence
	Step      int    // the number of steps before it
}

// Error returns the violation in a line.
func (v *Violation) Error() string {
	return fmt.Sprintf("after step %d: %s: %s", v.Step, v.Invariant, v.Text)
}
