package affinity

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxName is the length in bytes that a Kubernetes name must stay below;
// longer ones are cut (§11).
const maxName = 253

// hashLen is how many bytes of a cut name are its hash.
const hashLen = 16

// CIDRName returns the name under which Kubernetes stores the block cidr:
// its text with '.', ':' and '/' replaced by '-', such as 192-168-1-64-26
// (§11).
func CIDRName(cidr netip.Prefix) string {
	var buf [64]byte
	return string(AppendCIDRName(buf[:0], cidr))
}

// AppendCIDRName appends [CIDRName] to dst and returns the extended slice.
func AppendCIDRName(dst []byte, cidr netip.Prefix) []byte {
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

// Name returns the name under which Kubernetes stores the claim of host on
// cidr: "<host>-<cidr>" with the CIDR as in [CIDRName] (§11). A name
// of 253 bytes or more is cut and ends in a '-' and 16 hexadecimal digits of
// the SHA-256 of the whole; which hash Calico takes there is not recorded, so
// the order of such claims may differ from a real cluster's.
func Name(host string, cidr netip.Prefix) string {
	var room [maxName + 64]byte // so that only the result is allocated
	buf := append(room[:0], host...)
	buf = append(buf, '-')
	buf = AppendCIDRName(buf, cidr)
	if len(buf) >= maxName {
		return cut(string(buf))
	}
	return string(buf)
}

// cut shortens a name that is too long for Kubernetes.
func cut(name string) string {
	sum := sha256.Sum256([]byte(name))
	return name[:maxName-2-hashLen] + "-" + hex.EncodeToString(sum[:hashLen/2])
}

// LabName returns the claim's name in the convention that the lab course
// shows, such as ipam-block-affinity-192-168-1-64-26. It leaves the host out.
func LabName(cidr netip.Prefix) string {
	return "ipam-block-affinity-" + CIDRName(cidr)
}

// CompareCIDRNames orders two blocks by [CIDRName] in byte order, as
// Kubernetes lists them: 10.0.0.16/28 comes before 10.0.0.4/30. It does not
// allocate.
func CompareCIDRNames(a, b netip.Prefix) int {
	if a.IsValid() && b.IsValid() && a.Addr().Is4() && b.Addr().Is4() {
		return cmp.Compare(nameKey(a), nameKey(b))
	}
	var x, y [64]byte
	return bytes.Compare(AppendCIDRName(x[:0], a), AppendCIDRName(y[:0], b))
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

// textRank is where each number from 0 to 255 stands in the order of their
// decimal texts: 0, 1, 10, 100, 101, ….
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

// compareNames orders the claims of host on two blocks by [Name] in byte order.
// It allocates only for a host name so long that names are cut.
func compareNames(host string, a, b netip.Prefix) int {
	const longest = len("-ffff-ffff-ffff-ffff-ffff-ffff-ffff-ffff-128")
	if len(host)+longest < maxName {
		return CompareCIDRNames(a, b)
	}
	return strings.Compare(Name(host, a), Name(host, b))
}
