// Package affinity holds the claims that owners make on blocks.
//
// An owner (a node, or a load-balancer controller) that wants to allocate from a
// block first claims it. The claim is an object of its own beside the block,
// because two objects cannot be written in one step: it is created pending, then
// the block is written with its owner, then the claim is confirmed. If a process
// dies in between, the next reader can tell from the claim how far it came.
//
//	          Pend                    Confirm
//	None ────────────▶ Pending ────────────────────▶ Confirmed
//	 ▲                 ▲  ▲  │                        │  │
//	 │                 │  └──┼──────── Renew ─────────┘  │
//	 │       Pend/Renew│     │ Release                   │ Release
//	 │                 │     ▼                           │
//	 └──── Drop ────── PendingDeletion ◀─────────────────┘
//
// Rules: only a confirmed claim counts for ownership and routes; a host that asks
// for an address tries all its claims, pending ones too; the claims of an owner
// are walked in the byte order of their Kubernetes names, which is not the order
// of their addresses (§3, §5, §11).
//
// The package knows nothing of blocks, pools or allocation: the caller checks
// whether a claim is still true.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package affinity

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Errors of this package. All are wrapped with the value that caused them.
var (
	// ErrInvalidOwner is matched by errors about an invalid owner.
	ErrInvalidOwner = errors.New("affinity: invalid owner")
	// ErrInvalidState is matched by errors about a state's text.
	ErrInvalidState = errors.New("affinity: invalid state")
	// ErrTransition is matched when a claim is asked for a step that its
	// state does not allow.
	ErrTransition = errors.New("affinity: step not allowed in this state")
)

// Type is the kind of an owner.
type Type string

// The two types of owners. An affinity that Kubernetes stores without a type
// is a host's.
const (
	Host    Type = "host"    // a node
	Virtual Type = "virtual" // a controller, such as the one for load balancers
)

// Owner is who claims a block. The zero value is nobody. Owners are values and
// compare with ==; a host and a virtual owner of one name are two owners.
type Owner struct {
	Type Type
	Name string
}

// HostOwner returns the owner that is the node name.
func HostOwner(name string) Owner { return Owner{Host, name} }

// VirtualOwner returns the virtual owner called name.
func VirtualOwner(name string) Owner { return Owner{Virtual, name} }

// IsZero reports whether o is nobody.
func (o Owner) IsZero() bool { return o == Owner{} }

// String returns the form that blocks store, "host:NAME" or "virtual:NAME",
// and the empty string for nobody (§1).
func (o Owner) String() string {
	if o.IsZero() {
		return ""
	}
	return string(o.Type) + ":" + o.Name
}

// Validate returns an error matching [ErrInvalidOwner] unless o has a known
// type and a name.
func (o Owner) Validate() error {
	switch {
	case o.Type != Host && o.Type != Virtual:
		return fmt.Errorf("%w: type %q is neither %q nor %q", ErrInvalidOwner, o.Type, Host, Virtual)
	case o.Name == "":
		return fmt.Errorf("%w: %s without a name", ErrInvalidOwner, o.Type)
	}
	return nil
}

// ParseOwner reads what [Owner.String] writes. The empty text is nobody.
// Errors match [ErrInvalidOwner].
func ParseOwner(text string) (Owner, error) {
	if text == "" {
		return Owner{}, nil
	}
	kind, name, ok := strings.Cut(text, ":")
	if !ok {
		return Owner{}, fmt.Errorf("%w: %q is not TYPE:NAME", ErrInvalidOwner, text)
	}
	o := Owner{Type(kind), name}
	return o, o.Validate()
}

// Claim is one affinity object: an owner's claim on one block. Claims are made and
// changed through [Claims]. A dropped claim ends in state None.
type Claim struct {
	Owner   Owner
	CIDR    netip.Prefix // the block claimed
	State   State
	Created time.Time // when the object was created, for its age

	list *Claims // that has it, nil for none
}

// Name returns the claim's name in Kubernetes, as [Name] makes it, anew each
// time.
func (c *Claim) Name() string { return Name(c.Owner.Name, c.CIDR) }

// Renew writes the claim back as pending whatever its state, as recovery does before it
// mends the block. The error matches [ErrTransition] for a claim that was dropped.
func (c *Claim) Renew() error { return c.move(stepRenew) }

// Confirm confirms a pending claim: the block is the owner's. For a claim that is
// being released or was dropped the error matches [ErrTransition], and the claim
// is unchanged.
func (c *Claim) Confirm() error { return c.move(stepConfirm) }

// Release marks the claim as pending deletion, before the block is written;
// [Claims.Drop] deletes it afterwards. The error matches [ErrTransition] for a
// claim that was dropped.
func (c *Claim) Release() error { return c.move(stepRelease) }

// move takes a step, or returns an error matching [ErrTransition] and leaves the claim
// as it is.
func (c *Claim) move(s step) error {
	next, err := c.State.next(s)
	if err != nil {
		return fmt.Errorf("%s of %s: %w", c.CIDR, c.Owner, err)
	}
	c.State = next
	if c.list != nil {
		c.list.version++
	}
	return nil
}
