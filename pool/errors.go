package pool

import "errors"

// Errors for errors.Is. Every one is returned wrapped, with its pool, prefix or
// field.
var (
	// ErrInvalid is matched by everything that [Spec.Validate] and [New] report; [InvalidError] has the details.
	ErrInvalid = errors.New("pool: invalid")
	// ErrOverlap is returned by [Set.Put] for a pool that shares addresses with another pool of the set (§1).
	ErrOverlap = errors.New("pool: overlaps another pool")
	// ErrImmutable is returned by [Set.Put] for a pool of a known name whose CIDR or block size differs (§1).
	ErrImmutable = errors.New("pool: cidr and blockSize cannot change")
	// ErrBlockSize is returned by [Pool.CheckBlock] for a block that lies in the pool's CIDR, or around it, and has
	// another size (§1).
	ErrBlockSize = errors.New("pool: block of another size")
)
