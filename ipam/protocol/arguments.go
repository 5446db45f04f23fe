package protocol

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// This file refuses arguments that no state of the cluster could accept, as
// [ipam.Allocator] does: with [codes.InvalidArgument], before any request.

// checkName refuses a name that no Kubernetes object can have.
func checkName(what, name string) error {
	switch {
	case name == "":
		return invalid(what, name, "must not be empty")
	case len(name) > 253:
		return invalid(what, name[:32]+"…", "must be at most 253 bytes")
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return invalid(what, name, "must not contain blanks or control characters")
	}
	return nil
}

// checkAddr refuses an address that cannot be allocated.
func checkAddr(ip netip.Addr) error {
	if !ip.IsValid() || ip.Is4In6() || ip.Zone() != "" {
		return invalid("address", ip.String(), "must be a plain IPv4 or IPv6 address")
	}
	return nil
}

// checkCIDR refuses a prefix that is not strictly masked.
func checkCIDR(cidr netip.Prefix) error {
	if !cidr.IsValid() || cidr.Addr().Is4In6() || cidr != cidr.Masked() {
		return invalid("cidr", cidr.String(), "must be a plain IPv4 or IPv6 prefix without host bits")
	}
	return nil
}

// checkOwner refuses an invalid owner.
func checkOwner(o affinity.Owner) error {
	if err := o.Validate(); err != nil {
		return invalid("owner", o.String(), err.Error())
	}
	return checkName("host", o.Name)
}

// checkRequested refuses requested pools of the other family (§3).
func checkRequested(pools []netip.Prefix, is4 bool) error {
	for _, cidr := range pools {
		if cidr.Addr().Is4() != is4 {
			return &ipam.Error{Code: codes.WrongFamily, Pool: cidr}
		}
	}
	return nil
}

// reservedRecord returns the record of the addresses reserved for the host.
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
		return 0, &ipam.Error{Code: codes.BadHostReservation, Detail: fmt.Sprintf("%d addresses at the start and %d at the end of each block", r.StartOfBlock, r.EndOfBlock)}
	}
	return longest, nil
}

// checkReservation refuses counts that no block can hold.
func checkReservation(r *ipam.HostReservation) error {
	for _, n := range []int{r.StartOfBlock, r.EndOfBlock} {
		if n < 0 || int64(n) > 1<<32 {
			return &ipam.Error{Code: codes.BadHostReservation, Got: strconv.Itoa(n), Detail: fmt.Sprintf("count %d is not within 0 to 2^32", n)}
		}
	}
	return nil
}

// errTooLarge is the error for an affinity to a block larger than any pool can
// have. The real allocator would create it.
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
		return &ipam.Error{
			Code: codes.BadHostReservation, Block: cidr, Want: strconv.Itoa(r.StartOfBlock + r.EndOfBlock), Got: strconv.Itoa(1 << width),
			Detail: fmt.Sprintf("block %s cannot hold %d addresses", cidr, r.StartOfBlock+r.EndOfBlock),
		}
	}
	return nil
}

// invalid refuses an argument that no state of the cluster could accept.
func invalid(argument, got, why string) error {
	return &ipam.Error{Code: codes.InvalidArgument, Argument: argument, Got: got, Detail: why}
}
