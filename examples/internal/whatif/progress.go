package whatif

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/snapshot"
	"github.com/ipamsim/ipamsim/pool"
)

// This file says how far a cluster is in a procedure of -migrate-pool or -resize-pool.
// Nothing keeps that but the cluster itself: pools, their blocks, and who is in them.

// A progress is a pool that seems to be on its way out. Names of pools are a sign, and so
// is a disabled pool that still has pods. Neither is a proof, so a step is what this
// would be in a procedure, beside what is seen.
type progress struct {
	Pool string   `json:"pool,omitempty"` // that goes; empty for blocks in no pool
	To   []string `json:"to,omitempty"`   // the pools that take what restarts
	// Step is the next step of so many; 0 if there is none, and the pool is merely
	// disabled.
	Step   int      `json:"step,omitempty"`
	Steps  int      `json:"steps,omitempty"`
	Pods   int      `json:"pods"` // that are still there
	Of     int      `json:"of"`   // of so many there and in the pools that take them
	Nodes  []string `json:"nodes,omitempty"`
	Says   string   `json:"says"`
	Next   []string `json:"next,omitempty"` // commands
	inSize bool     // it is about the size of blocks
}

const (
	stepsOfMigration = 5
	stepsOfResizing  = 8
)

// A tracker has the blocks and pods of the cluster as it stands, which would be copied
// each time that one asks for them.
type tracker struct {
	*world
	blocks []ipam.BlockState
	pods   []snapshot.LivePod
}

// progress finds the pools that are on their way out. The blocks are those of the cluster
// as it stands.
func (w *world) progress(blocks []ipam.BlockState) (all []progress) {
	if w.Report().Unknown.Blocks || w.Report().Unknown.Pools {
		return nil
	}
	t := tracker{w, blocks, w.Pods()}
	pools := w.a.Pools()
	called := make(map[string]*pool.Spec)
	for i := range pools {
		called[pools[i].Name] = &pools[i]
	}
	done := make(map[string]bool)
	for i := range pools {
		p := &pools[i]
		if name, is := strings.CutSuffix(p.Name, temporaryName); is && name != "" {
			if of, seems := t.resized(called[name], p, name); seems {
				all, done[name], done[p.Name] = append(all, of), true, true
			}
		} else if name, is := strings.CutSuffix(p.Name, migratedName); is && called[name] != nil && called[name].CIDR.Addr().Is4() == p.CIDR.Addr().Is4() && !p.Disabled {
			all, done[name] = append(all, t.migrated(called[name], p)), true
		}
	}
	for i := range pools {
		if p := &pools[i]; p.Disabled && !done[p.Name] {
			all = append(all, t.disabled(p, pools))
		}
	}
	return append(all, t.leftBlocks(pools)...)
}

// inside says who is still in a pool.
func (w *tracker) inside(p *pool.Spec, to ...pool.Spec) (of progress, left string) {
	standing := standingIn(w.blocks, *p)
	of = progress{Pool: p.Name, Nodes: w.drainOrder(standing)}
	for i := range to {
		of.To = append(of.To, to[i].Name)
	}
	addresses := 0
	for _, q := range w.pods {
		if q.Uses(p.CIDR) {
			of.Pods++
			of.Of++
			addresses += countIn(q.IPs, p.CIDR)
		} else if slices.ContainsFunc(to, func(s pool.Spec) bool { return q.Uses(s.CIDR) }) {
			of.Of++
		}
	}
	left = fmt.Sprintf("%d of %s still in pool %s", of.Pods, plural(of.Of, "pod"), p.Name)
	if tunnels := standing.total() - addresses; tunnels > 0 {
		left += " and " + plural(tunnels, "tunnel")
	}
	if len(of.Nodes) > 0 {
		left += " on " + plural(len(of.Nodes), "node") + ": " + listText(of.Nodes)
	}
	return of, left
}

// countIn counts addresses in a range.
func countIn(ips []netip.Addr, cidr netip.Prefix) (n int) {
	for _, ip := range ips {
		if cidr.Contains(ip) {
			n++
		}
	}
	return n
}

// restarts are the commands that have a node leave a pool: without a drain where only its
// tunnels are left there.
func (w *tracker) restarts(p *pool.Spec, node string) []string {
	all := restartNode(node)
	if !slices.ContainsFunc(w.pods, func(q snapshot.LivePod) bool { return q.Node == node && q.Uses(p.CIDR) }) {
		return all[len(all)-1:]
	}
	return all
}

// at says at which step it is, and what comes next.
func (of progress) at(step, steps int, next []string, format string, args ...any) progress {
	of.Step, of.Steps, of.Next = step, steps, next
	of.Says = fmt.Sprintf(format, args...)
	return of
}

// resized says how far a pool is that has a temporary one; false if the two seem to have
// nothing to do with each other.
func (w *tracker) resized(p, temporary *pool.Spec, name string) (of progress, seems bool) {
	const steps = stepsOfResizing
	switch {
	case p == nil && temporary.Disabled:
		return of, false
	case p == nil:
		of, _ := w.inside(temporary)
		of.Pool, of.To = name, []string{temporary.Name}
		return of.at(5, steps, []string{"calicoctl create -f " + name + ".yaml"}, "there is no pool %s, and pool %s has %s", name, temporary.Name, plural(of.Pods, "pod")), true
	case p.CIDR.Addr().Is4() != temporary.CIDR.Addr().Is4():
		return of, false
	case p.Disabled && temporary.Disabled:
		of, left := w.inside(p, *temporary)
		of.Says = fmt.Sprintf("pools %s and %s are both disabled, so nobody gets an address of either; %s", p.Name, temporary.Name, left)
		return of, true
	case p.Disabled:
		of, left := w.inside(p, *temporary)
		if len(of.Nodes) > 0 {
			return of.at(3, steps, w.restarts(p, of.Nodes[0]), "%s", left), true
		}
		return of.at(4, steps, []string{"calicoctl ipam show --show-blocks", "calicoctl delete ippool " + p.Name}, "%s", w.emptied(p)), true
	case temporary.Disabled:
		of, left := w.inside(temporary, *p)
		if len(of.Nodes) > 0 {
			return of.at(7, steps, w.restarts(temporary, of.Nodes[0]), "%s", left), true
		}
		return of.at(8, steps, []string{"calicoctl ipam show --show-blocks", "calicoctl delete ippool " + temporary.Name}, "%s", w.emptied(temporary)), true
	case p.BlockSize == temporary.BlockSize:
		of, left := w.inside(temporary, *p)
		return of.at(6, steps, []string{disable(temporary.Name)}, "pool %s is there with blocks of /%d, and %s", p.Name, p.BlockSize, left), true
	}
	of, left := w.inside(p, *temporary)
	return of.at(2, steps, []string{disable(p.Name)}, "pools %s and %s are both enabled, and %s", p.Name, temporary.Name, left), true
}

// migrated says how far a pool is that has a new one.
func (w *tracker) migrated(p, made *pool.Spec) progress {
	of, left := w.inside(p, *made)
	if !p.Disabled {
		return of.at(2, stepsOfMigration, []string{disable(p.Name)}, "pools %s and %s are both enabled, and %s", p.Name, made.Name, left)
	}
	return w.outOf(of, p, left)
}

// outOf says how far a disabled pool is whose pods go to another one.
func (w *tracker) outOf(of progress, p *pool.Spec, left string) progress {
	if len(of.Nodes) > 0 {
		return of.at(3, stepsOfMigration, w.restarts(p, of.Nodes[0]), "%s", left)
	}
	if len(standingIn(w.blocks, *p).blocks) > 0 {
		return of.at(4, stepsOfMigration, []string{"calicoctl ipam show --show-blocks"}, "%s", w.emptied(p))
	}
	return of.at(5, stepsOfMigration, []string{"calicoctl delete ippool " + p.Name}, "%s", w.emptied(p))
}

// emptied says that no pod is in a pool any more.
func (w *tracker) emptied(p *pool.Spec) string {
	says := fmt.Sprintf("no pod or tunnel of a node is in pool %s any more", p.Name)
	held := 0
	for _, b := range w.blocks {
		if p.CIDR.Contains(b.CIDR.Addr()) {
			held += len(b.Allocations)
		}
	}
	if held > 0 {
		says += fmt.Sprintf(", but %s allocated there: -check and -gc say whose", plural(held, "address is", "addresses are"))
	}
	return says
}

// disabled says what is seen of a pool that is disabled. It is on its way out if another
// pool takes what restarts on its nodes.
func (w *tracker) disabled(p *pool.Spec, pools []pool.Spec) progress {
	nodes := w.drainOrder(standingIn(w.blocks, *p))
	if len(nodes) == 0 {
		of, _ := w.inside(p)
		of.Says = fmt.Sprintf("pool %s is disabled; %s", p.Name, w.emptied(p))
		return of
	}
	labels := make(map[string]map[string]string)
	for _, n := range w.a.Nodes() {
		labels[n.Name] = n.Labels
	}
	var whole, part []pool.Spec // that take what restarts on all of the nodes, or on some
	without := slices.Clone(nodes)
	for _, q := range pools {
		made, err := pool.New(q)
		if err != nil || q.CIDR.Addr().Is4() != p.CIDR.Addr().Is4() || made.Disabled() || !made.Automatic() || !made.Allows(pool.Workload) || !made.SelectsNamespace(nil) {
			continue
		}
		selects := func(node string) bool { return made.SelectsNode(labels[node]) }
		if !slices.ContainsFunc(nodes, func(node string) bool { return !selects(node) }) {
			whole = append(whole, q)
		} else if slices.ContainsFunc(nodes, selects) {
			part = append(part, q)
		}
		without = slices.DeleteFunc(without, selects)
	}
	to := whole
	if len(whole) == 0 {
		to = part
	}
	of, left := w.inside(p, to...)
	if w.Report().Unknown.Nodes {
		of.Says = fmt.Sprintf("pool %s is disabled, with %s; whether another takes what restarts there was not looked at, for nodes are missing (kubectl get nodes -o yaml)", p.Name, left)
		return of
	}
	if len(without) == 0 {
		of = w.outOf(of, p, left)
		of.Says = fmt.Sprintf("pool %s is disabled, and %s", p.Name, of.Says)
		return of
	}
	of.Says = fmt.Sprintf("pool %s is disabled, with %s, and no enabled pool is for pods of %s: what restarts there gets no address", p.Name, left, listText(without))
	return of
}

// leftBlocks says what is seen of blocks whose pool is gone, or was made anew with
// another size.
func (w *tracker) leftBlocks(pools []pool.Spec) (all []progress) {
	groups := make(map[string][]*ipam.BlockState) // by pool
	for i := range w.blocks {
		b := &w.blocks[i]
		switch p := poolOf(pools, b.CIDR.Addr()); {
		case p == nil:
			groups[""] = append(groups[""], b)
		case p.BlockSize != b.CIDR.Bits():
			groups[p.Name] = append(groups[p.Name], b)
		}
	}
	for i := -1; i < len(pools); i++ {
		of := progress{inSize: i >= 0}
		if i >= 0 {
			of.Pool = pools[i].Name
		}
		blocks := groups[of.Pool]
		if len(blocks) == 0 {
			continue
		}
		on, held := make(map[string]int), make(map[netip.Addr]bool)
		for _, b := range blocks {
			for _, al := range b.Allocations {
				held[b.Addr(al.Ordinal)] = true
			}
		}
		for _, q := range w.pods {
			in := slices.ContainsFunc(q.IPs, func(ip netip.Addr) bool { return held[ip] })
			if in {
				of.Pods++
				on[q.Node]++
			}
			if in || i >= 0 && q.Uses(pools[i].CIDR) {
				of.Of++
			}
		}
		of.Nodes = byCount(on)
		if i < 0 {
			of.Says = fmt.Sprintf("%s in no pool, with %s: a pool was deleted before it was empty, or is not among the files", plural(len(blocks), "block lies", "blocks lie"), plural(of.Pods, "pod"))
			of.Step, of.Steps = 3, stepsOfMigration
		} else {
			of.Says = fmt.Sprintf("pool %s has blocks of /%d, and %s of another size left, with %d of %s: it was made anew before they were gone", of.Pool, pools[i].BlockSize, plural(len(blocks), "block is", "blocks are"), of.Pods, plural(of.Of, "pod"))
			of.Step, of.Steps = 3, stepsOfResizing
		}
		if of.Pods == 0 { // nobody is left to move
			of.Step, of.Steps = 0, 0
		} else {
			of.Says += ", on " + listText(of.Nodes)
			of.Next = restartNode(of.Nodes[0])
		}
		all = append(all, of)
	}
	return all
}

// stepText says at which step of a procedure this is, if of any.
func (of *progress) stepText() string {
	step := fmt.Sprintf("this is step %d of %d", of.Step, of.Steps)
	switch {
	case of.Step == 0:
		return ""
	case of.Step == 2: // two pools may as well both stay
		return fmt.Sprintf("If pool %s is to go, %s", of.Pool, step)
	case of.inSize:
		return fmt.Sprintf("As a change of the block size (-resize-pool) %s, which was left out", step)
	case of.Pool == "":
		return fmt.Sprintf("As a move to another pool (-migrate-pool) %s, which was left out", step)
	case of.Steps == stepsOfResizing:
		return fmt.Sprintf("As a change of the block size of %s (-resize-pool) %s", strings.TrimSuffix(of.Pool, temporaryName), step)
	}
	return fmt.Sprintf("As a move to %s (-migrate-pool) %s", listText(of.To), step)
}

// text is what is seen, as a sentence.
func (of *progress) text() string { return strings.ToUpper(of.Says[:1]) + of.Says[1:] + "." }

// progressed prints how far pools have moved.
func (p *printer) progressed(all []progress) {
	if len(all) == 0 {
		return
	}
	p.line("\n== How far pools have moved\n")
	for i := range all {
		p.text("", "%s", all[i].text())
		if text := all[i].stepText(); text != "" {
			p.text("  ", "%s. Next:", text)
		}
		for _, command := range all[i].Next {
			p.line("%s%s", commandIndent, command)
		}
	}
}
