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
