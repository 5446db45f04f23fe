package ipam

import (
	"cmp"
	"fmt"
	"net/netip"

	"github.com/ipamsim/ipamsim/ipam/codes"
)

// An Error says why an operation was refused, with its details. [errors.As] finds
// it; [errors.Is] with a code of package codes tests for the reason alone. Both
// engines, the allocator and protocol, return it. Fields that the refusal does not
// concern are zero.
type Error struct {
	Code    codes.Code
	Address netip.Addr   // the address that was requested or released
	Block   netip.Prefix // the block, or the CIDR to be claimed or released
	Pool    netip.Prefix // the CIDR of the pool
	Host    string       // of the request, a node or a virtual owner
	Handle  string       // the handle that was given, or that is full

	// Argument is the name of the argument of a [codes.InvalidArgument], such as
	// "host" or "cidr", or "pod" of a pod that package snapshot refuses. Got is its
	// text.
	Argument string

	// Want is the expected value and Got the actual one, as texts: handles,
	// sequence numbers, owners, sizes, limits.
	Want, Got string

	// Detail ends the text of the error. If it is empty the text ends with the
	// first of address, block, pool, handle and host that is set.
	Detail string
}

// Error returns the sentence of the code with the details. For an invalid argument
// it has the argument's name, its text and the reason.
func (e *Error) Error() string {
	if e.Argument != "" {
		return fmt.Sprintf("ipam: invalid %s %q: %s", e.Argument, e.Got, e.Detail)
	}
	return e.Code.Error() + ": " + e.about()
}

// about returns the end of the text. It is made only when the text is read: many
// errors are only tested for.
func (e *Error) about() string {
	switch {
	case e.Detail != "":
		return e.Detail
	case e.Address.IsValid():
		return e.Address.String()
	case e.Block.IsValid():
		return e.Block.String()
	case e.Pool.IsValid():
		return e.Pool.String()
	}
	return cmp.Or(e.Handle, e.Host)
}

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }

// invalid refuses an argument that no state of the allocator could accept.
func invalid(argument, got, why string) error {
	return &Error{Code: codes.InvalidArgument, Argument: argument, Got: got, Detail: why}
}
