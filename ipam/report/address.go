package report

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// IP returns what `calicoctl ipam show --ip=ADDRESS` prints: the handle and the
// attributes of the active owner, and of the alternate one if it has any; before
// v3.32 only the attributes, in random order, here sorted by key. An address is
// not assigned if it is free, or in no enabled pool. For a cooling address
// calicoctl fails and prints nothing: IP returns the error, which matches
// [codes.IPInCooldown] (§11). It asks an [ipam.Allocator], or whatever else has the
// method.
func (c Calicoctl) IP(a interface {
	GetAssignmentAttributes(ip netip.Addr) (ipam.Attributes, error)
}, ip netip.Addr) (string, error) {
	held, err := a.GetAssignmentAttributes(ip)
	switch {
	case errors.Is(err, codes.DoesNotExist):
		return ip.String() + " is not assigned\n", nil
	case err != nil:
		return "", err
	}
	var out strings.Builder
	if !c.rules().OwnersOfIP {
		out.WriteString("IP " + ip.String() + " is in use\n")
		if held.Active.Len() == 0 {
			out.WriteString("No attributes defined\n")
		} else {
			writeAttributes(&out, "Attributes", held.Active)
		}
		return out.String(), nil
	}
	handle := held.Handle
	if handle == "" {
		handle = "<none>"
	}
	out.WriteString("IP " + ip.String() + " is in use\nHandle ID: " + handle + "\n")
	if held.Active.Len() == 0 {
		out.WriteString("No Active Owner attributes defined\n")
	} else {
		writeAttributes(&out, "Active Owner Attributes", held.Active)
	}
	if held.Alternate.Len() > 0 {
		writeAttributes(&out, "Alternate Owner Attributes", held.Alternate)
	}
	return out.String(), nil
}

func writeAttributes(out *strings.Builder, title string, attrs block.Attrs) {
	out.WriteString(title + ":\n")
	for key, value := range attrs.All() {
		out.WriteString("  " + key + ": " + value + "\n")
	}
}
