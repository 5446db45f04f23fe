package pool

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
)

// Reservations are the addresses that automatic assignment must not hand out: the entries of all IPReservations together
// (§1). Both families may be mixed; entries may overlap and touch, and only what they cover together counts.
//
// A nil *Reservations and the zero value reserve nothing. Reservations never
// change, so any number of goroutines may use them and keep pointers to them.
// Addresses with a zone, the zero Addr and the zero Prefix are not reserved; an
// IPv4-mapped address counts as IPv6. Prefixes in arguments need not be masked.
type Reservations struct {
	// ranges are the maximal runs of reserved addresses, ascending, IPv4 before
	// IPv6; between two there is a gap. They come from a netipx.IPSet. The set is
	// not kept, as its searches for prefixes are linear.
	ranges []netipx.IPRange
}

// Warning is a malformed entry of a reservation, which was ignored.
type Warning struct {
	Entry  string // the entry as it was given
	Reason string // what is wrong with it
}

// String returns entry and reason in one line.
func (w Warning) String() string { return fmt.Sprintf("reservation %q ignored: %s", w.Entry, w.Reason) }

// ParseReservations reads entries as Calico's IPReservations hold them: CIDRs and
// single addresses of either family (§1). White space around an entry is trimmed,
// and empty entries are skipped without a warning. Host bits of a CIDR are
// dropped. IPv4-mapped IPv6 entries mean the IPv4 addresses. Malformed entries,
// including addresses with a zone, are ignored with a warning, in the order of the
// entries. The result is never nil.
func ParseReservations(entries []string) (*Reservations, []Warning) {
	var (
		builder  netipx.IPSetBuilder
		warnings []Warning
	)
	for _, entry := range entries {
		text := strings.TrimSpace(entry)
		if text == "" {
			continue
		}
		prefix, err := parseEntry(text)
		if err != nil {
			warnings = append(warnings, Warning{Entry: entry, Reason: err.Error()})
			continue
		}
		builder.AddPrefix(prefix)
	}
	// The builder fails only for invalid prefixes, and parseEntry returns none.
	set, err := builder.IPSet()
	if err != nil {
		panic("pool: " + err.Error())
	}
	return &Reservations{ranges: set.Ranges()}, warnings
}

// parseEntry returns an entry as a prefix without host bits, of IPv4 where it is an IPv4-mapped one.
func parseEntry(text string) (netip.Prefix, error) {
	if strings.Contains(text, "%") {
		return netip.Prefix{}, errors.New("an address with a zone cannot be reserved")
	}
	address, _, isCIDR := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, errors.New("not an address or CIDR")
	}
	bits := addr.BitLen()
	if isCIDR {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return netip.Prefix{}, errors.New("not an address or CIDR")
		}
		bits = prefix.Bits()
	}
	if mapped := 128 - 32; addr.Is4In6() && bits >= mapped {
		addr, bits = addr.Unmap(), bits-mapped
	}
	return addr.Prefix(bits)
}

// Contains reports whether addr is reserved.
func (r *Reservations) Contains(addr netip.Addr) bool {
	_, found := r.RangeOf(addr)
	return found
}

// CoversPrefix reports whether all of p is reserved, by one entry or by several together.
func (r *Reservations) CoversPrefix(p netip.Prefix) bool {
	if r.none() {
		return false
	}
	within := netipx.RangeOfPrefix(p)
	found, ok := r.RangeOf(within.From())
	return ok && within.To().Compare(found.To()) <= 0
}

// OverlapsPrefix reports whether any part of p is reserved. It takes time
// logarithmic in the number of entries.
func (r *Reservations) OverlapsPrefix(p netip.Prefix) bool {
	return !r.none() && len(r.overlapping(netipx.RangeOfPrefix(p))) > 0
}

// RangeOf returns the maximal run of reserved addresses around addr, which may
// come from several entries, and whether addr is reserved. If it is not, the range
// is zero.
func (r *Reservations) RangeOf(addr netip.Addr) (netipx.IPRange, bool) {
	if addr.Zone() != "" { // IPRangeFrom would drop it
		return netipx.IPRange{}, false
	}
	if found := r.overlapping(netipx.IPRangeFrom(addr, addr)); len(found) > 0 {
		return found[0], true
	}
	return netipx.IPRange{}, false
}

// RangesIn returns the reserved parts of p: maximal runs, cut at the ends of p, ascending. It is nil if there are none. The
// slice belongs to the caller.
func (r *Reservations) RangesIn(p netip.Prefix) []netipx.IPRange {
	within := netipx.RangeOfPrefix(p)
	parts := slices.Clone(r.overlapping(within))
	if len(parts) == 0 {
		return nil
	}
	first, last := &parts[0], &parts[len(parts)-1]
	if first.From().Less(within.From()) {
		*first = netipx.IPRangeFrom(within.From(), first.To())
	}
	if within.To().Less(last.To()) {
		*last = netipx.IPRangeFrom(last.From(), within.To())
	}
	return parts
}

// CountIn returns how many addresses of p are reserved, 0 to 2^128. The number belongs to the caller.
func (r *Reservations) CountIn(p netip.Prefix) *big.Int {
	sum := new(big.Int)
	for _, part := range r.RangesIn(p) {
		last, first := addrIndex(part.To()), addrIndex(part.From())
		sum.Add(sum, last.Sub(first).big()) // one less than the part holds, which may not fit 128 bits
		sum.Add(sum, big.NewInt(1))
	}
	return sum
}

// none reports whether nothing is reserved: the quick answer for most clusters.
func (r *Reservations) none() bool { return r == nil || len(r.ranges) == 0 }

// overlapping returns the part of r.ranges that shares addresses with within, by two binary searches.
func (r *Reservations) overlapping(within netipx.IPRange) []netipx.IPRange {
	if r == nil || !within.IsValid() {
		return nil
	}
	low, _ := slices.BinarySearchFunc(r.ranges, within.From(), func(x netipx.IPRange, from netip.Addr) int {
		return x.To().Compare(from)
	})
	n, found := slices.BinarySearchFunc(r.ranges[low:], within.To(), func(x netipx.IPRange, to netip.Addr) int {
		return x.From().Compare(to)
	})
	if found {
		n++
	}
	return r.ranges[low : low+n]
}
