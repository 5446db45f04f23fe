// Package program makes random programs of operations, in the form of recordings:
// for property tests of one engine, of several engines side by side, and of
// recorders.
//
// A program runs in a [World] of a few pools, hosts and handles, so few that
// operations soon affect each other. It learns the outcome of each operation, and
// so can ask about assigned addresses and existing blocks. It checks nothing. It
// is for tests only.
//
// A program is for one release of Calico. It rarely asks for what that release
// does not have: such requests are refused.
package program

import (
	"time"

	"github.com/ipamsim/ipamsim/internal/property"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/ipam/calico"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// Start is the time at which programs begin. It has a fraction of a second, so
// that rounding shows.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 123_456_789, time.UTC)

// A Program is one random sequence of operations. Make one with [New].
type Program struct {
	world      *World
	src        property.Source
	header     trace.Header
	rules      calico.Rules // of the header's release
	operations []operation  // those that it does, each as often as its weight

	given  []given  // addresses that were given out lately
	blocks []string // blocks that were returned lately
}

// given is an address that an operation gave out, with its handle.
type given struct{ ip, handle string }

// New begins a program in the world, for the newest release.
func New(w *World, src property.Source) *Program { return NewOf(0, w, src) }

// NewOf begins a program in the world, for a release.
func NewOf(calico calico.Version, w *World, src property.Source) *Program {
	p := &Program{world: w, src: src, rules: calico.Rules()}
	p.header = trace.Header{Version: trace.Version, Name: w.Name, About: w.About, Start: Start}
	if calico != 0 {
		p.header.Calico = calico.String()
	}
	if p.sometimes(2) {
		c := p.config()
		c.MaxBlocksPerHost = max(0, c.MaxBlocksPerHost)
		c.IPCooldownSeconds = min(max(0, c.IPCooldownSeconds), ipam.MaxCooldownSeconds)
		if !p.rules.Cooldown {
			c.IPCooldownSeconds = 0
		}
		p.header.Config = c // one that SetIPAMConfig refuses, too
	}
	for i := range w.Begin {
		if i == 0 || !p.sometimes(4) {
			p.header.Pools = append(p.header.Pools, p.supported(w.Pools[i]))
		}
	}
	for _, name := range w.Nodes {
		p.header.Nodes = append(p.header.Nodes, ipam.Node{Name: name, Labels: p.labels()})
	}
	if p.sometimes(3) {
		p.header.Reservations = pick(p, "reservations", w.Reservations)
	}
	// Half of the programs do every kind of operation; the others only some kinds,
	// and so get further with them.
	everything := p.pick("everything", 2) == 0
	var mine []operation
	for i, o := range operations {
		if weight, told := w.Weights[o.name]; told {
			o.weight = weight
		}
		if everything || i < plain || !p.sometimes(3) {
			mine = append(mine, o)
		}
	}
	// Interleaved, as rapid picks the first elements of a list more often.
	for turn := range heaviest {
		for _, o := range mine {
			if turn < o.weight {
				p.operations = append(p.operations, o)
			}
		}
	}
	return p
}

// Header returns the setting in which the program begins.
func (p *Program) Header() trace.Header { return p.header }

// Next returns the next operation, without an outcome.
func (p *Program) Next() trace.Op {
	o := pick(p, "operation", p.operations)
	return trace.Op{Op: o.name, In: o.in(p)}
}

// Learn tells the program the outcome of an operation.
func (p *Program) Learn(op *trace.Op, out *trace.Out) {
	for _, ip := range append(out.IPs4[:len(out.IPs4):len(out.IPs4)], out.IPs6...) {
		addr, block := split(ip)
		p.learnAddress(given{addr, op.In.Handle})
		p.learnBlock(block)
	}
	if op.Op == "AssignIP" && out.Err == "" {
		p.learnAddress(given{op.In.IP, op.In.Handle})
	}
	for _, block := range out.Claimed {
		p.learnBlock(block)
	}
	p.learnBlock(out.Block4)
	p.learnBlock(out.Block6)
}

// remembered is the number of addresses and blocks that a program can ask about.
const remembered = 24

func (p *Program) learnAddress(g given) { p.given = latest(append(p.given, g)) }

func (p *Program) learnBlock(block string) {
	if block != "" {
		p.blocks = latest(append(p.blocks, block))
	}
}

func latest[E any](list []E) []E { return list[max(0, len(list)-remembered):] }

// pick picks a number in 0 to n-1, the plainest first.
func (p *Program) pick(what string, n int) int { return p.src.Pick(what, n) }

// sometimes is true once in n times, and never in the plainest program.
func (p *Program) sometimes(n int) bool { return p.pick("sometimes", n) == n-1 }

// pick picks an element of a list.
func pick[E any](p *Program, what string, from []E) E { return from[p.pick(what, len(from))] }
