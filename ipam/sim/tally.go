package sim

import "slices"

// tally counts what becomes of more requests where numbers decide it: one pool of equal
// blocks serves everybody, a block that was claimed stays its node's, and nothing is given
// back. Then a node takes an address of its own blocks; without one it claims a block, if
// it may have another and one is left (§4, §5); and otherwise it borrows (§8), and so does
// whoever comes after it, for no block is left from then on.
type tally struct {
	nodes   []ownership // by number
	size    int         // addresses of a block
	left    int         // blocks that nobody has
	free    int         // addresses, of all blocks that exist
	limit   int         // blocks that a node may have
	strict  bool
	borrows bool // somebody has
	lost    bool // numbers no longer decide
	asked   int
}

// tally returns a tally of where the run stands, or nil where numbers do not decide.
func (r *runner) tally() *tally {
	s := &r.scenario
	if !r.anonymous || r.searchesAll || s.NoAutoAllocate || len(s.PodGroups) > 0 || len(r.spaces) > 1 || s.hasWindows() {
		return nil
	}
	of := &r.spaces[0].spec
	if of.Disabled || of.NodeSelector != "" || of.NamespaceSelector != "" || len(of.AllowedUses) > 0 {
		return nil
	}
	r.look()
	l := r.ledger
	t := &tally{
		nodes: slices.Clone(l.owned), size: 1 << (of.CIDR.Addr().BitLen() - l.pools[0].BlockSize), left: l.room(),
		limit: r.blockLimit(), strict: r.config.StrictAffinity, borrows: r.result.Borrowed > 0,
	}
	for i := range t.nodes {
		t.free += t.nodes[i].free
	}
	// An empty block changes hands, and one in which addresses are reserved has fewer.
	if l.count.Empty+l.count.Dead > 0 || t.left > 0 && (t.borrows || len(s.Reservations) > 0) {
		return nil
	}
	if t.borrows && t.stuck() {
		return nil
	}
	return t
}

// stuck reports whether a node has as many blocks as it may have. Where it has no free
// address there, it is refused one of another's, and nobody counts who borrows what of
// whose.
func (t *tally) stuck() bool {
	return slices.ContainsFunc(t.nodes, func(o ownership) bool { return o.blocks >= t.limit })
}

// ask counts a request of a node, and reports whether it is known to get an address.
func (t *tally) ask(o *ownership) bool {
	t.asked++
	switch {
	case t.borrows:
	case o.free > 0:
		o.free--
	case o.blocks >= t.limit:
		return false
	case t.left > 0:
		t.left--
		o.blocks++
		o.free = t.size - 1
		t.free += t.size
	case t.strict || t.free == 0:
		return false
	default:
		t.borrows = true
		if t.lost = t.stuck(); t.lost {
			return false
		}
	}
	if t.free == 0 {
		return false
	}
	t.free--
	return true
}

// search goes on with a search that has found this, and reports whether it found the rest.
func (t *tally) search(s step, f found, most int) (found, bool) {
	for s.count(t, f.steps) {
		f.steps++
		if !t.borrows {
			f.fit = f.steps
		}
		if f.atLeast = most > 0 && t.asked >= most; f.atLeast {
			return f, true
		}
	}
	return f, !t.lost
}
