package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam/sim"
)

// describe says what a scenario is, in a sentence without its full stop.
func describe(s *sim.Scenario) string {
	text := describeGroup(&s.Group)
	switch groups := append([]sim.Group{s.Group}, s.Groups...); {
	case len(s.PodGroups) > 0:
		text = describePodGroups(s, groups)
	case len(groups) == 1:
	case len(groups) == 2:
		text += " and " + describeGroup(&groups[1])
	default:
		var all sim.Group
		for _, g := range groups {
			all.Nodes += g.Nodes
			if len(g.PodHistogram) == 0 {
				g.PodHistogram = []sim.Bucket{{Pods: g.PodsPerNode}}
			}
			all.PodHistogram = append(all.PodHistogram, g.PodHistogram...)
		}
		text = fmt.Sprintf("%s in %s", describeGroup(&all), cli.Count(len(groups), "group"))
	}
	if s.TunnelIPPerNode {
		text += " and a tunnel address each"
	}
	if s.Services > 0 {
		text += ", and " + cli.Count(s.Services, "service")
	}
	if len(s.Pools) == 0 {
		text += fmt.Sprintf(" in %s (%s)", s.Pool, addressesIn(s.Pool.Addr().BitLen()-s.Pool.Bits()))
	} else {
		text += " in " + cli.Count(len(s.Pools), "pool")
	}
	switch s.Order {
	case "node-by-node":
		text += ", node by node"
	case "random":
		text += ", in random order"
	}
	if s.StrictAffinity {
		text += ", strict affinity"
	}
	if s.NoAutoAllocate {
		text += ", no new blocks"
	}
	if s.MaxBlocksPerHost > 0 {
		text += fmt.Sprintf(", at most %s a node", cli.Count(s.MaxBlocksPerHost, "block"))
	}
	if s.IPCooldownSeconds > 0 {
		text += fmt.Sprintf(", cooldown %s", short(sim.Duration(s.IPCooldownSeconds)*sim.Duration(time.Second)))
	}
	if s.Churn != nil {
		text += fmt.Sprintf(", %g restarts a second for %s", s.Churn.PerSecond, short(s.Churn.For))
	}
	if len(s.Events) > 0 {
		text += ", " + cli.Count(len(s.Events), "event")
	}
	return text
}

// describePodGroups is describe for the nodes, and for pods in groups.
func describePodGroups(s *sim.Scenario, groups []sim.Group) string {
	var nodes []string
	for _, kind := range []string{"node", "Windows node"} {
		n := 0
		for _, g := range groups {
			if g.Windows == (kind != "node") {
				n += g.Nodes
			}
		}
		if n > 0 {
			nodes = append(nodes, cli.Count(n, kind))
		}
	}
	pods, _ := s.PodsAtStart()
	return fmt.Sprintf("%s with %s in %s", list(nodes), cli.Count(pods, "pod"), cli.Count(len(s.PodGroups), "pod group"))
}

// title is what a scenario is called, and what it is.
func title(s *sim.Scenario) string {
	if s.Name != "" {
		return s.Name + ": " + describe(s)
	}
	return upper(describe(s))
}

// hasWindows reports whether some of the nodes run Windows, those among them that events add.
func hasWindows(s *sim.Scenario) bool {
	return s.Windows || slices.ContainsFunc(s.Groups, func(g sim.Group) bool { return g.Windows }) ||
		slices.ContainsFunc(s.Events, func(e sim.Event) bool { return e.Group != nil && e.Group.Windows })
}

// describeGroup is describe for nodes that are alike.
func describeGroup(g *sim.Group) string {
	noun := "node"
	if g.Windows {
		noun = "Windows node"
	}
	nodes := cli.Count(g.Nodes, noun)
	if len(g.PodHistogram) == 0 {
		return fmt.Sprintf("%s of %s", nodes, cli.Count(g.PodsPerNode, "pod"))
	}
	least, most := g.PodHistogram[0].Pods, g.PodHistogram[0].Pods
	for _, b := range g.PodHistogram {
		least, most = min(least, b.Pods), max(most, b.Pods)
	}
	if least == most {
		return fmt.Sprintf("%s of %s", nodes, cli.Count(least, "pod"))
	}
	return fmt.Sprintf("%s of %d to %s", nodes, least, cli.Count(most, "pod"))
}

// short writes a duration as one would say it: 15m and not 15m0s.
func short(d sim.Duration) string { return cli.Short(time.Duration(d)) }

// addressesIn writes how many addresses so many bits make.
func addressesIn(bits int) string {
	switch {
	case bits == 0:
		return "1 address"
	case bits > 32:
		return fmt.Sprintf("2^%d addresses", bits)
	}
	return addresses(1 << bits)
}

// addresses writes a number of them.
func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return cli.Number(n) + " addresses"
}

// routes writes how many there are.
func routes(r *sim.Totals) string { return cli.Count(r.Routes, "route") }

// ordinal writes 1st, 2nd, 3rd and so on.
func ordinal(n int) string {
	suffix := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return cli.Number(n) + suffix
}

// first returns the first request that was borrowed or refused, or nil.
func first(r *sim.Result) *sim.Moment {
	if r.FirstBorrow == nil || r.FirstRefusal != nil && r.FirstRefusal.Request < r.FirstBorrow.Request {
		return r.FirstRefusal
	}
	return r.FirstBorrow
}

// failsAt says what fails first, in a line if possible; nothing if nothing does.
func failsAt(s *sim.Scenario, r *sim.Result) string {
	if m := first(r); m != nil {
		return fmt.Sprintf("request %s, %s, is %s: %s", cli.Number(m.Request), whose(m), became(m), briefly(s, m))
	}
	if fits(r) {
		return ""
	}
	return shortcomings(s, r)
}

// whose says for whom an address was asked, and when.
func whose(m *sim.Moment) string {
	text := "a pod of " + m.Node
	if m.Group != "" {
		text = fmt.Sprintf("a pod of %s on %s", m.Group, m.Node)
	}
	if m.Tunnel {
		text = "the tunnel of " + m.Node
	}
	if m.At > 0 {
		text += " after " + short(m.At)
	}
	return text
}

// became says what became of a request that its node got nothing of its own for.
func became(m *sim.Moment) string {
	if m.Outcome == "borrowed" {
		return "borrowed"
	}
	return "refused"
}

// briefly says why a request was borrowed or refused.
func briefly(s *sim.Scenario, m *sim.Moment) string {
	switch {
	case m.Outcome == "block-limit" && limit(s) == 1:
		return "1 block is the limit"
	case m.Outcome == "block-limit":
		return cli.Count(limit(s), "block") + " are the limit"
	case m.Outcome == "pool-empty":
		return "no address is left"
	case m.Outcome == "no-pool" && hasWindows(s):
		return "no pool is for it, or its blocks have no room beside what Windows keeps"
	case m.Outcome == "no-pool" && m.Group != "":
		return "no pool selects its namespace and its node"
	case m.Outcome == "no-pool":
		return "no pool is for it"
	case m.Outcome == "taken":
		return "somebody has the address that it wants"
	case s.NoAutoAllocate:
		return "nodes may not claim blocks"
	}
	return "no block is left"
}

// because says the same of a scenario that is looked at more closely.
func because(s *sim.Scenario, r *sim.Result, m *sim.Moment) string {
	text := briefly(s, m)
	if text != "no block is left" {
		return text
	}
	switch {
	case len(s.Pools) > 0:
		return "no block is left that its node may claim"
	case len(s.Reservations) > 0:
		return fmt.Sprintf("no block is left of %s", cli.Number(r.BlocksTotal))
	case r.BlocksTotal == 1:
		return "the only block is taken"
	}
	return fmt.Sprintf("all %s are taken", cli.Count(r.BlocksTotal, "block"))
}

// limit returns how many blocks a node may have.
func limit(s *sim.Scenario) int {
	if s.MaxBlocksPerHost > 0 {
		return s.MaxBlocksPerHost
	}
	return 20
}

// shortcomings says how a scenario ended short of fitting: "2,278 addresses are
// borrowed, and 44 nodes have no block".
func shortcomings(s *sim.Scenario, r *sim.Result) string {
	var parts []string
	add := func(n int, one, many string) {
		if n == 1 {
			parts = append(parts, "1 "+one)
		} else if n > 1 {
			parts = append(parts, cli.Number(n)+" "+many)
		}
	}
	if r.RefusedStrict+r.RefusedPoolEmpty+r.RefusedNoPool+r.RefusedBlockLimit+r.RefusedTaken == r.Refused() {
		add(r.RefusedStrict, "request is refused by strict affinity", "requests are refused by strict affinity")
		add(r.RefusedPoolEmpty, "request is refused for want of an address", "requests are refused for want of an address")
		add(r.RefusedNoPool, "request is refused for want of a pool", "requests are refused for want of a pool")
		add(r.RefusedTaken, "request is refused because somebody has the address", "requests are refused because somebody has the address")
		n := cli.Count(limit(s), "block")
		add(r.RefusedBlockLimit, "request is refused at the limit of "+n, "requests are refused at the limit of "+n)
	} else {
		add(r.Refused(), "request is refused", "requests are refused")
	}
	add(r.Borrowed, "address is borrowed", "addresses are borrowed")
	add(r.NodesInNeed, "node has no block", "nodes have no block")
	add(r.ServicesRefused(), "service has no address", "services have no address")
	add(r.Unscheduled, "pod finds no node", "pods find no node")
	return list(parts)
}

// list joins the parts of a sentence.
func list(parts []string) string {
	switch len(parts) {
	case 0:
		return ""
	case 1:
		return parts[0]
	case 2:
		return parts[0] + " and " + parts[1]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// upper begins a sentence.
func upper(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
