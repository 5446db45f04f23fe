package report

import (
	"fmt"

	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// Borrowed returns what `calicoctl ipam show --show-borrowed` prints: every
// allocation whose attribute "node", even an empty one, is not the name of the
// block's owner, a virtual one too, in the order of blocks and ordinals. TYPE is
// vmi for an allocation with the attribute "vmi-name" (since v3.32), pod for one with "pod",
// else the attribute "type"; ALLOCATED-TO is empty for those. Allocations without
// the attribute "node" (cooling and host-reserved ones, often those of load
// balancers) are counted in a note below (§11).
func (c Calicoctl) Borrowed(s ipam.State) string {
	vmis := c.rules().BorrowedVMIs
	var rows [][]string
	nodeless := 0
	for _, b := range s.Blocks {
		for _, a := range b.Allocations {
			node, known := a.Active.Get(ipam.AttrNode)
			if !known {
				nodeless++
				continue
			}
			if node == b.Owner.Name {
				continue
			}
			kind, to := holder(a.Active, vmis)
			rows = append(rows, []string{b.Addr(a.Ordinal).String(), node, b.CIDR.String(), b.Owner.Name, kind, to})
		}
	}
	headings := []string{"IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO"}
	out := c.draw(rows, len(headings), headings...)
	if nodeless > 0 {
		out += fmt.Sprintf("\nNote: found %d IP allocations without an explicit node association. Unable to determine if they are borrowed.\n", nodeless)
	}
	return out
}

// holder returns type and name of the holder of an address. Older releases knew no
// virtual machines.
func holder(attrs block.Attrs, vmis bool) (kind, to string) {
	namespace, _ := attrs.Get(ipam.AttrNamespace)
	if vmi, known := attrs.Get(ipam.AttrVMI); known && vmis {
		return "vmi", namespace + "/" + vmi
	}
	if pod, known := attrs.Get(ipam.AttrPod); known {
		return "pod", namespace + "/" + pod
	}
	kind, _ = attrs.Get(ipam.AttrType)
	return kind, ""
}
