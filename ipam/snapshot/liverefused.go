package snapshot

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/codes"
)

// This file says in words why a pod got no address.

// Why says why the pod was refused, for people to read: the end of a sentence about it,
// such as "its node has 2 blocks, which is the limit, and they are full". It is empty if
// the pod got all that it asked for. A Move with nothing but Err and Msgs will do, those
// of any [ipam.Allocator.AutoAssign].
func (m *Move) Why() string {
	switch {
	case m.Err == nil:
		return ""
	case m.Fixed.IsValid():
		return fmt.Sprintf("its annotation asks for %s, %s", m.Fixed, m.whyFixed())
	case m.Pod.NoPool != "":
		return "its annotation asks for pool " + m.Pod.NoPool + ", which does not exist"
	case m.From != "" && m.Pod.Node == "":
		return "there is no node left to move to"
	case errors.Is(m.Err, codes.AlreadyExists):
		return "a pod of its name has addresses already"
	}
	var whys []string
	for _, msg := range m.Msgs {
		what, about, _ := strings.Cut(msg, ":")
		switch what {
		case "block-limit":
			whys = append(whys, "its node has "+about+" blocks, which is the limit, and they are full")
		case "strict-affinity":
			whys = append(whys, "no block is left to claim, and strict affinity forbids borrowing")
		case "exhausted":
			whys = append(whys, "every address is taken in "+strings.ReplaceAll(about, ",", ", "))
		default:
			whys = append(whys, msg)
		}
	}
	switch {
	case errors.Is(m.Err, codes.StrictAffinityRequired):
		whys = append(whys, "its node runs Windows, where Calico needs strict affinity")
	case len(whys) > 0:
	case errors.Is(m.Err, codes.Partial):
		whys = append(whys, "no address is left")
	default:
		whys = append(whys, strings.TrimPrefix(m.Err.Error(), "ipam: "))
	}
	return strings.Join(whys, "; ")
}

// whyFixed says why an address was not assigned.
func (m *Move) whyFixed() string {
	var e *ipam.Error
	switch {
	case errors.Is(m.Err, codes.NotInPool):
		return "which no enabled pool has"
	case errors.Is(m.Err, codes.UseNotAllowed):
		return "whose pool is not for pods"
	case errors.Is(m.Err, codes.AffinityMismatch) && errors.As(m.Err, &e):
		owner, _ := affinity.ParseOwner(e.Got) // the zero owner for nobody
		return fmt.Sprintf("which lies in a block that is %s, and strict affinity forbids borrowing", ownersText(owner))
	case errors.Is(m.Err, codes.AlreadyExists) && m.Holder == nil:
		return "which is cooling down"
	case errors.Is(m.Err, codes.AlreadyExists):
		return "which is taken by " + holderText(m.Holder)
	}
	return "which is refused: " + strings.TrimPrefix(m.Err.Error(), "ipam: ")
}

// holderText says who holds an address.
func holderText(held *ipam.Attributes) string {
	name, isPods := podOf(held.Active)
	node, _ := held.Active.Get(ipam.AttrNode)
	switch {
	case isPods:
		return "Pod " + name
	case node != "":
		return "Node " + node
	case held.Handle != "":
		return "handle " + held.Handle
	}
	return "somebody without a handle"
}

func ownersText(o affinity.Owner) string {
	if o.IsZero() {
		return "nobody's"
	}
	return o.Name + "'s"
}
