// Package course is the lab of the course on Calico IPAM, on a simulated cluster: what
// comes before its seven exercises, the exercises, and what comes after.
//
// Its rules:
//
//   - Everything comes from the state of an allocator, on a clock that moves only when
//     told: the same settings give the same course.
//   - It returns parts, and knows nothing of terminals, pages, files or flags.
//
// What it is not: a program. Package lab prints the course on a terminal.
package course

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/ipam/report"
	"github.com/ipamsim/ipamsim/pool"
)

// A lab leads through one cluster. The part is the one that it is in.
type lab struct {
	*cluster
	Part
}

// Parts goes through the whole course with a cluster of these settings or, if there
// are steps, through those exercises alone, in the order of the course: what comes before
// and between happens unseen. The settings must be valid, and steps from 1 to [Steps]. An
// error ends the course.
func Parts(s Settings, steps ...int) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) { newLab(s).play(steps, yield) }
}

func newLab(s Settings) *lab { return &lab{cluster: newCluster(s)} }

// play is [Parts], of one lab.
func (l *lab) play(steps []int, yield func(Part, error) bool) {
	shown := func(step int) bool { return len(steps) == 0 || slices.Contains(steps, step) }
	around := func(parts ...func() error) bool {
		for _, part := range parts {
			if err := part(); err != nil {
				yield(Part{}, err)
				return false
			}
			if shown(0) && !yield(l.Part, nil) {
				return false
			}
		}
		return true
	}
	if !around(l.introduce, l.claim, l.boot) {
		return
	}
	for i, e := range exercises {
		step := i + 1
		l.heading("Exercise %d: %s", step, e.title)
		l.Step = step
		l.command(e.command)
		e.show(l)
		l.explainFields(e.fields)
		if shown(step) && !yield(l.Part, nil) {
			return
		}
		if len(steps) > 0 && step == slices.Max(steps) {
			return
		}
	}
	around(l.fill, l.giveBack, l.checkRanges, l.troubleshoot)
}

// introduce says what the cluster is, and makes it.
func (l *lab) introduce() error {
	if err := l.join(); err != nil {
		return err
	}
	l.observe()
	p := l.pool()
	l.heading("The lab")
	nat := "no NAT for"
	if l.NATOutgoing {
		nat = "NAT for"
	}
	l.say("%s, pool %s (blocks of /%d: %s), %s, %s outgoing packets. The clock is virtual and shows %s.",
		plural(len(l.nodes), "node"), p.CIDR(), p.BlockSize(), blocksIn(p), l.Encapsulation, nat, l.clock.Now().Format(time.RFC3339))
	return nil
}

// claim shows how the first node comes to its first block.
func (l *lab) claim() error {
	n, p := l.nodes[0], l.pool()
	at := p.Start(n.name, l.clock.Now())
	first := p.BlockAt(at)
	l.heading("Before: one claim, step by step")
	why := fmt.Sprintf("The hash of its name starts its search at block %v of the pool, %s", at, first)
	if p.BlockSize() == first.Addr().BitLen() {
		why = fmt.Sprintf("With blocks of one address the clock decides where it starts: at block %v of the pool, %s", at, first)
	}
	l.say("%s needs an address for its %s tunnel and owns no block yet. %s. Nobody has that one.", n.name, l.Tunnel(), why)

	l.say("Step 1 announces the claim. AutoAssign takes all steps at once, so this one is written by hand: it is what a node leaves behind that dies here.")
	if err := l.ipam.PutAffinity(affinity.HostOwner(n.name), first, affinity.Pending); err != nil {
		return err
	}
	l.showClaims()

	l.say("Steps 2 and 3: asked for the address, the allocator meets the pending claim, makes the block, and confirms.")
	l.tick(time.Second)
	tunnel, err := l.startTunnel(n)
	if err != nil {
		return err
	}
	l.showClaims()
	l.see("Only now is the block the node's; the tunnel has its first address, %s.", tunnel.address)
	return nil
}

// showClaims prints the claims and what there is of their blocks.
func (l *lab) showClaims() {
	s := l.ipam.State()
	free := make(map[string]int, len(s.Blocks))
	for _, b := range s.Blocks {
		free[b.CIDR.String()] = len(b.Free)
	}
	var rows [][]string
	for _, a := range s.Affinities {
		size := "does not exist"
		if n, ok := free[a.CIDR.String()]; ok {
			size = fmt.Sprintf("%d free", n)
		}
		rows = append(rows, []string{a.Owner.Name, a.CIDR.String(), a.State.String(), size})
	}
	l.show(report.Columns([]string{"NODE", "CIDR", "CLAIM", "BLOCK"}, rows))
	l.gap()
}

// boot starts everything that asks for an address on a fresh cluster.
func (l *lab) boot() error {
	l.heading("Before: the cluster starts")
	for _, n := range l.nodes[1:] {
		l.tick(time.Second)
		if _, err := l.startTunnel(n); err != nil {
			return err
		}
	}
	l.tick(20 * time.Second)
	l.observe()
	pods := []struct{ namespace, name string }{
		{"kube-system", "coredns-1"},
		{"kube-system", "coredns-2"},
		{"local-path-storage", "local-path-provisioner"},
		{calicoSystem, "calico-kube-controllers"},
	}
	for i, p := range pods {
		if _, err := l.startPod(p.namespace, p.name, l.worker(i)); err != nil {
			return err
		}
	}
	for i, n := range l.nodes {
		if _, err := l.startPod(calicoSystem, fmt.Sprintf("csi-node-driver-%d", i+1), n); err != nil {
			return err
		}
	}
	l.observe()
	l.show(l.podTable(few(l.pods, 12)))
	l.see("%s. Whatever else runs (kube-proxy, calico-node, typha, the API servers) uses its node's own address here.", l.inUse())
	l.tick(12 * time.Minute)
	return nil
}

// podTable is who has got which address, and whether from a block of the own
// node. A nil pod stands for those left out.
func (l *lab) podTable(pods []*pod) string {
	var rows [][]string
	for _, p := range pods {
		switch {
		case p == nil:
			rows = append(rows, []string{"…", "", "", ""})
		case !p.address.IsValid():
			rows = append(rows, []string{"none", p.why, p.node, p.name})
		default:
			rows = append(rows, []string{p.address.String(), l.lender(p), p.node, p.name})
		}
	}
	return trim(report.Columns([]string{"ADDRESS", "BLOCK", "NODE", "WHOSE"}, rows))
}

// lender tells whose block the pod's address is from.
func (l *lab) lender(p *pod) string {
	_, o, _ := l.ipam.BlockOf(p.address)
	switch o {
	case affinity.HostOwner(p.node):
		return "own"
	case affinity.Owner{}:
		return "nobody's"
	}
	return "borrowed"
}

// few returns pods that fit on a page: the first ones, nil, and the last.
func few(pods []*pod, n int) []*pod {
	if len(pods) <= n+2 {
		return pods
	}
	return append(pods[:n:n], nil, pods[len(pods)-1])
}

// inUse is a sentence on how many addresses are in use, by whom.
func (l *lab) inUse() string {
	tunnels, pods, waiting := 0, 0, 0
	for _, p := range l.pods {
		switch {
		case !p.address.IsValid():
			waiting++
		case p.namespace == "":
			tunnels++
		default:
			pods++
		}
	}
	text := fmt.Sprintf("%d in use: %s and %s", tunnels+pods, plural(tunnels, "tunnel address"), plural(pods, "pod"))
	if waiting > 0 {
		text += fmt.Sprintf(", while %d more asked in vain", waiting)
	}
	return text
}

// blocksIn returns the number of blocks of the pool.
func blocksIn(p *pool.Pool) string {
	if n := p.BlockBits(); n < 63 {
		return fmt.Sprint(uint64(1) << n)
	}
	return fmt.Sprintf("2^%d", p.BlockBits())
}
