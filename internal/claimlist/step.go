package claimlist

import (
	"errors"
	"fmt"

	"github.com/ipamsim/ipamsim/affinity"
)

// ErrTransition is matched when a claim is asked for a step that its state does
// not allow.
var ErrTransition = errors.New("claimlist: step not allowed in this state")

// states is the number of states that a claim can have, [affinity.None] included.
const states = affinity.PendingDeletion + 1

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
const refused affinity.State = 0xff

// machine is the whole state machine: a row for each state, a column for each
// step.
var machine = func() [states][steps]affinity.State {
	const none, pending, confirmed, deleting = affinity.None, affinity.Pending, affinity.Confirmed, affinity.PendingDeletion
	return [states][steps]affinity.State{
		//         Pend       Renew    Confirm    Release   Drop
		none:      {pending, refused, refused, refused, none},
		pending:   {pending, pending, confirmed, deleting, none},
		confirmed: {confirmed, pending, confirmed, deleting, none},
		deleting:  {pending, pending, refused, deleting, none},
	}
}()

// after returns the state that a step leads to from s, or s itself and an error
// matching [ErrTransition].
func after(s affinity.State, by step) (affinity.State, error) {
	if s < states && by < steps {
		if next := machine[s][by]; next != refused {
			return next, nil
		}
	}
	return s, fmt.Errorf("%w: %s when %q", ErrTransition, by, s)
}
