package explore

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ipamsim/ipamsim/ipam/protocol"
	"github.com/ipamsim/ipamsim/ipam/trace"
)

// This file compares the answers of clients, and the counts of handles, with the
// blocks.

// handle compares a handle with the blocks.
func (l *ledger) handle(w *work, id string, before, after *protocol.Handle) {
	for _, o := range l.run.store.LookList(protocol.BlocksKey) {
		b := o.(*protocol.Block)
		had, has := countOf(before, b.CIDR), countOf(after, b.CIDR)
		if has > had {
			w.raised = has - had
		}
		if have := l.holds(id, b.CIDR); has < have && had != has && !l.deficit[share{id, b.CIDR}] {
			l.violate(Count, "handle %s counts %d in %s and holds %d", id, has, b.CIDR, have)
		}
	}
}

func countOf(h *protocol.Handle, cidr netip.Prefix) int {
	if h == nil {
		return 0
	}
	return h.Counts[cidr]
}

// holds returns how many addresses of the block the handle holds.
func (l *ledger) holds(id string, cidr netip.Prefix) int {
	b := l.run.blockAt(cidr)
	n := 0
	if b != nil {
		for ord := range b.Index {
			if r := held(b, ord); r != nil && r.Handle == id && b.Sequences[ord] != 0 {
				n++
			}
		}
	}
	return n
}

// told compares the answer of a client with what it has got.
func (l *ledger) told(w *work, out *trace.Out) {
	switch w.step.Op {
	case "AutoAssign":
		l.toldAddresses(w, slices.Concat(out.IPs4, out.IPs6), out.Err)
	case "AssignIP":
		if out.Err == "" {
			l.toldAddresses(w, []string{w.step.In.IP}, "")
		}
	case "ReleaseIPs":
		for _, text := range out.Released {
			if ip, err := netip.ParseAddr(text); err == nil && !slices.Contains(out.Unallocated, text) && !has(w.taken, ip) {
				l.violate(Answers, "%s is told that it has released %s, and has not", w, ip)
			}
		}
	}
	if w.surplus {
		l.excuse(w)
	}
}

func (l *ledger) toldAddresses(w *work, texts []string, code string) {
	var ips []netip.Addr
	for _, text := range texts {
		ip, err := netip.ParseAddr(strings.SplitN(text, "/", 2)[0])
		if err != nil {
			l.violate(Answers, "%s is told of %q", w, text)
			return
		}
		ips = append(ips, ip)
		// The answer may also have what the handle held before (§7), which may be
		// released while the rest is read.
		if again := w.step.In.MaxAllocPerHandle > 0 && l.last[ip] == w.handle; !has(w.granted, ip) && !again {
			l.violate(Answers, "%s is told that it has %s, and has not", w, ip)
		}
	}
	for _, g := range w.granted {
		if code == "" && !w.struck && !slices.Contains(ips, g.ip) {
			l.violate(Answers, "%s has got %s and is not told so", w, g.ip)
		}
	}
}

// has reports whether the address is among those given or taken.
func has(grants []grant, ip netip.Addr) bool {
	return slices.ContainsFunc(grants, func(g grant) bool { return g.ip == ip })
}
