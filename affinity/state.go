package affinity

import "fmt"

// State is the state of a claim. The zero value is None: there is no affinity
// object.
type State uint8

// The states of a claim (§1, §5).
const (
	None            State = iota // no affinity object
	Pending                      // announced; the block may not exist yet
	Confirmed                    // the block is the owner's
	PendingDeletion              // being released; the block may be gone already
)

// stateNames are the texts that the affinity objects store.
var stateNames = [...]string{"", "pending", "confirmed", "pendingDeletion"}

// String returns the text that affinity objects store, such as "confirmed",
// and the empty string for None.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// ParseState reads what an affinity object stores; the empty text is None.
// Errors match [ErrInvalidState].
func ParseState(text string) (State, error) {
	for s, name := range stateNames {
		if name == text {
			return State(s), nil
		}
	}
	return None, fmt.Errorf("%w: %q is none of pending, confirmed, pendingDeletion", ErrInvalidState, text)
}

// A step changes the state of a claim.
type step uint8

// The steps, under the names that §15 gives them.
const (
	// stepPend announces a claim: it creates it, or uses an existing one. A
	// confirmed claim stays confirmed.
	stepPend step = iota
	// stepRenew writes an existing claim back as pending whatever its state, as
	// recovery does before it mends the block.
	stepRenew
	// stepConfirm confirms a pending claim.
	stepConfirm
	// stepRelease marks the claim as pending deletion, before the block is
	// written.
	stepRelease
	// stepDrop deletes the object. Dropping a missing object is no error.
	stepDrop

	steps = iota
)

// stepNames are for errors only.
var stepNames = [...]string{"pend", "renew", "confirm", "release", "drop"}

// String returns the step's name in lower case.
func (s step) String() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return fmt.Sprintf("step(%d)", uint8(s))
}

// refused marks the cells of the machine that have no next state.
const refused State = 0xff

// machine is the whole state machine: a row for each state, a column for each
// step.
var machine = [len(stateNames)][steps]State{
	//                Pend       Renew    Confirm    Release          Drop
	None:            {Pending, refused, refused, refused, None},
	Pending:         {Pending, Pending, Confirmed, PendingDeletion, None},
	Confirmed:       {Confirmed, Pending, Confirmed, PendingDeletion, None},
	PendingDeletion: {Pending, Pending, refused, PendingDeletion, None},
}

// next returns the state that the step leads to from s, or s itself and an error
// matching [ErrTransition].
func (s State) next(by step) (State, error) {
	if int(s) < len(machine) && int(by) < steps {
		if next := machine[s][by]; next != refused {
			return next, nil
		}
	}
	return s, fmt.Errorf("%w: %s when %q", ErrTransition, by, s)
}
