package session

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/protocol"
)

// sortedClaims yields the claims in the order of owners and blocks.
func (w *world) sortedClaims() iter.Seq2[claim, affinity.State] {
	keys := slices.SortedFunc(maps.Keys(w.claimed), func(a, b claim) int {
		if d := a.owner.Compare(b.owner); d != 0 {
			return d
		}
		return comparePrefixes(a.cidr, b.cidr)
	})
	return func(yield func(claim, affinity.State) bool) {
		for _, c := range keys {
			if !yield(c, w.claimed[c]) {
				return
			}
		}
	}
}

// saysRequest says what a call is for, beginning with its verb.
func (c *client) saysRequest(r protocol.Request) string {
	kind, rest, _ := strings.Cut(string(r.Key), "/")
	who := ""
	if c.now < len(c.pods) {
		who = c.pods[c.now].label()
	}
	switch kind {
	case "config":
		return "reads the configuration"
	case "node":
		return "reads its node, whose labels decide on the pools"
	case "blocks":
		return "lists all blocks, to find one that does not exist"
	case "handles":
		return "lists all handles"
	case "affinities":
		return "lists its own claims"
	case "affinity":
		return c.saysClaim(r, rest)
	case "block":
		return c.saysBlock(r, rest, who)
	case "handle":
		switch r.Verb {
		case protocol.Get:
			return "reads the handle of " + who
		case protocol.Create:
			return "counts the address: it creates the handle of " + who
		case protocol.Update:
			return "changes how many addresses the handle of " + who + " counts"
		case protocol.Delete:
			return "deletes the handle of " + who + ", which counts nothing any more"
		}
	}
	return string(r.Verb) + " " + string(r.Key)
}

// saysClaim is saysRequest for a call about a claim, TYPE:OWNER/CIDR.
func (c *client) saysClaim(r protocol.Request, rest string) string {
	owner, cidr, _ := strings.Cut(rest, "/")
	_, name, _ := strings.Cut(owner, ":")
	whose := "its claim"
	if name != c.node.name {
		whose = "the claim of " + name
	}
	a, _ := r.Object.(*protocol.Affinity)
	switch r.Verb {
	case protocol.Get:
		return fmt.Sprintf("reads %s on %s", whose, cidr)
	case protocol.Create:
		return fmt.Sprintf("announces its claim on %s: it creates the affinity, %s", cidr, a.State)
	case protocol.Delete:
		return fmt.Sprintf("deletes %s on %s", whose, cidr)
	}
	switch a.State {
	case affinity.Confirmed:
		return fmt.Sprintf("confirms %s on %s: now the block is its own", whose, cidr)
	case affinity.PendingDeletion:
		return fmt.Sprintf("marks %s on %s as being deleted", whose, cidr)
	}
	return fmt.Sprintf("writes %s on %s, pending", whose, cidr)
}

// saysBlock is saysRequest for a call about a block.
func (c *client) saysBlock(r protocol.Request, cidr, who string) string {
	switch r.Verb {
	case protocol.Get:
		return "reads block " + cidr
	case protocol.Create:
		return "creates block " + cidr + " with itself as the owner"
	case protocol.Delete:
		return "deletes block " + cidr + ", which is empty"
	}
	b, _ := r.Object.(*protocol.Block)
	for _, p := range c.pods {
		if p.label() != who {
			continue
		}
		for _, rec := range b.Records {
			if rec.Handle == p.handle {
				return fmt.Sprintf("writes block %s: an address is now of %s", cidr, who)
			}
		}
	}
	switch {
	case b.Owner.IsZero():
		return fmt.Sprintf("writes block %s: nobody owns it any more", cidr)
	case c.adds():
		return fmt.Sprintf("writes block %s as it is, so that older copies of it count no more", cidr)
	}
	return fmt.Sprintf("writes block %s: the address of %s is free again", cidr, who)
}

// saysResult says what came of a call, for after the request.
func saysResult(r protocol.Request, answer protocol.Response) string {
	switch answer.Result {
	case protocol.OK:
		switch {
		case r.Verb == protocol.List && len(answer.List) == 0:
			return ": there are none"
		case r.Verb == protocol.List:
			return fmt.Sprintf(": there %s %s", verb(len(answer.List), "is", "are"), thousands(len(answer.List)))
		}
		return ""
	case protocol.Exists:
		return ": but somebody was faster, it exists already"
	case protocol.Missing:
		if r.Key == "config" {
			return ": there is none, so the defaults count"
		}
		return ": there is none"
	case protocol.Conflict:
		return ": but somebody wrote it since it was read, so this does not count (a conflict)"
	}
	return ": " + string(answer.Result)
}
