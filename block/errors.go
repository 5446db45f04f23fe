package block

import "errors"

// The errors of a block. Every error of this package matches one of these with
// [errors.Is] and names the address, block or ordinal.
var (
	// ErrInvalidCIDR: a prefix that cannot be a block: not valid, with host bits,
	// or of more than [MaxSize] addresses.
	ErrInvalidCIDR = errors.New("block: invalid CIDR")
	// ErrOrdinal: an ordinal outside 0 to Size-1.
	ErrOrdinal = errors.New("block: ordinal out of range")
	// ErrTaken: the address is allocated, or cooling down and not collected yet
	// (§9 AssignIP, `already-exists`).
	ErrTaken = errors.New("block: address taken")
	// ErrTooSmall: the block cannot hold the host's reservation (§10).
	ErrTooSmall = errors.New("block: too small for the host's reservation")
	// ErrNotAllocated: the address is free (§9, `does-not-exist`).
	ErrNotAllocated = errors.New("block: address not allocated")
	// ErrCooling: the address is cooling down and nobody holds it (§9,
	// `ip-in-cooldown`).
	ErrCooling = errors.New("block: address in cooldown")
	// ErrState: a [State] that contradicts itself.
	ErrState = errors.New("block: contradictory state")
)
