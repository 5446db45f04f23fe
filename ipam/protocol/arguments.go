package protocol

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// This file refuses arguments that no state of the cluster could accept, as
// [ipam.Allocator] does: with an [*ipam.ArgumentError], before any request.

// checkName refuses a name that no Kubernetes object could have.
func checkName(what, name string) error {
	switch {
	case name == "":
		return &ipam.ArgumentError{Argument: what, Value: name, Reason: "must not be empty"}
	case len(name) > 253:
		return &ipam.ArgumentError{Argument: what, Value: name[:32] + "…", Reason: "must be at most 253 bytes"}
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return &ipam.ArgumentError{Argument: what, Value: name, Reason: "must not contain blanks or control characters"}
	}
	return nil
}

// checkAddr refuses an address that cannot be allocated.
func checkAddr(ip netip.Addr) error {
	if !ip.IsValid() || ip.Is4In6() || ip.Zone() != "" {
		return &ipam.ArgumentError{Argument: "address", Value: ip.String(), Reason: "must be a plain IPv4 or IPv6 address"}
	}
	return nil
}

// checkCIDR refuses a prefix that is not strictly masked.
func checkCIDR(cidr netip.Prefix) error {
	if !cidr.IsValid() || cidr.Addr().Is4In6() || cidr != cidr.Masked() {
		return &ipam.ArgumentError{Argument: "cidr", Value: cidr.String(), Reason: "must be a plain IPv4 or IPv6 prefix without host bits"}
	}
	return nil
}

// checkOwner refuses an owner that cannot be.
func checkOwner(o affinity.Owner) error {
	if err := o.Validate(); err != nil {
		return &ipam.ArgumentError{Argument: "owner", Value: o.String(), Reason: err.Error()}
	}
	return checkName("host", o.Name)
}

// checkRequested refuses requested pools of the other family (§3).
func checkRequested(pools []netip.Prefix, is4 bool) error {
	for _, cidr := range pools {
		if cidr.Addr().Is4() != is4 {
			return about(ipam.ErrWrongFamily, cidr)
		}
	}
	return nil
}

// reservedRecord returns what the addresses reserved for the host point at.
func reservedRecord(r *ipam.HostReservation) Record {
	return Record{
		Handle: r.Handle,
		Active: block.MakeAttrs(map[string]string{"note": r.Note}),
	}
}

// longestPrefix returns the longest prefix of a block of that family that holds
// the reservation and an address more (§10).
func longestPrefix(r *ipam.HostReservation, is4 bool) (int, error) {
	width := 128
	if is4 {
		width = 32
	}
	if r == nil {
		return width, nil
	}
	if err := checkReservation(r); err != nil {
		return 0, err
	}
	longest := width - bits.Len(uint(r.StartOfBlock+r.EndOfBlock))
	if longest <= 0 || longest == width {
		return 0, about(ipam.ErrBadHostReservation, fmt.Sprintf("%d addresses at the start and %d at the end of each block", r.StartOfBlock, r.EndOfBlock))
	}
	return longest, nil
}

// checkReservation refuses counts that nothing could hold.
func checkReservation(r *ipam.HostReservation) error {
	for _, n := range []int{r.StartOfBlock, r.EndOfBlock} {
		if n < 0 || int64(n) > 1<<32 {
			return about(ipam.ErrBadHostReservation, fmt.Sprintf("count %d is not within 0 to 2^32", n))
		}
	}
	return nil
}

// errTooLarge is what is found of an affinity to a block larger than any that a
// pool could have. The real allocator would make it.
var errTooLarge = errors.New("protocol: block is too large")

// fits refuses a reservation that the block could not hold, where the real
// allocator panics (§10), and a block that is too large.
func fits(r *ipam.HostReservation, cidr netip.Prefix) error {
	width := cidr.Addr().BitLen() - cidr.Bits()
	if width >= bits.Len(block.MaxSize) {
		return about(errTooLarge, cidr)
	}
	if r == nil {
		return nil
	}
	if err := checkReservation(r); err != nil {
		return err
	}
	if r.StartOfBlock+r.EndOfBlock > 1<<width {
		return about(ipam.ErrBadHostReservation, fmt.Sprintf("block %s cannot hold %d addresses", cidr, r.StartOfBlock+r.EndOfBlock))
	}
	return nil
}
