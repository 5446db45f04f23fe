package ipam

import (
	"errors"
	"fmt"
)

// codeError is an error that has a code in the recordings (§13).
type codeError struct{ code, text string }

func (e *codeError) Error() string { return "ipam: " + e.text }

// The errors of the allocator, one for every code of §13. Operations
// wrap them with the address, block, pool or host they are about; test for
// them with errors.Is. [Code] gives the code.
var (
	// What a request asks for.
	ErrUseRequired        error = &codeError{"use-required", "intended use must be Workload, Tunnel or LoadBalancer"}
	ErrDoesNotExist       error = &codeError{"does-not-exist", "does not exist"}
	ErrWrongFamily        error = &codeError{"wrong-family", "requested pool is of the other IP family"}
	ErrBadHostReservation error = &codeError{"bad-host-reservation", "host reservation does not fit"}
	ErrInvalidSize        error = &codeError{"invalid-size", "CIDR is smaller than a block"}

	// Which pools may serve it.
	ErrPoolNotEnabled  error = &codeError{"pool-not-enabled", "requested pool is missing, disabled or has blocks too small for the host reservation"}
	ErrNoPoolsForNode  error = &codeError{"no-pools-for-node", "no pool selects the node and namespace"}
	ErrNoQualifiedPool error = &codeError{"no-qualified-pool", "no enabled pool qualifies"}
	ErrNotInPool       error = &codeError{"not-in-pool", "not in an enabled pool"}
	ErrUseNotAllowed   error = &codeError{"use-not-allowed", "pool does not allow this use"}

	// Blocks and the claims on them.
	ErrBlockLimit         error = &codeError{"block-limit", "host has reached its limit of blocks"}
	ErrNoBlock            error = &codeError{"no-block", "no block with a free address, and automatic allocation of blocks is off"}
	ErrNoFreeBlocks       error = &codeError{"no-free-blocks", "no block left to claim"}
	ErrNoSuchBlock        error = &codeError{"no-such-block", "no such block"}
	ErrBlockNotEmpty      error = &codeError{"block-not-empty", "block is not empty"}
	ErrBlockClaimConflict error = &codeError{"block-claim-conflict", "block is claimed by another host"}
	ErrBlockTooSmall      error = &codeError{"block-too-small", "claimed block has no free address"}
	ErrAffinityMismatch   error = &codeError{"affinity-mismatch", "strict affinity: block belongs to another host"}

	// Addresses and handles.
	ErrAlreadyExists     error = &codeError{"already-exists", "address is already assigned"}
	ErrBadHandle         error = &codeError{"bad-handle", "address is held by another handle"}
	ErrBadSequenceNumber error = &codeError{"bad-sequence-number", "address has another sequence number"}
	ErrWrongHandle       error = &codeError{"wrong-handle", "address is not held by this handle"}
	ErrIPInCooldown      error = &codeError{"ip-in-cooldown", "address is cooling down"}
	ErrMaxAlloc          error = &codeError{"max-alloc", "handle has as many addresses as it may"}
	ErrUpdateConflict    error = &codeError{"update-conflict", "owner is not the expected one"}
	ErrMaxRetries        error = &codeError{"max-retries", "gave up after 100 tries"}
	ErrConflict          error = &codeError{"conflict", "somebody else wrote meanwhile, and there is no second try"}

	// Configuration.
	ErrConfigConflict         error = &codeError{"config-conflict", "configuration contradicts itself"}
	ErrStrictAffinityRequired error = &codeError{"strict-affinity-required", "a client on Windows needs strict affinity"}
)

// ErrInvalidArgument is matched by every error about an argument that no state
// of the allocator could accept: a CIDR with host bits, a negative count, an
// empty name. Such errors are of type [*ArgumentError]. Calico has no code for
// them: it either panics or refuses earlier.
var ErrInvalidArgument = errors.New("ipam: invalid argument")

// ArgumentError tells which argument was wrong and why.
type ArgumentError struct {
	Argument string // its name, such as "host" or "cidr"
	Value    string // its text
	Reason   string // what it should be
}

// Error names the argument, its value and what is wrong with it.
func (e *ArgumentError) Error() string {
	return fmt.Sprintf("ipam: invalid %s %q: %s", e.Argument, e.Value, e.Reason)
}

// Unwrap returns [ErrInvalidArgument].
func (e *ArgumentError) Unwrap() error { return ErrInvalidArgument }

// Code returns the code of §13 that the error matches, the empty
// string for nil, and "invalid-argument" for an [ErrInvalidArgument]. Any other
// error gives its own text.
func Code(err error) string {
	if err == nil {
		return ""
	}
	var e *codeError
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, ErrInvalidArgument):
		return "invalid-argument"
	}
	return err.Error()
}

// fail wraps an error of this package with what it is about.
func fail(err error, about any) error { return fmt.Errorf("%w: %v", err, about) }
