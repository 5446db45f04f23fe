package report

import (
	"fmt"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
)

// Borrowed returns what `calicoctl ipam show --show-borrowed` prints: every
// allocation whose attribute "node" is not the node that owns the block, in the
// order of blocks and ordinals. Only nodes own blocks there: the block of a
// virtual owner has an empty BLOCK OWNER, like one of nobody's. TYPE is pod for
// an allocation with the attribute "pod", vmi for one with "vmi-name", else the
// attribute "type". Allocations without a node (those of load balancers, cooling
// and host-reserved ones too) are counted in a note below (§11).
func Borrowed(s ipam.State) string {
	var rows [][]string
	nodeless := 0
	for _, b := range s.Blocks {
		owner := ""
		if b.Owner.Type == affinity.Host {
			owner = b.Owner.Name
		}
		for _, a := range b.Allocations {
			node, _ := a.Active.Get(ipam.AttrNode)
			if node == "" {
				nodeless++
				continue
			}
			if node == owner {
				continue
			}
			kind, to := holder(a.Active, node)
			rows = append(rows, []string{b.Addr(a.Ordinal).String(), node, b.CIDR.String(), owner, kind, to})
		}
	}
	out := draw(rows, words, "IP", "BORROWING-NODE", "BLOCK", "BLOCK OWNER", "TYPE", "ALLOCATED-TO")
	if nodeless > 0 {
		out += fmt.Sprintf("\nNote: found %d IP allocations without an explicit node association. Unable to determine if they are borrowed.\n", nodeless)
	}
	return out
}

// holder tells what an address is given to.
func holder(attrs block.Attrs, node string) (kind, to string) {
	namespace, _ := attrs.Get(ipam.AttrNamespace)
	if pod, _ := attrs.Get(ipam.AttrPod); pod != "" {
		return "pod", namespace + "/" + pod
	}
	if vmi, _ := attrs.Get(ipam.AttrVMI); vmi != "" {
		return "vmi", namespace + "/" + vmi
	}
	kind, _ = attrs.Get(ipam.AttrType)
	return kind, node
}
