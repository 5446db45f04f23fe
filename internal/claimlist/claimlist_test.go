package claimlist

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shoenig/test/must"
	"pgregory.net/rapid"

	"github.com/ipamsim/ipamsim/affinity"
	"github.com/ipamsim/ipamsim/internal/property"
)

// row is the observable part of a claim.
type row struct {
	owner   affinity.Owner
	cidr    netip.Prefix
	name    string
	state   affinity.State
	created time.Time
}

// subject is what the walker drives: an Index, the model, or a broken model.
type subject interface {
	pend(affinity.Owner, netip.Prefix, time.Time)
	put(affinity.Owner, netip.Prefix, affinity.State, time.Time) error
	step(affinity.Owner, netip.Prefix, step) error // of an existing claim
	drop(affinity.Owner, netip.Prefix) bool
	forget(affinity.Owner)
	get(affinity.Owner, netip.Prefix) (row, bool)
	of(affinity.Owner) []row // the owner's, in order
	all() []row
	len(affinity.Owner) int
	check() error
}

// realIndex is the Index under test.
type realIndex struct{ x Index }

func rowOf(c *Claim) row { return row{c.Owner, c.CIDR, c.Name(), c.State, c.Created} }

func rowsOf(claims []*Claim) []row {
	var rows []row
	for _, c := range claims {
		rows = append(rows, rowOf(c))
	}
	return rows
}

func (r *realIndex) pend(o affinity.Owner, cidr netip.Prefix, now time.Time) {
	r.x.Open(o).Pend(cidr, now)
}
func (r *realIndex) put(o affinity.Owner, cidr netip.Prefix, s affinity.State, now time.Time) error {
	return r.x.Open(o).Put(cidr, s, now)
}
func (r *realIndex) step(o affinity.Owner, cidr netip.Prefix, s step) error {
	return r.x.Of(o).Get(cidr).move(s)
}
func (r *realIndex) drop(o affinity.Owner, cidr netip.Prefix) bool { return r.x.Of(o).Drop(cidr) }
func (r *realIndex) forget(o affinity.Owner)                       { r.x.Forget(o) }
func (r *realIndex) get(o affinity.Owner, cidr netip.Prefix) (row, bool) {
	c := r.x.Of(o).Get(cidr)
	if c == nil {
		return row{}, false
	}
	return rowOf(c), true
}
func (r *realIndex) of(o affinity.Owner) []row { return rowsOf(r.x.Of(o).All()) }
func (r *realIndex) all() []row                { return rowsOf(r.x.All()) }
func (r *realIndex) len(o affinity.Owner) int  { return r.x.Of(o).Len() }
func (r *realIndex) check() error              { return r.x.Check() }

// fault is one way in which an Index could be wrong and the walker must notice.
type fault string

const (
	faultless         fault = ""
	sortedByAddress   fault = "the index is sorted by address"
	sortedByAge       fault = "the index is in the order of making"
	ownersByText      fault = "owners are ordered by name before type"
	oneOwnerAName     fault = "a host and a virtual owner of one name are one"
	dropsNeighbour    fault = "drop drops the neighbour"
	dropsAll          fault = "drop drops every claim on the block"
	dropsNothing      fault = "drop leaves the claim"
	dropAlwaysTrue    fault = "drop finds what is not there"
	pendDemotes       fault = "pend demotes a confirmed claim"
	pendKeeps         fault = "pend leaves a claim pendingDeletion"
	pendRejuvenates   fault = "pend makes the claim young again"
	putSteps          fault = "put goes by the state machine"
	putRejuvenates    fault = "put makes the claim young again"
	putTakesNone      fault = "put takes the state none"
	getMissesManyOnes fault = "get finds nothing in a large list"
	getWithoutMask    fault = "get does not look at the mask"
	forgetsAll        fault = "forget drops claims"
)

// model is the slow, obvious index: a map, sorted by names when asked.
type model struct {
	fault  fault
	claims map[affinity.Owner]map[netip.Prefix]row
	made   []netip.Prefix
}

func newModel(f fault) *model {
	return &model{fault: f, claims: make(map[affinity.Owner]map[netip.Prefix]row)}
}

func (m *model) owner(o affinity.Owner) affinity.Owner {
	if m.fault == oneOwnerAName {
		o.Type = affinity.Host
	}
	return o
}

func (m *model) write(r row) {
	r.owner = m.owner(r.owner)
	if m.claims[r.owner] == nil {
		m.claims[r.owner] = make(map[netip.Prefix]row)
	}
	m.claims[r.owner][r.cidr] = r
	m.made = append(m.made, r.cidr)
}

func modelName(o affinity.Owner, cidr netip.Prefix) string {
	return o.Name + "-" + strings.NewReplacer(".", "-", ":", "-", "/", "-").Replace(cidr.String())
}

func (m *model) pend(o affinity.Owner, cidr netip.Prefix, now time.Time) {
	r, exists := m.get(o, cidr)
	switch {
	case !exists:
		r = row{o, cidr, modelName(o, cidr), affinity.Pending, now}
	case r.state == affinity.Confirmed && m.fault != pendDemotes:
	case r.state == affinity.PendingDeletion && m.fault == pendKeeps:
	default:
		r.state = affinity.Pending
	}
	if m.fault == pendRejuvenates {
		r.created = now
	}
	m.write(r)
}

func (m *model) put(o affinity.Owner, cidr netip.Prefix, s affinity.State, now time.Time) error {
	if (s == affinity.None && m.fault != putTakesNone) || s > affinity.PendingDeletion {
		return fmt.Errorf("%w: %s", affinity.ErrInvalidState, s)
	}
	r, exists := m.get(o, cidr)
	if !exists {
		r = row{o, cidr, modelName(o, cidr), s, now}
	}
	if m.fault != putSteps || !exists || r.state != affinity.PendingDeletion || s != affinity.Confirmed {
		r.state = s
	}
	if m.fault == putRejuvenates {
		r.created = now
	}
	m.write(r)
	return nil
}

func (m *model) step(o affinity.Owner, cidr netip.Prefix, s step) error {
	r, _ := m.get(o, cidr)
	switch s {
	case stepPend:
		if r.state != affinity.Confirmed {
			r.state = affinity.Pending
		}
	case stepRenew:
		r.state = affinity.Pending
	case stepConfirm:
		if r.state == affinity.PendingDeletion {
			return ErrTransition
		}
		r.state = affinity.Confirmed
	case stepRelease:
		r.state = affinity.PendingDeletion
	}
	m.write(r)
	return nil
}

func (m *model) drop(o affinity.Owner, cidr netip.Prefix) bool {
	_, exists := m.get(o, cidr)
	if !exists {
		return m.fault == dropAlwaysTrue
	}
	switch m.fault {
	case dropsNothing:
	case dropsNeighbour:
		rows := m.of(o)
		i := slices.IndexFunc(rows, func(r row) bool { return r.cidr == cidr })
		delete(m.claims[m.owner(o)], rows[(i+1)%len(rows)].cidr)
	case dropsAll:
		for _, claims := range m.claims {
			delete(claims, cidr)
		}
	default:
		delete(m.claims[m.owner(o)], cidr)
	}
	return true
}

func (m *model) forget(o affinity.Owner) {
	if m.fault == forgetsAll {
		delete(m.claims, o)
	}
}

func (m *model) get(o affinity.Owner, cidr netip.Prefix) (row, bool) {
	claims := m.claims[m.owner(o)]
	if m.fault == getMissesManyOnes && len(claims) > 32 {
		return row{}, false
	}
	if m.fault == getWithoutMask {
		for _, r := range m.of(o) {
			if r.cidr.Addr() == cidr.Addr() {
				return r, true
			}
		}
	}
	r, exists := claims[cidr]
	return r, exists
}

func (m *model) of(o affinity.Owner) []row {
	rows := slices.Collect(maps.Values(m.claims[m.owner(o)]))
	slices.SortFunc(rows, func(x, y row) int {
		switch m.fault {
		case sortedByAddress:
			return comparePrefixes(x.cidr, y.cidr)
		case sortedByAge:
			return slices.Index(m.made, x.cidr) - slices.Index(m.made, y.cidr)
		}
		return strings.Compare(x.name, y.name)
	})
	return rows
}

func (m *model) all() []row {
	owners := slices.Collect(maps.Keys(m.claims))
	slices.SortFunc(owners, func(x, y affinity.Owner) int {
		if m.fault == ownersByText {
			return strings.Compare(x.Name+string(x.Type), y.Name+string(y.Type))
		}
		return strings.Compare(string(x.Type)+"\x00"+x.Name, string(y.Type)+"\x00"+y.Name)
	})
	var rows []row
	for _, o := range owners {
		rows = append(rows, m.of(o)...)
	}
	return rows
}

func (m *model) len(o affinity.Owner) int { return len(m.of(o)) }
func (m *model) check() error             { return nil }

var (
	someOwners = []affinity.Owner{affinity.HostOwner("b"), affinity.VirtualOwner("b"), affinity.HostOwner("a"), affinity.VirtualOwner("c"), affinity.HostOwner("b-10")}
	someBlocks = blocks("10.0.0.0/28", 60, "10.0.0.0/26", 4, "fd00::/124", 20, "fd00::/122", 2)
)

// blocks returns n blocks from each prefix on.
func blocks(args ...any) []netip.Prefix {
	var out []netip.Prefix
	for i := 0; i < len(args); i += 2 {
		p := netip.MustParsePrefix(args[i].(string))
		for range args[i+1].(int) {
			out = append(out, p)
			addr := p.Addr()
			for range 1 << (addr.BitLen() - p.Bits()) {
				addr = addr.Next()
			}
			p = netip.PrefixFrom(addr, p.Bits())
		}
	}
	return out
}

// walker does the same operations on a subject and on the model, and compares
// them.
type walker struct {
	src       property.Source
	got, want subject
	now       time.Time
	log       []string
}

func newWalker(src property.Source, got subject) *walker {
	return &walker{src: src, got: got, want: newModel(faultless), now: time.Unix(1_700_000_000, 0)}
}

func (m *walker) owner() affinity.Owner { return someOwners[m.src.Pick("owner", len(someOwners))] }
func (m *walker) cidr() netip.Prefix    { return someBlocks[m.src.Pick("block", len(someBlocks))] }

// claim picks an existing one, if any.
func (m *walker) claim() (affinity.Owner, netip.Prefix, bool) {
	rows := m.want.all()
	if len(rows) == 0 {
		return affinity.Owner{}, netip.Prefix{}, false
	}
	r := rows[m.src.Pick("claim", len(rows))]
	return r.owner, r.cidr, true
}

var actions = []struct {
	name string
	do   func(*walker) error
}{
	{"pend", func(m *walker) error {
		o, cidr := m.owner(), m.cidr()
		m.log = append(m.log, fmt.Sprintf("pend %s %s", o, cidr))
		m.got.pend(o, cidr, m.now)
		m.want.pend(o, cidr, m.now)
		return nil
	}},
	{"pend again", func(m *walker) error {
		o, cidr, there := m.claim()
		if !there {
			return nil
		}
		m.log = append(m.log, fmt.Sprintf("pend %s %s again", o, cidr))
		m.got.pend(o, cidr, m.now)
		m.want.pend(o, cidr, m.now)
		return nil
	}},
	{"pend many", func(m *walker) error {
		o, from, n := m.owner(), m.src.Pick("from", len(someBlocks)), 1+m.src.Pick("many", 50)
		m.log = append(m.log, fmt.Sprintf("pend %s %d from %d", o, n, from))
		for i := range n {
			cidr := someBlocks[(from+i*7)%len(someBlocks)]
			m.got.pend(o, cidr, m.now)
			m.want.pend(o, cidr, m.now)
		}
		return nil
	}},
	{"put", func(m *walker) error {
		o, cidr, s := m.owner(), m.cidr(), affinity.State(m.src.Pick("state", 5))
		if oldO, oldCIDR, there := m.claim(); there && m.src.Pick("old", 2) == 0 {
			o, cidr = oldO, oldCIDR
		}
		m.log = append(m.log, fmt.Sprintf("put %s %s %s", o, cidr, s))
		got, want := m.got.put(o, cidr, s, m.now), m.want.put(o, cidr, s, m.now)
		if (got == nil) != (want == nil) {
			return fmt.Errorf("put returns %v, want %v", got, want)
		}
		return nil
	}},
	{"step", func(m *walker) error {
		o, cidr, there := m.claim()
		if !there {
			return nil
		}
		s := step(m.src.Pick("step", int(stepDrop)))
		m.log = append(m.log, fmt.Sprintf("%s %s %s", s, o, cidr))
		if _, there := m.got.get(o, cidr); !there {
			return fmt.Errorf("%s has no claim on %s", o, cidr)
		}
		got, want := m.got.step(o, cidr, s), m.want.step(o, cidr, s)
		if (got == nil) != (want == nil) {
			return fmt.Errorf("step returns %v, want %v", got, want)
		}
		return nil
	}},
	{"drop", func(m *walker) error {
		o, cidr, there := m.claim()
		if !there || m.src.Pick("absent", 4) == 0 {
			o, cidr = m.owner(), m.cidr()
		}
		m.log = append(m.log, fmt.Sprintf("drop %s %s", o, cidr))
		if got, want := m.got.drop(o, cidr), m.want.drop(o, cidr); got != want {
			return fmt.Errorf("drop returns %t, want %t", got, want)
		}
		return nil
	}},
	{"forget", func(m *walker) error {
		o := m.owner()
		m.log = append(m.log, fmt.Sprintf("forget %s", o))
		m.got.forget(o)
		m.want.forget(o)
		return nil
	}},
	{"wait", func(m *walker) error {
		m.now = m.now.Add(time.Second)
		return nil
	}},
}

// do takes a step and compares everything observable.
func (m *walker) do(action int) error {
	if err := actions[action].do(m); err != nil {
		return m.fail(err)
	}
	if err := m.got.check(); err != nil {
		return m.fail(err)
	}
	if got, want := m.got.all(), m.want.all(); !slices.Equal(got, want) {
		return m.fail(fmt.Errorf("claims are\n%v\nwant\n%v", got, want))
	}
	for _, o := range someOwners {
		want := m.want.of(o)
		if got := m.got.of(o); !slices.Equal(got, want) {
			return m.fail(fmt.Errorf("claims of %s are\n%v\nwant\n%v", o, got, want))
		}
		if got := m.got.len(o); got != len(want) {
			return m.fail(fmt.Errorf("%s has %d claims, want %d", o, got, len(want)))
		}
		// A quarter of the blocks each time, for speed.
		for i := len(m.log) % 4; i < len(someBlocks); i += 4 {
			cidr := someBlocks[i]
			got, gotThere := m.got.get(o, cidr)
			want, wantThere := m.want.get(o, cidr)
			if got != want || gotThere != wantThere {
				return m.fail(fmt.Errorf("claim of %s on %s is %v, %t, want %v, %t", o, cidr, got, gotThere, want, wantThere))
			}
		}
	}
	return nil
}

func (m *walker) fail(err error) error {
	return fmt.Errorf("after\n\t%s\n%w", strings.Join(m.log, "\n\t"), err)
}

// walk takes n steps.
func walk(src property.Source, steps int, got subject) error {
	m := newWalker(src, got)
	for range steps {
		if err := m.do(src.Pick("action", len(actions))); err != nil {
			return err
		}
	}
	return nil
}

// TestIndexAgainstModel compares an Index with the model under random steps.
func TestIndexAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newWalker(property.Rapid(t), new(realIndex))
		do := make(map[string]func(*rapid.T))
		for i, a := range actions {
			do[a.name] = func(t *rapid.T) {
				m.src = property.Rapid(t)
				if err := m.do(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Repeat(do)
	})
}

// TestIndexSeeded takes the steps that catch broken variants.
func TestIndexSeeded(t *testing.T) {
	tries := uint64(20)
	switch {
	case property.Long():
		tries = 2000
	case testing.Short():
		tries = 3
	}
	for seed := range tries {
		must.NoError(t, walk(property.Seeded(seed), 60, new(realIndex)))
	}
}

func TestModelRejectsBrokenIndexes(t *testing.T) {
	for _, f := range []fault{
		sortedByAddress, sortedByAge, ownersByText, oneOwnerAName, dropsNeighbour, dropsAll, dropsNothing, dropAlwaysTrue,
		pendDemotes, pendKeeps, pendRejuvenates, putSteps, putRejuvenates, putTakesNone, getMissesManyOnes, getWithoutMask, forgetsAll,
	} {
		t.Run(string(f), func(t *testing.T) {
			property.Rejects(t, func(src property.Source) error { return walk(src, 100, newModel(f)) })
		})
	}
	must.NoError(t, walk(property.Seeded(1), 100, newModel(faultless)), must.Sprint("the model agrees with itself"))
}

func TestGetInLargeLists(t *testing.T) {
	now := time.Unix(0, 0)
	for _, n := range []int{1, 2, 31, 32, 33, 34, 200} {
		var x Index
		c := x.Open(affinity.HostOwner("node"))
		all := blocks("10.0.0.0/28", n, "fd00::/124", n)
		for _, cidr := range all[:n] {
			c.Pend(cidr, now)
		}
		must.Eq(t, n, c.Len())
		for i, cidr := range all {
			got := c.Get(cidr)
			if i >= n {
				must.Nil(t, got, must.Sprintf("%s of %d", cidr, n))
				continue
			}
			must.NotNil(t, got, must.Sprintf("%s of %d", cidr, n))
			must.EqOp(t, cidr, got.CIDR)
			must.Nil(t, c.Get(netip.PrefixFrom(cidr.Addr(), 27)), must.Sprint("another mask"))
			must.Nil(t, c.Get(netip.Prefix{}))
		}
		must.NoError(t, x.Check())
	}
}

// TestClaimPointers: a claim stays where it is while others come and go, and
// ends in None.
func TestClaimPointers(t *testing.T) {
	var x Index
	c := x.Open(affinity.HostOwner("n"))
	cidrs := blocks("10.0.0.0/28", 80)
	now := time.Unix(0, 0)
	kept := c.Pend(cidrs[40], now)
	for _, cidr := range cidrs {
		c.Pend(cidr, now.Add(time.Hour))
	}
	must.EqOp(t, kept, c.Get(cidrs[40]))
	must.EqOp(t, kept, c.Pend(cidrs[40], now.Add(time.Hour)))
	must.EqOp(t, now, kept.Created, must.Sprint("taken up, not made anew"))
	for _, cidr := range cidrs[:40] {
		must.True(t, c.Drop(cidr))
		must.False(t, c.Drop(cidr))
	}
	must.EqOp(t, kept, c.Get(cidrs[40]))
	must.True(t, c.Drop(cidrs[40]))
	must.Eq(t, affinity.None, kept.State, must.Sprint("the claim that was there ends"))
	must.Nil(t, c.Get(cidrs[40]))
	must.NoError(t, x.Check())
}

func TestNilAndForget(t *testing.T) {
	var none *List
	cidr := netip.MustParsePrefix("10.0.0.0/26")
	must.Zero(t, none.Len())
	must.Nil(t, none.All())
	must.Nil(t, none.Get(cidr))
	must.False(t, none.Drop(cidr))
	must.NoError(t, none.Check())
	must.True(t, none.Owner().IsZero())

	var x Index
	n := affinity.HostOwner("n")
	must.Nil(t, x.Of(n))
	x.Forget(n)
	must.Nil(t, x.All())
	must.NoError(t, x.Check())

	c := x.Open(n)
	must.EqOp(t, c, x.Open(n))
	must.EqOp(t, c, x.Of(n))
	must.Eq(t, n, c.Owner())
	c.Pend(cidr, time.Unix(0, 0))
	x.Forget(n)
	must.EqOp(t, c, x.Of(n), must.Sprint("not while there are claims"))
	x.Forget(affinity.VirtualOwner("n"))
	must.EqOp(t, c, x.Of(n), must.Sprint("another owner"))
	must.True(t, c.Drop(cidr))
	must.EqOp(t, c, x.Of(n), must.Sprint("an empty list stays"))
	x.Forget(n)
	must.Nil(t, x.Of(n))
	must.NotEqOp(t, c, x.Open(n))
	must.Zero(t, x.Of(n).Len())
	must.NoError(t, x.Check())
}

// TestIndexAllIsTheCallers: sorting or cutting the slice does not touch the
// index.
func TestIndexAllIsTheCallers(t *testing.T) {
	var x Index
	for _, cidr := range blocks("10.0.0.0/28", 5) {
		x.Open(affinity.HostOwner("n")).Pend(cidr, time.Unix(0, 0))
	}
	all := x.All()
	clear(all)
	must.Len(t, 5, x.All())
	must.NoError(t, x.Check())
}

// TestCheckReports: every invariant, broken by hand, is reported, all at once.
func TestCheckReports(t *testing.T) {
	broken := map[string]func(x *Index, c *List){
		"out of order at":          func(_ *Index, c *List) { c.list[0], c.list[1] = c.list[1], c.list[0] },
		"two claims on":            func(_ *Index, c *List) { c.list = append(c.list, c.list[2]) },
		"has state ":               func(_ *Index, c *List) { c.list[0].State = affinity.None },
		"has state State(7)":       func(_ *Index, c *List) { c.list[1].State = 7 },
		"is in the list of host:n": func(_ *Index, c *List) { c.list[1].Owner = affinity.HostOwner("m") },
		"invalid owner":            func(_ *Index, c *List) { c.owner.Type = "node" },
		"filed under host:m":       func(x *Index, c *List) { x.owners[affinity.HostOwner("m")] = c },
		"filed under virtual:n":    func(x *Index, c *List) { x.owners[affinity.VirtualOwner("n")] = c },
	}
	tampered := func(tamper ...func(*Index, *List)) error {
		var x Index
		c := x.Open(affinity.HostOwner("n"))
		for _, cidr := range blocks("10.0.0.0/28", 3) {
			c.Pend(cidr, time.Unix(0, 0))
		}
		for _, f := range tamper {
			f(&x, c)
		}
		return x.Check()
	}
	must.NoError(t, tampered())
	for report, tamper := range broken {
		must.ErrorContains(t, tampered(tamper), report)
	}
	err := tampered(broken["out of order at"], broken["has state "], broken["filed under host:m"])
	must.ErrorContains(t, err, "out of order at")
	must.ErrorContains(t, err, "has state")
	must.ErrorContains(t, err, "filed under host:m")
}
