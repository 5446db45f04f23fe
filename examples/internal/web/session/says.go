package session

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/pool"
)

// mostSays is how many sentences of one kind an act has; the rest are counted.
const mostSays = 8

// tell says what came of requests, those that are alike together.
func (w *world) tell(events []event) {
	var groups [][]event
	for _, e := range events {
		if n := len(groups); n > 0 && joins(groups[n-1], e) {
			groups[n-1] = append(groups[n-1], e)
			continue
		}
		groups = append(groups, []event{e})
	}
	if len(groups) <= mostSays {
		for _, g := range groups {
			w.say("%s", w.sentence(g))
		}
		return
	}
	w.summary(events)
	said := 0
	for _, how := range []int{refused, borrowed, reclaimed, recovered, claimed} { // what is odd comes first
		for _, e := range events {
			if e.how == how && said < 4 && (how != refused || said == 0) {
				w.say("%s", w.sentence([]event{e}))
				said++
			}
		}
	}
}

// joins reports whether an event belongs to those before it.
func joins(g []event, e event) bool {
	last, first := g[len(g)-1], g[0]
	if e.pod.node != last.pod.node || e.pod.namespace == "" || last.pod.namespace == "" {
		return false
	}
	switch e.how {
	case own:
		return e.block == last.block && last.how != borrowed && last.how != refused
	case borrowed:
		return last.how == borrowed && e.block == last.block
	case refused:
		return first.how == refused && e.pod.why == last.pod.why
	}
	return false
}

// summary counts what came of many requests.
func (w *world) summary(events []event) {
	n := make(map[int]int)
	nodes := make(map[*node]bool)
	blocks := make(map[netip.Prefix]bool)
	for _, e := range events {
		n[e.how]++
		nodes[e.pod.node] = true
		if e.how != refused && e.how != borrowed {
			blocks[e.block] = true
		}
	}
	var parts []string
	if got := len(events) - n[refused] - n[borrowed]; got > 0 {
		parts = append(parts, fmt.Sprintf("%s from %s of the nodes' own blocks", count(got, "address"), thousands(len(blocks))))
	}
	if k := n[borrowed]; k > 0 {
		parts = append(parts, fmt.Sprintf("%s borrowed", are(k, "is", "are")))
	}
	if k := n[refused]; k > 0 {
		parts = append(parts, fmt.Sprintf("%s no address", are(k, "gets", "get")))
	}
	w.say("%s on %s: %s.", count(len(events), "request"), count(len(nodes), "node"), list(parts))
	if k := n[claimed] + n[reclaimed] + n[recovered]; k > 0 {
		w.say("%s for that.", are(k, "block is claimed", "blocks are claimed"))
	}
}

// names is who the events are about: a pod, or the first and the last.
func names(g []event) string {
	first, last := g[0].pod, g[len(g)-1].pod
	switch {
	case first.namespace == "":
		return "the " + first.name + " of " + first.node.name
	case first == last:
		return first.label() + " on " + first.node.name
	}
	return fmt.Sprintf("%s on %s (%s to %s)", count(len(g), "pod"), first.node.name, first.label(), last.name)
}

// capital begins a sentence.
func capital(text string) string {
	if strings.HasPrefix(text, "the ") {
		return "T" + text[1:]
	}
	return text
}

// addresses are those of the events.
func addresses(g []event) string {
	var texts []string
	for _, e := range g {
		texts = append(texts, e.ip.String())
	}
	if len(texts) <= 3 {
		return list(texts)
	}
	for i := range g[1:] {
		if g[i+1].ip != g[i].ip.Next() {
			return fmt.Sprintf("%s addresses from %s on", thousands(len(g)), texts[0])
		}
	}
	return texts[0] + " to " + texts[len(texts)-1]
}

// sentence says what came of requests that are alike.
func (w *world) sentence(g []event) string {
	e, last := g[0], g[len(g)-1]
	n := e.pod.node
	var text string
	switch e.how {
	case own:
		text = fmt.Sprintf("%s %s %s, the head of the queue of the node's block %s.", capital(names(g)), verb(len(g), "gets", "get"), addresses(g), e.block)
	case claimed, reclaimed, recovered:
		text = w.claimSentence(g)
	case borrowed:
		text = fmt.Sprintf("%s can claim no block any more: %s %s %s from %s of %s. %s.", n.name, names(g), verb(len(g), "borrows", "borrow"), addresses(g), e.block, ownerName(e),
			are(len(g), "more route leads to it", "more routes lead there"))
		return text
	case refused:
		return fmt.Sprintf("%s %s no address: %s.", capital(names(g)), verb(len(g), "gets", "get"), w.reason(e.pod))
	}
	if last.free == 0 {
		text += " The block is full now."
	}
	return text
}

// ownerName is who had the block.
func ownerName(e event) string {
	if e.from.IsZero() {
		return "nobody"
	}
	return e.from.Name
}

// claimSentence says how a node came to a block.
func (w *world) claimSentence(g []event) string {
	e := g[0]
	n := e.pod.node
	who, in := n.name, ""
	if e.pool != nil {
		in = " in " + e.pool.CIDR().String()
	}
	var why string
	switch e.had {
	case 0:
		why = fmt.Sprintf("%s has no block%s yet", who, in)
	case 1:
		why = fmt.Sprintf("The block of %s has no address left", who)
	default:
		why = fmt.Sprintf("The %d blocks of %s have no address left", e.had, who)
	}
	var how string
	switch {
	case e.how == recovered:
		how = fmt.Sprintf("it completes its claim on %s, which was left half-way", e.block)
	case e.how == reclaimed:
		how = fmt.Sprintf("every block%s exists, so it takes over %s of %s, which is empty", in, e.block, ownerName(e))
	case e.pool == nil:
		how = "it claims " + e.block.String()
	default:
		how = fmt.Sprintf("it starts its walk at block %s of %s", commas(e.start.String()), commas(power(e.pool.BlockBits()).String()))
		if !e.passed.IsZero() {
			how += ", passes " + passes(e.passed)
			if len(w.ipam.Reservations()) > 0 {
				how += " or are reserved"
			}
		}
		how += fmt.Sprintf(" and claims %s", e.block)
	}
	var got string
	switch {
	case e.pod.namespace == "":
		got = "its tunnel gets"
	case len(g) == 1:
		got = e.pod.label() + " gets"
	default:
		got = fmt.Sprintf("%s (%s to %s) get", count(len(g), "pod"), e.pod.label(), g[len(g)-1].pod.name)
	}
	return fmt.Sprintf("%s: %s; %s %s, the head of the block's queue.", why, how, got, addresses(g))
}

// passes is how many blocks a walk passes.
func passes(x pool.Index) string {
	if x == pool.MakeIndex(0, 1) {
		return "one that exists"
	}
	return commas(x.String()) + " that exist"
}

// reason puts a refusal into words.
func (w *world) reason(p *pod) string {
	for _, word := range strings.Fields(p.why) {
		what, rest, _ := strings.Cut(word, ":")
		switch what {
		case "block-limit":
			most := limit(w.ipam.GetIPAMConfig())
			return fmt.Sprintf("%s owns %s, as many as it may, without a free address", p.node.name, count(most, "block"))
		case "strict-affinity":
			return "the node's blocks are full, none is left to claim, and affinity is strict: nobody borrows"
		case "exhausted":
			return fmt.Sprintf("no block of %s is left to claim, and no address to borrow", strings.ReplaceAll(rest, ",", ", "))
		case "no-pools-for-node":
			return "no pool selects the node"
		case "no-qualified-pool", "pool-not-enabled", "no-pool":
			return "no pool is enabled"
		case "no-address-in-file":
			return "the file has no address of it"
		case "node-died":
			return "its node died while it asked"
		}
	}
	return "the allocator answers " + p.why
}

// tellBack says which addresses were given back, of so many pods that end; 0 if they go
// on.
func (w *world) tellBack(back []returned, ended int) {
	if len(back) == 0 {
		if ended > 0 {
			w.say("%s. None had an address.", are(ended, "pod ends", "pods end"))
		}
		return
	}
	if len(back) > 3 {
		cooling, gone := 0, make(map[netip.Prefix]bool)
		for _, r := range back {
			if r.cooling {
				cooling++
			}
			if r.gone {
				gone[r.block] = true
			}
		}
		where := "They are at the ends of their blocks' queues: first out is what has been free longest"
		if cooling > 0 {
			where = fmt.Sprintf("They cool down for %s before they are free", w.cooldown())
		}
		if ended > 0 {
			w.say("%s and give %s back. %s.", are(ended, "pod ends", "pods end"), count(len(back), "address"), where)
		} else {
			w.say("%s given back. %s.", are(len(back), "address is", "addresses are"), where)
		}
		if len(gone) > 0 {
			w.say("%s gone: empty, and nobody's.", are(len(gone), "block is", "blocks are"))
		}
		return
	}
	for _, r := range back {
		var where string
		switch {
		case r.gone:
			where = fmt.Sprintf("its block %s had no owner, is empty now and gone", r.block)
		case r.cooling:
			where = fmt.Sprintf("it cools down for %s before it is free", w.cooldown())
		case r.ahead == 0:
			where = fmt.Sprintf("it is the only one in the queue of %s, and the next", r.block)
		default:
			where = fmt.Sprintf("it goes to the end of the queue of %s, behind %s", r.block, count(r.ahead, "other"))
		}
		does := "gives"
		if ended > 0 {
			does = "ends and gives"
		}
		w.say("%s %s %s back: %s.", r.pod.label(), does, r.ip, where)
	}
}

// cooldown is the cooldown as text.
func (w *world) cooldown() string {
	return brief(time.Duration(w.ipam.GetIPAMConfig().IPCooldownSeconds) * time.Second)
}
