package explore

import (
	"fmt"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// note describes the result of a call in few words, so that three notes fit side
// by side. Before and after are the object in the datastore.
func note(r protocol.Request, a protocol.Response, before, after protocol.Object, fate Fate) string {
	switch fate {
	case Fails:
		return fmt.Sprintf("%s fails", r.Verb)
	case Lost:
		return noteOf(r, a, before, after) + ", no answer"
	case Stale:
		return noteOf(r, a, before, after) + " (old)"
	}
	return noteOf(r, a, before, after)
}

func noteOf(r protocol.Request, a protocol.Response, before, after protocol.Object) string {
	kind, _, _ := strings.Cut(string(r.Key), "/")
	switch {
	case r.Verb == protocol.List:
		return fmt.Sprintf("lists %s: %d", kind, len(a.List))
	case a.Result == protocol.Conflict:
		return "conflict: " + kind
	case r.Verb == protocol.Get && (kind == "config" || kind == "node"):
		return "reads " + kind
	}
	switch kind {
	case "affinity":
		return noteOfAffinity(r, a, before)
	case "block":
		return noteOfBlock(r, a, before, after)
	case "handle":
		return noteOfHandle(r, a, before, after)
	}
	return fmt.Sprintf("%s %s, %s", r.Verb, kind, a.Result)
}

// stateNotes describes the states of an affinity.
var stateNotes = map[affinity.State]string{affinity.Pending: "pending", affinity.Confirmed: "confirmed", affinity.PendingDeletion: "giving up"}

func noteOfAffinity(r protocol.Request, a protocol.Response, before protocol.Object) string {
	switch {
	case a.Result == protocol.Missing:
		return "no affinity"
	case a.Result == protocol.Exists:
		return "affinity is " + before.(*protocol.Affinity).State.String()
	case r.Verb == protocol.Delete:
		return "affinity deleted"
	case r.Verb == protocol.Get:
		return "affinity is " + a.Object.(*protocol.Affinity).State.String()
	}
	written := r.Object.(*protocol.Affinity)
	return stateNotes[written.State] + " " + written.CIDR.String()
}

func noteOfBlock(r protocol.Request, a protocol.Response, before, after protocol.Object) string {
	switch {
	case a.Result == protocol.Missing && r.Verb == protocol.Get:
		return "no block " + strings.TrimPrefix(string(r.Key), "block/")
	case a.Result == protocol.Missing:
		return "block is gone"
	case a.Result == protocol.Exists:
		return "block is " + possessive(before.(*protocol.Block).Owner)
	case r.Verb == protocol.Get:
		b := a.Object.(*protocol.Block)
		return fmt.Sprintf("%s block, %d free", possessive(b.Owner), len(b.Queue))
	case after == nil:
		return "block deleted"
	case before == nil:
		return "block " + r.Object.(*protocol.Block).CIDR.String() + " made"
	}
	return change(before.(*protocol.Block), after.(*protocol.Block))
}

// possessive names the owner of a block.
func possessive(o affinity.Owner) string {
	if o.IsZero() {
		return "nobody's"
	}
	return o.Name + "'s"
}

// change describes an update of a block.
func change(before, after *protocol.Block) string {
	var given, freed []string
	for ord := range after.Index {
		switch was, is := held(before, ord), held(after, ord); {
		case was == nil && is != nil:
			given = append(given, addr(after, ord).String())
		case was != nil && is == nil:
			freed = append(freed, addr(after, ord).String())
		}
	}
	switch {
	case len(given) > 0:
		return "takes " + few(given)
	case len(freed) > 0:
		return "frees " + few(freed)
	case before.Owner != after.Owner:
		return "block is " + possessive(after.Owner)
	}
	return "block renewed"
}

// few names the first of some addresses and counts the others.
func few(ips []string) string {
	if len(ips) == 1 {
		return ips[0]
	}
	return fmt.Sprintf("%s +%d", ips[0], len(ips)-1)
}

func noteOfHandle(r protocol.Request, a protocol.Response, before, after protocol.Object) string {
	id := "handle " + strings.TrimPrefix(string(r.Key), "handle/")
	total := func(o protocol.Object) int {
		n := 0
		if h, ok := o.(*protocol.Handle); ok {
			for _, count := range h.Counts {
				n += count
			}
		}
		return n
	}
	switch {
	case a.Result == protocol.Missing:
		return "no " + id
	case a.Result == protocol.Exists:
		return id + " exists"
	case r.Verb == protocol.Get:
		return fmt.Sprintf("%s: %d", id, total(a.Object))
	case r.Verb == protocol.Delete:
		return id + " deleted"
	}
	return fmt.Sprintf("%s: %d to %d", id, total(before), total(after))
}
