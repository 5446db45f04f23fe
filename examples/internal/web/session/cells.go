package session

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

type cellsArgs struct {
	Blocks []string `json:"blocks"`
}

// Cells is a block, address by address.
type Cells struct {
	CIDR  string `json:"cidr"`
	Owner string `json:"owner"` // the node, or a virtual owner; empty for nobody
	State string `json:"state"` // of the owner's claim
	// Cells has a letter for each address:
	//
	//	.  free
	//	p  a pod of the owner
	//	b  a pod of another node: borrowed
	//	t  a tunnel
	//	s  a service of type LoadBalancer, or other holder that is no node's
	//	c  cooling
	//	r  reserved: free, but not for pods, or kept by Windows
	//	u  in use by nobody knows whom
	Cells string            `json:"cells"`
	Next  []int             `json:"next"` // the free ordinals, the next one to be given first
	Who   map[string]string `json:"who"`  // by ordinal
	Seq   string            `json:"seq"`  // the sequence number, of up to 20 digits
}

// mostCells is how many blocks one call may ask for.
const mostCells = 1000

// Cells returns the blocks, address by address. One that does not exist has only its
// CIDR.
func (s *Session) Cells(blocks []string) ([]Cells, error) {
	if len(blocks) > mostCells {
		return nil, fmt.Errorf("blocks: %s at once: at most %s", thousands(len(blocks)), thousands(mostCells))
	}
	reserved, _ := pool.ParseReservations(s.world.ipam.Reservations())
	all := []Cells{}
	for i, text := range blocks {
		cidr, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("blocks[%d]: %q is no block", i, text)
		}
		var b ipam.BlockState
		if !s.world.ipam.ReadBlock(cidr, &b) {
			all = append(all, Cells{CIDR: text, Next: []int{}, Who: map[string]string{}})
			continue
		}
		all = append(all, cellsOf(&b, s.world.claimed[claim{b.Owner, cidr}], reserved))
	}
	return all, nil
}

// cellsOf is a block, address by address.
func cellsOf(b *ipam.BlockState, state affinity.State, reserved *pool.Reservations) Cells {
	c := Cells{
		CIDR: b.CIDR.String(), Owner: b.Owner.Name, State: state.String(),
		Next: append([]int{}, b.Free...), Who: make(map[string]string), Seq: strconv.FormatUint(b.Sequence, 10),
	}
	size := 1 << (b.CIDR.Addr().BitLen() - b.CIDR.Bits())
	cells := make([]byte, size)
	for i := range cells {
		cells[i] = '.'
	}
	if reserved.OverlapsPrefix(b.CIDR) {
		for _, i := range b.Free {
			if reserved.Contains(b.Addr(i)) {
				cells[i] = 'r'
			}
		}
	}
	for _, a := range b.Allocations {
		cells[a.Ordinal] = kindOf(&a, b.Owner)
		c.Who[strconv.Itoa(a.Ordinal)] = holder(&a)
	}
	c.Cells = string(cells)
	return c
}

// kindOf is the letter of an address that is not free.
func kindOf(a *block.Allocation, owner affinity.Owner) byte {
	on, placed := a.Active.Get(ipam.AttrNode)
	kind, _ := a.Active.Get(ipam.AttrType)
	_, isPod := a.Active.Get(ipam.AttrPod)
	switch {
	case !a.ReleasedAt.IsZero():
		return 'c'
	case block.IsHostReserved(a.Handle):
		return 'r'
	case kind != "" && placed:
		return 't'
	case isPod && placed && affinity.HostOwner(on) == owner:
		return 'p'
	case isPod && placed:
		return 'b'
	case a.Active.Len() > 0:
		return 's'
	}
	return 'u'
}

// holder says who has an address.
func holder(a *block.Allocation) string {
	if !a.ReleasedAt.IsZero() {
		return "cooling since " + a.ReleasedAt.Format("15:04:05")
	}
	if block.IsHostReserved(a.Handle) {
		return "kept by Windows"
	}
	on, placed := a.Active.Get(ipam.AttrNode)
	if placed {
		on = " on node " + on
	}
	if name, ok := a.Active.Get(ipam.AttrPod); ok {
		namespace, _ := a.Active.Get(ipam.AttrNamespace)
		return namespace + "/" + name + on
	}
	if kind, ok := a.Active.Get(ipam.AttrType); ok {
		return kind + on
	}
	if a.Handle != "" {
		return "handle " + a.Handle + on
	}
	return "somebody without a handle" + on
}
