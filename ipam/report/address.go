package report

import (
	"net/netip"
	"strings"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// Attributes tells what is kept with an address: an [ipam.Allocator], or whatever
// does the same.
type Attributes interface {
	GetAssignmentAttributes(netip.Addr) (ipam.Attributes, error)
}

// IP returns what `calicoctl ipam show --ip=ADDRESS` prints: the handle and the
// attributes of the active owner, and of the alternate one if it has any. An
// address is not assigned if [ipam.Allocator.GetAssignmentAttributes] has
// nothing on it: it is free or cooling, or in no enabled pool.
func IP(a Attributes, ip netip.Addr) string {
	held, err := a.GetAssignmentAttributes(ip)
	if err != nil {
		return ip.String() + " is not assigned\n"
	}
	var out strings.Builder
	handle := held.Handle
	if handle == "" {
		handle = "<none>"
	}
	out.WriteString("IP " + ip.String() + " is in use\nHandle ID: " + handle + "\n")
	if held.Active.Len() == 0 {
		out.WriteString("No Active Owner attributes defined\n")
	} else {
		writeOwner(&out, "Active", held.Active)
	}
	if held.Alternate.Len() > 0 {
		writeOwner(&out, "Alternate", held.Alternate)
	}
	return out.String()
}

func writeOwner(out *strings.Builder, side string, attrs block.Attrs) {
	out.WriteString(side + " Owner Attributes:\n")
	for key, value := range attrs.All() {
		out.WriteString("  " + key + ": " + value + "\n")
	}
}
