// Package codes has the codes of all refusals of an allocator, as docs/calico.md
// §13 lists them.
//
// A [Code] is an error itself, so that [errors.Is] tests for it:
//
//	if errors.Is(err, codes.BadHandle) { … }
//
// The allocator's errors are of type *ipam.Error, which has the code and the
// details: the address, the block, the host. [Of] returns the code of an error,
// for a switch.
package codes

import "errors"

// A Code says why an operation was refused. Its text is the short one of
// recordings, such as "bad-handle"; [Code.Error] is a sentence. The empty Code
// stands for no error.
type Code string

// About the request.
const (
	UseRequired        Code = "use-required"         // intended use must be Workload, Tunnel or LoadBalancer
	DoesNotExist       Code = "does-not-exist"       // there is no such address, handle or node
	WrongFamily        Code = "wrong-family"         // requested pool is of the other IP family
	BadHostReservation Code = "bad-host-reservation" // host reservation does not fit
	InvalidSize        Code = "invalid-size"         // CIDR is smaller than a block
)

// About the pools that may serve it.
const (
	PoolNotEnabled  Code = "pool-not-enabled"  // requested pool is missing, disabled or has blocks too small for the host reservation
	NoPoolsForNode  Code = "no-pools-for-node" // no pool selects the node and namespace
	NoQualifiedPool Code = "no-qualified-pool" // no enabled pool qualifies
	NotInPool       Code = "not-in-pool"       // not in an enabled pool
	UseNotAllowed   Code = "use-not-allowed"   // pool does not allow this use
)

// About blocks and claims on them.
const (
	BlockLimit         Code = "block-limit"          // host has reached its limit of blocks
	NoBlock            Code = "no-block"             // no block with a free address, and automatic allocation of blocks is off
	NoFreeBlocks       Code = "no-free-blocks"       // no block left to claim
	NoSuchBlock        Code = "no-such-block"        // no such block
	BlockNotEmpty      Code = "block-not-empty"      // block is not empty
	BlockClaimConflict Code = "block-claim-conflict" // block is claimed by another host
	BlockTooSmall      Code = "block-too-small"      // claimed block has no free address
	AffinityMismatch   Code = "affinity-mismatch"    // strict affinity: block belongs to another host
)

// About addresses and handles.
const (
	AlreadyExists     Code = "already-exists"      // address is already assigned
	BadHandle         Code = "bad-handle"          // address is held by another handle
	BadSequenceNumber Code = "bad-sequence-number" // address has another sequence number
	WrongHandle       Code = "wrong-handle"        // address is not held by this handle
	IPInCooldown      Code = "ip-in-cooldown"      // address is cooling down
	MaxAlloc          Code = "max-alloc"           // handle has as many addresses as it may
	UpdateConflict    Code = "update-conflict"     // owner is not the expected one
	Partial           Code = "partial"             // fewer addresses were given than asked for: no refusal, see ipam.Assignment.Err
	MaxRetries        Code = "max-retries"         // gave up after 100 tries
	Conflict          Code = "conflict"            // somebody else wrote meanwhile, and there is no second try
)

// About configuration and arguments.
const (
	ConfigConflict         Code = "config-conflict"          // configuration contradicts itself
	StrictAffinityRequired Code = "strict-affinity-required" // a client on Windows needs strict affinity

	// InvalidArgument is for an argument that is invalid in every state of the
	// allocator: a CIDR with host bits, a negative count, an empty name, or a
	// feature that the release of Calico does not have. Calico has no code for it:
	// it either panics or refuses earlier.
	InvalidArgument Code = "invalid-argument"

	// Unknown is the code that [Of] returns for an error of no allocator.
	Unknown Code = "unknown"
)

// sentences has the results of [Code.Error].
var sentences = map[Code]string{
	UseRequired:        "ipam: intended use must be Workload, Tunnel or LoadBalancer",
	DoesNotExist:       "ipam: does not exist",
	WrongFamily:        "ipam: requested pool is of the other IP family",
	BadHostReservation: "ipam: host reservation does not fit",
	InvalidSize:        "ipam: CIDR is smaller than a block",

	PoolNotEnabled:  "ipam: requested pool is missing, disabled or has blocks too small for the host reservation",
	NoPoolsForNode:  "ipam: no pool selects the node and namespace",
	NoQualifiedPool: "ipam: no enabled pool qualifies",
	NotInPool:       "ipam: not in an enabled pool",
	UseNotAllowed:   "ipam: pool does not allow this use",

	BlockLimit:         "ipam: host has reached its limit of blocks",
	NoBlock:            "ipam: no block with a free address, and automatic allocation of blocks is off",
	NoFreeBlocks:       "ipam: no block left to claim",
	NoSuchBlock:        "ipam: no such block",
	BlockNotEmpty:      "ipam: block is not empty",
	BlockClaimConflict: "ipam: block is claimed by another host",
	BlockTooSmall:      "ipam: claimed block has no free address",
	AffinityMismatch:   "ipam: strict affinity: block belongs to another host",

	AlreadyExists:     "ipam: address is already assigned",
	BadHandle:         "ipam: address is held by another handle",
	BadSequenceNumber: "ipam: address has another sequence number",
	WrongHandle:       "ipam: address is not held by this handle",
	IPInCooldown:      "ipam: address is cooling down",
	MaxAlloc:          "ipam: handle has as many addresses as it may",
	UpdateConflict:    "ipam: owner is not the expected one",
	Partial:           "ipam: fewer addresses were given than asked for",
	MaxRetries:        "ipam: gave up after 100 tries",
	Conflict:          "ipam: somebody else wrote meanwhile, and there is no second try",

	ConfigConflict:         "ipam: configuration contradicts itself",
	StrictAffinityRequired: "ipam: a client on Windows needs strict affinity",

	InvalidArgument: "ipam: invalid argument",
	Unknown:         "ipam: error of another kind",
}

// Error returns the code as an English sentence, or the text of an unknown code.
func (c Code) Error() string {
	if sentence, ok := sentences[c]; ok {
		return sentence
	}
	return string(c)
}

// Of returns the code that the error matches: the empty one for nil, and [Unknown]
// for an error without a code.
func Of(err error) Code {
	if err == nil {
		return ""
	}
	var c Code
	if !errors.As(err, &c) {
		return Unknown
	}
	return c
}
