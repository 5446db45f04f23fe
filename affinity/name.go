package affinity

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
)

// maxName is the length in bytes that a Kubernetes name must stay below;
// longer ones are cut (§11).
const maxName = 253

// The parts of a cut name: as much of the host as fits into maxCut beside the
// CIDR's name, and hashLen hexadecimal digits.
const (
	maxCut  = 239
	hashLen = 11
)

// CIDRName returns the name under which Kubernetes stores the block cidr:
// its text with '.', ':' and '/' replaced by '-', such as 192-168-1-64-26
// (§11).
func CIDRName(cidr netip.Prefix) string {
	var buf [64]byte
	return string(appendCIDRName(buf[:0], cidr))
}

// appendCIDRName appends [CIDRName] to dst and returns the extended slice.
func appendCIDRName(dst []byte, cidr netip.Prefix) []byte {
	from := len(dst)
	dst = cidr.AppendTo(dst)
	for i := from; i < len(dst); i++ {
		switch dst[i] {
		case '.', ':', '/':
			dst[i] = '-'
		}
	}
	return dst
}

// Name returns the name under which Kubernetes stores the claim of host on cidr:
// "<host>-<cidr>" with the CIDR as in [CIDRName] (§11). A name of 253 bytes or
// more is cut: "<start of host>-<cidr>-<hash>", where the host gives up one byte
// more for each byte more of the CIDR's name. So of two cut names the one with the
// longer CIDR has the shorter start, which decides their order.
func Name(host string, cidr netip.Prefix) string {
	var room [maxName + 64]byte // only the result is allocated
	buf := append(room[:0], host...)
	buf = append(buf, '-')
	buf = appendCIDRName(buf, cidr)
	if len(buf) >= maxName {
		return cut(host, string(buf[len(host)+1:]))
	}
	return string(buf)
}

// cut returns the name of a claim whose host and CIDR's name are too long for
// Kubernetes.
func cut(host, cidr string) string {
	sum := sha256.Sum256([]byte(host + "+" + cidr))
	return host[:min(len(host), maxCut-len(cidr))] + "-" + cidr + "-" + hex.EncodeToString(sum[:])[:hashLen]
}

// CompareCIDRNames orders two blocks by [CIDRName] in byte order, as
// Kubernetes lists them: 10.0.0.16/28 comes before 10.0.0.4/30. It does not
// allocate.
func CompareCIDRNames(a, b netip.Prefix) int {
	if a.IsValid() && b.IsValid() && a.Addr().Is4() && b.Addr().Is4() {
		return cmp.Compare(nameKey(a), nameKey(b))
	}
	var x, y [64]byte
	return bytes.Compare(appendCIDRName(x[:0], a), appendCIDRName(y[:0], b))
}

// nameKey returns a number that orders IPv4 blocks as their names do. The dash
// that ends each number but the last of a name comes before every digit, as the
// end of the name does, so names compare number by number, and each number as
// its text.
func nameKey(cidr netip.Prefix) uint64 {
	b := cidr.Addr().As4()
	return uint64(textRank[b[0]])<<32 | uint64(textRank[b[1]])<<24 | uint64(textRank[b[2]])<<16 |
		uint64(textRank[b[3]])<<8 | uint64(textRank[cidr.Bits()])
}

// textRank is the rank of each number from 0 to 255 in the order of their decimal
// texts: 0, 1, 10, 100, 101, ….
var textRank = func() (rank [256]uint8) {
	var texts []string
	for n := range rank {
		texts = append(texts, strconv.Itoa(n))
	}
	slices.Sort(texts)
	for i, text := range texts {
		n, _ := strconv.Atoi(text)
		rank[n] = uint8(i)
	}
	return rank
}()
