package pool

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Use is the purpose of an address. A pool lists the uses that it allows; a
// request names one (§3).
type Use string

// The uses Calico knows.
const (
	Workload     Use = "Workload"     // pods
	Tunnel       Use = "Tunnel"       // tunnel devices of nodes: IP in IP, VXLAN, WireGuard
	LoadBalancer Use = "LoadBalancer" // services of type LoadBalancer
)

// Valid reports whether u is one of the uses above. The empty Use is not.
func (u Use) Valid() bool { return u.bit() != 0 }

// bit returns the bit of a use in a set of uses; 0 means unknown.
func (u Use) bit() uint8 {
	switch u {
	case Workload:
		return 1
	case Tunnel:
		return 2
	case LoadBalancer:
		return 4
	}
	return 0
}

// Mode says whether requests that do not name a pool may use it.
type Mode string

// The assignment modes of a pool (§1).
const (
	Automatic Mode = "Automatic" // used by every request whose selectors and use fit
	Manual    Mode = "Manual"    // used only by requests that name its CIDR
)

// Default block sizes, as prefix lengths (§1).
const (
	DefaultBlockSize4 = 26  // 64 addresses
	DefaultBlockSize6 = 122 // 64 addresses
)

// The prefix lengths a block may have, and the length of a pool's name in bytes.
const (
	minBlockSize4, maxBlockSize4 = 20, 32
	minBlockSize6, maxBlockSize6 = 116, 128
	maxName                      = 253
)

// Spec is a pool as a user writes it: the fields of Calico's IPPool (§1). It is
// plain data, copied by assignment except for AllowedUses, which copies share.
// [New] makes a [Pool] of it.
type Spec struct {
	// Name identifies the pool and gives its place in the order of pools. 1 to 253 bytes, no control characters;
	// Kubernetes' further rules for names are not enforced.
	Name string
	// CIDR holds the pool's addresses: IPv4 or IPv6, without host bits, at least one block large.
	CIDR netip.Prefix
	// BlockSize is the prefix length of the pool's blocks: 20 to 32 for IPv4, 116 to 128 for IPv6. 0 means
	// [DefaultBlockSize4] or [DefaultBlockSize6].
	BlockSize int
	// NodeSelector picks the nodes that may use the pool, in the language of [Parse]. Empty means all.
	NodeSelector string
	// NamespaceSelector picks the namespaces whose pods may use the pool, in the language of [Parse]. Empty means all.
	NamespaceSelector string
	// AllowedUses are the allowed purposes of the pool's addresses. Empty means
	// Workload and Tunnel.
	AllowedUses []Use
	// AssignmentMode is Automatic or Manual. Empty means Automatic.
	AssignmentMode Mode
	// Disabled pools give out no addresses; those given out before stay.
	Disabled bool
}

// WithDefaults returns s with the documented defaults written out where fields are
// zero. A BlockSize of 0 stays 0 where the CIDR is not valid, since the default
// depends on its family. AllowedUses stays empty if NamespaceSelector selects: the
// allocator treats an empty list as Workload and Tunnel there as well, but
// [Spec.Validate] refuses the written-out list. The result's AllowedUses belongs
// to the caller. Validating the result gives the same verdict as validating s.
func (s Spec) WithDefaults() Spec {
	if s.BlockSize == 0 && s.CIDR.IsValid() {
		s.BlockSize = DefaultBlockSize6
		if s.CIDR.Addr().Is4() {
			s.BlockSize = DefaultBlockSize4
		}
	}
	if len(s.AllowedUses) == 0 && selectsAll(s.NamespaceSelector) {
		s.AllowedUses = []Use{Workload, Tunnel}
	} else {
		s.AllowedUses = slices.Clone(s.AllowedUses)
	}
	if s.AssignmentMode == "" {
		s.AssignmentMode = Automatic
	}
	return s
}

// selectsAll reports whether a selector is one of the two texts that Calico's
// validation takes for "no selector". It compares text: another selector that
// matches everything, such as global(), still counts as one.
func selectsAll(selector string) bool { return selector == "" || selector == "all()" }

// InvalidError is one thing wrong with one field of a [Spec]. errors.Is(err, [ErrInvalid]) holds for it.
type InvalidError struct {
	Pool   string // the pool's name, perhaps empty or invalid
	Field  string // the field as Calico's resource calls it, such as "blockSize"
	Value  string // what the field held
	Reason string // what is wrong with it
	Err    error  // a *SyntaxError for a selector that does not parse, otherwise nil
}

// Error returns one line that names pool, field, value and reason. Quoting keeps odd names and values on that line.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("pool %q: invalid %s %q: %s", e.Pool, e.Field, e.Value, e.Reason)
}

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Unwrap returns Err.
func (e *InvalidError) Unwrap() error { return e.Err }

// Validate checks s against the rules of §1; zero fields stand for their defaults.
// It returns nil, or all problems at once, joined: each is an [*InvalidError], and
// all match [ErrInvalid]. The rules:
//
//   - the ranges given at the fields of [Spec]; selectors must parse;
//   - LoadBalancer with no other use, and with no nodeSelector but "" or all(): its owners are not nodes;
//   - Tunnel, if written out, with no namespaceSelector but "" or all(): nodes are in no namespace. An empty
//     AllowedUses is accepted with any namespaceSelector, as the recorded clusters have it.
//
// [Set.Put] checks rules about several pools, [Pool.CheckBlock] those about
// existing blocks.
func (s Spec) Validate() error {
	_, err := s.compile()
	return err
}

// selectors are the selectors that compile parses, so that New need not parse them
// again.
type selectors struct{ node, namespace *Selector }

func (s Spec) compile() (selectors, error) {
	var (
		errs []error
		sel  selectors
	)
	bad := func(field, value, reason string) {
		errs = append(errs, &InvalidError{Pool: s.Name, Field: field, Value: value, Reason: reason})
	}
	if reason := nameProblem(s.Name); reason != "" {
		bad("name", s.Name, reason)
	}
	if reason := cidrProblem(s.CIDR); reason != "" {
		bad("cidr", s.CIDR.String(), reason)
	}
	if s.CIDR.IsValid() && !s.CIDR.Addr().Is4In6() {
		s.checkBlockSize(bad)
	}
	parse := func(field, text string) *Selector {
		parsed, err := Parse(text)
		if err != nil {
			errs = append(errs, &InvalidError{Pool: s.Name, Field: field, Value: text, Reason: err.Error(), Err: err})
		}
		return parsed
	}
	sel.node = parse("nodeSelector", s.NodeSelector)
	sel.namespace = parse("namespaceSelector", s.NamespaceSelector)
	s.checkUses(bad)
	switch s.AssignmentMode {
	case "", Automatic, Manual:
	default:
		bad("assignmentMode", string(s.AssignmentMode), "must be Automatic or Manual")
	}
	return sel, errors.Join(errs...)
}

func nameProblem(name string) string {
	switch {
	case name == "":
		return "must not be empty"
	case len(name) > maxName:
		return fmt.Sprintf("is %d bytes long, at most %d are allowed", len(name), maxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return "must not contain control characters"
	}
	return ""
}

func cidrProblem(cidr netip.Prefix) string {
	switch {
	case !cidr.IsValid():
		return "is not a CIDR"
	case cidr.Addr().Is4In6():
		return "must be written as IPv4, not IPv4-mapped IPv6"
	case cidr != cidr.Masked():
		return "has host bits set, the network is " + cidr.Masked().String()
	}
	return ""
}

// checkBlockSize needs a valid CIDR: range and default of the block size depend on
// its family.
func (s Spec) checkBlockSize(bad func(field, value, reason string)) {
	low, high, size := minBlockSize6, maxBlockSize6, s.WithDefaults().BlockSize
	if s.CIDR.Addr().Is4() {
		low, high = minBlockSize4, maxBlockSize4
	}
	switch {
	case size < low || size > high:
		bad("blockSize", strconv.Itoa(size), fmt.Sprintf("must be from %d to %d", low, high))
	case s.CIDR.Bits() > size:
		bad("cidr", s.CIDR.String(), fmt.Sprintf("is smaller than a block of /%d", size))
	}
}

func (s Spec) checkUses(bad func(field, value, reason string)) {
	var uses uint8
	for _, u := range s.AllowedUses {
		if !u.Valid() {
			bad("allowedUses", string(u), "must be Workload, Tunnel or LoadBalancer")
		}
		uses |= u.bit()
	}
	if uses&LoadBalancer.bit() != 0 {
		if uses != LoadBalancer.bit() {
			bad("allowedUses", joinUses(s.AllowedUses), "LoadBalancer cannot be combined with another use")
		}
		if !selectsAll(s.NodeSelector) {
			bad("nodeSelector", s.NodeSelector, "must be empty or all() where LoadBalancer is allowed")
		}
	}
	if uses&Tunnel.bit() != 0 && !selectsAll(s.NamespaceSelector) {
		bad("namespaceSelector", s.NamespaceSelector, "must be empty or all() where Tunnel is allowed")
	}
}

func joinUses(uses []Use) string {
	texts := make([]string, len(uses))
	for i, u := range uses {
		texts[i] = string(u)
	}
	return strings.Join(texts, ",")
}
