package affinity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
)

// maxName is the length in bytes that a Kubernetes name must stay below;
// longer ones are cut (CALICO.md §11).
const maxName = 253

// hashLen is how many bytes of a cut name are its hash.
const hashLen = 16

// CIDRName returns the name under which Kubernetes stores the block cidr:
// its text with '.', ':' and '/' replaced by '-', such as 192-168-1-64-26
// (CALICO.md §11).
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
// cidr: "<host>-<cidr>" with the CIDR as in [CIDRName] (CALICO.md §11). A name
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
	var x, y [64]byte
	return bytes.Compare(AppendCIDRName(x[:0], a), AppendCIDRName(y[:0], b))
}
