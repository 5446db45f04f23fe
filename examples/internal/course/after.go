package course

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/report"
)

// blocksOf returns the blocks that a node owns.
func (l *lab) blocksOf(n *node) []ipam.BlockState {
	var own []ipam.BlockState
	for _, b := range l.ipam.State().Blocks {
		if b.Owner == affinity.HostOwner(n.name) {
			own = append(own, b)
		}
	}
	return own
}

// fill starts pods on one node until its blocks are full, and then one more.
func (l *lab) fill() error {
	n := l.worker(0)
	l.heading("After: a node fills its block")
	free := 0
	var names []string
	for _, b := range l.blocksOf(n) {
		free += len(b.Free)
		names = append(names, b.CIDR.String())
	}
	switch {
	case len(names) == 0:
		l.say("%s owns no block: all were taken before it came. A pod starts there, web-1.", n.name)
	case free == 0:
		l.say("%s owns %s, with no address free. One more pod starts there, web-1.", n.name, sample(names))
	default:
		l.say("%s owns %s, with %s free. As many pods start there, the last of them web-%d, and fill it. Then comes web-%d.",
			n.name, sample(names), plural(free, "address"), free, free+1)
	}
	var last *pod
	for i := range free + 1 {
		var err error
		if last, err = l.startPod("default", fmt.Sprintf("web-%d", i+1), n); err != nil {
			return err
		}
	}
	l.command("calicoctl ipam show --show-blocks")
	l.showBlocks(n)
	l.see("%s", l.explain(last, names))
	return nil
}

// explain says what became of a request that found the node's blocks full.
func (l *lab) explain(p *pod, before []string) string {
	if !p.address.IsValid() {
		return fmt.Sprintf("%s gets no address (%s): %s", p.name, p.why, l.reason(p))
	}
	cidr, o, _ := l.ipam.BlockOf(p.address)
	switch {
	case o != affinity.HostOwner(p.node):
		return fmt.Sprintf("%s gets %s, borrowed from %s of %s: no block is left to claim. The routers now carry one more route, for this address alone.", p.name, p.address, cidr, o.Name)
	case len(before) == 0:
		return fmt.Sprintf("%s gets %s: the node has claimed %s for it.", p.name, p.address, cidr)
	}
	return fmt.Sprintf("%s gets %s: the node has claimed another block for it, %s, as it claimed the first.", p.name, p.address, cidr)
}

// reason puts a refusal into words.
func (l *lab) reason(p *pod) string {
	if strings.HasPrefix(p.why, "block-limit") {
		return "the node owns as many blocks as it may, and Calico does not let it borrow then."
	}
	return "there is neither a block left to claim nor an address left to borrow."
}

// showBlocks prints the pool and its blocks, or the node's alone where there
// are many.
func (l *lab) showBlocks(n *node) {
	u := l.ipam.GetUtilization()
	if len(u[0].Blocks) > 16 {
		own := make(map[netip.Prefix]bool)
		for _, b := range l.blocksOf(n) {
			own[b.CIDR] = true
		}
		var kept []ipam.BlockUsage
		for _, b := range u[0].Blocks {
			if own[b.CIDR] {
				kept = append(kept, b)
			}
		}
		l.show(fmt.Sprintf("(of %d blocks, those of %s)\n", len(u[0].Blocks), n.name))
		u[0].Blocks = kept
	}
	l.show(report.Calicoctl(l.ipam.Calico()).Blocks(u))
}

// giveBack deletes a pod and starts others until its address is given out
// again.
func (l *lab) giveBack() error {
	l.heading("After: a pod is deleted, and its address comes back")
	var gone *pod
	for _, p := range l.pods {
		if p.address.IsValid() && p.namespace != "" {
			gone = p
		}
	}
	if gone == nil {
		l.say("No pod has an address to give back.")
		return nil
	}
	cidr, _, _ := l.ipam.BlockOf(gone.address)
	l.command("kubectl delete pod -n " + gone.namespace + " " + gone.name)
	before := l.queue(cidr)
	if err := l.stopPod(gone); err != nil {
		return err
	}
	l.show(report.Columns([]string{"FREE QUEUE OF " + cidr.String(), "ORDINALS"}, [][]string{
		{"before", before},
		{"after", l.queue(cidr)},
	}))
	l.gap()

	n := l.worker(0)
	for _, m := range l.nodes {
		if m.name == gone.node {
			n = m
		}
	}
	limit := 1 << (cidr.Addr().BitLen() - cidr.Bits())
	var started []*pod
	for range limit {
		p, err := l.startPod("default", fmt.Sprintf("next-%d", len(started)+1), n)
		if err != nil {
			return err
		}
		started = append(started, p)
		if p.address == gone.address || !p.address.IsValid() {
			break
		}
	}
	l.say("New pods start on %s until %s is given out again:", n.name, gone.address)
	l.show(l.podTable(few(started, 2)))
	last := started[len(started)-1]
	if last.address != gone.address {
		l.see("It was not given out again before the addresses ran out.")
		return nil
	}
	others := len(started) - 1
	if others == 0 {
		l.see("It comes back at once: nothing else was free there.")
		return nil
	}
	l.see("It comes back after %s: first out is the address that has been free longest.", plural(others, "other"))
	return nil
}

// queue returns the free queue of a block, ordinals in ranges.
func (l *lab) queue(cidr netip.Prefix) string {
	for _, b := range l.ipam.State().Blocks {
		if b.CIDR == cidr {
			return ranges(b.Free)
		}
	}
	return "no block"
}

// ranges writes numbers in their order, runs as from-to.
func ranges(ns []int) string {
	if len(ns) == 0 {
		return "empty"
	}
	var parts []string
	for i := 0; i < len(ns); {
		j := i + 1
		for j < len(ns) && ns[j] == ns[j-1]+1 {
			j++
		}
		part := fmt.Sprint(ns[i])
		if j > i+1 {
			part += fmt.Sprintf("-%d", ns[j-1])
		}
		parts = append(parts, part)
		i = j
	}
	return strings.Join(parts, ",")
}

// sample names the first few.
func sample(names []string) string {
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:2], ", "), len(names)-2)
	}
	return strings.Join(names, ", ")
}
