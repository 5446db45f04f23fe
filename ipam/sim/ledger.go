package sim

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/block"
	"github.com/ipamsim/ipamsim/ipam"
	"github.com/ipamsim/ipamsim/pool"
)

// ledger keeps count of how blocks stand. On an engine that can be watched it looks
// at what changed only, if it looks often.
type ledger struct {
	engine Engine
	often  bool        // otherwise it keeps nothing of blocks
	watch  *ipam.Watch // nil before the first of often looks, and for an engine that has none
	pools  []MapPool   // in address order
	order  []poolCount // the same

	reserved *pool.Reservations // nil for none
	nodes    map[string]int     // by name, their numbers
	names    []string           // by number
	blocks   accounts
	owned    []ownership // of each node
	count    Blocks      // but for Free and Routes
	cells    bool        // whether somebody wants to know which are different
	services int         // blocks that services have
}

// account is what the ledger knows of one block.
type account struct {
	Cell     // with its number and owner; the rest only if somebody wants cells
	pool int // its place in the ledger's
	used int // addresses, cooling ones too, but not those that a Windows host keeps
	free int // addresses that are neither held nor reserved

	exists bool
}

// ownership is what the ledger knows of a node: how many blocks it owns, and how many
// addresses are free in them.
type ownership struct {
	gone                bool
	blocks, empty, free int
}

// poolCount is what the ledger knows of a pool.
type poolCount struct {
	pool    *pool.Pool
	enabled bool
	room    int // blocks that nodes can claim, those they have among them: all but those reserved whole
	exist   int // blocks

	services bool // has the blocks of services only, which are not counted with the others
}

// watcher is an engine that tells what changed.
type watcher interface {
	Watch(kinds ...ipam.ObjectKind) *ipam.Watch
}

// Whoever changes these methods of the allocator must not make every look slow.
var _ watcher = (*ipam.Allocator)(nil)

func newLedger(e Engine, s *Scenario) *ledger {
	l := &ledger{engine: e, nodes: make(map[string]int)}
	if len(s.Reservations) > 0 {
		l.reserved, _ = pool.ParseReservations(s.Reservations) // malformed ones were refused
	}
	services := make(map[string]bool)
	for _, p := range s.allPools() {
		services[p.Name] = s.Services > 0 && p.forServices()
		spec := p.spec().WithDefaults()
		l.pools = append(l.pools, MapPool{Name: spec.Name, CIDR: spec.CIDR, BlockSize: spec.BlockSize, Blocks: 1 << (spec.BlockSize - spec.CIDR.Bits())})
	}
	slices.SortFunc(l.pools, func(a, b MapPool) int { return a.CIDR.Addr().Compare(b.CIDR.Addr()) })
	first := 0
	for i := range l.pools {
		m := &l.pools[i]
		of, _ := pool.New(pool.Spec{Name: m.Name, CIDR: m.CIDR, BlockSize: m.BlockSize}) // was validated
		l.order = append(l.order, poolCount{pool: of, room: m.Blocks - l.reservedWhole(m), services: services[m.Name]})
		m.First = first
		first += m.Blocks
	}
	return l
}

// enable takes note of a pool that nobody could have blocks of before, or of one that
// nobody can any more.
func (l *ledger) enable(name string, enabled bool) {
	i := slices.IndexFunc(l.pools, func(p MapPool) bool { return p.Name == name })
	l.order[i].enabled = enabled
}

// room returns how many blocks nobody has, that a node can have.
func (l *ledger) room() (n int) {
	for i := range l.order {
		if p := &l.order[i]; p.enabled && !p.services {
			n += p.room - p.exist
		}
	}
	return n
}

// total returns how many blocks the enabled pools have room for.
func (l *ledger) total() (n int) {
	for i := range l.order {
		if l.order[i].enabled && !l.order[i].services {
			n += l.pools[i].Blocks
		}
	}
	return n
}

// reservedWhole returns how many blocks of the pool no node gets. What is reserved
// is made of the largest CIDRs that fit, so that a block lies in one of them or is
// not reserved whole.
func (l *ledger) reservedWhole(p *MapPool) (n int) {
	if l.reserved == nil {
		return 0
	}
	for _, rng := range l.reserved.RangesIn(p.CIDR) {
		for _, cidr := range rng.Prefixes() {
			if cidr.Bits() <= p.BlockSize {
				n += 1 << (p.BlockSize - cidr.Bits())
			}
		}
	}
	return n
}

// number returns the number of a block, and which pool it is of.
func (l *ledger) number(cidr netip.Prefix) (number, of int) {
	i, found := slices.BinarySearchFunc(l.pools, cidr.Addr(), func(p MapPool, a netip.Addr) int { return p.CIDR.Addr().Compare(a) })
	if !found {
		i--
	}
	return l.pools[i].First + int(l.order[i].pool.IndexOf(cidr.Addr()).Lo()), i
}

// update takes changed blocks into account, and returns the cells that are
// different, by number; the slice is the caller's.
func (l *ledger) update(nodes []*node) (cells []Cell) {
	for i := len(l.owned); i < len(nodes); i++ {
		l.nodes[nodes[i].name] = i
		l.names = append(l.names, nodes[i].name)
		l.owned = append(l.owned, ownership{gone: nodes[i].gone})
		if !nodes[i].gone {
			l.count.NodesWithoutBlock++
		}
	}
	of, ok := l.engine.(watcher)
	if !ok {
		return l.updateAll()
	}
	if !l.often {
		l.countAll(of)
		return nil
	}
	if l.watch == nil {
		l.watch = of.Watch()
	}
	if l.cells {
		cells = make([]Cell, 0, l.watch.Pending())
	}
	l.watch.Count(func(cidr netip.Prefix, c ipam.BlockCount, exists bool) {
		number, of := l.number(cidr)
		now := account{Cell: Cell{Owner: Gone}}
		if exists {
			now = l.account(&c, l.blocks.at(number).Owner)
		}
		now.Block, now.pool = number, of
		cells = l.file(now, cells)
	})
	if len(cells) == 0 {
		return nil // as where nothing was looked at
	}
	return sorted(cells)
}

// countAll is update for a ledger that does not look often.
func (l *ledger) countAll(of watcher) {
	l.count, l.services = Blocks{}, 0
	for i := range l.order {
		l.order[i].exist = 0
	}
	for i := range l.owned {
		o := &l.owned[i]
		if *o = (ownership{gone: o.gone}); !o.gone {
			l.count.NodesWithoutBlock++
		}
	}
	w := of.Watch() // for which every block counts as changed
	defer w.Stop()
	w.Count(func(cidr netip.Prefix, c ipam.BlockCount, _ bool) {
		now := l.account(&c, Nobody)
		_, now.pool = l.number(cidr)
		l.add(&now, 1)
	})
}

// updateAll is update for an engine that cannot be watched.
func (l *ledger) updateAll() (cells []Cell) {
	left := make(map[int]bool)
	l.blocks.all(func(b *account) { left[b.Block] = true })
	state := l.engine.State()
	for i := range state.Blocks {
		c := l.counted(&state.Blocks[i])
		now := l.account(&c, Nobody)
		now.Block, now.pool = l.number(state.Blocks[i].CIDR)
		delete(left, now.Block)
		cells = l.file(now, cells)
	}
	for number := range left {
		cells = l.file(account{Cell: Cell{Block: number, Owner: Gone}, pool: l.blocks.at(number).pool}, cells)
	}
	return sorted(cells)
}

// sorted puts cells in the order of their numbers.
func sorted(cells []Cell) []Cell {
	slices.SortFunc(cells, func(a, b Cell) int { return cmp.Compare(a.Block, b.Block) })
	return cells
}

// account returns how a block stands, whose owner was this one when it was looked at last;
// its number and pool are for the caller to fill in.
func (l *ledger) account(b *ipam.BlockCount, owner int) account {
	c := account{Cell: Cell{Owner: Nobody}, used: b.InUse - b.HostReserved + b.Cooling, free: b.Free}
	if b.Owner.Type == affinity.Host {
		if owner < 0 || l.names[owner] != b.Owner.Name {
			owner = l.nodes[b.Owner.Name]
		}
		c.Owner = owner
	}
	if l.cells {
		c.InUse, c.Borrowed, c.Cooling = b.InUse-b.HostReserved, b.Borrowed-b.HostReserved, b.Cooling
	}
	return c
}

// counted is [ipam.Allocator.CountBlock] for an engine that does not count.
func (l *ledger) counted(b *ipam.BlockState) ipam.BlockCount {
	c := ipam.BlockCount{Owner: b.Owner}
	for _, a := range b.Allocations {
		if !a.ReleasedAt.IsZero() {
			c.Cooling++
			continue
		}
		c.InUse++
		if block.IsHostReserved(a.Handle) {
			c.HostReserved++
		}
		if by, _ := a.Active.Get(ipam.AttrNode); b.Owner.IsZero() || by != b.Owner.Name {
			c.Borrowed++
		}
	}
	for _, ordinal := range b.Free {
		if l.reserved == nil || !l.reserved.Contains(b.Addr(ordinal)) {
			c.Free++
		}
	}
	return c
}

// file counts a block anew, and appends its cell to those that are different.
func (l *ledger) file(now account, cells []Cell) []Cell {
	was := l.blocks.at(now.Block)
	now.exists = now.Owner != Gone
	different := was.exists != now.exists || was.exists && was.Cell != now.Cell
	if was.exists {
		l.add(was, -1)
	}
	*was = now
	if now.exists {
		l.add(was, 1)
	}
	if different && l.cells && !l.order[now.pool].services {
		cells = append(cells, now.Cell)
	}
	return cells
}

// add adds a block to the counts, or takes it away.
func (l *ledger) add(a *account, sign int) {
	l.order[a.pool].exist += sign
	if l.order[a.pool].services {
		l.services += sign
		return
	}
	if a.Owner == Nobody {
		l.count.Dead += sign
		return
	}
	l.count.Claimed += sign
	l.count.Stranded += sign * a.free
	if a.used == 1 {
		l.count.OnePod += sign
	}
	o := &l.owned[a.Owner]
	had := o.blocks > 0
	o.blocks += sign
	o.free += sign * a.free
	if a.used == 0 {
		o.empty += sign
	}
	switch {
	case o.gone:
		l.count.Dead += sign
		return
	case a.used == 0:
		l.count.Empty += sign
	default:
		l.count.Live += sign
	}
	if has := o.blocks > 0; has && !had {
		l.count.NodesWithoutBlock--
	} else if had && !has {
		l.count.NodesWithoutBlock++
	}
}

// leave takes note of a node that is gone, and may have left blocks behind.
func (l *ledger) leave(n *node) {
	if n.number >= len(l.owned) {
		return // nobody looked since it came up
	}
	o := &l.owned[n.number]
	o.gone = true
	l.count.Dead += o.blocks
	l.count.Empty -= o.empty
	l.count.Live -= o.blocks - o.empty
	if o.blocks == 0 {
		l.count.NodesWithoutBlock--
	}
}

// look has the ledger look at what changed, and returns what did.
func (r *runner) look() []Cell {
	if r.ledger == nil {
		o := &r.options
		r.ledger = newLedger(r.engine, &r.scenario)
		r.ledger.cells, r.ledger.often = o.Map, o.Samples > 0 || o.SampleEvery > 0 || o.Peaks
		for i := range r.spaces {
			r.ledger.enable(r.spaces[i].spec.Name, !r.spaces[i].spec.Disabled)
		}
	}
	return r.ledger.update(r.nodes)
}

// blocks returns how blocks stand as the ledger saw them.
func (r *runner) blocks() Blocks {
	b := r.ledger.count
	b.Free = r.ledger.room()
	b.Routes = b.Claimed + r.borrowed
	return b
}

// peak takes into account what just happened, if somebody wants to know of peaks.
func (r *runner) peak() {
	p := r.result.Peaks
	if p == nil {
		return
	}
	r.carried = append(r.carried, r.look()...)
	p.Dead.see(r.ledger.count.Dead, r.at)
	p.Unheld.see(r.unheld, r.at)
	p.Waiting.see(r.pods.waiting, r.at)
}

// latest returns the last cell of each block, by number.
func latest(cells []Cell) []Cell {
	slices.SortStableFunc(cells, func(a, b Cell) int { return cmp.Compare(a.Block, b.Block) })
	last := cells[:0]
	for i, c := range cells {
		if i == len(cells)-1 || cells[i+1].Block != c.Block {
			last = append(last, c)
		}
	}
	return last
}

// sampleDue reports whether it is time for a sample: they are spread evenly over
// the requests, the first before any and the last after all. Those after events come
// besides.
func (r *runner) sampleDue() bool {
	n := max(r.options.Samples, 2) - 1
	return r.options.Samples > 0 && r.sampled < n && r.result.Requests < r.expected && r.result.Requests*n >= r.sampled*r.expected
}

// sample writes down how things stand.
func (r *runner) sample() {
	r.peak()
	cells := r.look()
	if len(r.carried) > 0 {
		cells = latest(append(r.carried, cells...))
		r.carried = nil
	}
	res := &r.result
	res.Samples = append(res.Samples, Sample{
		At: Duration(r.at), Request: res.Requests,
		InUse: r.inUse, Borrowed: r.borrowed, Refused: res.Refused(), Blocks: r.blocks(),
		Unheld: r.unheld, Waiting: r.pods.waiting,
	})
	if !r.options.Map {
		return
	}
	if res.Map == nil {
		res.Map = &Map{Pools: r.ledger.pools}
	}
	res.Map.Frames = append(res.Map.Frames, Frame{At: Duration(r.at), Request: res.Requests, Cells: cells})
	for i := len(res.Map.Owners); i < len(r.nodes); i++ {
		res.Map.Owners = append(res.Map.Owners, r.nodes[i].name)
	}
}
