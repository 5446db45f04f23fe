package whatif

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/internal/cli"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
)

// This file finds out who uses which address, and cleans up as kube-controllers does.

// cleaningCommands are those that clean up in the real cluster what nobody else does.
func (w *world) cleaningCommands() (commands []string) {
	seen := make(map[string]bool)
	for _, does := range []snapshot.Action{"delete-affinity", "delete-handle"} {
		for _, f := range w.Report().Findings {
			for _, fix := range f.Fixes {
				if fix.Does == does && fix.DryRun && !seen[fix.Command] {
					seen[fix.Command] = true
					commands = append(commands, fix.Command)
				}
			}
		}
	}
	return commands
}

// derivedText says which figures go without what nobody asked for.
func derivedText(s *snapshot.Snapshot) string {
	if len(s.Cluster.Blocks) == 0 {
		return ""
	}
	var says []string
	if s.Unlisted.Pools {
		says = append(says, "there are no pools, so no block counts as a pool's (kubectl get ippools -o yaml)")
	}
	owned := slices.ContainsFunc(s.Cluster.Blocks, func(b ipam.BlockState) bool { return !b.Owner.IsZero() })
	if s.Unlisted.Affinities && owned {
		says = append(says, "there are no affinities, so every owner of a block counts as having a confirmed one (kubectl get blockaffinities -o yaml)")
	}
	held := slices.ContainsFunc(s.Cluster.Blocks, func(b ipam.BlockState) bool { return len(b.Allocations) > 0 })
	if s.Unlisted.Handles && held {
		says = append(says, "there are no handles, so they count as holding what the blocks say (kubectl get ipamhandles -o yaml)")
	}
	return strings.Join(says, "; ")
}

// unusedText says how many addresses nobody uses, and what becomes of them.
func (w *world) unusedText() string {
	unused, goes := 0, 0
	for _, f := range w.Report().Findings {
		if f.Kind == "allocated-not-used" {
			unused++
			if _, released := w.Report().Released[netip.MustParseAddr(f.Address)]; released {
				goes++
			}
		}
	}
	switch {
	case unused == 0:
		return ""
	case goes == unused:
		return plural(unused, "address is", "addresses are") + " allocated but used by nobody; -check names them, -gc gives them back"
	}
	return fmt.Sprintf("%s allocated but used by nobody; -check names them, -gc gives %d back", plural(unused, "address is", "addresses are"), goes)
}

// lostText says how many addresses kube-controllers will take from who uses them.
func (w *world) lostText() string {
	n := w.Report().Count("used-will-be-released")
	if n == 0 {
		return ""
	}
	return plural(n, "address is in use and", "addresses are in use and") + " will be given back by kube-controllers all the same; -check says which"
}

// collect cleans up as kube-controllers does (docs/calico.md §12), for as long as it
// takes, and then clears what nobody cleans up: affinities that are no longer true, and
// handles that hold nothing.
func (w *world) collect(c *change) error {
	gone, err := w.Collect()
	if err != nil {
		return err
	}
	// Handles that this very cleaning emptied still hold something in the real cluster.
	c.Commands, w.commands = w.commands, nil
	var of change
	released := gone.Addresses - sayLost(&of, gone.Lost)
	c.say("%s that leaked, %s, %s and %s were given back",
		plural(released, "address"), plural(gone.Blocks, "block"), plural(gone.Affinities, "stale affinity"), plural(gone.Handles, "handle")+" without addresses")
	c.Says = append(c.Says, of.Says...)
	switch {
	case w.policy.GracePeriod == 0:
		c.say("kube-controllers gives back only what nodes left that are gone: it has no grace period")
	case gone.Took > 0:
		c.say("kube-controllers does so by itself within %s: its grace period is %s", cli.Short(gone.Took), cli.Short(w.policy.GracePeriod))
	case released > 0 || gone.Blocks > 0:
		c.say("kube-controllers does so by itself the next time it looks")
	}
	for _, what := range w.Report().Unjudged {
		c.say("%s", what)
	}
	return nil
}

// areSo says that so many addresses are.
func areSo(n int) string {
	if n == 1 {
		return "is 1 address"
	}
	return "are " + plural(n, "address")
}
