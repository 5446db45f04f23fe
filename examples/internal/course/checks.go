package course

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/report"
	"github.com/ipamsim/ipamsim/pool"
)

// around are the ranges that a pool must not touch.
var around = []pool.Range{
	{Name: "services", Prefix: services},
	{Name: "hosts, IPv4", Prefix: hosts4},
	{Name: "hosts, IPv6", Prefix: hosts6},
}

// checkRanges holds the pool against the networks around it, and counts what
// it carries.
func (l *lab) checkRanges() error {
	p := l.pool()
	l.heading("After: is the pool well chosen?")
	touching := p.Touching(around)
	var rows [][]string
	for _, r := range around {
		verdict := "apart"
		if slices.Contains(touching, r) {
			verdict = "TOUCHES: routes will collide"
		}
		rows = append(rows, []string{r.Name, r.Prefix.String(), verdict})
	}
	l.show(report.Columns([]string{"RANGE", "CIDR", "POOL " + p.CIDR().String()}, rows))
	l.gap()

	rows = nil
	for size := p.BlockSize() - 2; size <= p.BlockSize()+2; size++ {
		spec := p.Spec()
		spec.BlockSize = size
		q, err := pool.New(spec)
		if err != nil {
			continue // no such size
		}
		mark := ""
		if size == p.BlockSize() {
			mark = "this lab"
		}
		addresses := 1 << (p.CIDR().Addr().BitLen() - size)
		rows = append(rows, []string{fmt.Sprintf("/%d", size), fmt.Sprint(addresses), blocksIn(q), fmt.Sprint(addresses * mostBlocks(q)), mark})
	}
	l.show(trim(report.Columns([]string{"BLOCKS OF", "ADDRESSES", "NODES AT MOST", "PODS A NODE AT MOST", ""}, rows)))
	l.see("So many nodes can own a block in a /%d of /%d blocks: %s. A node may own %d.",
		p.CIDR().Bits(), p.BlockSize(), blocksIn(p), mostBlocks(p))
	return nil
}

// mostBlocks returns how many blocks of the pool one node can own.
func mostBlocks(p *pool.Pool) int {
	if p.BlockBits() < 5 {
		return min(ipam.DefaultMaxBlocksPerHost, 1<<p.BlockBits())
	}
	return ipam.DefaultMaxBlocksPerHost
}

// trim takes the blanks off the ends of lines, which an empty last cell leaves.
func trim(table string) string {
	lines := strings.Split(table, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// a finding is one line of the troubleshooting list.
type finding struct {
	well     bool
	question string
	command  string // where to look on a live cluster
	answer   string
}

// troubleshoot goes through what to look at when a pod gets no address, and
// answers from the state.
func (l *lab) troubleshoot() error {
	l.heading("After: a pod gets no address. What to look at?")
	s := l.ipam.State()
	for i, f := range []finding{l.enoughBlocks(s), l.blocksLeft(s), l.pending(s), l.borrowed(s), l.waiting(), l.leaked(s), l.apart(), l.sound()} {
		mark := "ok"
		if !f.well {
			mark = "LOOK"
		}
		l.question(fmt.Sprintf("%d. %s", i+1, f.question))
		l.command(f.command)
		l.see("%s: %s", mark, f.answer)
	}
	return nil
}

// holding is what a node has.
type holding struct {
	name         string
	blocks, free int
}

func (l *lab) enoughBlocks(s ipam.State) finding {
	held := make(map[affinity.Owner]*holding, len(l.nodes))
	list := make([]*holding, len(l.nodes))
	for i, n := range l.nodes {
		list[i] = &holding{name: n.name}
		held[affinity.HostOwner(n.name)] = list[i]
	}
	for _, b := range s.Blocks {
		if h := held[b.Owner]; h != nil {
			h.blocks++
			h.free += len(b.Free)
		}
	}
	slices.SortStableFunc(list, func(a, b *holding) int { return cmp.Compare(a.free, b.free) })
	left := l.unclaimed(len(s.Blocks))
	stuck := 0
	for _, h := range list {
		if h.free == 0 && (!left || h.blocks >= ipam.DefaultMaxBlocksPerHost) {
			stuck++
		}
	}
	first := list[0]
	f := finding{well: stuck == 0, question: "Has the node enough blocks?", command: "calicoctl ipam show --show-blocks"}
	f.answer = fmt.Sprintf("%s has %d free in %s", first.name, first.free, plural(first.blocks, "block"))
	switch {
	case stuck > 0:
		f.answer = fmt.Sprintf("%d of %d have no address free in their own blocks and can claim no other block.", stuck, len(list))
	case first.free == 0:
		f.answer += fmt.Sprintf("; its next pod claims another, up to %d.", ipam.DefaultMaxBlocksPerHost)
	default:
		f.answer += ", the fewest of all."
	}
	return f
}

// unclaimed reports whether the pool, of whose blocks so many exist, has more.
func (l *lab) unclaimed(blocks int) bool {
	p := l.pool()
	return p.BlockBits() >= 63 || blocks < 1<<p.BlockBits()
}

func (l *lab) blocksLeft(s ipam.State) finding {
	f := finding{well: l.unclaimed(len(s.Blocks)), question: "Are there blocks left to claim?", command: "calicoctl ipam show --show-blocks | grep -c Block"}
	f.answer = fmt.Sprintf("%d taken, of %s.", len(s.Blocks), blocksIn(l.pool()))
	if !f.well {
		f.answer += " A node that needs another can only borrow."
	}
	return f
}

func (l *lab) pending(s ipam.State) finding {
	f := finding{well: true, question: "Is every claim confirmed?", command: "kubectl get blockaffinities -o yaml | grep state:"}
	confirmed := 0
	for _, a := range s.Affinities {
		if a.State == affinity.Confirmed {
			confirmed++
		}
	}
	f.well = confirmed == len(s.Affinities)
	f.answer = fmt.Sprintf("%d of %d are.", confirmed, len(s.Affinities))
	return f
}

func (l *lab) borrowed(s ipam.State) finding {
	n := 0
	for _, b := range s.Blocks {
		for _, a := range b.Allocations {
			if node, _ := a.Active.Get(ipam.AttrNode); affinity.HostOwner(node) != b.Owner {
				n++
			}
		}
	}
	return finding{n == 0, "Is anything borrowed?", "calicoctl ipam show --show-borrowed",
		fmt.Sprintf("%s, each with a route of its own beside that of a block (%d).", plural(n, "address"), len(s.Blocks))}
}

func (l *lab) waiting() finding {
	n, first := 0, ""
	for _, p := range l.pods {
		if !p.address.IsValid() {
			if n++; n == 1 {
				first = fmt.Sprintf(" The first: %s on %s (%s).", p.label(), p.node, p.why)
			}
		}
	}
	return finding{n == 0, "Does anybody wait for an address?", "kubectl get pods -A | grep ContainerCreating",
		fmt.Sprintf("%d of %d.%s", n, len(l.pods), first)}
}

func (l *lab) leaked(s ipam.State) finding {
	held := make(map[netip.Addr]bool, len(l.pods))
	for _, p := range l.pods {
		held[p.address] = true
	}
	allocations, leaks := 0, 0
	for _, b := range s.Blocks {
		for _, a := range b.Allocations {
			allocations++
			if !block.IsHostReserved(a.Handle) && !held[b.Addr(a.Ordinal)] {
				leaks++
			}
		}
	}
	return finding{leaks == 0, "Is every address still somebody's?", "calicoctl ipam check",
		fmt.Sprintf("%d in use, without a pod or tunnel: %d.", allocations, leaks)}
}

func (l *lab) apart() finding {
	touching := l.pool().Touching(around)
	f := finding{len(touching) == 0, "Is the pool apart from the services and the hosts?", "kubectl get ippools -o yaml | grep cidr",
		fmt.Sprintf("%s touches none of the %d ranges above.", l.pool().CIDR(), len(around))}
	if !f.well {
		var names []string
		for _, r := range touching {
			names = append(names, fmt.Sprintf("%s (%s)", r.Name, r.Prefix))
		}
		f.answer = fmt.Sprintf("%s touches %s.", l.pool().CIDR(), strings.Join(names, ", "))
	}
	return f
}

func (l *lab) sound() finding {
	f := finding{true, "Does everything fit together?", "kubectl get tigerastatus", "the allocator's own check of blocks, claims and handles finds nothing."}
	if err := l.ipam.Check(); err != nil {
		f.well, f.answer = false, err.Error()
	}
	return f
}
