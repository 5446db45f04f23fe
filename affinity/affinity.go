// Package affinity says who claims a block, and how Calico names and stores it: the
// owners of blocks, the states of their claims, the names of the affinity objects.
//
// An owner (a node, or a load-balancer controller) that wants to allocate from a
// block first claims it. The claim is an object of its own beside the block,
// because two objects cannot be written in one step: it is created pending, then
// the block is written with its owner, then the claim is confirmed. One that is
// given up is marked pending deletion before the block is written (§5, §9).
//
// Only a confirmed claim counts for ownership and routes. The claims of an owner
// are walked in the byte order of their Kubernetes names, which is not the order of
// their addresses: [CompareCIDRNames] (§3, §11).
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package affinity

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Errors of this package. All are wrapped with the value that caused them.
var (
	// ErrInvalidOwner is matched by errors about an invalid owner.
	ErrInvalidOwner = errors.New("affinity: invalid owner")
	// ErrInvalidState is matched by errors about a state's text.
	ErrInvalidState = errors.New("affinity: invalid state")
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

// Compare orders owners by type, then name, in byte order.
func (o Owner) Compare(p Owner) int {
	return cmp.Or(strings.Compare(string(o.Type), string(p.Type)), strings.Compare(o.Name, p.Name))
}

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
